"""Which client has which document: by a field of the corpus, or drawn so that clients differ as real ones do.

All functions are pure and take what is known of the training documents, in the order of the corpus. The held-out
documents are taken out before (distill/data/split.py), so a client never trains on one of them.

By labels: Yurochkin et al. 2019 (arXiv:1905.12022), as flwr-datasets has it (its DirichletPartitioner, with balancing).
By quantity: FedNLP (Lin et al. 2022, arXiv:2104.08815).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
MAX_REDRAWS = 10  # after a draw that leaves a client with too few documents


class Partition(NamedTuple):
    """Every document has one client. owner [N]: the client's number, for each document. names: of the clients."""

    owner: IntArray
    names: tuple[str, ...]

    def documents(self, client: int) -> IntArray:
        """The numbers of a client's documents, ascending."""
        return np.flatnonzero(self.owner == client)

    def sizes(self) -> IntArray:
        """How many documents each client has."""
        return np.bincount(self.owner, minlength=len(self.names))

    def sums(self, counts: IntArray) -> IntArray:
        """The sum over each client's documents of counts [N], such as gendered words."""
        sums: IntArray = np.zeros(len(self.names), dtype=np.int64)
        np.add.at(sums, self.owner, counts)
        return sums


def by_field(values: Sequence[str]) -> Partition:
    """One client for each value of a field, such as the author, in the order of the values. values [N]."""
    names = sorted(set(values))
    number = {name: client for client, name in enumerate(names)}
    return Partition(np.array([number[value] for value in values], dtype=np.int64), tuple(names))


def by_labels(
    labels: Sequence[Hashable], num_clients: int, alpha: float, min_documents: int = 10, seed: int = 0
) -> Partition:
    """Draw, for each label, the shares of its documents that the clients get, from a Dirichlet distribution.

    labels [N]: for example the topic of each document. alpha: a large one gives every client the same mixture, a small
    one gives each label to a single client. A client that has more than the mean number of documents gets none of the
    labels after (labels come in the order in which the corpus has them). Which documents of a label a client gets is
    drawn too. Raises ValueError as `_drawn` does.
    """
    members: dict[Hashable, list[int]] = {}
    for document, label in enumerate(labels):
        members.setdefault(label, []).append(document)
    num_each = [len(documents) for documents in members.values()]

    def draw(generator: np.random.Generator) -> IntArray:
        return label_sizes(num_each, num_clients, alpha, generator)

    sizes = _drawn(draw, len(labels), num_clients, min_documents, seed)
    owner = np.empty(len(labels), dtype=np.int64)
    shuffle = np.random.default_rng([seed, 1])  # a stream of its own: sizes do not depend on it
    for documents, row in zip(members.values(), sizes, strict=True):
        owner[shuffle.permutation(documents)] = np.repeat(np.arange(num_clients), row)
    return Partition(owner, numbered(num_clients))


def by_quantity(num_documents: int, num_clients: int, beta: float, min_documents: int = 10, seed: int = 0) -> Partition:
    """Draw the clients' shares of all documents from a Dirichlet distribution, then deal the documents out at random.

    beta: a small one makes a few clients large and the others small. Raises ValueError as `_drawn` does.
    """

    def draw(generator: np.random.Generator) -> IntArray:
        return _parts(generator.dirichlet(np.full(num_clients, beta)), num_documents)

    sizes = _drawn(draw, num_documents, num_clients, min_documents, seed)
    owner = np.empty(num_documents, dtype=np.int64)
    shuffle = np.random.default_rng([seed, 1])
    owner[shuffle.permutation(num_documents)] = np.repeat(np.arange(num_clients), sizes)
    return Partition(owner, numbered(num_clients))


def gender_labels(num_masculine: IntArray, num_feminine: IntArray) -> list[int]:
    """The label of each document by its gendered words: 1 for more masculine ones, -1 for more feminine ones, else 0.

    With a small alpha, `by_labels` then makes clients that have read about one gender only.
    """
    return np.sign(num_masculine - num_feminine).tolist()


def periods(partition: Partition, num_periods: int) -> IntArray:
    """The period [N] of each document: a client's documents, in the order of the corpus, in parts of nearly equal size.

    A client with fewer documents than periods has none in some of them.
    """
    period = np.zeros(len(partition.owner), dtype=np.int64)
    for client in range(len(partition.names)):
        documents = partition.documents(client)
        period[documents] = np.arange(len(documents)) * num_periods // max(len(documents), 1)
    return period


def label_sizes(num_each: Sequence[int], num_clients: int, alpha: float, generator: np.random.Generator) -> IntArray:
    """Draw how many documents of each label each client gets [K, C]. num_each [K]: the documents of each label."""
    mean_size = sum(num_each) / num_clients
    sizes: IntArray = np.zeros((len(num_each), num_clients), dtype=np.int64)
    for row, num_documents in zip(sizes, num_each, strict=True):
        shares = generator.dirichlet(np.full(num_clients, alpha))
        is_open = sizes.sum(0) <= mean_size
        shares[~is_open] = 0
        if shares.sum() == 0:  # all of a tiny alpha's mass was on full clients; this is the same law, drawn anew
            shares[is_open] = generator.dirichlet(np.full(is_open.sum(), alpha))
        row[:] = _parts(shares / shares.sum(), num_documents)
    return sizes


def numbered(num_clients: int) -> tuple[str, ...]:
    """Names of clients that have no other: client_000 and so on."""
    return tuple(f"client_{client:03d}" for client in range(num_clients))


def _parts(shares: FloatArray, num_documents: int) -> IntArray:
    """Whole numbers with the sum `num_documents`, in proportion to the shares, which sum to 1."""
    ends = (np.cumsum(shares) * num_documents).astype(np.int64)
    ends[-1] = num_documents
    return np.diff(ends, prepend=0)


def _drawn(
    draw: Callable[[np.random.Generator], IntArray], num_documents: int, num_clients: int, min_documents: int, seed: int
) -> IntArray:
    """The first of several draws of sizes [..., C] that gives every client `min_documents` or more.

    Raises ValueError if there are too few documents, or if no draw of MAX_REDRAWS + 1 does it.
    """
    if num_documents < num_clients * min_documents:
        raise ValueError(
            f"{num_documents:,} training documents are too few for {num_clients} clients with at least {min_documents} "
            "each; lower federated.clients.count or min_documents, or give more text"
        )
    generator = np.random.default_rng(seed)
    smallest = []
    for _ in range(MAX_REDRAWS + 1):
        sizes = draw(generator)
        smallest.append(int(sizes.reshape(-1, num_clients).sum(0).min()))
        if smallest[-1] >= min_documents:
            return sizes
    raise ValueError(
        f"{len(smallest)} draws of {num_clients} clients each left one with fewer than {min_documents} documents (at "
        f"best {max(smallest)}); raise alpha or beta, or lower count or min_documents (federated.clients)"
    )
