"""A model with its tokenizer, ready to be scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distill.data.known_ids import check_ids
from distill.evaluation.processes import ALONE, Processes
from distill.models.loading import id_limit
from distill.models.probe import probe_ids
from distill.models.sizes import num_positions


@dataclass(frozen=True)
class Scorer:
    """A model and how it is run.

    start_id: the token that every text is conditioned on; None if there is none. max_batch_tokens: in one forward pass,
    padding included. shares_prefixes: whether equal beginnings of rows are computed once (`can_share_prefixes` says
    whether this is safe). processes: they share the forward passes of `score_rows`, and so must all call it with the
    same rows.
    """

    label: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    start_id: int | None
    max_batch_tokens: int
    shares_prefixes: bool = False
    processes: Processes = ALONE

    @cached_property
    def context(self) -> int | None:
        """The longest input in tokens; None if the model does not say."""
        return num_positions(self.model)

    def __post_init__(self) -> None:
        check_ids(self.start, self.num_ids, self.tokenizer, f"{self.label}: what stands before each text")

    def encode(self, texts: Sequence[str], **options: Any) -> dict[str, Any]:
        """What the tokenizer gives for these texts, without special tokens: `input_ids`, one list for each text.

        Raises ValueError for a text with a token that the model does not know.
        """
        encoded = self.tokenizer(list(texts), add_special_tokens=False, verbose=False, **options)
        for text, ids in zip(texts, encoded["input_ids"], strict=True):
            check_ids(ids, self.num_ids, self.tokenizer, f"{self.label}: the text {text[:60]!r}")
        return encoded

    @property
    def is_classifier(self) -> bool:
        """Whether the model is the user's classifier of texts, not a language model."""
        return self.model.get_output_embeddings() is None

    @cached_property
    def num_ids(self) -> int | None:
        """How many ids the model knows, if the tokenizer has more; otherwise None."""
        return id_limit(self.tokenizer, self.model)

    @cached_property
    def cache_bytes_per_token(self) -> int:
        """What the key-value cache holds per token, by a look at a few tokens; 0 if the model has no such cache."""
        ids = probe_ids(self.model)
        with torch.inference_mode():
            output = self.model.base_model(input_ids=ids, use_cache=True)
        layers = getattr(getattr(output, "past_key_values", None), "layers", [])
        tensors = (getattr(layer, name, None) for layer in layers for name in ("keys", "values"))
        return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor)) // ids.shape[1]

    @cached_property
    def head_weight(self) -> Tensor:
        """The output embeddings [V, H] in float32; copied once if the model has another dtype."""
        return self.model.get_output_embeddings().weight.float()

    @property
    def start(self) -> list[int]:
        """The ids that precede every text."""
        return [] if self.start_id is None else [self.start_id]

    @property
    def start_convention(self) -> str:
        """How the beginning of a text is treated, as a part of a measurement's convention."""
        if self.start_id is None:
            return "start:none"
        named = self.start_id != start_token(self.tokenizer)
        return f"start:{self.tokenizer.convert_ids_to_tokens(self.start_id)}" if named else "start:bos"


def start_token(
    tokenizer: PreTrainedTokenizerFast, name: str | None = None, setting: str = "scoring.start_token"
) -> int | None:
    """The id that stands before a text: that of `name`, or by default of BOS, of EOS (as in GPT-2) or None.

    name: a token of the vocabulary, or a text that is encoded as a single token (a line break, for example). setting:
    what the user calls it. Raises ValueError if the tokenizer has no such token.
    """
    if name is not None:
        if name in tokenizer.get_vocab():
            return tokenizer.get_vocab()[name]
        ids = tokenizer(name, add_special_tokens=False)["input_ids"]
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
            raise ValueError(f"{setting} {name!r} is not a token of {tokenizer.name_or_path}; name one that is")
        return int(ids[0])
    return tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
