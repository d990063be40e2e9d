"""Pair and tokenize texts on several processes, in order."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any

from transformers import PreTrainedTokenizerFast

from augment.files.workers import in_order
from augment.lexicon import Lexicon
from distill.config import DataConfig
from distill.data.documents import Document
from distill.data.known_ids import check_ids
from distill.data.packing import PairedDocument, pair_texts
from distill.data.separators import separators_of

DOCUMENTS_PER_CHUNK, CHARACTERS_PER_CHUNK = 256, 2**20  # a worker gets documents until either limit is reached
LONGEST_DOCUMENT = 2**20  # characters


def pairing_settings(
    data: DataConfig, lexicon: Lexicon, tokenizer: PreTrainedTokenizerFast, num_ids: int | None = None
) -> dict[str, Any]:
    """The arguments of `pair_texts`, besides the documents, for a corpus.

    num_ids: how many ids the models know, if the tokenizer has more. Raises ValueError as `separators`, and if the
    models do not know what separates documents.
    """
    prefix, suffix = separators_of(data, tokenizer)
    check_ids([*prefix, *suffix], num_ids, tokenizer, "what separates documents (data.separator)")
    settings = {"tokenizer": tokenizer, "lexicon": lexicon, "prefix_ids": prefix, "suffix_ids": suffix}
    return settings if num_ids is None else settings | {"num_ids": num_ids}


def in_parts(texts: Iterable[str], longest: int = LONGEST_DOCUMENT) -> Iterator[str]:
    """The texts, with each of more than `longest` characters in parts: a file of a gigabyte may be one line.

    A part ends after a paragraph, else after a line, a sentence or a word, if one ends in its second half. Joined, the
    parts are the text.
    """
    for text in texts:
        start = 0
        while len(text) - start > longest:
            end = _last_end(text, start + longest // 2, start + longest)
            yield text[start:end]
            start = end
        yield text[start:]


def first_parts(texts: Iterable[str], longest: int = LONGEST_DOCUMENT) -> Iterator[str]:
    """The texts; of each only the first of its `in_parts`, so that each stays one document."""
    for text in texts:
        yield next(in_parts([text], longest))


def _last_end(text: str, first: int, last: int) -> int:
    """Where the last paragraph of text[first:last] ends, or else the last line, sentence or word; or else `last`."""
    for mark in ("\n\n", "\n", ". ", " "):
        found = text.rfind(mark, first, last)
        if found >= 0:
            return found + len(mark.rstrip(" "))  # a blank belongs to the word after it, as in most tokenizers
    return last


def pair_all(documents: Iterable[Document], settings: dict[str, Any], num_proc: int) -> Generator[PairedDocument]:
    """Run `pair_texts(chunk, **settings)` over chunks of documents on `num_proc` processes; yield them in order.

    Close the generator to end the processes. Raises OSError if one of them dies.
    """
    iterator = iter(documents)
    chunks = iter(lambda: _chunk(iterator), [])
    remedy = f"lower data.num_proc ({num_proc})"
    with closing(in_order(partial(pair_texts, **settings), chunks, num_proc, remedy)) as chunks_paired:
        for paired in chunks_paired:
            yield from paired


def _chunk(documents: Iterator[Document]) -> list[Document]:
    """The next documents, as many as a worker gets at a time; an empty list when there are no more."""
    chunk: list[Document] = []
    num_characters = 0
    for document in islice(documents, DOCUMENTS_PER_CHUNK):
        chunk.append(document)
        num_characters += len(str(document))
        if num_characters >= CHARACTERS_PER_CHUNK:
            break
    return chunk
