"""Clients of a corpus that lies on this machine, which train one after another in this process.

This is how a study compares ways to divide text and to select clients. It protects no one's text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from augment.lexicon import load_lexicon
from distill.data.blocks import Blocks, prepare_blocks
from distill.federated.client import Answer, num_predictions, train_client
from distill.federated.partition import Partition, periods
from distill.federated.selection import Weights
from distill.federated.server import Ask, current_period
from distill.run.learner import Learner
from distill.run.setup import Setup

PeriodBlocks = list[Blocks | None]  # of each client; None if it has no document


def client_blocks(setup: Setup, partition: Partition) -> list[PeriodBlocks]:
    """The training blocks of each client in each period [P, C], packed from its own documents alone."""
    config, models = setup.config, setup.models
    assert config.federated is not None
    lexicon = load_lexicon(config.augment.tiers, config.augment.lexicon)
    prepare = partial(
        prepare_blocks, config.data, config.augment, lexicon, models.tokenizer, config.seed, models.num_ids
    )
    period = periods(partition, config.federated.periods)

    def blocks_of(client: int, number: int) -> Blocks | None:
        documents = np.flatnonzero((partition.owner == client) & (period == number)).tolist()
        return prepare(chosen=documents) if documents else None

    return [
        [blocks_of(client, number) for client in range(len(partition.names))]
        for number in range(config.federated.periods)
    ]


def sizes_of(setup: Setup, blocks: Sequence[PeriodBlocks]) -> list[list[int]]:
    """The sizes [P, C] of clients, in predictions per pass."""
    both = setup.config.augment.mode == "augment"
    return [[0 if own is None else num_predictions(own.train, both) for own in row] for row in blocks]


def in_turn(setup: Setup, blocks: Sequence[PeriodBlocks]) -> Ask:
    """Ask clients that train in this process, with the server's own learner."""

    def ask(learner: Learner, number: int, weights: Weights, clients: Sequence[int]) -> dict[int, Answer]:
        answers = {}
        for client in clients:
            own = blocks[current_period(setup.config, number)][client]
            assert own is not None  # a client without text has size 0 and is not selected
            answers[client] = train_client(setup, learner, own, weights, (number, client))
        return answers

    return ask
