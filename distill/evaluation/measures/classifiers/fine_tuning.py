"""Fine-tune copies of a model to classify texts.

The classifier is the model's body and one linear layer, initialised to zero, on its last hidden states averaged over
the tokens. All of it is trained by AdamW in float32, with gradients clipped at norm 1. The learning rate rises over the
first tenth of the steps and then falls to 0. The order of the texts is random, and with dropout what is left out of the
states, nothing else. The model that is scored is not changed.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.measures.classifiers.text_classifier import (
    Classifier,
    TextClassifier,
    own_classifier,
    text_tokens,
)
from distill.evaluation.records import record_key
from distill.evaluation.scoring.logprobs import batches
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.task import data_hash
from distill.models.sizes import state_width

WARMUP = 0.1
MAX_GRAD_NORM = 1.0
_FOLDERS: weakref.WeakKeyDictionary[PreTrainedModel, Path] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class LabelledText:
    """A text and its class, from 0 on."""

    id: str
    text: str
    label: int


@dataclass(frozen=True)
class Problem:
    """What a classifier learns. classes: their names. train, test: texts to learn from, and perhaps others.

    remedy: what to do where there are no texts to learn from, and the model is no classifier yet.
    """

    classes: tuple[str, ...]
    train: Sequence[LabelledText]
    test: Sequence[LabelledText] = ()
    remedy: str = ""


def classifiers(scorer: Scorer, problem: Problem, config: FineTuningConfig) -> Iterator[TextClassifier]:
    """A copy of the model fine-tuned on the problem, in each draw; or the classifier that the scorer holds.

    A draw is an order of the training texts. Its weights stay in a temporary file for as long as the model is used, so
    that several measures can ask for the same classifier. Raises ValueError when the loss is not finite.
    """
    if scorer.is_classifier:
        yield own_classifier(scorer)
        return
    if not problem.train:
        raise ValueError(
            f"{scorer.label} is a language model, and there are no texts from which it could learn to classify; "
            f"{problem.remedy}, or give a text classifier"
        )
    for draw in range(config.num_draws):
        module = Classifier(scorer.model.base_model, state_width(scorer.model), len(problem.classes))
        key = record_key(data_hash(problem.train), problem.classes, fine_tuning_settings(config), draw, scorer.start_id)
        kept = _folder(scorer.model) / f"{key}.pt"
        if kept.exists():
            module.load_state_dict(torch.load(kept, weights_only=True))
        else:
            _fine_tune_on(module, scorer, problem.train, config, config.seed + draw)
            torch.save(module.state_dict(), kept)
        yield TextClassifier(
            scorer.label, problem.classes, module, lambda texts: text_tokens(scorer, texts), scorer.max_batch_tokens
        )


def fine_tuning_settings(config: FineTuningConfig) -> str:
    """How classifiers are fine-tuned, as a part of a task's key."""
    seeds = f"{config.seed}" if config.num_draws == 1 else f"{config.seed}+{config.num_draws}"
    dropout = f"|dropout:{config.dropout:g}" if config.dropout else ""
    return f"fine-tuned:{config.epochs}x{config.batch_size}|lr:{config.lr:g}{dropout}|seed:{seeds}|mean-pooled"


def thinned(texts: Sequence[LabelledText], max_train: int | None) -> list[LabelledText]:
    """At most `max_train` of the texts, evenly spaced."""
    if max_train is None or max_train >= len(texts):
        return list(texts)
    return [texts[index] for index in np.linspace(0, len(texts) - 1, max_train).round().astype(int)]


def fine_tune(
    classifier: Classifier,
    rows: Sequence[Sequence[int]],
    labels: Sequence[int],
    config: FineTuningConfig,
    max_batch_tokens: int,
    seed: int | None = None,
) -> None:
    """Train a classifier on rows of token ids. Raises ValueError when the loss is not finite.

    The texts of a step are read in batches of similar length, whose gradients are added. max_batch_tokens: in one
    forward pass, padding included. seed: of the order of the texts; None takes that of the settings.
    """
    seed = config.seed if seed is None else seed
    device = classifier.head.weight.device
    seeded = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with torch.inference_mode(False), torch.enable_grad(), seeded:
        torch.manual_seed(seed)  # of dropout
        classifier.requires_grad_(True)
        classifier.dropout.train().p = config.dropout
        targets = torch.as_tensor(labels)
        num_steps = config.epochs * math.ceil(len(rows) / config.batch_size)
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=config.lr, fused=True)  # one pass: faster on CPUs too
        schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(WARMUP * num_steps), num_steps)
        for drawn in _steps(len(rows), config, seed):
            for batch in batches([len(rows[index]) for index in drawn], max_batch_tokens):
                logits = classifier([rows[index] for index in drawn[batch]])
                classes = targets[drawn[batch]].to(logits.device)
                loss = nn.functional.cross_entropy(logits, classes, reduction="sum") / len(drawn)
                if not torch.isfinite(loss):
                    raise ValueError(f"the loss of fine-tuning is {loss.item()}")
                loss.backward()
            nn.utils.clip_grad_norm_(classifier.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        classifier.dropout.eval()


def _fine_tune_on(
    module: Classifier, scorer: Scorer, texts: Sequence[LabelledText], config: FineTuningConfig, seed: int
) -> None:
    rows = [tokens.ids for tokens in text_tokens(scorer, [text.text for text in texts])]
    try:
        fine_tune(module, rows, [text.label for text in texts], config, scorer.max_batch_tokens, seed)
    except ValueError as error:
        raise ValueError(
            f"{scorer.label}: {error}; lower fine_tuning.lr ({config.lr:g}), unless the model itself gives NaN"
        ) from error


def _steps(num_texts: int, config: FineTuningConfig, seed: int) -> Iterator[Tensor]:
    """The indices of the texts of every step. Each epoch holds all texts, in an order of its own."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(config.epochs):
        yield from torch.randperm(num_texts, generator=generator).split(config.batch_size)


def _folder(model: PreTrainedModel) -> Path:
    """A temporary folder for the classifiers of a model, which is removed when the model is."""
    if model not in _FOLDERS:
        _FOLDERS[model] = Path(tempfile.mkdtemp(prefix="evenhand-classifiers-"))
        weakref.finalize(model, shutil.rmtree, _FOLDERS[model], ignore_errors=True)
    return _FOLDERS[model]
