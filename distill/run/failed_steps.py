"""Steps that fail: a loss or gradient that is not finite in; the blocks it came from, by process, out."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from distill.data.batches import PairedBatch

MAX_CONSECUTIVE_SKIPS = 10
MAX_CONSECUTIVE_OVERFLOWS = 50  # each halves the scale of the loss: by then it was not the scale
NUM_QUOTED_CHARACTERS = 60


@dataclasses.dataclass
class Streaks:
    """How many steps in a row have been skipped, by train.on_nonfinite or by the scaler of fp16."""

    num_failed: int = 0
    num_overflowed: int = 0

    def count(self, step: int, metrics: dict[str, Any] | None) -> None:
        """Count a step by its metrics, None if it failed. Raises FloatingPointError after too many in a row."""
        self.num_failed = self.num_failed + 1 if metrics is None else 0
        self.num_overflowed = self.num_overflowed + 1 if metrics is not None and metrics["overflowed"] else 0
        if self.num_failed > MAX_CONSECUTIVE_SKIPS:
            raise FloatingPointError(f"{self.num_failed} steps in a row failed, the last is {step}; lower optim.lr")
        if self.num_overflowed > MAX_CONSECUTIVE_OVERFLOWS:
            raise FloatingPointError(
                f"{self.num_overflowed} steps in a row, the last is {step}, had gradients that are not finite at any "
                "scale of the loss; train with --mixed_precision bf16 or no, or lower optim.lr"
            )


def abandon_step(accelerator: Accelerator, optimizer: Any, scheduler: Any) -> None:
    """Forget the gradients of a failed step and go on to the next place in the schedule."""
    if accelerator.scaler is not None:
        accelerator.scaler.update()  # it has looked at these gradients, and must before it looks at others
    optimizer.zero_grad()
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that the optimizer has not yet stepped
        scheduler.step()


@torch.no_grad()
def failing_blocks(
    accelerator: Accelerator,
    loss_of: Callable[[PairedBatch], Tensor],
    micro_batches: Sequence[PairedBatch],
    indices: Sequence[Sequence[int]],
    tokenizer: PreTrainedTokenizerFast,
) -> str:
    """The blocks of a step whose loss is not finite when they are read alone, or all blocks of the step if none is so.

    indices: the number of each row's block in the training data, per micro-batch; -1 for none. Call on all processes
    together; all get the same text.
    """
    alone = []
    for batch, numbers in zip(micro_batches, indices, strict=True):
        for row, number in enumerate(numbers):
            single = batch.row(row)
            with accelerator.autocast():
                loss = float(loss_of(single))
            if not math.isfinite(loss):
                text = tokenizer.decode(single.input_ids[0][: NUM_QUOTED_CHARACTERS // 2])[:NUM_QUOTED_CHARACTERS]
                alone.append(f"block {number} on process {accelerator.process_index} ({loss}): {text!r}")
    found = gather_object(alone)
    if found:
        return f"not finite alone: {'; '.join(found)}"
    numbers = [number for micro in indices for number in micro if number >= 0]
    everything = gather_object([f"{numbers} on process {accelerator.process_index}"])
    return f"no block fails alone; the step read {'; '.join(everything)}"
