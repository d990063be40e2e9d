"""The summary of a report: disparity, utility and collateral side by side for each model, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from distill.evaluation.measure import Column
from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.report.cells import Cell, cell, in_words
from distill.evaluation.report.finding import Finding
from distill.evaluation.report.tables import names_by_column


class Row(NamedTuple):
    """A number of the summary. words: how it compares with the reference, empty if it is not compared."""

    title: str
    unit: str
    cell: Cell
    words: str


class ModelSummary(NamedTuple):
    """A model in the summary. text: the paragraph of `findings`, empty if there is none. columns: rows by column."""

    label: str
    text: str
    columns: dict[Column, list[Row]]


def summary(results: dict[str, Any], found: Sequence[Finding]) -> list[ModelSummary]:
    """One entry per model, each with all columns. found: the `findings` of these results."""
    texts = dict(found)
    names = names_by_column(results)
    summaries = []
    for label in (model["label"] for model in results["models"]):
        entries = {entry["name"]: entry for entry in results["measurements"] if entry["model"] == label}
        columns = {
            column: [_row(entries[name]) for name in chosen if name in entries] for column, chosen in names.items()
        }
        summaries.append(ModelSummary(label, texts.get(label, ""), columns))
    return summaries


def _row(entry: dict[str, Any]) -> Row:
    return Row(DESCRIPTIONS[entry["name"]].title, entry["unit"], cell(entry), in_words(entry))
