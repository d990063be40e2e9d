"""The length of a run, and the order of its blocks, which depends on seed and step alone."""

import itertools

import pytest
import torch

from distill.config import OptimConfig, RunConfig
from distill.run.schedule import (
    Schedule,
    build_scheduler,
    move_scheduler,
    plan_schedule,
    training_indices,
    warmup_warning,
)
from distill.settings import validate


def config(mode: str, **train: object) -> RunConfig:
    settings = {"run_dir": "unused", "data": {"path": "unused"}, "augment": {"mode": mode}, "train": train}
    return validate(RunConfig, settings | {"teacher": {"path": "unused"}, "student": {"layers": [0]}})


def test_accumulation_is_derived_and_must_divide_exactly():
    run = config("none", max_steps=1)
    assert plan_schedule(run, 100, 2) == Schedule(1, None, 32, 8, 2)
    with pytest.raises(ValueError, match=r"32 is not a multiple of train.micro_batch_size 8 x 3 processes"):
        plan_schedule(run, 100, 3)


@pytest.mark.parametrize(
    ("warmup", "max_steps", "highest"),
    [
        (1, 1, "0"),
        (10, 3, "0.02"),
        (3, 3, "0.0666667"),
        (0.9, 3, "0.0666667"),
        (2, 3, None),
        (0.05, 1, None),
        (0, 1, None),
    ],
)
def test_a_run_that_ends_before_its_learning_rate_is_reached_is_warned_of(warmup, max_steps, highest):
    optim = OptimConfig(lr=0.1, warmup_steps=warmup)
    scheduler = build_scheduler(optim, torch.optim.SGD([torch.zeros(1)], lr=0.1), max_steps)
    rates = []
    for _ in range(max_steps):
        rates += scheduler.get_last_lr()
        scheduler.optimizer.step()
        scheduler.step()
    warning = warmup_warning(optim, max_steps)
    assert (warning is None) == (max(rates) == 0.1)
    if highest is not None:
        assert f"reaches at most {highest}, not optim.lr = 0.1, because" in warning
        assert float(highest) == pytest.approx(max(rates), rel=1e-5)


def test_epochs_end_with_a_short_step_and_pairs_count_twice():
    assert plan_schedule(config("augment", epochs=1.5), 100, 1) == Schedule(10, 150, 16, 4, 4)


def indices(micro: int, num_samples: int | None, start: int, rank: int, num_processes: int, seed: int = 7):
    """The blocks of one process: 23 blocks in steps of 8."""
    schedule = Schedule(0, num_samples, 8, micro, 8 // (micro * num_processes))
    return training_indices(schedule, 23, seed, start, rank, num_processes)


def steps_of(
    num_processes: int, micro: int, num_samples: int | None, num_steps: int, start: int = 0
) -> list[list[int]]:
    """The blocks of each optimizer step, over all processes and micro-steps, sorted."""
    streams = [indices(micro, num_samples, start, rank, num_processes) for rank in range(num_processes)]
    per_step = 8 // (micro * num_processes)
    steps = []
    for _ in range(num_steps):
        step = [list(itertools.islice(stream, per_step)) for stream in streams]
        steps.append(sorted(index for micros in step for micro_batch in micros for index in micro_batch))
    return steps


def test_each_step_has_the_same_blocks_whatever_the_processes_and_wherever_it_resumes():
    expected = steps_of(1, 8, None, 12)
    assert steps_of(1, 2, None, 12) == expected
    assert steps_of(2, 2, None, 12) == expected
    assert steps_of(4, 1, None, 12) == expected
    assert steps_of(2, 4, None, 5, start=7) == expected[7:]
    epochs = steps_of(1, 1, 46, 6)
    assert sorted(index for step in epochs for index in step if index >= 0) == sorted(list(range(23)) * 2)


def test_the_last_step_of_an_epoch_is_filled_with_rows_that_are_not_scored():
    for num_processes, micro in ((1, 8), (2, 2), (4, 2)):
        steps = steps_of(num_processes, micro, 20, 3)
        assert [step.count(-1) for step in steps] == [0, 0, 4]
        streams = [indices(micro, 20, 0, rank, num_processes) for rank in range(num_processes)]
        assert {sum(1 for _ in stream) for stream in streams} == {3 * 8 // (micro * num_processes)}


def test_epochs_differ_and_the_seed_decides():
    whole_epochs = Schedule(0, None, 23, 23, 1)
    first, second = itertools.islice(training_indices(whole_epochs, 23, 0, 0, 0, 1), 2)
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    assert next(training_indices(whole_epochs, 23, 1, 0, 0, 1)) != first


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant_with_warmup"])
def test_a_scheduler_that_is_moved_is_where_steps_would_have_brought_it(schedule):
    optim = OptimConfig(lr=0.1, schedule=schedule, warmup_steps=4)
    moved, stepped = (
        build_scheduler(optim, torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=optim.lr), 20)
        for _ in range(2)
    )
    rates = []
    for _ in range(18):
        rates.append(stepped.get_last_lr())
        stepped.optimizer.step()
        stepped.step()
    for step in (17, 3, 0, 10):
        move_scheduler(moved, step)
        assert moved.get_last_lr() == rates[step] == [moved.optimizer.param_groups[0]["lr"]]
    moved.optimizer.step()
    moved.step()
    assert moved.get_last_lr() == rates[11]
