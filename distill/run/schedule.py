"""The length of a run and its batches: settings in; optimizer steps, accumulation, learning rates and blocks out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from accelerate import Accelerator
from transformers import get_scheduler

from distill.config import OptimConfig, RunConfig, TrainConfig
from distill.data.batches import training_indices


class Schedule(NamedTuple):
    """The length of a run. rows_*: blocks, per step over all processes and per micro-batch of one process."""

    max_steps: int
    num_samples: int | None
    rows_per_step: int
    rows_per_micro: int
    micro_steps: int


def accumulation_steps(train: TrainConfig, num_processes: int) -> int:
    """Micro-batches of each process per optimizer step. Raises ValueError when the batch sizes do not divide."""
    micro_steps, remainder = divmod(train.global_batch_size, train.micro_batch_size * num_processes)
    if remainder:
        raise ValueError(
            f"train.global_batch_size {train.global_batch_size} is not a multiple of train.micro_batch_size "
            f"{train.micro_batch_size} x {num_processes} processes; change one of them"
        )
    return micro_steps


def plan_schedule(config: RunConfig, num_blocks: int, num_processes: int) -> Schedule:
    """Derive steps and accumulation. Raises what `accumulation_steps` raises."""
    rows_per_pair = 2 if config.augment.mode == "augment" else 1
    rows_per_step = config.train.global_batch_size // rows_per_pair
    rows_per_micro = config.train.micro_batch_size // rows_per_pair
    micro_steps = accumulation_steps(config.train, num_processes)
    if config.train.max_steps is not None:
        return Schedule(config.train.max_steps, None, rows_per_step, rows_per_micro, micro_steps)
    assert config.train.epochs is not None
    num_samples = max(1, round(config.train.epochs * num_blocks))
    return Schedule(math.ceil(num_samples / rows_per_step), num_samples, rows_per_step, rows_per_micro, micro_steps)


def blocks_from(
    schedule: Schedule, num_blocks: int, seed: int, step: int, accelerator: Accelerator
) -> Iterator[list[int]]:
    """The blocks of this process's micro-batches, from an optimizer step on."""
    return training_indices(
        num_blocks,
        schedule.num_samples,
        seed,
        step,
        schedule.rows_per_step,
        schedule.rows_per_micro,
        accelerator.process_index,
        accelerator.num_processes,
    )


def build_scheduler(optim: OptimConfig, optimizer: Any, max_steps: int) -> Any:
    """The learning rate's schedule. It is not prepared: a prepared one advances once per process in each step."""
    warmup = optim.warmup_steps
    num_warmup_steps = round(warmup * max_steps if warmup < 1 else warmup)
    return get_scheduler(optim.schedule, optimizer, num_warmup_steps=num_warmup_steps, num_training_steps=max_steps)
