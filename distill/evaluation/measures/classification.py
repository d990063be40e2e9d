"""Is the model still of use for classification? SST-2 and CoLA, for which a copy of it is fine-tuned.

SST-2 (Socher et al. 2013): is a sentence of a film review positive? CoLA (Warstadt et al. 2019): is a sentence
acceptable English? As in GLUE (Wang et al. 2019) the measure is the accuracy of SST-2 and Matthews' correlation of CoLA
on the development part (of CoLA both halves, in and out of its domain), whose sentence is the unit of resampling. One
fine-tuning is one draw: the interval holds for the classifier that came out, not for the luck of another order of the
training texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from distill.evaluation.config import FineTuningConfig, StatisticsConfig
from distill.evaluation.measures.benchmark_files import check_columns, hub_name, read_hub, read_text
from distill.evaluation.measures.fine_tuning import classifier_task, fine_tuned_predictions
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import correlation, joint_moments, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Task, data_hash

HUB_NAME = "nyu-mll/glue"
Name = Literal["sst2", "cola"]


@dataclass(frozen=True)
class Format:
    """A data set's published files (of the training and the development part), a line's columns, how to get them."""

    train: tuple[str, ...]
    development: tuple[str, ...]
    text_column: int
    label_column: int
    num_columns: int
    source: str


FORMATS: dict[Name, Format] = {
    "sst2": Format(
        ("train.tsv",),
        ("dev.tsv",),
        text_column=0,
        label_column=1,
        num_columns=2,
        source="SST-2.zip of GLUE, https://gluebenchmark.com/tasks (train.tsv and dev.tsv: sentence, label)",
    ),
    "cola": Format(
        ("in_domain_train.tsv",),
        ("in_domain_dev.tsv", "out_of_domain_dev.tsv"),
        text_column=3,
        label_column=1,
        num_columns=4,
        source="https://nyu-mll.github.io/CoLA/cola_public_1.1.zip (its folder raw)",
    ),
}


@dataclass(frozen=True)
class LabelledText:
    """A sentence and its class, 0 or 1."""

    id: str
    text: str
    label: int


def read(name: Name, path: str) -> tuple[list[LabelledText], list[LabelledText]]:
    """The training and the development part, from a folder of the published files or from the hub.

    Raises FileNotFoundError or ValueError with the remedy.
    """
    key, layout = f"benchmarks.{name}", FORMATS[name]
    hub = hub_name(path, HUB_NAME)
    parts = []
    for part, files in (("train", layout.train), ("validation", layout.development)):
        if hub is not None:
            rows = read_hub(hub, key, layout.source, subset=name, split=part)
            check_columns(rows, ("sentence", "label"), path, key, layout.source)
            pairs = [(str(row["sentence"]), int(row["label"])) for row in rows]
        else:
            pairs = [pair for file in files for pair in _read_file(Path(path).expanduser() / file, key, layout)]
        parts.append([LabelledText(f"{part}/{number}", *pair) for number, pair in enumerate(pairs)])
    return parts[0], parts[1]


def task(name: Name, path: str, how: FineTuningConfig) -> Task:
    """The task of the suite; of the training part at most how.max_train sentences, evenly spaced. Raises as `read`."""
    train, test = read(name, path)
    if how.max_train is not None and how.max_train < len(train):
        train = [train[index] for index in np.linspace(0, len(train) - 1, how.max_train).round().astype(int)]
    return classifier_task(name, f"data:{data_hash([*train, *test])}", train, test, score, how)


def score(
    scorer: Scorer, train: Sequence[LabelledText], test: Sequence[LabelledText], how: FineTuningConfig
) -> list[dict[str, Any]]:
    """Fine-tune on `train`; one record per sentence of `test` with its class and the one predicted."""
    labels = [one.label for one in train]
    predicted = fine_tuned_predictions(
        scorer, [one.text for one in train], labels, [one.text for one in test], num_classes=2, how=how
    )
    return [
        {"id": one.id, "label": one.label, "predicted": int(choice)}
        for one, choice in zip(test, predicted, strict=True)
    ]


def summarise_sst2(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Accuracy, a proportion."""
    right = np.array([[record["label"] == record["predicted"], 1.0] for record in records], dtype=np.float64)
    return [_estimate("sst2/accuracy", records, right, ratio, "proportion", convention, settings)]


def summarise_cola(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Matthews' correlation of the classes with the predictions."""
    labels, predicted = (np.array([float(record[name]) for record in records]) for name in ("label", "predicted"))
    columns = joint_moments(labels, predicted)
    return [_estimate("cola/matthews", records, columns, matthews, "correlation", convention, settings)]


def matthews(sums: np.ndarray) -> np.ndarray:
    """Matthews' correlation from `joint_moments` of two binary variables: Pearson's, and 0 where one does not vary (as
    in GLUE: a classifier that always says the same is by chance right).
    """
    return np.nan_to_num(correlation(sums), nan=0.0)


def _estimate(
    name: str,
    records: Sequence[dict[str, Any]],
    columns: np.ndarray,
    statistic: Any,
    unit: str,
    convention: str,
    settings: StatisticsConfig,
) -> Estimate:
    return estimate(
        name,
        [record["id"] for record in records],
        columns,
        statistic,
        unit=unit,
        higher_is_better=True,
        num_items=len(records),
        convention=convention,
        settings=settings,
    )


def _read_file(file: Path, key: str, layout: Format) -> list[tuple[str, int]]:
    """(sentence, class) of each line; a first line whose class is no number is a header."""
    pairs = []
    for number, line in enumerate(read_text(file, key, layout.source).rstrip("\n").split("\n"), 1):
        cells = line.rstrip("\r").split("\t")
        well_formed = len(cells) == layout.num_columns and cells[layout.text_column].strip()
        if well_formed and cells[layout.label_column] in ("0", "1"):
            pairs.append((cells[layout.text_column].strip(), int(cells[layout.label_column])))
        elif number > 1 or not well_formed:
            raise ValueError(
                f"{key}: {file}:{number} has not {layout.num_columns} columns with a sentence and a class 0 or 1. To "
                f"get it again: {layout.source}"
            )
    if not pairs:
        raise ValueError(f"{key}: {file} holds no sentence. To get it again: {layout.source}")
    return pairs
