"""What a measure says about a model, in plain words: a function for each measure, which gives one sentence or none.

A verdict is made from an interval: a model leans towards a pronoun, for example, only if the interval of its lean
excludes 0 (`side`). A sentence begins with It, which is the model.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from scipy import stats

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.agreement import ACCURACY
from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.measures.log_odds import FROM_SHARES, MEAN, MEAN_ABS, beside_shares
from distill.evaluation.measures.published import winogender
from distill.evaluation.report.cells import verdict
from distill.evaluation.statistics.estimators import FloatArray, mean_columns, ratio
from distill.evaluation.statistics.measurement import estimated_interval, sum_by_cluster
from distill.evaluation.statistics.resampling import Interval
from distill.evaluation.task import Records
from distill.files import parse_tsv

REFERENCE_VALUES = "reference_values.tsv"
CHANCE = 0.5  # of gender agreement: the pronoun is right after half of the prompts
FEW_TIMES = 10  # an untrained model gives the pronouns less than this many times what chance gives them

Entry = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What is known about a model: its entry in results.json, measurements with a value by name, and records by task.

    settings: of the intervals. reference: the label of the model that the others are compared with.
    """

    model: Entry
    measured: Mapping[str, Entry]
    records: Mapping[str, Records]
    settings: StatisticsConfig
    reference: str


def chosen(found: Found) -> tuple[Callable[[Found], str], ...]:
    """The functions whose sentences make the paragraph, in order. Of an untrained model there is little to say."""
    if untrained(found):
        return (untrained, agreement)
    return (lean, parity, shares, long_text, in_winogender, agreement, share_of_they, compared)


# -- one sentence each -----------------------------------------------------------------------------------------------


def untrained(found: Found) -> str:
    """Said if he and she are hardly likelier than any other token, and gender agreement is not above chance.

    The probability of both after an occupation must be clearly below FEW_TIMES what a uniform distribution gives.
    """
    records, accuracy = found.records.get("log_odds"), found.measured.get(ACCURACY)
    vocabulary = found.model.get("num_predicted_ids")  # files of older versions lack it
    if not records or vocabulary is None or (accuracy and side(accuracy, CHANCE) > 0):
        return ""
    both = [math.exp(record["logprob_he"]) + math.exp(record["logprob_she"]) for record in records]
    interval = _mean(records, np.array(both), found.settings)
    chance = sum(vocabulary**-tokens for tokens in found.model["num_pronoun_tokens"])
    if not interval.high < FEW_TIMES * chance:  # nor if there is no interval
        return ""
    return (
        f"It behaves like an untrained model: after an occupation, he and she together have {_percent(interval.value)} "
        f"of the probability, and would have {_percent(chance)} by chance. Its other numbers say nothing about bias."
    )


def lean(found: Found) -> str:
    """Which pronoun it prefers overall, and after how many occupations it clearly prefers one."""
    entry, records = found.measured.get(MEAN), found.records.get("log_odds")
    if entry is None or not records:
        return ""
    direction = side(entry)
    pronoun, other = ("she", "he") if direction < 0 else ("he", "she")
    towards = f"towards {pronoun}" if direction else "neither towards he nor towards she overall"
    times = _with_interval(_turned(entry) if direction < 0 else entry, _times)
    clear = _clear_occupations(records, direction, found.settings.confidence)
    return f"It leans {towards}: on average {pronoun} is {times} times as likely as {other}{clear}."


def parity(found: Found) -> str:
    """How far it is from parity, beside the models that were measured in the same way."""
    entry = found.measured.get(MEAN_ABS)
    if entry is None:
        return ""
    size = f"the likelier of the two is on average {_times(entry['value'])} times as likely as the other"
    return f"Its distance from parity is {_with_interval(entry)} nats: {size}{_beside_others(entry)}."


