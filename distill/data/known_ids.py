"""Refuse a text that holds a token for which the model has no row.

Some tokenizers have tokens that text does not hold, and the model has no rows for them: a place for an image, padding.
"""

from __future__ import annotations

from collections.abc import Iterable

from transformers import PreTrainedTokenizerFast


def check_ids(ids: Iterable[int], num_ids: int | None, tokenizer: PreTrainedTokenizerFast, where: str) -> None:
    """Raise ValueError if one of the ids is not below `num_ids`, the number of ids that the model knows.

    num_ids: None if it knows all of the tokenizer's.
    """
    if num_ids is None:
        return
    unknown = next((int(token_id) for token_id in ids if token_id >= num_ids), None)
    if unknown is not None:
        token = tokenizer.convert_ids_to_tokens(unknown)
        raise ValueError(
            f"{where} holds {token!r}, token {unknown} of the tokenizer, but the model knows {num_ids} ids only (0 to "
            f"{num_ids - 1}); take that token out"
        )
