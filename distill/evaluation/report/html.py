"""report.html: one page with everything, which loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.measures.continuations.bold import BUCKETS
from distill.evaluation.report import plots
from distill.evaluation.report.caveats import cannot_say, caveats
from distill.evaluation.report.cells import cell, confidence, number, verdict_legend
from distill.evaluation.report.finding import Finding
from distill.evaluation.report.points import fairness_utility_points
from distill.evaluation.report.summary import summary
from distill.evaluation.report.tables import (
    continuation_rows,
    group_rows,
    known_log_odds,
    limits,
    occupation_means,
    occupation_rows,
)
from distill.evaluation.task import Records
from distill.settings import dump_yaml
from distill.templates import render

BETTER = {True: "higher is better", False: "lower is better", None: "neither direction is better"}


def render_html(results: dict[str, Any], records: dict[str, dict[str, Records]], found: Sequence[Finding]) -> str:
    """The page for the content of results.json. records: per model label, per task. found: their `findings`."""
    return render(
        "distill.evaluation.report",
        "report.html",
        results=results,
        labels=[model["label"] for model in results["models"]],
        summary=summary(results, found),
        sections=_sections(results),
        limits=limits(results),
        cannot_say=cannot_say(results),
        caveats=caveats(results),
        config=dump_yaml(results["config"]),
        confidence=confidence(results),
        verdict_legend=verdict_legend(results),
        number=number,
        **_frontier(results),
        **_log_odds(records),
        **_groups(results),
        **_continuations(records),
    )


def _frontier(results: dict[str, Any]) -> dict[str, Any]:
    points = fairness_utility_points(results)
    return {"frontier": plots.fairness_utility(*points) if points is not None else None}


def _log_odds(records: dict[str, dict[str, Records]]) -> dict[str, Any]:
    """The profession log-odds as dots and as a table."""
    log_odds = {label: tasks["log_odds"] for label, tasks in records.items() if tasks.get("log_odds")}
    means = {label: occupation_means(rows) for label, rows in log_odds.items()}
    known = known_log_odds(log_odds)
    return {
        "dots": plots.log_odds_dots(means, known) if means else None,
        "occupations": occupation_rows(means, known),
        "occupation_labels": list(means),
    }


def _groups(results: dict[str, Any]) -> dict[str, Any]:
    """BOLD's groups of professions as bars and as a table; the bars leave out groups that sum up others."""
    groups = {
        model["label"]: {row["group"]: row for row in model["groups"]} for model in results["models"] if model["groups"]
    }
    counts = {
        label: {
            name: (row["num_male"], row["num_female"]) for name, row in rows.items() if name not in (*BUCKETS, "all")
        }
        for label, rows in groups.items()
    }
    return {
        "bars": plots.group_bars(counts) if groups else None,
        "group_rows": group_rows(groups),
        "group_labels": list(groups),
    }


def _continuations(records: dict[str, dict[str, Records]]) -> dict[str, Any]:
    """Sampled continuations side by side."""
    samples = {
        label: sampled
        for label, tasks in records.items()
        if (sampled := tasks.get("bold") or tasks.get("bold_persons"))
    }
    return {"continuations": continuation_rows(samples), "continuation_labels": list(samples)}


def _sections(results: dict[str, Any]) -> list[dict[str, Any]]:
    """All measurements by name: the description, and an entry and a cell for each model."""
    sections = []
    for name, description in DESCRIPTIONS.items():
        entries = [entry for entry in results["measurements"] if entry["name"] == name]
        if entries:
            sections.append(
                {
                    "description": description,
                    "unit": entries[0]["unit"] or "no unit",
                    "better": BETTER[entries[0]["higher_is_better"]],
                    "rows": [(entry, cell(entry)) for entry in entries],
                    "compared": any(entry["difference"] for entry in entries),
                    "judged": any((entry["difference"] or {}).get("non_inferior") is not None for entry in entries),
                }
            )
    return sections
