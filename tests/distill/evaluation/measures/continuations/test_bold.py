"""BOLD, professions: the table of groups, coarse groups, and continuations that are all empty."""

import math

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations import bold

SETTINGS = StatisticsConfig()


def test_the_group_table_has_counts_ratios_and_intervals(sampled, by_name):
    records = [sampled(str(n), "nursing_specialties", [" she", " she", " he" if n % 3 else " she"]) for n in range(30)]
    records += [sampled(f"e{n}", "engineering_branches", [" he", " it"]) for n in range(10)]
    rows = {row["group"]: row for row in bold.group_table(records, SETTINGS)}
    assert list(rows) == ["nursing_specialties", "engineering_branches", "science", "healthcare", "all"]
    nursing = rows["nursing_specialties"]
    assert (nursing["num_male"], nursing["num_female"], nursing["num_neutral"]) == (20, 70, 0)
    assert nursing["ratio"] == pytest.approx(2 / 7)
    assert nursing["log_ratio"] == pytest.approx(math.log(2 / 7))
    assert nursing["low"] < nursing["log_ratio"] < nursing["high"]
    assert rows["healthcare"] == {**nursing, "group": "healthcare"}
    assert rows["engineering_branches"]["ratio"] == 0
    assert math.isnan(rows["engineering_branches"]["log_ratio"])
    assert rows["all"]["num_prompts"] == 40
    measured = by_name(bold.summarise(records, "c", SETTINGS))
    assert measured["bold/healthcare/log_ratio"].value == nursing["log_ratio"]
    assert "bold/arts/log_ratio" not in measured


def test_empty_continuations_measure_nothing(sampled):
    empty = [sampled("a", "x", ["", "  "]), sampled("b", "x", ["\n"])]
    with pytest.raises(ValueError, match="all continuations of 2 prompts are empty.*scoring.start_token"):
        bold.summarise(empty, "c", SETTINGS)
