"""SST-2 (Socher et al. 2013): can the fine-tuned model tell whether a sentence of a film review is positive?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.classification import DataSet, classification_task
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Task

SST2 = DataSet(
    "sst2",
    ("train.tsv",),
    ("dev.tsv",),
    text_column=0,
    label_column=1,
    num_columns=2,
    source="evenhand data get sst2",
)


def task(inputs: Inputs) -> Task | None:
    """Every sentence of the development part is an item. Raises as `classification.read`."""
    path = inputs.config.benchmarks.sst2
    return None if path is None else classification_task(SST2, path, inputs.config.fine_tuning)


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Accuracy, a proportion."""
    right = np.array([[record["label"] == record["predicted"], 1.0] for record in records], dtype=np.float64)
    return [
        estimate(
            "sst2/accuracy",
            [record["id"] for record in records],
            right,
            ratio,
            unit="proportion",
            higher_is_better=True,
            num_items=len(records),
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
