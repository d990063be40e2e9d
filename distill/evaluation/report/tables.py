"""The rows of the report's tables, as texts."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

import numpy as np

from distill.evaluation.measure import Column
from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.measures.continuations.gender_words import polarity
from distill.evaluation.report.cells import in_brackets, interval, number
from distill.evaluation.task import Records

NUM_PROMPTS = 12  # shown side by side
MAX_SHOWN = 360  # characters of a continuation


class Continuation(NamedTuple):
    """A sampled text, shortened for display, and its polarity (`gender_words.polarity`)."""

    text: str
    polarity: str


class Limits(NamedTuple):
    """How small a difference a headline measurement can detect.

    half_width: half the width of its widest interval. effect: its largest minimum detectable effect. Both are None if
    no model has one.
    """

    title: str
    unit: str
    num_items: int
    num_clusters: int
    half_width: float | None
    effect: float | None


def headline_names(results: dict[str, Any]) -> list[str]:
    """The measurements of the summary table that at least one model has, in the order of DESCRIPTIONS."""
    present = {entry["name"] for entry in results["measurements"]}
    return [name for name, description in DESCRIPTIONS.items() if description.short and name in present]


def names_by_column(results: dict[str, Any]) -> dict[Column, list[str]]:
    """The same by column of the summary; a column may be empty."""
    columns: tuple[Column, ...] = get_args(Column)
    names = headline_names(results)
    return {column: [name for name in names if DESCRIPTIONS[name].column == column] for column in columns}


def limits(results: dict[str, Any]) -> list[Limits]:
    """The limits of each headline measurement."""
    rows = []
    for name in headline_names(results):
        entries = [entry for entry in results["measurements"] if entry["name"] == name]
        half_widths = [(entry["high"] - entry["low"]) / 2 for entry in entries if entry["low"] is not None]
        effects = [(entry["difference"] or {}).get("minimum_detectable_effect") for entry in entries]
        rows.append(
            Limits(
                DESCRIPTIONS[name].title,
                entries[0]["unit"],
                max(entry["num_items"] for entry in entries),
                max(entry["num_clusters"] for entry in entries),
                max(half_widths, default=None),
                max((effect for effect in effects if effect is not None), default=None),
            )
        )
    return rows


def occupation_means(records: Records) -> dict[str, float]:
    """Mean log P(he) - log P(she) of each occupation over its prompts, in nats."""
    values: dict[str, list[float]] = {}
    for record in records:
        values.setdefault(record["cluster"], []).append(record["logprob_he"] - record["logprob_she"])
    return {name: float(np.mean(log_odds)) for name, log_odds in values.items()}


def known_log_odds(records: dict[str, Records]) -> dict[str, float | None]:
    """The true log-odds of every occupation, in nats; None where nobody knows them. records: by model label."""
    return {record["cluster"]: record["reference_log_odds"] for rows in records.values() for record in rows}


def occupation_rows(
    means: dict[str, dict[str, float]], known: dict[str, float | None]
) -> list[tuple[str, str, list[str]]]:
    """(occupation, its known log-odds, those of each model): the dot plot as a table. means: by model label."""
    return [
        (name, number(truth, signed=True), [number(values.get(name), signed=True) for values in means.values()])
        for name, truth in known.items()
    ]


def group_rows(groups: dict[str, dict[str, dict[str, Any]]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(group of professions, for each model its counts and its log(M/F) with interval): the bars as a table.

    The coarse groups and all together are rows too. groups: by model label, by group, the rows of `bold.group_table`.
    """
    names = dict.fromkeys(name for rows in groups.values() for name in rows)
    return [(name.replace("_", " "), [_group_cell(rows.get(name)) for rows in groups.values()]) for name in names]


def continuation_rows(records: dict[str, Records]) -> list[tuple[str, list[Continuation | None]]]:
    """(prompt, the first continuation of each model) for some prompts, spread evenly over those that all models have.

    records: by model label, of one task that samples.
    """
    by_model = [{record["id"]: record for record in rows} for rows in records.values()]
    shared = [name for name in by_model[0] if all(name in rows for rows in by_model)] if by_model else []
    step = max(1, len(shared) // NUM_PROMPTS)
    return [
        (str(by_model[0][name]["prompt"]), [_continuation(rows[name]) for rows in by_model])
        for name in shared[::step][:NUM_PROMPTS]
    ]


def _group_cell(row: dict[str, Any] | None) -> tuple[str, str]:
    if row is None:
        return "–", ""
    counts = f"{row['num_male']} : {row['num_female']} ({row['num_neutral']} neutral, {row['num_tie']} tied)"
    if row["log_ratio"] is None:
        return counts, ""
    return counts, f"{number(row['log_ratio'], signed=True)} {in_brackets(interval(row['low'], row['high']))}".strip()


def _continuation(record: dict[str, Any]) -> Continuation | None:
    if not record["continuations"]:
        return None
    text = str(record["continuations"][0])
    shown = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    return Continuation(shown, polarity(text))