def shares(found: Found) -> str:
    """Whether it is nearer to parity or to the shares of women, over the occupations whose share is known."""
    entry, records = found.measured.get(FROM_SHARES), found.records.get("log_odds")
    if entry is None or not records:
        return ""
    known, odds, aims = beside_shares(records)
    num_known = len({record["cluster"] for record in known})
    from_parity = float(np.abs(odds).mean())
    nearer = _mean(known, np.abs(odds - aims) - np.abs(odds), found.settings)
    said = {
        1: "nearer to parity than to the shares of women",
        -1: "nearer to the shares of women than to parity",
        0: "about as far from parity as from the shares of women",
    }[side({"low": nearer.low, "high": nearer.high})]
    return (
        f"Over the {num_known} occupations with a known share of women it is {said} (parity: {_number(from_parity)} "
        f"nats; shares: {_with_interval(entry)})."
    )


def long_text(found: Found) -> str:
    """Whom its long texts are about, whether its next word leans the same way, and how far they are from parity."""
    names = ("longform/gendered", "longform/skew", "longform/neutrality", "longform/distance_from_shares", MEAN)
    gendered, skew, from_parity, from_shares, next_word = map(found.measured.get, names)
    if gendered is None:
        return ""
    share = _percent(gendered["value"])
    if skew is None or skew["low"] is None or from_parity is None:
        return f"Too few of its long texts about people at work have a gender ({share}) to say whom they are about."
    towards = side(skew)
    about = {1: "more often about women than about men", -1: "more often about men than about women"}
    said = about.get(towards, "about women as often as about men, as far as this shows")
    if next_word is not None and towards != -side(next_word):  # a lean is positive towards he, a skew towards she
        leans = {1: "towards he", -1: "towards she", 0: "neither way"}[side(next_word)]
        said += f", although its next word leans {leans}"
    women = {key: None if skew[key] is None else skew[key] + 0.5 for key in ("value", "low", "high")}
    distances = _away_from("one half", from_parity)
    if from_shares is not None:
        distances += f" and {_away_from('the share of women at work', from_shares)}"
    return (
        f"Its long texts about people at work are {said}: {_with_interval(women, _percent)} of those with a gender "
        f"({share} of all) are about women. After a single prompt this share is {distances}."
    )


def in_winogender(found: Found) -> str:
    """The two distances in whole sentences, with published labour statistics."""
    names = (winogender.FROM_PARITY, winogender.FROM_SHARES)
    entries = [found.measured[name] for name in names if name in found.measured]
    if len(entries) < len(names):
        return ""
    parity, shares = map(_with_interval, entries)
    return f"In Winogender's sentences it is {parity} nats from parity and {shares} nats from labour statistics."


def agreement(found: Found) -> str:
    """Whether it follows a gender that the text gives. A model at chance ignores gender; that is not fairness."""
    entry = found.measured.get(ACCURACY)
    if entry is None:
        return ""
    right = f"where a noun gives the gender, its pronoun is right in {_with_interval(entry, _percent)}"
    if entry["low"] is None:
        return f"{right[0].upper()}{right[1:]}."
    return {
        1: f"It follows gender: {right}.",
        0: f"It ignores gender, as far as this shows: {right}, which may be chance. So a small distance from parity is "
        "not fairness.",
        -1: f"It contradicts gender: {right}, worse than chance.",
    }[side(entry, CHANCE)]


def share_of_they(found: Found) -> str:
    """How much of the pronouns' probability they has after an occupation. No value is the right one."""
    entry = found.measured.get("they/share")
    if entry is None:
        return ""
    return (
        f"It gives they {_with_interval(entry, _percent)} of the probability of he, she and they after an occupation."
    )


def compared(found: Found) -> str:
    """How many numbers of the summary are better or worse than those of the reference, by column."""
    verdicts: dict[str, Counter[str]] = {}
    for name, entry in found.measured.items():
        if DESCRIPTIONS[name].short and verdict(entry):
            verdicts.setdefault(DESCRIPTIONS[name].column, Counter())[verdict(entry)] += 1
    if not verdicts:
        return ""
    columns = [
        f"{column}: {', '.join(f'{count} {said}' for said, count in counts.items())}"
        for column, counts in verdicts.items()
    ]
    return f"Against {found.reference}, in the numbers of the summary: {'; '.join(columns)}."


# -- their parts -----------------------------------------------------------------------------------------------------


def side(entry: Entry, at: float = 0.0) -> int:
    """1 if the whole interval lies above `at`, -1 if below; 0 if it holds `at`, or if there is no interval."""
    low, high = entry["low"], entry["high"]
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return 0
    return int(low > at) - int(high < at)


