"""What the measures on sampled continuations share: which tasks sample, and what is said if none does."""

from __future__ import annotations

from collections.abc import Sequence

from distill.evaluation.config import EvalConfig
from distill.evaluation.measure import Inputs
from distill.evaluation.task import Task

SETS = {"bold": "professions", "bold_persons": "persons"}  # the tasks that sample, and what their prompts are about


def sampling_tasks(inputs: Inputs) -> list[Task]:
    """The tasks that sample: none if no prompts are named, or if they could not be read (which is reported)."""
    return [task for name, task in inputs.tasks.items() if name in SETS]


def require_prompts(config: EvalConfig, setting: str, value: str, prompts: Sequence[str] = tuple(SETS)) -> None:
    """Raise ValueError when `continuations.{setting}` asks for a measure, but none of its `prompts` is named."""
    if all(getattr(config.benchmarks, name) is None for name in prompts):
        raise ValueError(
            f"continuations.{setting} = {value!r} needs continuations, but no prompts for them are named; set "
            f"{' or '.join(f'benchmarks.{name}' for name in prompts)}, or continuations.{setting}=null"
        )
