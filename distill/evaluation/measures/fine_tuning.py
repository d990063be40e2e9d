"""Fine-tune a copy of a model to classify texts, and predict the classes of other texts.

The classifier is the model's body and one linear layer, initialised to zero, on its last hidden states averaged over
the tokens. All of it is trained by AdamW in float32, without dropout and with gradients clipped at norm 1. The learning
rate rises over the first tenth of the steps and then falls to 0. Only the order of the texts is random. The model that
is scored is not changed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from distill.evaluation.config import FineTuningConfig
from distill.evaluation.scoring.logprobs import batches, padded
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray
from distill.evaluation.task import Records, Task, about_num_tokens, items_task
from distill.models.sizes import state_width

WARMUP = 0.1
MAX_GRAD_NORM = 1.0


class Classifier(nn.Module):
    """A copy of a model's body with a linear layer on its mean hidden state, on the body's device.

    causal: whether no state depends on later tokens. If it may, the padding is masked.
    """

    def __init__(self, body: nn.Module, hidden_size: int, num_classes: int, causal: bool = True) -> None:
        super().__init__()
        self.causal = causal
        with torch.inference_mode(False):  # the caller may have switched it on
            self.body = copy.deepcopy(body).float().eval()
            self.head = nn.Linear(hidden_size, num_classes, device=next(body.parameters()).device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits [num_rows, num_classes] of rows of token ids."""
        device = self.head.weight.device
        ids = padded(rows).to(device)
        lengths = torch.tensor([len(row) for row in rows], device=device)[:, None]
        is_text = torch.arange(ids.shape[1], device=device) < lengths
        options = {"use_cache": False} if self.causal else {"attention_mask": is_text.long()}
        hidden = self.body(input_ids=ids, **options).last_hidden_state
        return self.head((hidden * is_text[..., None]).sum(dim=1) / lengths)


def fine_tuned_predictions(
    scorer: Scorer,
    texts: Sequence[str],
    labels: Sequence[int],
    unseen: Sequence[str],
    num_classes: int,
    config: FineTuningConfig,
) -> npt.NDArray[np.int64]:
    """The classes [num_unseen] of the unseen texts, after fine-tuning on the texts with their labels.

    Texts are cut at the model's context. Raises ValueError when the loss is not finite.
    """
    classifier = Classifier(scorer.model.base_model, state_width(scorer.model), num_classes)
    rows = _token_rows(scorer, texts)
    try:
        fine_tune(classifier, rows, labels, config, scorer.max_batch_tokens)
    except ValueError as error:
        raise ValueError(
            f"{scorer.label}: {error}; lower fine_tuning.lr ({config.lr:g}), unless the model itself gives NaN"
        ) from error
    return class_logits(classifier, _token_rows(scorer, unseen), scorer.max_batch_tokens).argmax(axis=1)


def fine_tune(
    classifier: Classifier,
    rows: Sequence[Sequence[int]],
    labels: Sequence[int],
    config: FineTuningConfig,
    max_batch_tokens: int,
) -> None:
    """Train a classifier on rows of token ids. Raises ValueError when the loss is not finite.

    The texts of a step are read in batches of similar length, whose gradients are added. max_batch_tokens: in one
    forward pass, padding included.
    """
    with torch.inference_mode(False), torch.enable_grad():
        classifier.requires_grad_(True)
        targets = torch.as_tensor(labels)
        num_steps = config.epochs * math.ceil(len(rows) / config.batch_size)
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=config.lr, fused=True)  # one pass: faster on CPUs too
        schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(WARMUP * num_steps), num_steps)
        for drawn in _steps(len(rows), config):
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


def class_logits(classifier: Classifier, rows: Sequence[Sequence[int]], max_batch_tokens: int) -> FloatArray:
    """The logits [num_rows, num_classes] of rows of token ids."""
    logits = np.empty((len(rows), classifier.head.out_features))
    with torch.inference_mode():
        for batch in batches([len(row) for row in rows], max_batch_tokens):
            logits[batch] = classifier([rows[index] for index in batch]).cpu().numpy()
    return logits


def classifier_task(
    name: str,
    data: str,
    train: Sequence[Any],
    test: Sequence[Any],
    score: Callable[[Scorer, Sequence[Any], Sequence[Any], FineTuningConfig], Records],
    config: FineTuningConfig,
) -> Task:
    """A task whose `score` fine-tunes on `train` and gives one record for each item of `test`.

    data: the part of the key that identifies both parts. train, test: items with an attribute `text`. A backward pass
    counts as two forward passes.
    """

    def score_all(scorer: Scorer, part: Sequence[Any]) -> Records:
        return score(scorer, train, part, config)

    settings = f"fine-tuned:{config.epochs}x{config.batch_size}|lr:{config.lr:g}|seed:{config.seed}|mean-pooled"
    texts, unseen = ([item.text for item in part] for part in (train, test))
    task = items_task(name, f"{data}|{settings}", test, score_all, unseen, divisible=False)
    return replace(task, num_tokens=task.num_tokens + 3 * config.epochs * about_num_tokens(texts))


def _steps(num_texts: int, config: FineTuningConfig) -> Iterator[Tensor]:
    """The indices of the texts of every step. Each epoch holds all texts, in an order of its own."""
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(config.epochs):
        yield from torch.randperm(num_texts, generator=generator).split(config.batch_size)


def _token_rows(scorer: Scorer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids after the start token, cut at the model's context. Raises ValueError for a text without a token."""
    encoded = scorer.encode(texts)["input_ids"]
    rows = [(scorer.start + ids)[: scorer.context] for ids in encoded]
    for text, row in zip(texts, rows, strict=True):
        if not row:
            raise ValueError(f"{scorer.label}: the text {text!r} has no token to classify; set scoring.bos=true")
    return rows
