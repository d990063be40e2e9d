"""The Markdown table for a README or a model card: the content of results.json in; text out."""

from __future__ import annotations

from typing import Any

from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.report.caveats import mixed
from distill.evaluation.report.html import SIGNIFICANCE, cell

ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", "\n": " ", **{mark: f"\\{mark}" for mark in "\\|*`"}})


def render_markdown(results: dict[str, Any]) -> str:
    """A table with a row for each measurement of the report's summary and a column for each model, what it means, and
    how it was measured.
    """
    labels = [model["label"] for model in results["models"]]
    cells = {(entry["model"], entry["name"]): entry for entry in results["measurements"]}
    present = {entry["name"] for entry in results["measurements"]}
    names = [name for name, description in DESCRIPTIONS.items() if name in present and description.short]
    lines = [
        _row(["measurement", *map(_escape, labels)]),
        _row(["---", *("---:" for _ in labels)]),
        *(_row([_title(name, cells), *(_cell(cells.get((label, name))) for label in labels)]) for name in names),
        "",
        _legend(results),
    ]
    lines += [f"- {_escape(mixed(results))}"] if mixed(results) else []
    failures = [(_escape(_where(failure)), _escape(failure["message"])) for failure in results["failures"]]
    lines += [f"- Not measured: {where}: {message}" for where, message in failures]
    lines += ["", "<details><summary>How each number was measured</summary>", ""]
    lines += [f"- `{cells[label, name]['signature']}`" for name in names for label in labels if (label, name) in cells]
    return "\n".join([*lines, "", "</details>", ""])


def _title(name: str, cells: dict[tuple[str, str], dict[str, Any]]) -> str:
    unit = next(entry["unit"] for (_, other), entry in cells.items() if other == name)
    higher_is_better = next(entry["higher_is_better"] for (_, other), entry in cells.items() if other == name)
    arrow = {True: " ↑", False: " ↓", None: ""}[higher_is_better]
    return _escape(f"{DESCRIPTIONS[name].title}{f' ({unit})' if unit else ''}{arrow}")


def _cell(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "–"
    one = cell(entry)
    interval = f" [{one['interval'].replace(' to ', ', ')}]" if one["interval"] else ""
    symbol = f" {one['symbol']}" if one["symbol"] else ""
    return f"{one['value']}{interval}{symbol}"


def _legend(results: dict[str, Any]) -> str:
    confidence = f"{100 * results['config']['statistics']['confidence']:g} %"
    text = f"In brackets: {confidence} bootstrap intervals. ↑ higher is better, ↓ lower is better."
    if results["family_size"]:
        text += (
            f" Against {_escape(results['reference'])}: ▲ better, ▼ worse, ◆ different, ≈ no clear difference (paired "
            f"test, p < {SIGNIFICANCE:g} after Holm's adjustment over {results['family_size']} comparisons)."
        )
    return text + f" Measured with evenhand {results['versions']['evenhand']}, {results['created'][:10]}."


def _where(failure: dict[str, Any]) -> str:
    return ", ".join(part for part in (failure["model"], failure["task"]) if part)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """The text as it is, where Markdown and HTML would read some of its characters otherwise."""
    return text.translate(ESCAPES)
