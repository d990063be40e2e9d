"""What an evaluation found about each model: one paragraph in plain words.

Each measure contributes a sentence (`sentences.py`), which claims what its interval allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.report import sentences
from distill.evaluation.task import Records
from distill.settings import validate


class Finding(NamedTuple):
    """The label of a model and the paragraph about it, which begins with the label."""

    label: str
    text: str


def findings(results: dict[str, Any], records: Mapping[str, Mapping[str, Records]]) -> list[Finding]:
    """A paragraph for each model of which a sentence can be said, in the order of the models.

    results: the content of results.json. records: by model label and task.
    """
    settings = validate(StatisticsConfig, results["config"]["statistics"])
    found = []
    for model in results["models"]:
        label = model["label"]
        entries = [entry for entry in results["measurements"] if entry["model"] == label and entry["value"] is not None]
        measured = {entry["name"]: entry for entry in entries}
        about = sentences.Found(model, measured, records.get(label, {}), settings, results["reference"])
        said = [sentence for write in sentences.chosen(about) if (sentence := write(about))]
        if said:
            found.append(Finding(label, _paragraph(label, said)))
    return found


def _paragraph(label: str, said: list[str]) -> str:
    """The sentences, with the label in place of the first It."""
    text = " ".join(said)
    return f"{label}{text.removeprefix('It')}" if text.startswith("It ") else f"{label}: {text}"
