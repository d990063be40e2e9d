"""Measurements and comparisons where every cluster scores the same, and the bootstrap has nothing to vary."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.statistics.estimators import ratio, root_ratio
from distill.evaluation.statistics.measurement import compare, estimate, share_removed
from distill.evaluation.statistics.resampling import unvaried_interval

SETTINGS = StatisticsConfig()


def share(scores, sizes=None, unit="proportion", statistic=ratio):
    columns = np.stack([np.array(scores, dtype=float), np.ones(len(scores)) if sizes is None else sizes], axis=1)
    names = [str(number) for number in range(len(scores))]
    return estimate(
        "m", names, columns, statistic, unit=unit, num_items=9, higher_is_better=True, convention="c", settings=SETTINGS
    )


@pytest.mark.parametrize("num_items", [2, 20, 1000])
@pytest.mark.parametrize(("unit", "whole"), [("proportion", 1.0), ("percent", 100.0)])
def test_none_or_all_of_the_items_has_the_exact_binomial_interval(num_items, unit, whole):
    for num_right in (0, num_items):
        found = share([whole * (num_right > 0)] * num_items, unit=unit).measurement
        exact = stats.binomtest(num_right, num_items).proportion_ci(0.95, method="exact")
        assert (found.low, found.high) == pytest.approx((whole * exact.low, whole * exact.high))
        assert math.isnan(found.standard_error)


def test_clusters_of_several_items_are_counted_not_their_items():
    """Eight clusters of three items, none right; and pairs of which always one is right, as with a single answer."""
    found = share([0] * 8, sizes=np.full(8, 3.0)).measurement
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 8))
    halves = share([1] * 8, sizes=np.full(8, 2.0)).measurement
    assert (halves.low, halves.high) == pytest.approx((0.5 - found.high / 2, 0.5 + found.high / 2))


def test_the_exact_interval_holds_the_truth():
    """For a share of 2 % and 30 items: in every sample without a hit the interval holds 2 %."""
    assert unvaried_interval(0.0, 0.0, 1.0, 30, 0.95).high > 0.02 > unvaried_interval(0.0, 0.0, 1.0, 300, 0.95).high


def test_other_units_and_other_statistics():
    nats = share([2.0] * 5, unit="nats").measurement
    assert (nats.low, nats.high, nats.standard_error) == (2.0, 2.0, 0.0)
    root = share([0.0] * 5, statistic=root_ratio).measurement
    assert all(map(math.isnan, (root.low, root.high, root.standard_error)))
    varied = share([0, 1, 0, 1]).measurement
    assert varied.low < 0.5 < varied.high
    assert varied.standard_error > 0
    one = share([1.0]).measurement
    assert math.isnan(one.low)


def test_a_share_less_one_half_is_at_most_one_half_from_0():
    limit = 1 - 0.025 ** (1 / 20)
    lowest, highest = (share([value] * 20, unit="proportion - 1/2") for value in (-0.5, 0.5))
    assert (lowest.measurement.low, lowest.measurement.high) == pytest.approx((-0.5, limit - 0.5))
    difference = compare(highest, lowest, SETTINGS).difference
    assert (difference.low, difference.high) == pytest.approx((1 - 2 * limit, 1))


def test_an_expanded_estimate_expands_its_differences_too():
    scores = np.random.default_rng(0).random((2, 8))
    plain = [share(own) for own in scores]
    expanded = [replace(own, expanded=True) for own in plain]
    (narrow, wide) = (compare(*pair, SETTINGS).difference for pair in (plain, expanded))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert (wide.value, wide.standard_error) == (narrow.value, narrow.standard_error)
    (narrow, wide) = (share_removed(*pair, SETTINGS) for pair in (plain, expanded))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_equal_differences_have_no_detectable_effect():
    none, every = share([0] * 20), share([1] * 20)
    same = compare(none, none, SETTINGS)
    limit = 1 - 0.025 ** (1 / 20)
    assert (same.difference.low, same.difference.high) == pytest.approx((-limit, limit))
    opposite = compare(every, none, SETTINGS)
    assert (opposite.difference.low, opposite.difference.high) == pytest.approx((1 - 2 * limit, 1))
    mixed = share([0, 1] * 10)
    shifted = share(np.linspace(0.1, 5, 9) + 0.3, unit="nats")
    for comparison in (same, opposite, compare(mixed, mixed, SETTINGS)):
        assert math.isnan(comparison.minimum_detectable_effect)
        assert comparison.difference.low < comparison.difference.high
    constant = compare(shifted, share(np.linspace(0.1, 5, 9), unit="nats"), SETTINGS)  # equal but for rounding
    assert constant.difference.value == pytest.approx(0.3)
    assert constant.difference.standard_error == 0
    assert math.isnan(constant.minimum_detectable_effect)
    assert compare(mixed, none, SETTINGS).minimum_detectable_effect > 0
