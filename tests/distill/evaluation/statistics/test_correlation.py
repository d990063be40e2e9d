"""Correlations over models against SciPy, other forms of the same definition, and published numbers."""

import math

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.statistics.correlation import (
    correlation_p,
    detectable_correlation,
    kendall,
    partial_spearman,
    pearson,
    spearman,
)


@pytest.mark.parametrize("with_ties", [False, True])
def test_coefficients_equal_scipys_on_every_row(with_ties):
    x, y = np.random.default_rng(0).normal(size=(2, 20, 13))
    if with_ties:
        x, y = np.round(x), np.round(2 * y)
    for own, other in ((pearson, stats.pearsonr), (spearman, stats.spearmanr), (kendall, stats.kendalltau)):
        expected = [other(*row).statistic for row in zip(x, y, strict=True)]
        np.testing.assert_allclose(own(x, y), expected, atol=1e-12)


def test_coefficients_of_large_values_that_hardly_vary_are_exact():
    x = 1e6 + np.arange(8.0)
    assert pearson(x, -x) == pytest.approx(-1, abs=1e-9)


def test_a_measure_that_does_not_vary_has_no_correlation():
    x, constant = np.arange(5.0), np.full(5, 0.1)
    assert all(math.isnan(coefficient(x, constant)) for coefficient in (pearson, spearman, kendall))
    assert math.isnan(correlation_p(x, constant))


def test_partial_correlation_is_that_of_the_residuals_of_ranks():
    rng = np.random.default_rng(1)
    given = rng.normal(size=15)
    x, y = given + rng.normal(size=15), given + rng.normal(size=15)

    def residual(values):
        fit = stats.linregress(stats.rankdata(given), stats.rankdata(values))
        return stats.rankdata(values) - fit.intercept - fit.slope * stats.rankdata(given)

    assert partial_spearman(x, y, given) == pytest.approx(stats.pearsonr(residual(x), residual(y)).statistic)
    assert math.isnan(partial_spearman(x, y, x**3))  # nothing is left of x


def test_p_agrees_with_scipys_permutation_test_and_is_never_zero():
    x, y = np.random.default_rng(2).normal(size=(2, 12))
    y += 0.5 * x
    expected = stats.permutation_test(
        (stats.rankdata(x),),
        lambda permuted, axis: stats.pearsonr(permuted, stats.rankdata(y)[None], axis=axis).statistic,
        vectorized=True,
        permutation_type="pairings",
        n_resamples=4000,
        rng=np.random.default_rng(3),
    )
    assert correlation_p(x, y) == pytest.approx(expected.pvalue, abs=0.02)
    assert correlation_p(x, x**3) == 1e-4


@pytest.mark.parametrize(("num_models", "expected"), [(7, 0.886), (13, 0.709), (19, 0.605), (25, 0.535), (66, 0.339)])
def test_detectable_correlation(num_models, expected):
    assert detectable_correlation(num_models) == pytest.approx(expected, abs=5e-4)
    assert math.isnan(detectable_correlation(3))
