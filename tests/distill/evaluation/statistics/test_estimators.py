"""Statistics of sums against their textbook forms."""

import math

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.statistics.estimators import (
    correlation,
    exp_ratio,
    joint_moments,
    mean_columns,
    mean_over,
    moments,
    pair_mean_columns,
    ratio,
    removed_share,
    root_ratio,
    signed_root_ratio,
    slope,
    spread,
    t_value,
)


def test_statistics_of_sums_equal_their_textbook_forms():
    rng = np.random.default_rng(1)
    x = rng.normal(3.0, 2.0, 50)
    y = 0.4 * x + rng.normal(size=50)
    assert ratio(mean_columns(x).sum(0)) == pytest.approx(x.mean())
    assert exp_ratio(mean_columns(x).sum(0)) == pytest.approx(math.exp(x.mean()))
    assert spread(moments(x).sum(0)) == pytest.approx(x.std(ddof=1))
    assert t_value(moments(x).sum(0)) == pytest.approx(stats.ttest_1samp(x, 0).statistic)
    fit = stats.linregress(x, y)
    assert slope(joint_moments(x, y).sum(0)) == pytest.approx(fit.slope)
    assert correlation(joint_moments(x, y).sum(0)) == pytest.approx(fit.rvalue)


def test_a_signed_root_keeps_the_sign_of_the_mean():
    found = signed_root_ratio(np.array([[0.08, 2.0], [-0.08, 2.0], [0.0, 2.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [0.2, -0.2, 0.0, math.nan])


def test_statistics_are_nan_where_they_are_not_defined():
    constant, varying = np.full(5, 0.3), np.arange(5.0)
    assert math.isnan(correlation(joint_moments(constant, varying).sum(0)))
    assert math.isnan(correlation(joint_moments(varying, constant).sum(0)))
    assert math.isnan(slope(joint_moments(constant, varying).sum(0)))
    assert math.isnan(spread(moments(np.array([2.0])).sum(0)))
    assert math.isnan(t_value(moments(np.array([2.0])).sum(0)))
    assert math.isnan(ratio(np.zeros(2)))


def test_statistics_take_stacks_of_sums():
    sums = np.random.default_rng(0).random((4, 3, 6)) + 1.0
    for statistic in (ratio, exp_ratio, spread, t_value, slope, correlation):
        assert statistic(sums).shape == (4, 3)


def test_the_mean_over_of_blocks_is_that_of_each_block():
    columns = np.random.default_rng(0).uniform(1, 2, size=(3, 7, 2))
    flat = columns.transpose(1, 0, 2).reshape(7, 6)
    expected = np.mean([ratio(block.sum(axis=0)) for block in columns])
    assert mean_over(ratio, 3)(flat.sum(axis=0)) == pytest.approx(expected)
    assert removed_share(ratio, 2)(np.array([1.0, 4.0, 2.0, 4.0])) == 0.5
    assert root_ratio(np.array([8.0, 2.0])) == 2.0


def pair_means(values):
    """The mean of f(x_i, x_j) = 1 if |x_i - x_j| > 1 over all pairs, and the matrix of f."""
    pairs = (np.abs(values[:, None] - values) > 1).astype(float)
    return pairs[np.triu_indices(len(values), 1)].mean(), pairs


def test_a_mean_over_pairs_has_the_value_and_the_standard_error_of_its_jackknife():
    values = np.random.default_rng(0).normal(size=40)
    mean, pairs = pair_means(values)
    columns = pair_mean_columns(pairs)
    assert ratio(columns.sum(0)) == pytest.approx(mean)
    without = np.array([pair_means(np.delete(values, index))[0] for index in range(40)])
    variance = 39 / 40 * np.sum((without - without.mean()) ** 2)  # the textbook's jackknife
    assert columns[:, 0].var(ddof=1) / 40 == pytest.approx(variance)
    with pytest.raises(ValueError, match="2 clusters have no pair left"):
        pair_mean_columns(np.zeros((2, 2)))


def test_the_standard_error_of_a_mean_over_pairs_is_that_between_samples():
    """The means of each cluster's own pairs would give half of it."""
    rng = np.random.default_rng(0)
    samples = [pair_means(rng.normal(size=40)) for _ in range(400)]
    true = np.std([mean for mean, _ in samples])
    estimated = np.mean([pair_mean_columns(pairs)[:, 0].std(ddof=1) for _, pairs in samples]) / math.sqrt(40)
    naive = np.mean([(pairs.sum(1) / 39).std(ddof=1) for _, pairs in samples]) / math.sqrt(40)
    assert estimated == pytest.approx(true, rel=0.1)
    assert naive == pytest.approx(true / 2, rel=0.1)
