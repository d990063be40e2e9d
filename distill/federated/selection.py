"""Which clients train in a round, what each counts for, and the mean of their weights.

By activity, clients with more data are selected more often (arXiv:2202.03925); the mean is scheme I of Li et al. 2020
(arXiv:1907.02189). A client's size is the number of predictions in one pass over its text, in both ways of selecting:
then both have the objective of a run on all text together, which is a mean over predictions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Selection = Literal["uniform", "activity"]
Weights = dict[str, Tensor]  # what is trained, by the names of its parameters


def select(sizes: Sequence[int], num_selected: int, how: Selection, seed: int, round_number: int) -> list[int]:
    """The clients of a round, ascending. It depends on nothing but the arguments, so a run resumes without a state.

    sizes [C]: a client of size 0 is never selected. `uniform` takes `num_selected` different clients, or all if there
    are fewer; `activity` draws `num_selected` times in proportion to the sizes, so a client may be there several times.
    Raises ValueError if no client has any text.
    """
    present = np.flatnonzero(sizes)
    if not len(present):
        raise ValueError(f"no client has text in round {round_number + 1}; lower federated.periods")
    generator = np.random.default_rng([seed, round_number])
    if how == "uniform":
        chosen = generator.choice(present, min(num_selected, len(present)), replace=False)
    else:
        probabilities = np.asarray(sizes, dtype=np.float64) / np.sum(sizes)
        chosen = generator.choice(len(sizes), num_selected, p=probabilities)
    return sorted(chosen.tolist())


def shares(selected: Sequence[int], sizes: Sequence[int], how: Selection) -> dict[int, float]:
    """What each selected client counts for in the mean; the sum is 1.

    `uniform`: its size. `activity`: how often it was drawn, because its size has already decided how often that is;
    then the expected mean is that of all clients, weighted by their sizes.
    """
    counts: Mapping[int, float] = Counter(selected)
    if how == "uniform":
        counts = {client: sizes[client] for client in counts}
    total = sum(counts.values())
    return {client: count / total for client, count in sorted(counts.items())}


def aggregate(answers: Mapping[int, Weights], of_clients: Mapping[int, float]) -> Weights:
    """The mean of the clients' weights, summed in float64 in the order of the clients' numbers.

    The order in which clients answer makes no difference. answers: the weights by client. of_clients: the share of
    each. Raises ValueError if a client has not answered or has sent other weights than the first.
    """
    if set(answers) != set(of_clients):
        missing = sorted(set(of_clients) ^ set(answers))
        raise ValueError(f"clients {missing} were selected and did not answer, or answered without being selected")
    first = answers[min(answers)]
    sums = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in first.items()}
    for client in sorted(answers):
        weights = answers[client]
        if {name: weight.shape for name, weight in weights.items()} != {name: w.shape for name, w in first.items()}:
            raise ValueError(f"client {client} has sent weights of another model than client {min(answers)}")
        for name, weight in weights.items():
            sums[name] += of_clients[client] * weight.double()
    return {name: total.to(first[name].dtype) for name, total in sums.items()}


def period_of(round_number: int, num_rounds: int, num_periods: int) -> int:
    """The period of a round: the rounds in order, in parts of nearly equal size."""
    return round_number * num_periods // num_rounds
