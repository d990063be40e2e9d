"""Tasks that are computed from the records of sampled continuations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distill.evaluation.config import EvalConfig
from distill.evaluation.measure import Inputs
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.task import Records, Task, Work

SETS = {"bold": "professions", "bold_persons": "persons"}  # the tasks that sample, and what their prompts are about
RECORDS_AT_ONCE = 256


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


def whole_key(own: str, sources: Sequence[Task]) -> str:
    """The key of a task: its own, and those of the tasks that it is computed from."""
    return "|".join([own, *(source.key for source in sources)])


def derived_task(
    name: str, key: str, sources: Sequence[Task], prepare: Callable[..., Work], num_tokens: int = 0
) -> Task:
    """A task on the records of `sources`. num_tokens: how many a model reads for it."""
    num_items = sum(source.num_items for source in sources)
    return Task(name, whole_key(key, sources), prepare, num_items, num_tokens, needs=tuple(s.name for s in sources))


def records_task(
    name: str, key: str, sources: Sequence[Task], records_of: Callable[[Sequence[dict[str, Any]]], Records]
) -> Task:
    """A derived task that needs no model. records_of: turns records of the sources into its own, one for one."""

    def prepare(scorer: Scorer, *source_records: Records) -> Work:
        items = [record for records in source_records for record in records]
        convention = f"{whole_key(key, sources)}|{scorer.start_convention}"
        ids = [record["id"] for record in items]
        return Work(ids, items, records_of, lambda _: (convention,), chunk=RECORDS_AT_ONCE)

    return derived_task(name, key, sources, prepare)
