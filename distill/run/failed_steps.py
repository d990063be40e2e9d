"""When a loss or gradient is not finite: name the blocks that caused it, then end the run or skip the step."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import gather_object

from distill.data.batches import PairedBatch
from distill.loss.positions import ScoredBatch
from distill.run.learner import Learner
from distill.run.setup import Setup
from distill.run.step import scored_batches

MAX_CONSECUTIVE_SKIPS = 10
MAX_CONSECUTIVE_OVERFLOWS = 50  # each halves the loss scale: after 50, the scale is not the cause
NUM_QUOTED_CHARACTERS = 60


@dataclasses.dataclass
class FailureStreak:
    """How many steps in a row train.on_nonfinite (num_failed) or the loss scaler of fp16 (num_overflowed) skipped."""

    num_failed: int = 0
    num_overflowed: int = 0

    def count(self, step: int, metrics: dict[str, Any] | None) -> None:
        """Count a step; metrics is None if it failed. Raises FloatingPointError after too many in a row."""
        self.num_failed = self.num_failed + 1 if metrics is None else 0
        self.num_overflowed = self.num_overflowed + 1 if metrics is not None and metrics["overflowed"] else 0
        if self.num_failed > MAX_CONSECUTIVE_SKIPS:
            raise FloatingPointError(f"{self.num_failed} steps in a row failed, the last is {step}; lower optim.lr")
        if self.num_overflowed > MAX_CONSECUTIVE_OVERFLOWS:
            raise FloatingPointError(
                f"{self.num_overflowed} steps in a row, the last is {step}, had gradients that are not finite at any "
                "scale of the loss; train with --mixed_precision bf16 or no, or lower optim.lr"
            )


def handle_failed_step(
    setup: Setup, learner: Learner, micro_batches: Sequence[ScoredBatch], error: FloatingPointError
) -> None:
    """Raise FloatingPointError with the blocks that caused it, or print it and skip the step (train.on_nonfinite).

    Call on all processes together.
    """
    message = f"step {learner.state.step + 1}: {error}. {failing_blocks(setup, learner, micro_batches)}"
    if setup.config.train.on_nonfinite == "stop":
        raise FloatingPointError(message) from error
    setup.accelerator.print(f"skipped: {message}")
    if setup.accelerator.scaler is not None:
        setup.accelerator.scaler.update()  # required between the inspections of two steps' gradients
    learner.optimizer.zero_grad()
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # "scheduler.step() before optimizer.step()"
        learner.scheduler.step()


@torch.no_grad()
def failing_blocks(setup: Setup, learner: Learner, micro_batches: Sequence[ScoredBatch]) -> str:
    """Name the blocks of a step whose loss is not finite when they are read alone; if there are none, all its blocks.

    Call on all processes together; all get the same text.
    """
    accelerator, tokenizer = setup.accelerator, setup.models.tokenizer
    indices = list(itertools.islice(setup.block_indices(learner.state.step), len(micro_batches)))
    failing_here = []
    for (batch, _), numbers in zip(micro_batches, indices, strict=True):
        for row, number in enumerate(numbers):
            single = batch.row(row)
            loss = _loss_of(setup, learner, single)
            if not math.isfinite(loss):
                text = tokenizer.decode(single.input_ids[0][: NUM_QUOTED_CHARACTERS // 2])[:NUM_QUOTED_CHARACTERS]
                failing_here.append(f"block {number} on process {accelerator.process_index} ({loss}): {text!r}")
    failing = gather_object(failing_here)
    if failing:
        return f"not finite alone: {'; '.join(failing)}"
    read_here = [number for micro in indices for number in micro if number >= 0]
    read = gather_object([f"{read_here} on process {accelerator.process_index}"])
    return f"no block fails alone; the step read {'; '.join(read)}"


def _loss_of(setup: Setup, learner: Learner, batch: PairedBatch) -> float:
    """The summed loss of a batch that is on the CPU."""
    device = setup.accelerator.device
    (micro_batch,) = scored_batches([batch], setup.config)
    with setup.accelerator.autocast():
        result = learner.model(*micro_batch.to(device), torch.ones((), device=device))
    return float(result.loss)
