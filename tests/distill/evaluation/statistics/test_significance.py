"""Tests of differences against enumeration, SciPy, closed forms and simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.statistics.estimators import mean_columns, moments, ratio, spread
from distill.evaluation.statistics.resampling import Interval
from distill.evaluation.statistics.significance import (
    holm,
    mcnemar_p,
    minimum_detectable_effect,
    non_inferior,
    paired_permutation_p,
)


def test_exact_permutation_p_equals_enumerated_sign_flips():
    difference = np.array([0.9, -0.2, 0.4, 1.1, 0.3, -0.1, 0.7, 0.2])
    base = np.random.default_rng(8).normal(size=8)
    flips = [abs(np.dot(signs, difference)) for signs in itertools.product([1, -1], repeat=8)]
    expected = np.mean(np.array(flips) >= abs(difference.sum()) - 1e-9)
    assert paired_permutation_p(mean_columns(base + difference), mean_columns(base), ratio) == expected


def test_monte_carlo_permutation_p_agrees_with_scipy_for_a_statistic_that_is_not_a_mean():
    rng = np.random.default_rng(9)
    x, y = rng.normal(0, 1.35, 25), rng.normal(0, 1.0, 25)
    found = paired_permutation_p(moments(x), moments(y), spread, num_permutations=40_000)
    expected = stats.permutation_test(
        (x, y),
        lambda a, b, axis: np.abs(np.std(a, axis=axis, ddof=1) - np.std(b, axis=axis, ddof=1)),
        permutation_type="samples",
        vectorized=True,
        alternative="greater",
        n_resamples=40_000,
        rng=np.random.default_rng(10),
    )
    assert found == pytest.approx(expected.pvalue, abs=0.01)


def test_permutation_p_has_its_nominal_false_positive_rate():
    rng = np.random.default_rng(11)
    repeats, rejected = 4000, 0
    for repeat in range(repeats):
        common = rng.normal(size=40)
        x, y = common + rng.normal(size=40), common + rng.normal(size=40)
        rejected += (
            paired_permutation_p(mean_columns(x), mean_columns(y), ratio, num_permutations=999, seed=repeat) < 0.05
        )
    assert abs(rejected / repeats - 0.05) <= 0.015


def test_permutation_p_of_equal_models_is_one_and_of_clear_differences_small():
    x = np.random.default_rng(12).normal(size=50)
    assert paired_permutation_p(mean_columns(x), mean_columns(x), ratio) == 1.0
    assert paired_permutation_p(mean_columns(x + 1.0), mean_columns(x), ratio, num_permutations=9999) == 1e-4


def test_mcnemar_is_the_permutation_test_of_zeros_and_ones():
    rng = np.random.default_rng(13)
    x, y = (rng.random(14) < 0.7).astype(float), (rng.random(14) < 0.4).astype(float)
    gained, lost = int(((x == 1) & (y == 0)).sum()), int(((x == 0) & (y == 1)).sum())
    assert mcnemar_p(gained, lost) == pytest.approx(
        paired_permutation_p(mean_columns(x), mean_columns(y), ratio, num_permutations=2**14)
    )
    assert mcnemar_p(9, 2) == pytest.approx(2 * (1 + 11 + 55) / 2**11)
    assert mcnemar_p(0, 0) == mcnemar_p(3, 3) == 1.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    adjusted = holm([0.02, math.nan, 0.5])
    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == 0.5
    assert holm([]) == []


def test_minimum_detectable_effect_is_found_at_its_power():
    effect = minimum_detectable_effect(2.0)
    assert effect == pytest.approx(2.0 * (1.959964 + 0.841621), rel=1e-6)
    power = stats.norm.sf(stats.norm.ppf(0.975), loc=effect / 2.0)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_non_inferiority_looks_at_the_upper_end():
    interval = Interval(0.02, -0.01, 0.049, 0.015)
    assert non_inferior(interval, 0.05) is True
    assert non_inferior(interval, 0.03) is False
    assert non_inferior(Interval(0.02, math.nan, math.nan, math.nan), 0.05) is None
    with pytest.raises(ValueError, match="margin is 0"):
        non_inferior(interval, 0)
