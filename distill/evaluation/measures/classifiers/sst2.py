"""SST-2 (Socher et al. 2013): can the fine-tuned model tell whether a sentence of a film review is positive?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.classifiers.draws import by_draw
from distill.evaluation.measures.classifiers.fine_tuning import Problem
from distill.evaluation.measures.classifiers.glue import DataSet, classification_task, read_problem
from distill.evaluation.statistics.estimators import mean_columns, over_draws, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Task

SST2 = DataSet(
    "sst2",
    ("train.tsv",),
    ("dev.tsv",),
    text_column=0,
    label_column=1,
    num_columns=2,
    classes=("negative", "positive"),
    source="evenhand data get sst2",
)


def task(inputs: Inputs) -> Task | None:
    """Every sentence of the development part is an item. Raises as `glue.read`."""
    path = inputs.config.benchmarks.sst2
    return None if path is None else classification_task(SST2, path, inputs.config.fine_tuning)


def problem(path: str, config: FineTuningConfig) -> Problem:
    """To tell positive sentences from negative ones. Raises as `glue.read`."""
    return read_problem(SST2, path, config)


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Accuracy, a proportion."""
    draws = by_draw(records)
    right = [np.array([float(record["label"] == record["predicted"]) for record in draw]) for draw in draws]
    return [
        estimate(
            "sst2/accuracy",
            [record["id"] for record in draws[0]],
            *over_draws([mean_columns(own) for own in right], ratio),
            unit="proportion",
            higher_is_better=True,
            num_items=len(draws[0]),
            convention=convention,
            settings=settings,
        )
    ]


MEASURE = Measure(
    name="sst2",
    task=task,
    summarise=summarise,
    descriptions={
        "sst2/accuracy": Description(
            "SST-2: accuracy after fine-tuning",
            "SST-2",
            "How often the fine-tuned model tells whether a sentence of a film review is positive (development part).",
            column="utility",
        ),
    },
)
