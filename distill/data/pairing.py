"""Pair and tokenize texts on several processes, in order."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any

from augment.files.workers import in_order
from distill.data.packing import PairedDocument, pair_texts

DOCUMENTS_PER_CHUNK, CHARACTERS_PER_CHUNK = 256, 2**20  # a worker gets texts until either limit is reached
LONGEST_DOCUMENT = 2**20  # characters


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


def pair_all(texts: Iterable[str], settings: dict[str, Any], num_proc: int) -> Generator[PairedDocument]:
    """Run `pair_texts(chunk, **settings)` over chunks of the texts on `num_proc` processes; yield documents in order.

    Close the generator to end the processes. Raises OSError if one of them dies.
    """
    iterator = iter(texts)
    chunks = iter(lambda: _chunk(iterator), [])
    remedy = f"lower data.num_proc ({num_proc})"
    with closing(in_order(partial(pair_texts, **settings), chunks, num_proc, remedy)) as paired:
        for documents in paired:
            yield from documents


def _chunk(texts: Iterator[str]) -> list[str]:
    """The next texts, as many as a worker gets at a time; an empty list when there are no more."""
    chunk: list[str] = []
    num_characters = 0
    for text in islice(texts, DOCUMENTS_PER_CHUNK):
        chunk.append(text)
        num_characters += len(text)
        if num_characters >= CHARACTERS_PER_CHUNK:
            break
    return chunk
