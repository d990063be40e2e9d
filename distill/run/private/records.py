"""Records: each drawn document alone, with both views and without padding; the teacher reads several at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from distill.config import RunConfig
from distill.data.batches import CPU, BlockStates, PairedBatch, batches, prefetched
from distill.loss.fused import Objective
from distill.loss.positions import ScoredBatch, find_positions
from distill.run.learner import TrainState
from distill.run.private.secret import private_indices
from distill.run.setup import Setup
from distill.run.step import scored_batches


class Share(NamedTuple):
    """Some of a step's documents. batch: as rows, for the teacher. swapped: the rows whose counterfactuals it reads.
    records: every row alone.
    """

    batch: PairedBatch
    swapped: Tensor
    records: tuple[ScoredBatch, ...]

    def with_teacher(self, table: Tensor | None) -> Iterator[ScoredBatch]:
        """The records, each with its part of the teacher's table of hidden states [(B + C) T, H], if there is one."""
        if table is None:
            yield from self.records
            return
        num_rows, seq_len = self.batch.input_ids.shape
        states = table.view(-1, seq_len, table.shape[-1])
        cf_row = num_rows
        for row, (batch, positions) in enumerate(self.records):
            length, num_swapped = batch.input_ids.shape[1], len(positions.swapped)
            own, other = states[row : row + 1, :length], states[cf_row : cf_row + num_swapped, :length]
            yield ScoredBatch(batch.with_states(BlockStates(own, other)), positions)
            cf_row += num_swapped


def num_views(config: RunConfig) -> int:
    """How many views of a document the student reads."""
    return 2 if config.augment.mode == "augment" else 1


def record_scale(config: RunConfig) -> float:
    """What the summed loss of a record is multiplied by: one over the most predictions that a record can have.

    It is the same for all documents. Divided by its own number of predictions, a short document would count as much as
    a long one.
    """
    return 1 / (config.data.seq_len * num_views(config))


def private_steps_of(setup: Setup, state: TrainState) -> Iterator[list[list[Share]]]:
    """What each private step after `state` reads of the text, in this process: one list of shares for a step."""
    assert setup.privacy is not None and state.secret is not None and setup.blocks.documents is not None
    config, accelerator, device = setup.config, setup.accelerator, setup.accelerator.device
    share = slice(accelerator.process_index, None, accelerator.num_processes)
    documents, rate = setup.blocks.documents, setup.privacy.steps.sample_rate
    indices = private_indices(state.secret, state.step, documents, rate, share)
    loader = batches(setup.blocks.train, indices, config.data.seq_len, setup.blocks.states, device)
    for shares in prefetched(scored_records(loader, config, device), setup.schedule.micro_steps, device):
        yield [shares]


def scored_records(
    loader: Iterable[PairedBatch], config: RunConfig, device: torch.device = CPU
) -> Iterator[list[Share]]:
    """The shares of each step; a batch of the loader holds the documents of one. device: where they will go.

    A share has at most as many documents as the teacher may read at once (train.micro_batch_size sequences).
    """
    both = config.augment.mode == "augment"
    size = max(1, config.train.micro_batch_size // num_views(config))
    compares_views = Objective(config.loss, config.perturb).compares_views
    for batch in loader:
        parts = (batch.rows(start, start + size) for start in range(0, len(batch.input_ids), size))
        yield [
            Share(
                part,
                find_positions(part, both, compares_views).swapped,
                tuple(scored_batches((part.row(row).trimmed() for row in range(len(part.input_ids))), config, device)),
            )
            for part in parts
        ]
