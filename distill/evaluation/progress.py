"""Show on stderr how far an evaluation is: a bar with the time left, and a line for each task that has ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType

from tqdm import tqdm

from distill.evaluation.processes import Processes
from distill.evaluation.task import Task

SAMPLED_COST = 4  # sampling a token takes about as long as reading this many


def cost(task: Task) -> int:
    """The cost of a task in tokens that are read; a sampled token counts as SAMPLED_COST of them."""
    return max(1, task.num_tokens + SAMPLED_COST * task.num_new_tokens)


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, odd_seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{odd_seconds:02}"


class ProgressBar:
    """A bar over the tokens of all tasks on all models. Only the main process shows it, on behalf of all."""

    def __init__(self, tasks: Sequence[Task], num_models: int, processes: Processes) -> None:
        self.per_model = sum(cost(task) for task in tasks)
        self.total = self.per_model * num_models
        self.processes = processes
        self.bar = tqdm(
            total=self.total,
            disable=None if processes.is_main else True,
            unit="tok",
            unit_scale=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, about {remaining} left",
        )
        self.label = ""
        self.done_before = 0  # the cost of the models and tasks that have ended
        self.num_started = 0
        self.timed_cost, self.timed_seconds = 0, 0.0  # of the tasks that were scored here, not in an earlier run

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.bar.close()

    def start_model(self, label: str) -> None:
        """Say that the model is being loaded."""
        self.label = label
        self.done_before = self.num_started * self.per_model
        self.num_started += 1
        self.bar.set_description_str(f"{label}: loading")

    def skip_model(self) -> None:
        """Move past a model that could not be loaded."""
        self._move_to(self.num_started * self.per_model)

    def start_task(self, task: Task) -> None:
        """Say that the task is being prepared."""
        self.bar.set_description_str(f"{self.label}: {task.name}")

    def advance(self, task: Task, share: float) -> None:
        """Add a proportion of the task's items that this process has done. The others are assumed to be as fast."""
        self.bar.update(min(share * cost(task) * self.processes.count, self.done_before + cost(task) - self.bar.n))

    def end_task(self, task: Task, seconds: float | None) -> None:
        """Write the task's line and move past it. seconds: how long it took; None if it failed."""
        self.done_before += cost(task)
        self._move_to(self.done_before)
        if self.processes.is_main:
            outcome = "failed" if seconds is None else f"{task.num_items:,} items, {seconds:.1f} s"
            self.bar.write(f"{self.label}: {task.name}: {outcome}{self._left(task, seconds)}", file=sys.stderr)

    def leave_out(self, task: Task) -> None:
        """Move past a task that does not apply to the model."""
        self.done_before += cost(task)
        self._move_to(self.done_before)

    def _left(self, task: Task, seconds: float | None) -> str:
        """The time left at the pace of the tasks so far; empty if nothing is left or no pace is known."""
        if seconds:
            self.timed_cost += cost(task)
            self.timed_seconds += seconds
        left = self.total - self.done_before
        if left <= 0 or not self.timed_cost:
            return ""
        return f"; about {duration(left * self.timed_seconds / self.timed_cost)} left"

    def _move_to(self, place: float) -> None:
        self.bar.update(place - self.bar.n)
