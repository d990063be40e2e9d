"""The length of a run, the learning rate of each step, and the blocks that each step reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from transformers import get_scheduler

from distill.config import OptimConfig, RunConfig, TrainConfig


class Schedule(NamedTuple):
    """How many blocks a run reads, and when.

    max_steps: optimizer steps. num_samples: blocks over the whole run, or None if max_steps alone ends it.
    rows_per_step: blocks per optimizer step over all processes. rows_per_micro: blocks per micro-batch of one process.
    micro_steps: micro-batches of one process per optimizer step.
    """

    max_steps: int
    num_samples: int | None
    rows_per_step: int
    rows_per_micro: int
    micro_steps: int


def accumulation_steps(train: TrainConfig, num_processes: int) -> int:
    """Micro-batches of each process per optimizer step. Raises ValueError if the batch sizes do not divide exactly."""
    micro_steps, remainder = divmod(train.global_batch_size, train.micro_batch_size * num_processes)
    if remainder:
        raise ValueError(
            f"train.global_batch_size {train.global_batch_size} is not a multiple of train.micro_batch_size "
            f"{train.micro_batch_size} x {num_processes} processes; change one of them"
        )
    return micro_steps


def plan_schedule(config: RunConfig, num_blocks: int, num_processes: int) -> Schedule:
    """The schedule of a run over `num_blocks` training blocks, or documents if it is a private one, of which every step
    draws some anew. Raises what `accumulation_steps` raises.
    """
    rows_per_pair = 2 if config.augment.mode == "augment" else 1
    rows_per_step = config.train.global_batch_size // rows_per_pair
    rows_per_micro = config.train.micro_batch_size // rows_per_pair
    micro_steps = accumulation_steps(config.train, num_processes)
    if config.privacy is not None:  # all that a step has drawn comes at once
        micro_steps = 1
    if config.train.max_steps is not None:
        return Schedule(config.train.max_steps, None, rows_per_step, rows_per_micro, micro_steps)
    assert config.train.epochs is not None
    num_samples = max(1, round(config.train.epochs * num_blocks))
    max_steps = math.ceil(num_samples / rows_per_step)
    ends = None if config.privacy is not None else num_samples
    return Schedule(max_steps, ends, rows_per_step, rows_per_micro, micro_steps)


def training_indices(
    schedule: Schedule, num_blocks: int, seed: int, start_step: int, rank: int, num_processes: int
) -> Iterator[list[int]]:
    """The blocks of each micro-batch of one process, after `start_step` optimizer steps; -1 stands for no block.

    Sample s of a run is block s mod num_blocks of a permutation drawn from (seed, epoch). It does not depend on the
    number of processes or the size of micro-batches, so a run can resume with another number without stored
    state. With `num_samples` the blocks end after so many, and the last step may be short; otherwise they never end.
    """
    step_size, micro_size, num_samples = schedule.rows_per_step, schedule.rows_per_micro, schedule.num_samples
    order, order_epoch = np.zeros(0, dtype=np.int64), -1
    position = start_step * step_size
    while num_samples is None or position < num_samples:
        for micro_start in range(position + rank * micro_size, position + step_size, micro_size * num_processes):
            micro = []
            for sample in range(micro_start, micro_start + micro_size):
                epoch, index = divmod(sample, num_blocks)
                if epoch != order_epoch:
                    order, order_epoch = np.random.default_rng([seed, epoch]).permutation(num_blocks), epoch
                micro.append(int(order[index]) if num_samples is None or sample < num_samples else -1)
            yield micro
        position += step_size


def stream_indices(schedule: Schedule, start_step: int, num_processes: int) -> Iterator[list[int]]:
    """As `training_indices`, for a run whose processes each read a stream of blocks of their own, numbered in order."""
    for start in count(start_step * schedule.rows_per_step // num_processes, schedule.rows_per_micro):
        yield list(range(start, start + schedule.rows_per_micro))


def build_scheduler(optim: OptimConfig, optimizer: Any, max_steps: int) -> Any:
    """The schedule of the learning rate. Accelerate must not prepare it: then it would advance once per process."""
    warmup = num_warmup_steps(optim, max_steps)
    return get_scheduler(optim.schedule, optimizer, num_warmup_steps=warmup, num_training_steps=max_steps)


def move_scheduler(scheduler: Any, step: int) -> None:
    """Put a scheduler of `build_scheduler` where it is after `step` optimizer steps, in place."""
    rates = [base * factor(step) for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)]
    scheduler.load_state_dict(scheduler.state_dict() | {"last_epoch": step, "_last_lr": rates})
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def num_warmup_steps(optim: OptimConfig, max_steps: int) -> int:
    """The steps in which the learning rate rises from 0; the step after them is the first with optim.lr."""
    return round(optim.warmup_steps * max_steps if optim.warmup_steps < 1 else optim.warmup_steps)


def warmup_warning(optim: OptimConfig, max_steps: int) -> str | None:
    """What to say if the run ends before its learning rate has reached optim.lr."""
    warmup = num_warmup_steps(optim, max_steps)
    if warmup < max_steps:
        return None
    highest = optim.lr * (max_steps - 1) / warmup
    return (
        f"warning: the learning rate reaches at most {highest:g}, not optim.lr = {optim.lr:g}, because the run has "
        f"{max_steps} steps and {warmup} steps of warm-up; lower optim.warmup_steps"
    )
