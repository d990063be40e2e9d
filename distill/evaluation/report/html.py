"""The report: the content of results.json and the per-example records in; report.html and a console table out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.markup import escape
from rich.table import Table

from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.measures.continuations.bold import BUCKETS
from distill.evaluation.measures.perplexity import LOG_PERPLEXITY
from distill.evaluation.report import plots
from distill.evaluation.report.caveats import caveats, mixed
from distill.evaluation.report.tables import continuation_rows, group_name, limits
from distill.evaluation.task import Records
from distill.settings import dump_yaml

SIGNIFICANCE = 0.05
# the cost axis of the fairness-utility plot: measure, unit, and what makes nats of its values
COSTS: tuple[tuple[str, str, Callable[[float], float]], ...] = (
    (LOG_PERPLEXITY, "nats per token", float),
    ("perplexity/word", "nats per word", math.log),
    ("wikitext/word_perplexity", "nats per word of WikiText", math.log),
)


# -- html ------------------------------------------------------------------------------------------------------------


def render(results: dict[str, Any], records: dict[str, dict[str, Records]]) -> str:
    """One HTML page without any reference to the outside. records: per model label, per task."""
    environment = Environment(
        loader=PackageLoader("distill.evaluation.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    log_odds = {label: tasks["log_odds"] for label, tasks in records.items() if tasks.get("log_odds")}
    points = fairness_utility_points(results)
    groups = {
        model["label"]: {row["group"]: row for row in model["groups"]} for model in results["models"] if model["groups"]
    }
    samples = {
        label: found for label, tasks in records.items() if (found := tasks.get("bold") or tasks.get("bold_persons"))
    }
    return environment.get_template("template.html").render(
        results=results,
        labels=[model["label"] for model in results["models"]],
        headlines=[(name, DESCRIPTIONS[name]) for name in headline_names(results)],
        cells={(entry["model"], entry["name"]): cell(entry) for entry in results["measurements"]},
        sections=_sections(results),
        frontier=plots.fairness_utility(*points) if points is not None else None,
        dots=plots.log_odds_dots(log_odds) if log_odds else None,
        occupations=_occupation_rows(log_odds),
        occupation_labels=list(log_odds),
        bars=plots.group_bars({label: _genders(found) for label, found in groups.items()}) if groups else None,
        group_rows=group_rows(groups),
        group_labels=list(groups),
        continuations=continuation_rows(samples),
        continuation_labels=list(samples),
        limits=[
            (title, unit or "–", items, clusters, number(width), number(effect))
            for title, unit, items, clusters, width, effect in limits(results)
        ],
        caveats=caveats(results),
        config=dump_yaml(results["config"]),
        significance=SIGNIFICANCE,
        confidence=f"{100 * results['config']['statistics']['confidence']:g}",
    )


def headline_names(results: dict[str, Any]) -> list[str]:
    """The measurements of the summary table that at least one model has, in the order of DESCRIPTIONS."""
    present = {entry["name"] for entry in results["measurements"]}
    return [name for name, description in DESCRIPTIONS.items() if description.short and name in present]


def cell(entry: dict[str, Any]) -> dict[str, str]:
    """The texts of one measurement: value, interval, difference, its interval, p, verdict, its symbol, and so on."""
    difference = entry["difference"] or {}
    return {
        "value": number(entry["value"]),
        "interval": _interval(entry["low"], entry["high"]),
        "difference": number(difference.get("value"), signed=True),
        "difference_interval": _interval(difference.get("low"), difference.get("high")),
        "p": _p(difference.get("p_holm")),
        "effect": number(difference.get("minimum_detectable_effect")),
        "verdict": verdict(entry),
        "symbol": {"better": "▲", "worse": "▼", "different": "◆", "no clear difference": "≈", "": ""}[verdict(entry)],
        "non_inferior": {True: "yes", False: "no", None: ""}[difference.get("non_inferior")],
    }


def verdict(entry: dict[str, Any]) -> str:
    """What the Holm-adjusted test says about a model against the reference; empty without a comparison."""
    difference = entry["difference"]
    if difference is None or difference["p_holm"] is None:
        return ""
    if difference["p_holm"] >= SIGNIFICANCE:
        return "no clear difference"
    if entry["higher_is_better"] is None:
        return "different"
    return "better" if (difference["value"] > 0) == entry["higher_is_better"] else "worse"


def number(value: float | None, signed: bool = False) -> str:
    """A number with about three significant digits; a dash for one that is not defined."""
    if value is None:
        return "–"
    size = abs(value)
    digits = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.lstrip("+-")


def fairness_utility_points(results: dict[str, Any]) -> tuple[list[plots.Point], str] | None:
    """The points of the fairness-utility plot and the unit of its cost axis; None when either measure is missing.

    Only models that were measured as the first of them are points. The cost is the one of COSTS that shows the most of
    them: log-perplexity per token, else (other tokenizers) its like per word, else (no text of one's own) WikiText's.
    """
    by_name: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in results["measurements"]:
        by_name.setdefault(entry["name"], {})[entry["model"]] = entry
    disparities = by_name.get("log_odds/mean_abs", {})
    found: list[tuple[list[plots.Point], str]] = []
    for name, unit, transform in COSTS:
        costs = by_name.get(name, {})
        labels = [m["label"] for m in results["models"] if m["label"] in costs and m["label"] in disparities]
        alike = [
            label
            for label in labels
            if all(of[label]["convention"] == of[labels[0]]["convention"] for of in (costs, disparities))
        ]
        points = [plots.Point(o, _triple(costs[o], transform), _triple(disparities[o], float)) for o in alike]
        found.append((points, unit))
    most = max(found, key=lambda one: len(one[0]))
    return most if most[0] else None


def _triple(entry: dict[str, Any], transform: Callable[[float], float]) -> tuple[float, float, float]:
    value, low, high = (math.nan if entry[key] is None else transform(entry[key]) for key in ("value", "low", "high"))
    return value, low, high


def _sections(results: dict[str, Any]) -> list[dict[str, Any]]:
    """All measurements by name: description, and per model the texts of its cell."""
    sections = []
    for name, description in DESCRIPTIONS.items():
        entries = [entry for entry in results["measurements"] if entry["name"] == name]
        if entries:
            better = {True: "higher is better", False: "lower is better", None: "neither direction is better"}
            sections.append(
                {
                    "name": name,
                    "description": description,
                    "unit": entries[0]["unit"] or "no unit",
                    "better": better[entries[0]["higher_is_better"]],
                    "rows": [(entry, cell(entry)) for entry in entries],
                    "compared": any(entry["difference"] for entry in entries),
                    "judged": any((entry["difference"] or {}).get("non_inferior") is not None for entry in entries),
                }
            )
    return sections


def _occupation_rows(records: dict[str, Records]) -> list[tuple[str, str, list[str]]]:
    """(occupation, known log-odds, log-odds of each model) as texts: the dot plot as a table."""
    means = {label: plots.occupation_means(rows) for label, rows in records.items()}
    truth = {row["cluster"]: row["reference_log_odds"] for rows in records.values() for row in rows}
    return [
        (name, number(truth[name], signed=True), [number(found.get(name), signed=True) for found in means.values()])
        for name in truth
    ]


def group_rows(groups: dict[str, dict[str, dict[str, Any]]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(group, for each model its counts and its log(M/F) with interval) as texts: the bars as a table, with the coarse
    groups and all together. groups: by model label, by group, the rows of `bold.group_table`."""
    names = dict.fromkeys(name for found in groups.values() for name in found)
    return [(group_name(name), [_group_cell(found.get(name)) for found in groups.values()]) for name in names]


def _group_cell(row: dict[str, Any] | None) -> tuple[str, str]:
    if row is None:
        return "–", ""
    counts = f"{row['num_male']} : {row['num_female']} ({row['num_neutral']} neutral, {row['num_tie']} tied)"
    if row["log_ratio"] is None:
        return counts, ""
    return counts, f"{number(row['log_ratio'], signed=True)} {_brackets(_interval(row['low'], row['high']))}".strip()


def _genders(found: dict[str, dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """How many continuations of each group of professions are about men and about women."""
    return {name: (row["num_male"], row["num_female"]) for name, row in found.items() if name not in (*BUCKETS, "all")}


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def _p(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


# -- console ---------------------------------------------------------------------------------------------------------


def console_tables(results: dict[str, Any]) -> list[Table]:
    """The summary for a terminal of 80 columns: one small table for each headline measurement, a row for each model."""
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
            one = cell(entry)
            value = f"{one['value']} {_brackets(one['interval'])}"
            difference = f"{one['difference']} {_brackets(one['difference_interval'])}" if entry["difference"] else ""
            row = [escape(entry["model"]), escape(value), escape(difference), f"{one['p']} {one['symbol']}"]
            table.add_row(*row[: len(table.columns)])
        tables.append(table)
    return tables


def console_legend(results: dict[str, Any]) -> str:
    """How to read the tables."""
    confidence = f"{100 * results['config']['statistics']['confidence']:g} %"
    if not results["family_size"]:
        return " ".join([f"In brackets: {confidence} intervals.", mixed(results)]).strip()
    text = (
        f"In brackets: {confidence} intervals. Differences are to {results['reference']}. p: paired test, "
        f"Holm-adjusted over {results['family_size']} comparisons: ▲ better, ▼ worse, ◆ different, "
        f"≈ no clear difference (p < {SIGNIFICANCE:g})."
    )
    return f"{text} {mixed(results)}".strip()


def _brackets(interval: str) -> str:
    return f"[{interval.replace(' to ', ', ')}]" if interval else ""
