"""The summary on a terminal."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.report.caveats import mixed
from distill.evaluation.report.cells import cell, confidence, in_brackets, verdict_legend
from distill.evaluation.report.tables import headline_names


def console_tables(results: dict[str, Any]) -> list[Table]:
    """One small table per headline measurement, with a row for each model; 80 columns are enough."""
    tables = []
    for name in headline_names(results):
        entries = [entry for entry in results["measurements"] if entry["name"] == name]
        unit = f" ({entries[0]['unit']})" if entries[0]["unit"] else ""
        table = Table(box=None, padding=(0, 1), header_style="bold")
        table.add_column(f"{DESCRIPTIONS[name].short}{unit}", width=18, overflow="fold")
        table.add_column("value", width=22, overflow="fold")
        if results["family_size"]:
            table.add_column("difference", width=24, overflow="fold")
            table.add_column("p", width=8, justify="right")
        for entry in entries:
            texts = cell(entry)
            value = f"{texts.value} {in_brackets(texts.interval)}"
            difference = f"{texts.difference} {in_brackets(texts.difference_interval)}" if entry["difference"] else ""
            row = [escape(entry["model"]), escape(value), escape(difference), f"{texts.p} {texts.symbol}"]
            table.add_row(*row[: len(table.columns)])
        tables.append(table)
    return tables


def console_legend(results: dict[str, Any]) -> str:
    """How to read the tables."""
    sentences = [f"In brackets: {confidence(results)} intervals."]
    if results["family_size"]:
        sentences.append(f"Differences are to {results['reference']}: {verdict_legend(results)}.")
    return " ".join([*sentences, mixed(results)]).strip()
