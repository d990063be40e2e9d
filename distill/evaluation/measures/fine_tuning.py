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
from distill.evaluation.task import Records, Task, about_num_tokens, items_task
from distill.models.sizes import state_width

WARMUP = 0.1
MAX_GRAD_NORM = 1.0


class Classifier(nn.Module):
    """A causal model's body with a linear layer on its mean hidden state."""

    def __init__(self, body: nn.Module, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.body = copy.deepcopy(body).float().eval()
        self.head = nn.Linear(hidden_size, num_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits [num_rows, num_classes] of rows of token ids."""
        device = self.head.weight.device
        hidden = self.body(input_ids=padded(rows).to(device), use_cache=False).last_hidden_state
        lengths = torch.tensor([len(row) for row in rows], device=device)[:, None]
        is_text = torch.arange(hidden.shape[1], device=device) < lengths
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
    hidden_size, device = state_width(scorer.model), scorer.model.device
    with torch.inference_mode(False), torch.enable_grad():  # the caller may have switched gradients off
        classifier = Classifier(scorer.model.base_model, hidden_size, num_classes).to(device)
        classifier.requires_grad_(True)
        _train(scorer, classifier, _token_rows(scorer, texts), labels, config)
    rows = _token_rows(scorer, unseen)
    predicted = np.empty(len(rows), dtype=np.int64)
    with torch.inference_mode():
        for batch in batches([len(row) for row in rows], scorer.max_batch_tokens):
            predicted[batch] = classifier([rows[index] for index in batch]).argmax(dim=-1).cpu().numpy()
    return predicted


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


def _train(
    scorer: Scorer,
    classifier: Classifier,
    rows: Sequence[Sequence[int]],
    labels: Sequence[int],
    config: FineTuningConfig,
) -> None:
    """Train the classifier. The texts of a step are read in batches of similar length, whose gradients are added."""
    targets = torch.as_tensor(labels)
    num_steps = config.epochs * math.ceil(len(rows) / config.batch_size)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=config.lr, fused=True)  # one pass: faster on CPUs too
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(WARMUP * num_steps), num_steps)
    for drawn in _steps(len(rows), config):
        for batch in batches([len(rows[index]) for index in drawn], scorer.max_batch_tokens):
            logits = classifier([rows[index] for index in drawn[batch]])
            classes = targets[drawn[batch]].to(logits.device)
            loss = nn.functional.cross_entropy(logits, classes, reduction="sum") / len(drawn)
            if not torch.isfinite(loss):
                raise ValueError(
                    f"{scorer.label}: the loss of fine-tuning is {loss.item()}; lower fine_tuning.lr ({config.lr:g}), "
                    "unless the model itself gives NaN"
                )
            loss.backward()
        nn.utils.clip_grad_norm_(classifier.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()


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
