"""CoLA (Warstadt et al. 2019): can the fine-tuned model tell acceptable English sentences from others?

As in GLUE, both halves of the development part are measured: the one from the training texts' domain and the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.classifiers.draws import by_draw
from distill.evaluation.measures.classifiers.glue import DataSet, classification_task
from distill.evaluation.statistics.estimators import FloatArray, correlation, joint_moments, over_draws
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Task

COLA = DataSet(
    "cola",
    ("in_domain_train.tsv",),
    ("in_domain_dev.tsv", "out_of_domain_dev.tsv"),
    text_column=3,
    label_column=1,
    num_columns=4,
    classes=("unacceptable", "acceptable"),
    source="evenhand data get cola",
)


def task(inputs: Inputs) -> Task | None:
    """Every sentence of the development part is an item. Raises as `glue.read`."""
    path = inputs.config.benchmarks.cola
    return None if path is None else classification_task(COLA, path, inputs.config.fine_tuning)


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Matthews' correlation of the classes with the predictions."""
    draws = by_draw(records)
    columns = [
        joint_moments(*(np.array([float(record[name]) for record in draw]) for name in ("label", "predicted")))
        for draw in draws
    ]
    return [
        estimate(
            "cola/matthews",
            [record["id"] for record in draws[0]],
            *over_draws(columns, matthews),
            unit="correlation",
            higher_is_better=True,
            num_items=len(draws[0]),
            convention=convention,
            settings=settings,
        )
    ]


def matthews(sums: FloatArray) -> FloatArray:
    """Matthews' correlation from `joint_moments` of two binary variables: Pearson's, and 0 where one does not vary.

    0 as in GLUE: a classifier that always gives the same answer is right only by chance.
    """
    return np.nan_to_num(correlation(sums), nan=0.0)


MEASURE = Measure(
    name="cola",
    task=task,
    summarise=summarise,
    descriptions={
        "cola/matthews": Description(
            "CoLA: Matthews' correlation after fine-tuning",
            "CoLA",
            "How well the fine-tuned model tells acceptable English sentences from others (development part). "
            "0: by chance; 1: always.",
            column="utility",
        ),
    },
)
