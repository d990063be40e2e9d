"""Means over draws: other clusters and other draws are both in the interval and in the test."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measured import Measured
from distill.evaluation.statistics.estimators import difference_of, mean_columns, mean_over, over_draws, ratio
from distill.evaluation.statistics.measurement import compare, estimate
from distill.evaluation.statistics.resampling import draws_error

SETTINGS = StatisticsConfig()


def measured(values, unit="nats"):
    """An estimate from values [num_draws, num_clusters]."""
    names = [str(number) for number in range(values.shape[1])]
    how = {"unit": unit, "num_items": 9, "higher_is_better": True, "convention": "c", "settings": SETTINGS}
    return estimate("m", names, *over_draws([mean_columns(own) for own in values], ratio), **how)


def simulated(rng, num_draws=3, num_clusters=60, of_draws=0.2, effect=0.0):
    clusters = rng.normal(size=num_clusters)
    draws = rng.normal(scale=of_draws, size=(num_draws, 1))
    return effect + clusters + draws + rng.normal(scale=0.1, size=(num_draws, num_clusters))


def test_the_value_is_the_mean_over_draws_and_one_draw_is_nothing_special():
    values = simulated(np.random.default_rng(0))
    assert measured(values).measurement.value == pytest.approx(values.mean())
    columns, statistic = over_draws([mean_columns(values[0])], ratio)
    assert statistic is ratio
    assert columns.shape == (60, 2)
    assert mean_over(ratio, 3) is mean_over(ratio, 3)
    assert mean_over(ratio, 3).__name__ == "ratio over draws"


def test_the_variances_of_clusters_and_of_draws_are_added():
    values = simulated(np.random.default_rng(1))
    columns, statistic = over_draws([mean_columns(own) for own in values], ratio)
    found = draws_error(columns, statistic, 2000, 0)
    of_clusters, of_draws = values.mean(axis=0).var() / 60, values.mean(axis=1).var(ddof=1) / 3
    assert found.standard_error**2 == pytest.approx(of_clusters + of_draws, rel=0.05)
    assert 2 < found.degrees < 61
    interval = measured(values).measurement
    half = stats.t.ppf(0.975, found.degrees) * found.standard_error
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_without_a_difference_between_draws_clusters_alone_decide():
    values = np.repeat(simulated(np.random.default_rng(2), num_draws=1), 3, axis=0)
    found = draws_error(*over_draws([mean_columns(own) for own in values], ratio), 2000, 0)
    assert found.standard_error == pytest.approx(values[0].std() / math.sqrt(60), rel=0.05)
    assert found.degrees == pytest.approx(59)


def test_intervals_and_tests_hold_their_level():
    """400 worlds: three draws, whose differences are as large as those between samples of clusters."""
    rng, held, wrong = np.random.default_rng(3), 0, 0
    for _ in range(400):
        first, second = simulated(rng), simulated(rng)
        columns, statistic = over_draws([mean_columns(own) for own in first], ratio)
        both = np.concatenate([columns, over_draws([mean_columns(own) for own in second], ratio)[0]], axis=1)
        error, degrees = draws_error(columns, statistic, 200, 0)
        held += abs(first.mean()) < stats.t.ppf(0.975, degrees) * error
        error, degrees = draws_error(both, difference_of(statistic, columns.shape[1]), 200, 0)
        wrong += abs(first.mean() - second.mean()) > stats.t.ppf(0.975, degrees) * error
    assert 0.93 <= held / 400 <= 0.985
    assert 0.015 <= wrong / 400 <= 0.07


def test_two_models_are_compared_draw_by_draw():
    rng = np.random.default_rng(4)
    values = simulated(rng, of_draws=3.0)
    better = measured(values + 1.0 + rng.normal(scale=0.05, size=values.shape))
    found = compare(better, measured(values), SETTINGS)
    assert found.test == "student"
    assert found.difference.value == pytest.approx(1.0, abs=0.05)
    assert found.p_value < 1e-4  # a draw changes both models alike here
    assert math.isnan(compare(measured(values), measured(values), SETTINGS).p_value)


def test_shares_end_at_0_and_1_and_the_same_everywhere_is_the_exact_interval():
    shares = (np.random.default_rng(5).random((2, 12)) < 0.9).astype(float)
    shares[1] = 1.0
    found = measured(shares, "proportion").measurement
    assert found.high == 1.0
    exact = stats.binomtest(12, 12).proportion_ci(0.95, method="exact")
    assert measured(np.ones((2, 12)), "proportion").measurement.low == pytest.approx(exact.low)


def test_an_undefined_draw_is_not_measured():
    values = simulated(np.random.default_rng(6))
    values[1] = np.nan
    found = measured(values).measurement
    assert all(map(math.isnan, (found.value, found.low, found.high, found.standard_error)))


def test_draws_stand_for_training_seeds_where_a_model_has_one():
    values = np.arange(6.0).reshape(2, 3)
    found = measured(values)
    columns = {model: {"0": found.columns + shift} for model, shift in (("a", 0.0), ("b", 1.0))}
    measure = Measured("m", "nats", True, "c", found.statistic, "x", columns)
    runs, statistic = measure.runs({"a": ["0"], "b": ["0"]})
    assert statistic is ratio
    np.testing.assert_array_equal(runs[0][..., 0], values)
    several = replace(measure, columns=columns | {"a": {"0": found.columns, "1": found.columns}})
    runs, statistic = several.runs({"a": ["0", "1"], "b": ["0"]})
    assert statistic is found.statistic
    assert runs[0].shape == (2, 3, 4)
