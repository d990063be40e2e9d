"""Fine-tuning a copy of a model to classify texts: labelled texts in; its predictions for other texts out.

The classifier is the model's body and one linear layer, from zero, on its last hidden states averaged over the tokens.
All of it is trained by AdamW in float32, with a learning rate that rises over the first tenth of the steps and then
falls to 0, gradients clipped at norm 1, and no dropout: only the order of the texts is random. The model that is scored
is not changed.
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
    how: FineTuningConfig,
) -> npt.NDArray[np.int64]:
    """The classes [num_unseen] of the unseen texts, after fine-tuning on the texts with their labels.

    Texts are cut at the model's context. Raises ValueError when the loss is not finite.
    """
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller's mode: this is training
        config = scorer.model.config
        classifier = Classifier(scorer.model.base_model, config.hidden_size, num_classes).to(scorer.model.device)
        classifier.requires_grad_(True)
        _train(scorer, classifier, _token_rows(scorer, texts), labels, how)
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
    how: FineTuningConfig,
) -> Task:
    """A task whose `score` fine-tunes on `train` and gives a record for each item of `test`.

    data: what identifies both parts, whose items have a text each. A backward pass counts as two forward passes.
    """

    def score_all(scorer: Scorer, part: Sequence[Any]) -> Records:
        return score(scorer, train, part, how)

    key = f"{data}|fine-tuned:{how.epochs}x{how.batch_size}|lr:{how.lr:g}|seed:{how.seed}|mean-pooled"
    planned = items_task(name, key, test, score_all, [one.text for one in test], divisible=False)
    cost = 3 * how.epochs * about_num_tokens([one.text for one in train])
    return replace(planned, num_tokens=planned.num_tokens + cost)


def _train(
    scorer: Scorer, classifier: Classifier, rows: Sequence[Sequence[int]], labels: Sequence[int], how: FineTuningConfig
) -> None:
    """All steps. The texts of a step go through the model in parts of similar length, the gradients added up."""
    targets = torch.as_tensor(labels)
    num_steps = how.epochs * math.ceil(len(rows) / how.batch_size)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=how.lr, fused=True)  # one pass: faster on CPUs too
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(WARMUP * num_steps), num_steps)
    for drawn in _steps(len(rows), how):
        for part in batches([len(rows[index]) for index in drawn], scorer.max_batch_tokens):
            logits = classifier([rows[index] for index in drawn[part]])
            wanted = targets[drawn[part]].to(logits.device)
            loss = nn.functional.cross_entropy(logits, wanted, reduction="sum") / len(drawn)
            if not torch.isfinite(loss):
                raise ValueError(
                    f"{scorer.label}: the loss of fine-tuning is {loss.item()}; lower fine_tuning.lr ({how.lr:g}), "
                    "unless the model itself gives NaN"
                )
            loss.backward()
        nn.utils.clip_grad_norm_(classifier.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()


def _steps(num_texts: int, how: FineTuningConfig) -> Iterator[Tensor]:
    """The indices of the texts of every step: in each epoch all of them, in an order of its own."""
    generator = torch.Generator().manual_seed(how.seed)
    for _ in range(how.epochs):
        yield from torch.randperm(num_texts, generator=generator).split(how.batch_size)


def _token_rows(scorer: Scorer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids after the start token, cut at the model's context. Raises ValueError for a text without a token."""
    encoded = scorer.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    rows = [(scorer.start + ids)[: scorer.context] for ids in encoded]
    for text, row in zip(texts, rows, strict=True):
        if not row:
            raise ValueError(f"{scorer.label}: the text {text!r} has no token to classify; set scoring.bos=true")
    return rows
