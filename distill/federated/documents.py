"""What is known of the training documents before they are divided: their labels, and how gendered they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from augment.files.workers import in_order
from augment.lexicon import Lexicon
from augment.swap import swap
from distill.config import DataConfig
from distill.data.split import labelled_training_documents
from distill.federated.partition import IntArray, Partition, by_field, by_labels, by_quantity, gender_labels
from distill.federated_config import ClientsConfig

DOCUMENTS_PER_CHUNK = 256


class Documents(NamedTuple):
    """The training documents in the order of the corpus; all arrays are [N].

    labels: of the field that divides them, or empty. num_masculine, num_feminine: the words that the swap exchanges.
    """

    labels: tuple[str, ...]
    num_words: IntArray
    num_masculine: IntArray
    num_feminine: IntArray


def read_training_documents(data: DataConfig, lexicon: Lexicon, label_field: str | None) -> Documents:
    """Read and count the training documents, on data.num_proc processes; their texts are not kept.

    Raises ValueError or OSError with one message for text that cannot be read, or if there is none to train on.
    """
    labels: list[str] = []

    def texts() -> Iterator[str]:
        for text, label in labelled_training_documents(data, label_field):
            if label is not None:
                labels.append(label)
            yield text

    iterator = texts()
    chunks = iter(lambda: list(islice(iterator, DOCUMENTS_PER_CHUNK)), [])
    remedy = f"lower data.num_proc ({data.num_proc})"
    with closing(in_order(partial(_count, lexicon=lexicon), chunks, data.num_proc, remedy)) as counted:
        counts = [row for rows in counted for row in rows]
    if not counts:
        raise ValueError(f"corpus {data.path} has no document to train on; give more text or a data.heldout_path")
    words, masculine, feminine = np.array(counts, dtype=np.int64).T
    return Documents(tuple(labels), words, masculine, feminine)


def divide(documents: Documents, clients: ClientsConfig, seed: int) -> Partition:
    """The partition that a configuration describes. Raises ValueError if it cannot be drawn."""
    if clients.by == "field":
        return by_field(documents.labels)
    assert clients.count is not None  # ClientsConfig has looked
    if clients.by == "quantity":
        assert clients.beta is not None
        return by_quantity(len(documents.num_words), clients.count, clients.beta, clients.min_documents, seed)
    assert clients.alpha is not None
    genders = clients.by == "gender"
    labels = gender_labels(documents.num_masculine, documents.num_feminine) if genders else documents.labels
    return by_labels(labels, clients.count, clients.alpha, clients.min_documents, seed)


def _count(texts: list[str], lexicon: Lexicon) -> list[tuple[int, int, int]]:
    """Of each text, its words, and the masculine and the feminine words that are swapped."""
    pairs = [swap(text, lexicon) for text in texts]
    return [(len(p.original.split()), p.num_masculine_to_feminine, p.num_feminine_to_masculine) for p in pairs]
