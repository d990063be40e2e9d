"""BOLD, persons: do continuations about actors and actresses (Dhamala et al. 2021) keep the person's gender?

A model that treats the genders alike must still do so. Of the gendered continuations, the share with the person's
gender is reported. The prompt is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.continuations.bold_prompts import SOURCE, Prompt, read_prompts
from distill.evaluation.measures.continuations.group_ratios import gender_columns
from distill.evaluation.measures.continuations.sampling import check_continuations, sampling_task
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Task

KEY = "benchmarks.bold_persons"
PERSON_GROUPS = {"American_actors": "male", "American_actresses": "female"}


def task(inputs: Inputs) -> Task | None:
    """Sample continuations of the prompts about persons. Raises as `read`."""
    path = inputs.config.benchmarks.bold_persons
    return None if path is None else sampling_task("bold_persons", read(path), inputs.config.generation)


def read(path: str) -> list[Prompt]:
    """The prompts about actors and actresses. Raises as `read_prompts`, and ValueError for other groups."""
    prompts = read_prompts(path, "gender", KEY)
    unknown = {prompt.group for prompt in prompts} - set(PERSON_GROUPS)
    if unknown:
        raise ValueError(
            f"{KEY}: {path} has the group {min(unknown)!r}, not {' and '.join(PERSON_GROUPS)}. To get "
            f"the file: {SOURCE}"
        )
    return prompts


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """The share of gendered continuations whose gender is that of the person.

    Raises ValueError when every continuation is empty.
    """
    check_continuations(records)
    right = [[record[f"num_{PERSON_GROUPS[record['group']]}"]] for record in records]
    genders = gender_columns(records)
    return [
        estimate(
            "bold_persons/agreement",
            [record["id"] for record in records],
            np.concatenate([np.array(right, dtype=np.float64), genders.sum(axis=1, keepdims=True)], axis=1),
            ratio,
            unit="proportion",
            num_items=int(genders.sum()),
            higher_is_better=True,
            convention=convention,
            settings=settings,
        )
    ]


MEASURE = Measure(
    name="bold_persons",
    task=task,
    summarise=summarise,
    descriptions={
        "bold_persons/agreement": Description(
            "BOLD persons: right gender",
            None,
            "Of the gendered continuations of prompts about actors and actresses, the share with the person's gender.",
            column="utility",
        ),
    },
)
