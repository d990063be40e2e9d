"""The interface of a measure. Every measure is a file in `measures/`, which ends with its `MEASURE`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from distill.evaluation.config import EvalConfig
from distill.evaluation.task import Summarise, Task

Column = Literal["disparity", "utility", "collateral"]  # of the summary


class Description(NamedTuple):
    """What the report says about a measurement.

    short: its name on the terminal; None leaves it out of the summaries. column: where it stands in the summary.
    Disparity is the difference between the genders that training should lessen. Utility is what the model must keep
    knowing. Collateral is what should stay as it is although nobody asked for it: other biases, for example. chance:
    what guessing gives, where more is better; the report says which models are not clearly above it.
    """

    title: str
    short: str | None
    text: str
    column: Column = "disparity"
    chance: float | None = None


@dataclass(frozen=True)
class Inputs:
    """What a measure may use to plan its task.

    documents: the texts that the setting `text` names; None when it names none or they cannot be read (which is
    reported once, for all measures). tasks: by name, the tasks of the measures that stand earlier in the list.
    """

    config: EvalConfig
    documents: Sequence[str] | None
    tasks: Mapping[str, Task]


def reads_no_text(config: EvalConfig) -> bool:
    """The default of `Measure.reads_text`: most measures bring their own data."""
    return False


@dataclass(frozen=True)
class Measure:
    """One measure: how it is computed, what its numbers mean, and what a reader must not overlook.

    name: the name of its task, in settings and in records. task: reads the data and returns the task, or None when the
    configuration leaves the measure out; what it raises is reported, and the other measures run. summarise: turns
    records into estimates: (records, *conventions, settings). descriptions: of every measurement that `summarise` can
    give, by name, in the order of the report. caveats: sentences for the end of the report. reads_text: whether the
    measure needs `Inputs.documents` under this configuration.
    """

    name: str
    task: Callable[[Inputs], Task | None]
    summarise: Summarise
    descriptions: Mapping[str, Description]
    caveats: tuple[str, ...] = ()
    reads_text: Callable[[EvalConfig], bool] = reads_no_text
