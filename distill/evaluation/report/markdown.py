"""The summary as Markdown, for a README or a model card: what was found, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.report.caveats import cannot_say, mixed
from distill.evaluation.report.cells import cell, confidence, in_brackets, verdict_legend
from distill.evaluation.report.finding import Finding
from distill.evaluation.report.tables import names_by_column
from distill.templates import render

ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", "\n": " ", **{mark: f"\\{mark}" for mark in "\\|*`"}})
ARROWS = {True: " ↑", False: " ↓", None: ""}


def render_markdown(results: dict[str, Any], found: Sequence[Finding]) -> str:
    """A paragraph per model; a table with a column per model and a row per headline measurement, in the columns of the
    summary; a legend, what the numbers cannot say, and how each was measured.

    found: the `findings` of these results.
    """
    labels = [model["label"] for model in results["models"]]
    entries = {(entry["name"], entry["model"]): entry for entry in results["measurements"]}
    groups = {
        column.capitalize(): [[entries.get((name, label)) for label in labels] for name in names]
        for column, names in names_by_column(results).items()
        if names
    }
    return render(
        "distill.evaluation.report",
        "report.md",
        findings=[_escape(finding.text) for finding in found],
        cannot_say=[_escape(line) for line in cannot_say(results)],
        head=["measurement", *map(_escape, labels)],
        groups={column: [[_title(row), *map(_cell, row)] for row in rows] for column, rows in groups.items()},
        confidence=confidence(results),
        reference=_escape(results["reference"]) if results["family_size"] else None,
        verdict_legend=verdict_legend(results),
        version=results["versions"]["evenhand"],
        date=results["created"][:10],
        mixed=_escape(mixed(results)),
        failures=[(_escape(_where(failure)), _escape(failure["message"])) for failure in results["failures"]],
        signatures=[entry["signature"] for rows in groups.values() for row in rows for entry in row if entry],
    )


def _title(row: list[dict[str, Any] | None]) -> str:
    entry = next(entry for entry in row if entry)
    unit = f" ({entry['unit']})" if entry["unit"] else ""
    return _escape(f"{DESCRIPTIONS[entry['name']].title}{unit}{ARROWS[entry['higher_is_better']]}")


def _cell(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "–"
    texts = cell(entry)
    return " ".join(filter(None, (texts.value, in_brackets(texts.interval), texts.symbol)))


def _where(failure: dict[str, Any]) -> str:
    return ", ".join(filter(None, (failure["model"], failure["task"])))


def _escape(text: str) -> str:
    """The text with the characters escaped that Markdown or HTML would interpret."""
    return text.translate(ESCAPES)
