"""The settings of federated distillation: who the clients are, and what a round is."""

from __future__ import annotations

from typing import Literal

from pydantic import StrictStr, model_validator

from distill.settings import Positive, PositiveCount, section

NEEDS = {
    "field": {"field"},
    "topics": {"field", "count", "alpha"},
    "quantity": {"count", "beta"},
    "gender": {"count", "alpha"},
}


@section
class ClientsConfig:
    """How the training documents are divided among clients (distill/federated/partition.py).

    by: `field` makes a client of every value of `field`, such as an author. The others make `count` clients. `topics`
    draws who gets how much of each value of `field`, from Dirichlet(alpha); `gender` does the same with documents that
    have more masculine words, more feminine words, or as many of both; `quantity` draws only how much each has, from
    Dirichlet(beta). Small alpha and beta make clients that differ.
    min_documents: what a client must have; a draw that gives one fewer is drawn anew. `field` does not use it.
    """

    by: Literal["field", "topics", "quantity", "gender"]
    field: StrictStr | None = None
    count: PositiveCount | None = None
    alpha: Positive | None = None
    beta: Positive | None = None
    min_documents: PositiveCount = 10

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> ClientsConfig:
        given = {name for name in ("field", "count", "alpha", "beta") if getattr(self, name) is not None}
        needed = NEEDS[self.by]
        if given != needed:
            missing, unused = sorted(needed - given), sorted(given - needed)
            faults = [f"set {', '.join(missing)}"] * bool(missing) + [f"leave out {', '.join(unused)}"] * bool(unused)
            raise ValueError(f"clients by {self.by} need {', '.join(sorted(needed))}: {' and '.join(faults)}")
        return self


@section
class FederatedConfig:
    """Federated distillation. A round sends the student to some clients, which each train it; the result is their mean.

    There are train.max_steps / local_steps rounds.
    selection: `uniform` selects clients_per_round different clients, and the mean weighs each by its size. `activity`
    draws them in proportion to their sizes, with replacement, and the mean is plain.
    local_steps: optimizer steps of a client in a round, of train.global_batch_size sequences each.
    periods: the rounds and each client's documents are divided into so many periods; in a period, clients train on its
    documents only, as if older ones had been deleted.
    """

    clients: ClientsConfig
    selection: Literal["uniform", "activity"] = "uniform"
    clients_per_round: PositiveCount
    local_steps: PositiveCount
    periods: PositiveCount = 1
