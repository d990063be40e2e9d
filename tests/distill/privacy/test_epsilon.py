"""Bounds of epsilon: published numbers, SciPy's exact limits, and how often they hold on mechanisms that are known."""

import math

import numpy as np
import pytest
from scipy import stats

from distill.privacy.epsilon import (
    clopper_pearson,
    gaussian_delta,
    gaussian_epsilon,
    largest_advantage,
    least_separation,
    one_run_epsilon,
    one_run_gaussian_epsilon,
    one_run_p,
    split_half_epsilon,
    two_rates_epsilon,
)


@pytest.mark.parametrize(
    ("records", "guesses", "right", "pure", "approximate", "gaussian"),
    [
        (100, 100, 100, 3.4930, 3.4902, 8.216),
        (1000, 1000, 600, 0.29747, 0.29723, 0.5835),
        (1000, 200, 150, 0.82140, 0.81997, 1.2969),
        (1000, 200, 200, 4.19363, 4.16649, 7.2568),
        (2000, 2000, 1020, 0, 0, 0),
        (1000, 1000, 1000, 5.8091, 5.7823, 12.3346),
        (400, 400, 250, 0.3365, 0.3362, 0.7000),
    ],
)
def test_the_bound_of_one_run_is_the_published_one(records, guesses, right, pure, approximate, gaussian):
    """jax_privacy 2.0.0 gives the same numbers."""
    assert one_run_epsilon(records, guesses, right, 0.0) == pytest.approx(pure, abs=1e-4)
    assert one_run_epsilon(records, guesses, right, 1e-5) == pytest.approx(approximate, abs=1e-4)
    assert one_run_gaussian_epsilon(records, guesses, right, 1e-5) == pytest.approx(gaussian, abs=1e-3)


def test_one_run_p_without_delta_is_the_binomial_test():
    for epsilon in (0.0, 0.4, 2.0):
        chance = math.exp(epsilon) / (1 + math.exp(epsilon))
        expected = stats.binomtest(38, 50, chance, alternative="greater").pvalue
        assert one_run_p(100, 50, 38, epsilon, 0.0) == pytest.approx(expected)
    assert one_run_p(100, 50, 0, 1.0, 1e-5) == 1


@pytest.mark.parametrize(("epsilon", "advantage"), [(0.5, 0.245), (1, 0.462), (3, 0.905), (8, 0.9993)])
def test_the_largest_advantage(epsilon, advantage):
    assert largest_advantage(epsilon) == pytest.approx(advantage, abs=5e-4)
    plain = (math.exp(epsilon) - 1 + 2e-3) / (math.exp(epsilon) + 1)
    assert largest_advantage(epsilon, 1e-3) == pytest.approx(plain)


def test_gaussian_noise_in_closed_form():
    assert gaussian_delta(1.0, 1.0) == pytest.approx(0.1269367, abs=1e-7)
    assert gaussian_epsilon(1.0, 1e-5) == pytest.approx(4.377178, abs=1e-5)
    assert gaussian_epsilon(1 / 3.7306316, 1e-5) == pytest.approx(1.0, abs=1e-6)
    assert gaussian_epsilon(0.01, 0.1) == 0


def test_limits_of_a_proportion_are_scipys():
    low, high = clopper_pearson(np.array([0, 1, 17, 39, 40]), 40, 0.025)
    for index, num in enumerate((0, 1, 17, 39, 40)):
        interval = stats.binomtest(num, 40).proportion_ci(0.95, "exact")
        assert (low[index], high[index]) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_two_rates_give_the_bound_of_their_limits():
    low = stats.binomtest(90, 100).proportion_ci(0.95, "exact").low
    high = stats.binomtest(10, 100).proportion_ci(0.95, "exact").high
    bound = two_rates_epsilon(np.array(90), 100, np.array(10), 100, 0.01, 0.05)
    assert bound == pytest.approx(math.log((low - 0.01) / high))
    assert two_rates_epsilon(np.array(1), 100, np.array(10), 100, 0.5, 0.05) == -math.inf


def test_the_split_bound_uses_both_ways_of_attacking():
    """Some members score higher than all others; or some of the others score lower than all members."""
    rng = np.random.default_rng(0)
    plain, few = rng.normal(size=1000), rng.normal(size=1000) + 30 * (np.arange(1000) < 300)
    assert split_half_epsilon(few, plain) == pytest.approx(split_half_epsilon(-plain, -few), abs=1.0)
    assert split_half_epsilon(few, plain) > 3
    assert split_half_epsilon(-plain, -few) > 3
    assert split_half_epsilon(plain, few) == pytest.approx(0, abs=0.2)
    assert split_half_epsilon(np.ones(1), np.ones(1)) == 0


def test_the_split_bound_holds_for_randomised_response():
    """A bit that is told truly with probability e^eps / (1 + e^eps) is eps-private, and the bound nearly reaches it."""
    epsilon, bounds = 1.5, []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        told = rng.random((2, 2000)) < 1 / (1 + math.exp(epsilon))
        bounds.append(split_half_epsilon(~told[0] + 0.0, told[1] + 0.0, seed=seed))
    assert np.mean(np.array(bounds) > epsilon) <= 0.05
    assert np.mean(bounds) > 1.2


def test_the_bound_of_one_run_holds_for_randomised_response():
    epsilon, bounds = 1.0, []
    for seed in range(100):
        right = np.random.default_rng(seed).random(500) < 1 / (1 + math.exp(-epsilon))
        bounds.append(one_run_epsilon(500, 500, int(right.sum()), 0.0))
    assert np.mean(np.array(bounds) > epsilon) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 100)
    assert np.mean(bounds) > 0.75


@pytest.mark.parametrize(("mu", "num"), [(0.3, 128), (1.5, 128), (1.5, 2000), (6.0, 128), (50.0, 500)])
@pytest.mark.parametrize("confidence", [0.95, 0.995])
def test_the_separation_of_two_groups_is_that_of_the_noncentral_t_distribution(mu, num, confidence):
    """`num` canaries in and as many out; the bound is the noncentrality under which so large a t is just that rare."""
    precision, num_free = num / 2, 2 * num - 2
    bound = least_separation(mu, 1.0, precision, num_free, confidence)
    assert least_separation(3 * mu, 3.0, precision, num_free, confidence) == pytest.approx(bound)
    if bound == 0:
        assert stats.t.cdf(mu * precision**0.5, num_free) < confidence
        return
    reached = stats.nct.cdf(mu * precision**0.5, num_free, bound * precision**0.5)
    assert reached == pytest.approx(confidence, abs=0.15 * (1 - confidence))


def test_the_separation_is_below_the_true_one_as_often_as_promised():
    rng, mu, num = np.random.default_rng(2), 1.2, 128
    groups = rng.standard_normal((4000, 2, num)) + np.array([mu, 0.0])[:, None]
    gaps = groups[:, 0].mean(1) - groups[:, 1].mean(1)
    noises = groups.var(axis=2, ddof=1).mean(1) ** 0.5
    bounds = [least_separation(gap, noise, num / 2, 2 * num - 2) for gap, noise in zip(gaps, noises, strict=True)]
    assert 0.94 < np.mean(np.array(bounds) <= mu) < 0.96
    assert least_separation(1.0, 0.0, 64.0, 254) == math.inf
    assert least_separation(-1.0, 1.0, 64.0, 254) == least_separation(0.0, 0.0, 64.0, 254) == 0.0
