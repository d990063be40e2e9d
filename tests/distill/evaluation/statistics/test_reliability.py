"""Reliability and correlations without error, on worlds in which the truth is known."""

from dataclasses import astuple

import numpy as np
import pytest

from distill.evaluation.statistics.correlation import pearson, spearman
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.reliability import (
    coefficient_interval,
    disattenuated,
    draw_models,
    reliability,
    resampled_scores,
)

NUM_CLUSTERS, NUM_SEEDS, TRUTH = 40, 3, 0.6


def scores_of(values, cluster_seed=0, num_resamples=400):
    """Scores from values [num_models, num_seeds, num_clusters]."""
    models = [np.stack([own, np.ones_like(own)], axis=-1) for own in values]
    return resampled_scores(models, ratio, num_resamples=num_resamples, cluster_seed=(0, cluster_seed), seed=0)


def world(rng, num_models, reliabilities, correlation=TRUTH):
    """Two measures [num_models, num_seeds, num_clusters] of models, whose true values have variance 1, with what
    all models share and with noise of clusters and of seeds, half of the error each.
    """
    true = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=num_models).T
    measures = []
    for values, wanted in zip(true, reliabilities, strict=True):
        error = 1 / wanted - 1
        shared = 2 * rng.normal(size=NUM_CLUSTERS)
        clusters = rng.normal(size=(num_models, 1, NUM_CLUSTERS)) * np.sqrt(error / 2 * NUM_CLUSTERS)
        seeds = rng.normal(size=(num_models, NUM_SEEDS, 1)) * np.sqrt(error / 2 * NUM_SEEDS)
        measures.append(values[:, None, None] + shared + clusters + seeds)
    return measures


def simulate(num_worlds, num_models, num_resamples):
    """The mean of the correlation without error, and how often its interval holds the truth where both measures are
    reliable, and that of Spearman's correlation.
    """
    rng = np.random.default_rng(0)
    draws = draw_models(num_models, num_resamples, 0)
    values, clear, ranks = [], [], []
    for _ in range(num_worlds):
        x, y = (scores_of(own, number, num_resamples) for number, own in enumerate(world(rng, num_models, (0.8, 0.7))))
        found, of_ranks = disattenuated(x, y, draws, 0.95), coefficient_interval(spearman, [x, y], draws, 0.95)
        values.append(found.value)
        if min(reliability(scores, draws, 0.95).low for scores in (x, y)) > 0:
            clear.append(found.low <= TRUTH <= found.high)
        ranks.append(of_ranks.low <= 6 / np.pi * np.arcsin(TRUTH / 2) <= of_ranks.high)
    return np.nanmean(values), np.mean(clear), np.mean(ranks)


def test_without_error_the_correlation_is_left_as_it_is():
    exact = np.random.default_rng(1).normal(size=(2, 9, 1, 1)) + np.zeros((NUM_SEEDS, NUM_CLUSTERS))
    x, y = map(scores_of, exact)
    draws = draw_models(9, 400, 0)
    share = reliability(x, draws, 0.95)
    assert (share.value, share.low, share.high) == pytest.approx((1, 1, 1), abs=1e-12)
    assert disattenuated(x, y, draws, 0.95).value == pytest.approx(float(pearson(x.values, y.values)), abs=1e-9)


def test_models_that_differ_by_nothing_but_error_are_not_reliable():
    noise = np.random.default_rng(2).normal(size=(12, NUM_SEEDS, NUM_CLUSTERS))
    assert reliability(scores_of(noise), draw_models(12, 400, 0), 0.95).low < 0


def test_a_single_model_that_differs_is_not_enough():
    noise = np.random.default_rng(2).normal(size=(12, NUM_SEEDS, NUM_CLUSTERS))
    noise[0] += 3
    share = reliability(scores_of(noise), draw_models(12, 400, 0), 0.95)
    assert share.low < 0 < share.value


def test_what_moves_all_models_alike_changes_nothing():
    rng = np.random.default_rng(3)
    values = world(rng, 10, (0.7, 0.7))[0]
    moved = values + 5 * rng.normal(size=NUM_CLUSTERS) + 5 * rng.normal(size=(NUM_SEEDS, 1))
    draws = draw_models(10, 400, 0)
    shares = [reliability(scores_of(own), draws, 0.95) for own in (values, moved)]
    assert astuple(shares[0]) == pytest.approx(astuple(shares[1]))
    np.testing.assert_allclose(scores_of(values).errors, scores_of(moved).errors, atol=1e-9)


def test_errors_that_two_measures_share_are_no_agreement():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(200, 1, NUM_CLUSTERS)) * 6
    x, y = (scores_of(rng.normal(size=(200, 1, 1)) + noise) for _ in range(2))
    assert pearson(x.values, y.values) > 0.35
    assert abs(disattenuated(x, y, draw_models(200, 400, 0), 0.95).value) < 0.15


def test_the_error_of_the_mean_over_seeds_is_not_underestimated():
    rng = np.random.default_rng(5)
    seeds = rng.normal(size=(400, NUM_SEEDS, 1)) + np.zeros(NUM_CLUSTERS)
    assert np.mean(scores_of(seeds).errors ** 2) == pytest.approx(1 / NUM_SEEDS, rel=0.1)
    mixed = resampled_scores(
        [np.ones((1, 5, 2)), np.ones((2, 5, 2))], ratio, num_resamples=10, cluster_seed=(0,), seed=0
    )
    assert (mixed.resampled == 1).all()


def test_the_truth_is_found():
    mean, held, _ = simulate(num_worlds=8, num_models=200, num_resamples=200)
    assert mean == pytest.approx(TRUTH, abs=0.06)
    assert held >= 0.75


@pytest.mark.slow
def test_the_truth_is_found_on_average_and_intervals_hold_it():
    mean, held, held_by_ranks = simulate(num_worlds=400, num_models=23, num_resamples=600)
    assert mean == pytest.approx(TRUTH, abs=0.02)
    assert 0.93 <= held <= 0.97
    assert held_by_ranks >= 0.93
