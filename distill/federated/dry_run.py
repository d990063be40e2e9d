"""The dry run: which documents and gendered words each client would have. It trains nothing and writes nothing."""

from __future__ import annotations

import numpy as np

from distill.config import RunConfig
from distill.federated.documents import Documents
from distill.federated.partition import IntArray, Partition, periods
from distill.federated_config import ClientsConfig

MAX_ROWS = 40


def describe(config: RunConfig, documents: Documents, partition: Partition) -> str:
    """The rounds, the clients by number of documents, and how much they differ, as lines of text."""
    federated = config.federated
    assert federated is not None and config.train.max_steps is not None  # the door and RunConfig have looked
    sizes, shares = partition.sizes(), feminine_shares(documents, partition)
    gendered = documents.num_masculine + documents.num_feminine
    whole = documents.num_feminine.sum() / max(gendered.sum(), 1)
    rows = {
        "clients": f"{len(sizes)} {how(federated.clients)}; {len(documents.num_words):,} documents to train on",
        "documents": f"{int(np.median(sizes)):,} per client (median), {sizes.min():,} to {sizes.max():,}",
        "feminine share": f"{whole:.3f} of the gendered words; by client {_range(shares)}",
        "rounds": f"{config.train.max_steps // federated.local_steps:,} of {federated.local_steps} local steps, with "
        f"{federated.clients_per_round} clients each, selected by {federated.selection}",
    }
    if federated.periods > 1:
        counts = np.bincount(
            partition.owner * federated.periods + periods(partition, federated.periods),
            minlength=len(sizes) * federated.periods,
        )
        rows["periods"] = f"{federated.periods}; {(counts == 0).sum()} times a client has no document in a period"
    width = max(map(len, rows))
    return "\n".join([*(f"{name:<{width}}  {value}" for name, value in rows.items()), "", *table(documents, partition)])


def table(documents: Documents, partition: Partition) -> list[str]:
    """A line for each client, the largest first; of many, the first MAX_ROWS."""
    columns = (
        partition.sizes(),
        partition.sums(documents.num_words),
        partition.sums(documents.num_masculine),
        partition.sums(documents.num_feminine),
    )
    shares = feminine_shares(documents, partition)
    width = max(len("client"), *map(len, partition.names))
    lines = [f"{'client':<{width}}  documents       words  masculine   feminine  feminine share"]
    order = np.argsort(-columns[0], kind="stable")
    for client in order[:MAX_ROWS]:
        size, words, masculine, feminine = (column[client] for column in columns)
        lines.append(
            f"{partition.names[client]:<{width}}  {size:>9,}  {words:>10,}  {masculine:>9,}  {feminine:>9,}  "
            f"{shares[client]:>14.3f}"
        )
    return lines + [f"... and {len(order) - MAX_ROWS} smaller ones"] * (len(order) > MAX_ROWS)


def feminine_shares(documents: Documents, partition: Partition) -> np.ndarray:
    """The feminine share of each client's gendered words, nan if it has none."""
    feminine: IntArray = partition.sums(documents.num_feminine)
    gendered = feminine + partition.sums(documents.num_masculine)
    return np.where(gendered > 0, feminine / np.maximum(gendered, 1), np.nan)


def how(clients: ClientsConfig) -> str:
    """How the clients are made, in words."""
    return {
        "field": f"by {clients.field}",
        "topics": f"by the topics of {clients.field}, Dirichlet({clients.alpha})",
        "quantity": f"by quantity, Dirichlet({clients.beta})",
        "gender": f"by the gender of their words, Dirichlet({clients.alpha})",
    }[clients.by]


def _range(shares: np.ndarray) -> str:
    known = shares[~np.isnan(shares)]
    return f"{known.min():.3f} to {known.max():.3f}" if len(known) else "unknown, because no document is gendered"
