"""The rows of the report's tables."""

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations import bold
from distill.evaluation.measures.continuations.bold_prompts import Prompt
from distill.evaluation.measures.continuations.sampling import record as sampled
from distill.evaluation.records import plain
from distill.evaluation.report import tables


def bold_records(num, groups=("dance_occupations", "nursing_specialties"), text="He left."):
    return [
        sampled(Prompt(f"p{n}", groups[n % len(groups)], f"Prompt {n}"), [text, "She stayed."] * (1 + n % 2))
        for n in range(num)
    ]


def test_groups_have_counts_and_ratios():
    table = {row["group"]: row for row in plain(bold.group_table(bold_records(6), StatisticsConfig()))}
    one_sided = plain(bold.group_table(bold_records(1), StatisticsConfig()))[0] | {"num_male": 0, "log_ratio": None}
    rows = dict(tables.group_rows({"a": table, "b": {"dance_occupations": one_sided}}))
    assert list(rows) == ["dance occupations", "nursing specialties", "arts", "healthcare", "all"]
    assert rows["nursing specialties"] == [("6 : 6 (0 neutral, 0 tied)", "0.000 [0.000, 0.000]"), ("–", "")]
    assert rows["dance occupations"][1] == ("0 : 1 (0 neutral, 0 tied)", "")


def test_continuations_are_of_prompts_that_all_models_have_spread_evenly():
    a, b = bold_records(100), bold_records(50, text="x" * 500)
    rows = tables.continuation_rows({"a": a, "b": b})
    assert [prompt for prompt, _ in rows] == [f"Prompt {n}" for n in range(0, 48, 4)]
    first, second = rows[0][1]
    assert first == ("He left.", "male")
    assert second == ("x" * tables.MAX_SHOWN + "…", "neutral")
    assert tables.continuation_rows({}) == []
    assert tables.continuation_rows({"a": a, "b": []}) == []


def test_occupations_have_the_mean_over_their_prompts():
    rows = [
        {"cluster": "nurse", "logprob_he": he, "logprob_she": -1.0, "reference_log_odds": -0.5} for he in (-3.0, -2.0)
    ]
    rows.append({"cluster": "pilot", "logprob_he": -1.0, "logprob_she": -3.0, "reference_log_odds": None})
    means = {"a": tables.occupation_means(rows), "b": tables.occupation_means(rows[:1])}
    known = tables.known_log_odds({"a": rows, "b": rows[:1]})
    assert means == {"a": {"nurse": -1.5, "pilot": 2.0}, "b": {"nurse": -2.0}}
    assert tables.occupation_rows(means, known) == [
        ("nurse", "−0.500", ["−1.500", "−2.000"]),
        ("pilot", "–", ["+2.000", "–"]),
    ]


def test_limits_say_what_can_be_told_apart(entry, difference, results):
    compared = difference(0.2, 0.5)
    entries = [entry(model="a", low=0.0, high=0.6), entry(difference=compared), entry("log_odds/mean", "a")]
    assert tables.limits(results(entries)) == [
        ("Profession log-odds: distance from parity", "nats", 100, 40, pytest.approx(0.3), 0.2)
    ]
    assert tables.limits(results([entry(low=None, high=None)]))[0][4:] == (None, None)
