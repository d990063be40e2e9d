"""How two measures of the same models go together: Spearman, Pearson and Kendall, partial correlation, p and power.

All coefficients work on the last axis: x and y [..., num_models] give [...].
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from distill.evaluation.statistics.estimators import FloatArray, correlation, joint_moments
from distill.evaluation.statistics.resampling import chunk_sizes
from distill.evaluation.statistics.significance import minimum_detectable_effect

Coefficient = Callable[[FloatArray, FloatArray], FloatArray]


def pearson(x: FloatArray, y: FloatArray) -> FloatArray:
    """Pearson's correlation; NaN where one of them does not vary."""
    centred = (values - values.mean(axis=-1, keepdims=True) for values in (x, y))
    return correlation(joint_moments(*centred).sum(axis=-2))


def spearman(x: FloatArray, y: FloatArray) -> FloatArray:
    """Spearman's correlation: Pearson's of the ranks; equal values share the mean of their ranks."""
    return pearson(ranks(x), ranks(y))


def kendall(x: FloatArray, y: FloatArray) -> FloatArray:
    """Kendall's tau-b (Kendall 1945): concordant minus discordant pairs of models, over the pairs that are not tied."""
    first, second = np.triu_indices(x.shape[-1], k=1)
    of_x, of_y = (np.sign(values[..., first] - values[..., second]) for values in (x, y))
    with np.errstate(invalid="ignore"):
        return (of_x * of_y).sum(axis=-1) / np.sqrt((of_x**2).sum(axis=-1) * (of_y**2).sum(axis=-1))


def partial_spearman(x: FloatArray, y: FloatArray, given: FloatArray) -> FloatArray:
    """Spearman's correlation of x and y with that of both with `given` taken out; NaN where `given` explains one."""
    of_x, of_y, both = spearman(x, given), spearman(y, given), spearman(x, y)
    left = (1 - of_x**2) * (1 - of_y**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(left > 1e-12, (both - of_x * of_y) / np.sqrt(left), np.nan)


def ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1 on; equal values share the mean of their ranks."""
    return np.asarray(stats.rankdata(values, axis=-1))


def correlation_p(x: FloatArray, y: FloatArray, *, num_permutations: int = 9999, seed: int = 0) -> float:
    """Two-sided p of the hypothesis that the ranks of x and y [num_models] have nothing to do with each other.

    Under that hypothesis each model may have the y of any other. The observed order is counted too (Phipson and Smyth
    2010), so p is never 0. NaN if one of them does not vary.
    """
    of_x, of_y = ranks(x), ranks(y)
    observed = abs(float(pearson(of_x, of_y)))
    if math.isnan(observed):
        return math.nan
    rng, num_extreme = np.random.default_rng(seed), 0
    for rows in chunk_sizes(num_permutations, 6 * len(of_x)):
        permuted = rng.permuted(np.tile(of_y, (rows, 1)), axis=1)
        num_extreme += int(np.sum(np.abs(pearson(np.broadcast_to(of_x, permuted.shape), permuted)) >= observed - 1e-9))
    return (num_extreme + 1) / (num_permutations + 1)


def detectable_correlation(num_models: int, *, confidence: float = 0.95, power: float = 0.8) -> float:
    """The smallest true correlation that a two-sided test over so many models finds with probability `power`.

    From Fisher's z (Fisher 1921), whose standard error is 1 / sqrt(num_models - 3). NaN for three models or fewer.
    """
    if num_models <= 3:
        return math.nan
    standard_error = 1 / math.sqrt(num_models - 3)
    return math.tanh(minimum_detectable_effect(standard_error, confidence=confidence, power=power))
