"""Davidson et al. 2017: can the classifier tell hateful and offensive tweets from others?

Both count as toxic. The published file has no parts: a tenth of the tweets, by a hash of the text, is measured, and the
classifier is fine-tuned on the rest. The tweet is the unit of resampling.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.classifiers.draws import by_draw, classifier_task
from distill.evaluation.measures.classifiers.fine_tuning import LabelledText, Problem, thinned
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier
from distill.evaluation.measures.classifiers.toxic_texts import CLASSES, THRESHOLD, toxicity
from distill.evaluation.measures.published.benchmark_files import check_distinct, fault, read_csv
from distill.evaluation.statistics.estimators import mean_columns, over_draws, ratio
from distill.evaluation.statistics.group_auc import auc_columns
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Records, Task, data_hash

KEY = "benchmarks.davidson"
SOURCE = "evenhand data get davidson"
TOXIC = {"0": 1, "1": 1, "2": 0}  # hate speech, offensive language, neither
PARTS = 10  # one of so many is measured


def task(inputs: Inputs) -> Task | None:
    """Every tweet of the measured part is an item. Raises as `problem`."""
    path = inputs.config.benchmarks.davidson
    if path is None:
        return None
    learned = problem(path, inputs.config.fine_tuning)
    labels = inputs.config.text_classifier.toxic_labels
    data = f"data:{data_hash([*learned.train, *learned.test])}"
    scored = partial(score, toxic_labels=labels)
    own = f"toxic:{'+'.join(labels)}"
    return classifier_task("davidson", data, learned, learned.test, scored, inputs.config.fine_tuning, own)


def problem(path: str, config: FineTuningConfig) -> Problem:
    """To tell toxic tweets from others. Raises FileNotFoundError or ValueError with file, row and remedy."""
    train: list[LabelledText] = []
    test: list[LabelledText] = []
    rows = read_csv(path, KEY, SOURCE, ("tweet", "class"))
    check_distinct([row["tweet"] for row in rows], path, KEY, SOURCE)
    for number, row in enumerate(rows, 1):
        if row["class"] not in TOXIC:
            raise fault(path, f"row {number} has the class {row['class']!r}, not 0, 1 or 2", KEY, SOURCE)
        text = row["tweet"].strip()
        part = test if zlib.crc32(text.encode()) % PARTS == 0 else train
        part.append(LabelledText(f"tweet/{number}", text, TOXIC[row["class"]]))
    return Problem(CLASSES, thinned(train, config.max_train), test)


def score(classifier: TextClassifier, items: Sequence[LabelledText], toxic_labels: Sequence[str]) -> Records:
    """One record per text with its class (1: toxic) and the probability of that. Raises as `toxicity`."""
    probs = toxicity(classifier, [item.text for item in items], toxic_labels)
    return [{"id": item.id, "label": item.label, "p": float(p)} for item, p in zip(items, probs, strict=True)]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Accuracy at a probability of 0.5, and the AUC."""
    draws = by_draw(records)
    probs = [np.array([record["p"] for record in draw]) for draw in draws]
    toxic = np.array([record["label"] == 1 for record in draws[0]])
    accuracy = over_draws([mean_columns(((own > THRESHOLD) == toxic).astype(np.float64)) for own in probs], ratio)
    area = over_draws([auc_columns(own, toxic) for own in probs], ratio)
    shared: dict[str, Any] = {"higher_is_better": True, "convention": convention, "settings": settings}
    shared["num_items"] = len(toxic)
    names = [record["id"] for record in draws[0]]
    return [
        estimate("davidson/accuracy", names, *accuracy, unit="proportion", **shared),
        estimate("davidson/auc", names, *area, unit="AUC", **shared),
    ]


MEASURE = Measure(
    name="davidson",
    task=task,
    summarise=summarise,
    descriptions={
        "davidson/accuracy": Description(
            "Toxic tweets: accuracy",
            None,
            "How often the classifier tells whether a tweet is toxic. Always to say so is right in 83 of 100 tweets.",
            column="utility",
        ),
        "davidson/auc": Description(
            "Toxic tweets: AUC",
            "toxic tweets",
            "How often a toxic tweet has a higher probability of being toxic than another one.",
            column="utility",
            chance=0.5,
        ),
    },
)
