"""The numbers of a study on measures with a known answer."""

import dataclasses
import math

import numpy as np
import pytest

from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.resampling import Interval
from study import numbers
from study.results import Measure


def test_the_share_removed_and_the_difference_are_those_planted(measure):
    removed = numbers.removed_percent(measure, "good", "plain")
    assert (removed.value, removed.low, removed.high) == pytest.approx((80, 80, 80), abs=1e-2)
    of_teacher = numbers.removed_percent(measure, "good", "teacher")
    assert of_teacher.value == pytest.approx(80, abs=1e-2)
    assert of_teacher.low < 80 < of_teacher.high
    difference = numbers.difference(measure, "good", "plain")
    base = measure.columns["teacher"][0, :, 0].mean()
    assert difference.value == pytest.approx(-0.8 * base, abs=1e-4)
    assert difference.high < 0


def test_a_difference_of_logarithms_is_a_change_in_percent(measure):
    cost = dataclasses.replace(measure, name="log_perplexity/token-stride")
    change, log = numbers.change_percent(cost, "good", "plain"), numbers.difference(measure, "good", "plain")
    assert numbers.is_log(cost) and not numbers.is_log(measure)
    expected = [100 * (math.exp(number) - 1) for number in (log.value, log.low, log.high)]
    assert [change.value, change.low, change.high] == pytest.approx(expected)
    assert change.standard_error == pytest.approx(100 * math.exp(log.value) * log.standard_error)


def test_p_values_find_the_difference_and_only_that(measure):
    adjusted = numbers.holm_p_values(measure, "plain")
    assert set(adjusted) == {"good", "same"}
    assert adjusted["good"] == pytest.approx(2e-4)
    assert adjusted["same"] > 0.9


def test_an_arm_without_a_common_seed_is_not_tested(measure):
    alone = dataclasses.replace(measure, seeds=measure.seeds | {"same": (7, 8, 9)})
    assert numbers.holm_p_values(alone, "plain").keys() == {"good"}
    with pytest.raises(ValueError, match="same and plain have no seed in common"):
        numbers.difference(alone, "same", "plain")


def test_arms_and_variants_are_two_families_of_hypotheses(measure):
    alone = numbers.holm_p_values(measure, "plain")
    columns = {arm: measure.columns[arm] for arm in ("teacher", "plain", "good", "same")}
    for number in range(5):
        columns[f"plain+{number}"] = measure.columns["good"]
    columns["good+0"] = measure.columns["same"]  # varies another arm, and so is not compared with this one
    seeds = {arm: measure.seeds[arm.partition("+")[0]] for arm in columns}
    more = numbers.holm_p_values(dataclasses.replace(measure, columns=columns, seeds=seeds), "plain")
    assert {arm: p for arm, p in more.items() if "+" not in arm} == alone
    assert set(more) - set(alone) == {f"plain+{number}" for number in range(5)}
    assert more["plain+0"] == pytest.approx(5 / 10_000)
    assert numbers.holm_p_values(measure, "missing") == {}


def test_seeds_are_paired_by_their_number():
    columns = {"a": np.ones((2, 3, 2)), "b": 2 * np.ones((2, 3, 2))}
    columns["a"][1], columns["b"][0] = 5, 7
    measure = Measure("m", "nats", False, ratio, columns, {"a": (0, 2), "b": (2, 1)})
    mine, theirs = numbers.paired(measure, "a", "b")
    assert mine.shape == theirs.shape == (1, 3, 2)
    assert (mine[0, 0, 0], theirs[0, 0, 0]) == (5, 7)
    apart = Measure("m", "nats", False, ratio, columns, {"a": (0, 2), "b": (1, 3)})
    with pytest.raises(ValueError, match="no seed in common"):
        numbers.paired(apart, "a", "b")


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "verdict"),
    [
        (-0.02, 0.005, False, ("yes", "open")),
        (-0.02, 0.02, False, ("open", "open")),
        (0.02, 0.03, False, ("no", "no")),
        (-0.02, -0.01, False, ("yes", "yes")),
        (-0.005, 0.5, True, ("yes", "open")),
        (-0.05, 0.5, True, ("open", "open")),
        (-0.05, -0.02, True, ("no", "no")),
        (0.001, 0.5, True, ("yes", "yes")),
        (math.nan, math.nan, True, ("open", "open")),
    ],
)
def test_the_verdicts_on_a_difference(low, high, higher_is_better, verdict):
    measure = Measure("m", "nats", higher_is_better, ratio, {}, {}, margin=0.01)
    interval = Interval((low + high) / 2, low, high, 0.1)
    assert (numbers.not_inferior(measure, interval), numbers.better(measure, interval)) == verdict


def test_the_verdict_on_a_threshold():
    interval = Interval(80, 78, 82, 1)
    assert [numbers.at_least(interval, threshold) for threshold in (78, 80, 83)] == ["yes", "open", "no"]


def test_a_measure_without_a_better_direction_or_margin_has_no_verdict():
    interval = Interval(0.0, -0.1, 0.1, 0.05)
    with pytest.raises(ValueError, match="for m neither more nor less is better"):
        numbers.not_inferior(Measure("m", "nats", None, ratio, {}, {}, margin=0.01), interval)
    with pytest.raises(ValueError, match="states no margin for m"):
        numbers.not_inferior(Measure("m", "nats", False, ratio, {}, {}), interval)


def test_a_value_is_written_with_its_interval_where_it_has_one():
    assert numbers.cell(Interval(0.12345, 0.1, 0.2, 0.01)) == "0.123 [0.100, 0.200]"
    assert numbers.cell(Interval(0.12345, 0.1, 0.2, 0.01), with_interval=False) == "0.123"
    assert numbers.cell(Interval(1.5, math.nan, math.nan, math.nan), 1) == "1.5"
    assert numbers.cell(Interval(214.26, 206.5, 221.94, 4)) == "214.3 [206.5, 221.9]"
    assert numbers.cell(Interval(math.nan, math.nan, math.nan, math.nan)) == "not defined"
    assert [numbers.p_text(p) for p in (math.nan, 0.0002, 0.04321)] == ["–", "< 0.001", "0.043"]
