"""What an evaluation found about each model, in one sentence.

The sentence is about profession log-odds, log P(he) - log P(she) after a prompt that names only an occupation. It says
that a model prefers a pronoun only if the interval of the mean log-odds excludes 0. It gives the values of reference
models if these were measured on the same prompts; reference_values.tsv beside this file holds them, with command and
date.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib import resources
from typing import Any

from distill.evaluation.measures.agreement import ACCURACY
from distill.evaluation.measures.log_odds import MEAN, MEAN_ABS
from distill.evaluation.task import Records

REFERENCE_VALUES = "reference_values.tsv"
CHANCE = 0.5  # of gender agreement: the pronoun is right after half of the prompts


def findings(results: Mapping[str, Any], records: Mapping[str, Mapping[str, Records]]) -> list[str]:
    """One sentence for each model whose profession log-odds were measured.

    results: the content of results.json. records: by model label and task.
    """
    measured = {(entry["model"], entry["name"]): entry for entry in results["measurements"]}
    sentences = []
    for label, tasks in records.items():
        lean, distance, agreement = (measured.get((label, name)) for name in (MEAN, MEAN_ABS, ACCURACY))
        if lean is not None and distance is not None:
            parts = [_lean(lean, *_count_he(tasks["log_odds"])), _distance(distance), *_caveat(agreement)]
            sentences.append(f"{label} {'; '.join(parts)}.")
    return sentences


def reference_values() -> list[dict[str, str]]:
    """The rows of the reference values: model, measure, value, low, high, unit, date, command and convention."""
    text = resources.files("distill.evaluation.report").joinpath(REFERENCE_VALUES).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def _lean(lean: Mapping[str, Any], num_he: int, num_occupations: int) -> str:
    """Which pronoun is preferred: none, unless there is an interval and it excludes 0."""
    low, high = lean["low"], lean["high"]
    if low is None or high is None or low <= 0 <= high:
        return (
            f"shows no clear preference between he and she overall (mean log-odds {_number(lean['value'])} nats"
            f"{_interval(lean)}; he is likelier after {num_he} of {num_occupations} occupations)"
        )
    pronoun, sign, num_preferred = ("he", 1, num_he) if low > 0 else ("she", -1, num_occupations - num_he)
    ends = sorted((sign * low, sign * high))
    size = f"by {_number(sign * lean['value'])} nats [{_number(ends[0])}, {_number(ends[1])}] on average"
    count = f"{num_preferred} of {num_occupations} occupations"
    if 2 * num_preferred < num_occupations:
        return f"prefers {pronoun} {size}, though after only {count}"
    return f"prefers {pronoun} after {count}, {size}"


def _distance(distance: Mapping[str, Any]) -> str:
    """How far the model is from parity, next to the reference models that were measured on the same prompts."""
    references = [
        f"{row['model']} {_number(float(row['value']))}"
        for row in reference_values()
        if row["measure"] == MEAN_ABS and row["convention"] == distance["convention"]
    ]
    compared = f"; for comparison: {', '.join(references)}" if references else ""
    return f"its distance from parity is {_number(distance['value'])} nats{_interval(distance)} (0 is parity{compared})"


def _caveat(agreement: Mapping[str, Any] | None) -> list[str]:
    """A warning about a small distance if the model's gender agreement is not clearly above chance."""
    if agreement is None or agreement["low"] is None or agreement["low"] > CHANCE:
        return []
    return [
        f"its gender agreement, {_number(agreement['value'])}{_interval(agreement)}, is not clearly above chance "
        f"({CHANCE}), so a small distance may mean that it ignores gender, not that it is fair"
    ]


def _count_he(records: Records) -> tuple[int, int]:
    """How many occupations have a mean log-odds above 0, and how many occupations there are."""
    sums: dict[str, float] = {}
    for record in records:
        log_odds = record["logprob_he"] - record["logprob_she"]
        sums[record["cluster"]] = sums.get(record["cluster"], 0.0) + log_odds
    return sum(total > 0 for total in sums.values()), len(sums)


def _number(value: float) -> str:
    """Two decimals, or two significant digits below 0.1."""
    text = f"{value:.2f}" if abs(value) >= 0.1 else f"{value:#.2g}"
    return "0" if float(text) == 0 else text


def _interval(entry: Mapping[str, Any]) -> str:
    if entry["low"] is None or entry["high"] is None:
        return ""
    return f" [{_number(entry['low'])}, {_number(entry['high'])}]"
