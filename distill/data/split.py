"""Which documents are trained on, which are held out, and which of them the random substitution takes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import islice

from distill.config import AugmentConfig, DataConfig
from distill.data.corpus import read_corpus, read_labelled_documents
from distill.data.documents import Document


def train_and_heldout(data: DataConfig) -> tuple[Iterator[Document], Iterator[Document]]:
    """The documents to train on and those that are held out, as they are read.

    Raises what `read_corpus` raises, and ValueError at the end of the first if half of the second were among them.
    """
    if data.heldout_path is None:
        return _side(data, heldout=False), _side(data, heldout=True)
    return _apart_from_heldout(_training(data), data), read_corpus(data, heldout=True)


def chosen_documents(data: DataConfig, numbers: Collection[int]) -> Iterator[Document]:
    """Those of the documents to train on that have these numbers, counted from 0, in order."""
    wanted = set(numbers)
    return (document for number, document in enumerate(_training(data)) if number in wanted)


def labelled_training_documents(data: DataConfig, label_field: str | None) -> Iterator[tuple[str, str | None]]:
    """The texts to train on, in the same order, each with the text in another field of its row, or None.

    Raises what `read_corpus` and `read_labelled_documents` raise.
    """
    if label_field is None:
        yield from ((str(document), None) for document in _training(data))
        return
    for text, label in islice(read_labelled_documents(data, label_field), data.max_documents):
        if data.heldout_path is not None or draw(text) >= data.heldout_fraction:
            yield text, label


def num_training_documents(data: DataConfig) -> int:
    """How many documents there are to train on; counting them reads the text."""
    return sum(1 for _ in _training(data))


def is_heldout(document: Document, data: DataConfig) -> bool:
    """Whether a document of data.path is held out."""
    return data.heldout_path is None and draw(str(document)) < data.heldout_fraction


def substitution(augmentation: AugmentConfig, seed: int) -> Callable[[str], bool]:
    """Whether augmentation mode `substitute` replaces a text by its counterfactual; never in the other modes."""
    return partial(is_drawn, seed, augmentation.fraction if augmentation.mode == "substitute" else 0.0)


def is_drawn(seed: int, fraction: float, text: str) -> bool:
    """Whether `seed` draws this text into the random fraction."""
    return draw(f"{seed}:{text}") < fraction


def _training(data: DataConfig) -> Iterator[Document]:
    """The documents to train on, which are not compared with a held-out corpus."""
    if data.heldout_path is None:
        return _side(data, heldout=False)
    return islice(read_corpus(data), data.max_documents)


def _side(data: DataConfig, heldout: bool) -> Iterator[Document]:
    """The documents of one side of the split. A hash of the text decides, so duplicates are on the same side."""
    for document in islice(read_corpus(data), data.max_documents):
        if is_heldout(document, data) == heldout:
            yield document


def _apart_from_heldout(documents: Iterable[Document], data: DataConfig) -> Iterator[Document]:
    """Pass training documents on. At their end, say how many of the held-out documents were among them.

    Raises ValueError if it was half of them or more: the same file in another order, packed, in part, or with other
    blanks and line ends.
    """
    heldout = {_digest_of_words(str(document)) for document in read_corpus(data, heldout=True)}
    common = set()
    for document in documents:
        if (digest := _digest_of_words(str(document))) in heldout:
            common.add(digest)
        yield document
    found = f"{len(common):,} of the {len(heldout):,} documents of data.heldout_path {data.heldout_path}"
    if 2 * len(common) >= len(heldout):
        raise ValueError(
            f"{found} are also in data.path {data.path}, so the student would be trained on them; name other text, or "
            "set it to null, so that a part of data.path is held out"
        )
    if common:
        print(f"{found} are also in data.path", file=sys.stderr, flush=True)


def _digest_of_words(text: str) -> int:
    """64 bits that do not depend on the blanks between the words of a text, nor on those around it."""
    return _digest(" ".join(text.split()))


def _digest(text: str) -> int:
    """64 bits that depend on the text alone."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def draw(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return _digest(text) / 2**64
