"""The attack by words alone: it finds a planted word, and nothing in groups that were divided by chance."""

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize
from scipy.sparse import csr_matrix
from scipy.special import expit

from distill.evaluation.statistics.roc import separation
from distill.privacy.blind_baseline import RIDGE, blind_scores, logistic_regression, word_features

WORDS = [f"word{number}" for number in range(60)]


def texts(num, seed, extra=""):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(5, 15))) + extra for _ in range(num)]


def test_groups_that_chance_divided_look_alike():
    lows = []
    for seed in range(4):
        area, _ = separation(*blind_scores(texts(120, seed), texts(80, 100 + seed)), num_resamples=300)
        lows.append(area.low)
    assert np.mean(np.array(lows) > 0.5) <= 1 / 4


@pytest.mark.parametrize("extra", [" Copyright", " long text" * 6])
def test_a_word_or_a_length_that_members_have_is_found(extra):
    members = texts(100, 0)[:40] + texts(60, 1, extra)
    area, _ = separation(*blind_scores(members, texts(90, 2)), num_resamples=300)
    assert area.low > 0.6


def test_features_are_a_constant_the_length_and_the_words():
    features = word_features(["A word, a word.", "word"]).toarray()
    np.testing.assert_allclose(features, [[1, np.log(5), 1, 1], [1, np.log(2), 1, 0]])


def test_the_regression_is_the_optimum():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(50), rng.normal(size=(50, 3))])
    y = (rng.random(50) < expit(x @ [0.3, 1, -2, 0])).astype(float)

    def loss(w):
        return np.logaddexp(0, x @ w).sum() - y @ x @ w + RIDGE / 2 * (w[1:] ** 2).sum()

    def gradient(w):
        return x.T @ (expit(x @ w) - y) + RIDGE * np.array([0, *w[1:]])

    weights = logistic_regression(csr_matrix(x), y)
    assert check_grad(loss, gradient, weights) < 1e-4
    np.testing.assert_allclose(weights, minimize(loss, np.zeros(4), method="BFGS").x, atol=1e-3)
