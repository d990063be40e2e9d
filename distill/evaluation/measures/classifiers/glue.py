"""What SST-2 and CoLA share: reading labelled sentences, and fine-tuning a copy of the model to classify them.

As in GLUE (Wang et al. 2019), the development part is measured, and its sentence is the unit of resampling. With one
draw (`fine_tuning.num_draws`) the interval is about one classifier, and does not cover other orders of the training
texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.measures.classifiers.draws import classifier_task
from distill.evaluation.measures.classifiers.fine_tuning import LabelledText, Problem, thinned
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier
from distill.evaluation.measures.published.benchmark_files import check_columns, hub_data_set, read_hub, read_text
from distill.evaluation.task import Records, Task, data_hash

HUB_NAME = "nyu-mll/glue"


@dataclass(frozen=True)
class DataSet:
    """A data set of labelled sentences.

    name: of the measure, of its key in `benchmarks`, and of its subset on the hub. train, development: the published,
    tab-separated files of each part. text_column, label_column: where a line has its sentence and its class.
    num_columns: of a line. classes: the names of the classes 0 and 1. source: how to get the files.
    """

    name: str
    train: tuple[str, ...]
    development: tuple[str, ...]
    text_column: int
    label_column: int
    num_columns: int
    classes: tuple[str, str]
    source: str

    @property
    def key(self) -> str:
        """The setting that names its folder."""
        return f"benchmarks.{self.name}"


def classification_task(data_set: DataSet, path: str, config: FineTuningConfig) -> Task:
    """Every sentence of the development part is an item. Raises as `read`."""
    problem = read_problem(data_set, path, config)
    data = f"data:{data_hash([*problem.train, *problem.test])}"
    return classifier_task(data_set.name, data, problem, problem.test, score, config)


def read_problem(data_set: DataSet, path: str, config: FineTuningConfig) -> Problem:
    """Its sentences; of the training part at most config.max_train, evenly spaced. Raises as `read`."""
    train, test = read(data_set, path)
    return Problem(data_set.classes, thinned(train, config.max_train), test)


def read(data_set: DataSet, path: str) -> tuple[list[LabelledText], list[LabelledText]]:
    """The training and the development part, from a folder of the published files or from the hub.

    Raises FileNotFoundError or ValueError with the remedy.
    """
    hub = hub_data_set(path, HUB_NAME)
    parts = []
    for part, files in (("train", data_set.train), ("validation", data_set.development)):
        if hub is not None:
            rows = read_hub(hub, data_set.key, data_set.source, subset=data_set.name, split=part)
            check_columns(rows, ("sentence", "label"), path, data_set.key, data_set.source)
            pairs = [(str(row["sentence"]), int(row["label"])) for row in rows]
        else:
            pairs = [pair for file in files for pair in _read_file(Path(path).expanduser() / file, data_set)]
        parts.append([LabelledText(f"{part}/{number}", *pair) for number, pair in enumerate(pairs)])
    return parts[0], parts[1]


def score(classifier: TextClassifier, test: Sequence[LabelledText]) -> Records:
    """One record per sentence with its class and the predicted one."""
    predicted = classifier.probs([item.text for item in test]).argmax(axis=1)
    return [
        {"id": item.id, "label": item.label, "predicted": int(choice)}
        for item, choice in zip(test, predicted, strict=True)
    ]


def _read_file(file: Path, data_set: DataSet) -> list[tuple[str, int]]:
    """(sentence, class) of each line; a first line whose class is no number is a header."""
    pairs = []
    for number, line in enumerate(read_text(file, data_set.key, data_set.source).rstrip("\n").split("\n"), 1):
        cells = line.split("\t")
        well_formed = len(cells) == data_set.num_columns and cells[data_set.text_column].strip()
        if well_formed and cells[data_set.label_column] in ("0", "1"):
            pairs.append((cells[data_set.text_column].strip(), int(cells[data_set.label_column])))
        elif number > 1 or not well_formed:
            raise ValueError(
                f"{data_set.key}: {file}:{number} does not have {data_set.num_columns} columns with a sentence and a "
                f"class 0 or 1. To get it again: {data_set.source}"
            )
    if not pairs:
        raise ValueError(f"{data_set.key}: {file} holds no sentence. To get it again: {data_set.source}")
    return pairs
