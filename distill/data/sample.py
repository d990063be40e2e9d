"""A few blocks of a text, without counterfactuals, to look at a model with: documents from all over the text."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerFast

from distill.data.known_ids import check_ids
from distill.data.separators import separators
from distill.data.split import draw

CHARACTERS_PER_TOKEN = 16  # at most this many characters of a document are encoded for each token of a block


def sample_blocks(
    documents: Iterable[str],
    tokenizer: PreTrainedTokenizerFast,
    shape: tuple[int, int],
    separator: str | None = None,
    num_ids: int | None = None,
    name: str = "the text",
) -> Tensor:
    """Token ids of the shape [N, T]: drawn documents one after another, of each the first T tokens at most.

    A hash of a document decides whether it is drawn, so their order makes no difference. separator: the token before
    each document (`separators`). num_ids: how many ids the model knows, if the tokenizer has more. name: of the text,
    for messages. Raises ValueError if there is too little text, or a token that the model does not know.
    """
    num_tokens, seq_len = shape[0] * shape[1], shape[1]
    prefix, suffix = separators(tokenizer, separator)
    limit = CHARACTERS_PER_TOKEN * seq_len
    drawn = ((draw(text), text[:limit]) for text in tqdm(documents, "reading", unit=" documents", leave=False))
    ids: list[int] = []
    for text in dict(heapq.nsmallest(num_tokens, drawn)).values():  # a document that is there twice counts once
        own = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        ids += [*prefix, *own, *suffix][:seq_len]
        if len(ids) >= num_tokens:
            break
    if len(ids) < num_tokens:
        raise ValueError(
            f"{name} is too short: of {num_tokens:,} tokens that are needed it has {len(ids):,} (at most {seq_len} of "
            "each document count); give more text"
        )
    check_ids(ids, num_ids, tokenizer, name)
    return torch.tensor(ids[:num_tokens]).view(shape)
