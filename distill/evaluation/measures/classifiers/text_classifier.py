"""A classifier of texts: a fine-tuned copy of a language model, or the user's own.

Both give probabilities of classes from token ids, or from embeddings in place of ids. Only rows of equal length share a
forward pass: a model of transformers cannot tell padding from text where it gets embeddings, and needs a padding token
where it gets ids.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from distill.evaluation.scoring.logprobs import padded
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray
from distill.models.sizes import text_config

NO_TOKEN = -1
MULTILABEL = "multi_label_classification"  # as transformers calls classes that do not exclude each other


class Tokens(NamedTuple):
    """The tokens of a text. spans: the characters [start, end) of each; empty for one that stands for none of them."""

    ids: list[int]
    spans: list[tuple[int, int]]


class Classifier(nn.Module):
    """A copy of a model's body with a linear layer on its mean hidden state, on the body's device.

    causal: whether no state depends on later tokens. If it may, the padding is masked.
    """

    def __init__(self, body: nn.Module, hidden_size: int, num_classes: int, causal: bool = True) -> None:
        super().__init__()
        self.causal = causal
        with torch.inference_mode(False):  # the caller may have switched it on
            self.body: Any = copy.deepcopy(body).float().eval()
            self.head = nn.Linear(hidden_size, num_classes, device=next(body.parameters()).device)
        self.dropout = nn.Dropout(0.0).eval()
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits [num_rows, num_classes] of rows of token ids."""
        device = self.head.weight.device
        lengths = torch.tensor([len(row) for row in rows], device=device)[:, None]
        ids = padded(rows).to(device)
        return self.logits(torch.arange(ids.shape[1], device=device) < lengths, input_ids=ids)

    def logits(self, is_text: Tensor, **inputs: Tensor) -> Tensor:
        """Logits [B, K]. is_text [B, T]: False where there is padding. inputs: input_ids or inputs_embeds."""
        options = {"use_cache": False} if self.causal else {"attention_mask": is_text.long()}
        hidden = self.dropout(self.body(**inputs, **options).last_hidden_state)
        return self.head((hidden * is_text[..., None]).sum(dim=1) / is_text.sum(dim=1, keepdim=True))

    @property
    def embeddings(self) -> nn.Module:
        """The embeddings of token ids, as `inputs_embeds` takes them."""
        embeddings: nn.Module = self.body.get_input_embeddings()
        return embeddings


class OwnClassifier(nn.Module):
    """A classifier that was made elsewhere. model: an AutoModelForSequenceClassification."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        config = text_config(model.config)
        if config.pad_token_id is None:  # some models then refuse several rows; none here is padded
            config.pad_token_id = NO_TOKEN

    def forward(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits [num_rows, num_classes] of rows of token ids, all of the same length."""
        ids = torch.tensor(rows, device=self.model.device)
        return self.logits(torch.ones_like(ids, dtype=torch.bool), input_ids=ids)

    def logits(self, is_text: Tensor, **inputs: Tensor) -> Tensor:
        """As `Classifier.logits`."""
        return self.model(**inputs, attention_mask=is_text.long()).logits

    @property
    def embeddings(self) -> nn.Module:
        """The embeddings of token ids, as `inputs_embeds` takes them."""
        return self.model.get_input_embeddings()


@dataclass(frozen=True)
class TextClassifier:
    """A classifier with its tokenizer and the names of its classes.

    is_own: whether it is the user's, and was not fine-tuned here. excludes: whether a text has one class only. encode:
    the tokens of each text, cut where the model's context ends.
    """

    label: str
    classes: tuple[str, ...]
    module: Classifier | OwnClassifier
    encode: Callable[[Sequence[str]], list[Tokens]]
    max_batch_tokens: int
    is_own: bool = False
    excludes: bool = True

    def probs(self, texts: Sequence[str]) -> FloatArray:
        """The probability of each class [num_texts, num_classes]. Raises ValueError for a text without a token."""
        logits = class_logits(self.module, [tokens.ids for tokens in self.encode(texts)], self.max_batch_tokens)
        return np.asarray(self.normalised(torch.from_numpy(logits)).numpy())

    def normalised(self, logits: Tensor) -> Tensor:
        """Probabilities [..., num_classes] from logits, in float64: near 0 and 1 their gradients must not vanish."""
        logits = logits.double()
        return logits.softmax(-1) if self.excludes else logits.sigmoid()


def own_classifier(scorer: Scorer) -> TextClassifier:
    """The classifier that a scorer holds. Raises as `TextClassifier.probs`."""

    def encode(texts: Sequence[str]) -> list[Tokens]:
        options = {"truncation": scorer.context is not None, "max_length": scorer.context}
        encoded = scorer.tokenizer(list(texts), return_offsets_mapping=True, verbose=False, **options)
        return _tokens(scorer.label, texts, encoded["input_ids"], encoded["offset_mapping"])

    config = scorer.model.config
    return TextClassifier(
        scorer.label,
        tuple(config.id2label[index] for index in range(config.num_labels)),
        OwnClassifier(scorer.model),
        encode,
        scorer.max_batch_tokens,
        is_own=True,
        excludes=config.problem_type != MULTILABEL,
    )


def text_tokens(scorer: Scorer, texts: Sequence[str]) -> list[Tokens]:
    """The tokens that a language model reads: after its start token, cut at its context.

    Raises ValueError for a text without a token.
    """
    encoded = scorer.encode(texts, return_offsets_mapping=True)
    ids = [(scorer.start + own)[: scorer.context] for own in encoded["input_ids"]]
    spans = [([(0, 0)] * len(scorer.start) + own)[: scorer.context] for own in encoded["offset_mapping"]]
    return _tokens(scorer.label, texts, ids, spans, "; set scoring.bos=true")


def class_logits(module: nn.Module, rows: Sequence[Sequence[int]], max_batch_tokens: int) -> FloatArray:
    """The logits [num_rows, num_classes] of rows of token ids."""
    parts: dict[int, FloatArray] = {}
    with torch.inference_mode():
        for batch in equal_lengths([len(row) for row in rows], max_batch_tokens):
            logits = module([rows[index] for index in batch]).double().cpu().numpy()
            parts |= dict(zip(batch, logits, strict=True))
    return np.stack([parts[index] for index in range(len(rows))])


def equal_lengths(lengths: Sequence[int], max_batch_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of equal length, with at most `max_batch_tokens` tokens each (one row may have more)."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for length, group in groupby(order, key=lengths.__getitem__):
        members, size = list(group), max(1, max_batch_tokens // max(1, length))
        yield from (members[start : start + size] for start in range(0, len(members), size))


def _tokens(label: str, texts: Sequence[str], ids: list, spans: list, remedy: str = "") -> list[Tokens]:
    for text, own in zip(texts, ids, strict=True):
        if not own:
            raise ValueError(f"{label}: the text {text!r} has no token to classify{remedy}")
    return [Tokens(own, where) for own, where in zip(ids, spans, strict=True)]