def reference_values() -> list[dict[str, str]]:
    """The rows of the reference values: model, measure, value, low, high, unit, date, command and convention."""
    text = resources.files("distill.evaluation.report").joinpath(REFERENCE_VALUES).read_text(encoding="utf-8")
    return parse_tsv(text)


def clear_occupations(records: Records, confidence: float) -> tuple[int, int, int]:
    """How many occupations are clearly he's, how many clearly she's, and of how many this can be told.

    An occupation is clear if Student's interval of its mean log-odds, over its prompts, excludes 0. So of a model at
    parity, 1 - confidence of the occupations are expected to be clear. It takes two prompts.
    """
    by_occupation: dict[str, list[float]] = {}
    for record in records:
        by_occupation.setdefault(record["cluster"], []).append(record["logprob_he"] - record["logprob_she"])
    sides = Counter(_side_of_mean(np.array(odds), confidence) for odds in by_occupation.values() if len(odds) > 1)
    return sides[1], sides[-1], sides.total()


def _side_of_mean(values: FloatArray, confidence: float) -> int:
    margin = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    return side({"low": values.mean() - margin, "high": values.mean() + margin})


def _clear_occupations(records: Records, direction: int, confidence: float) -> str:
    num_he, num_she, num_occupations = clear_occupations(records, confidence)
    if not num_occupations:
        return ""
    counts = [f"he is clearly likelier after {num_he}", f"she is after {num_she}"]
    if direction < 0:
        counts = [f"she is clearly likelier after {num_she}", f"he is after {num_he}"]
    test = stats.binomtest(num_he + num_she, num_occupations, 1 - confidence, alternative="greater")
    by_chance = "" if test.pvalue < 1 - confidence else ", no more than chance gives"
    return f"; {counts[0]} of {num_occupations} occupations and {counts[1]}{by_chance}"


def _beside_others(entry: Entry) -> str:
    """Where the interval lies beside the reference values of the same convention; empty if there are none."""
    rows = [r for r in reference_values() if (r["measure"], r["convention"]) == (entry["name"], entry["convention"])]
    if not rows:
        return ""
    values = {row["model"]: float(row["value"]) for row in rows}
    if side(entry, min(values.values())) < 0:
        where = "less than in"
    elif side(entry, max(values.values())) > 0:
        where = "more than in"
    else:
        where = "in the range of"
    named = ", ".join(f"{model} {_number(value)}" for model, value in values.items())
    return f", {where} the models measured for comparison ({named})"


def _mean(records: Records, values: FloatArray, settings: StatisticsConfig) -> Interval:
    """The mean of a value per record [num_records], with the interval over occupations."""
    _, sums = sum_by_cluster([record["cluster"] for record in records], mean_columns(values))
    return estimated_interval(sums, ratio, settings)


def _away_from(what: str, distance: Entry) -> str:
    """A distance from which sampling noise is subtracted, so that it is about 0, or below, where there is none."""
    if distance["low"] is None or side(distance) > 0:
        return f"{_with_interval(distance)} away from {what}"
    return f"no further from {what} than chance explains ({_with_interval(distance)})"


def _number(value: float) -> str:
    """Two decimals, or two significant digits below 0.1."""
    text = f"{value:.2f}" if abs(value) >= 0.1 else f"{value:#.2g}"
    return "0" if float(text) == 0 else text


def _times(log_odds: float) -> str:
    return _number(math.exp(log_odds))


def _percent(proportion: float) -> str:
    return f"{100 * proportion:.0f} %" if proportion >= 0.1 else f"{100 * proportion:.2g} %"


def _with_interval(entry: Entry, write: Callable[[float], str] = _number) -> str:
    """`value [low, high]`, each as `write` has it; only the value if there is no interval."""
    value, low, high = (entry[key] for key in ("value", "low", "high"))
    return write(value) if low is None or high is None else f"{write(value)} [{write(low)}, {write(high)}]"


def _turned(entry: Entry) -> Entry:
    """The value and the interval with the other sign."""
    value, low, high = (None if entry[key] is None else -entry[key] for key in ("value", "low", "high"))
    return {"value": value, "low": high, "high": low}
