"""Is a difference more than chance? Paired tests, Holm's adjustment, detectable effects and non-inferiority."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from scipy import stats

from distill.evaluation.statistics.estimators import FloatArray, Statistic
from distill.evaluation.statistics.resampling import Interval, chunk_sizes

KEPT_VALUES = 2**21  # of random swaps: 16 MB


def paired_permutation_p(
    columns: FloatArray, reference: FloatArray, statistic: Statistic, *, num_permutations: int = 9999, seed: int = 0
) -> float:
    """Two-sided p of the hypothesis that `statistic` is the same for two models scored on the same clusters.

    Under that hypothesis the labels of the two models may be swapped within any cluster; for a mean this is the
    sign-flip test. All 2^num_clusters swaps are tried if these are at most num_permutations. Otherwise random ones are,
    and the observed labelling is counted too (Phipson and Smyth 2010), so p is never 0. NaN if the statistic is
    undefined for a labelling.
    """
    total, reference_total = columns.sum(axis=0), reference.sum(axis=0)
    observed = float(statistic(total) - statistic(reference_total))
    if not math.isfinite(observed):
        return math.nan
    num_clusters = len(columns)
    exact = num_clusters < 63 and 2**num_clusters <= num_permutations
    num_rows = 2**num_clusters if exact else num_permutations
    tolerance = 1e-9 * max(abs(observed), 1e-12)  # swaps that tie with the observed difference count as ties
    num_extreme = 0
    kept = num_rows * num_clusters <= KEPT_VALUES
    for swaps in (_kept_swaps if kept else _swaps)(num_clusters, num_rows, None if exact else seed):
        moved = swaps @ (reference - columns)
        permuted = statistic(total + moved) - statistic(reference_total - moved)
        if not np.isfinite(permuted).all():
            return math.nan
        num_extreme += int(np.sum(np.abs(permuted) >= abs(observed) - tolerance))
    return num_extreme / num_rows if exact else (num_extreme + 1) / (num_rows + 1)


def _swaps(num_clusters: int, num_rows: int, seed: int | None) -> Iterator[FloatArray]:
    """Which clusters swap labels [rows, num_clusters], as zeros and ones, in chunks: random, or all in order if seed is
    None.
    """
    done, rng = 0, np.random.default_rng(seed)
    for rows in chunk_sizes(num_rows, num_clusters):
        if seed is None:
            numbers = np.arange(done, done + rows)[:, None]
            yield ((numbers >> np.arange(num_clusters)) & 1).astype(np.float64)
        else:
            yield rng.integers(2, size=(rows, num_clusters)).astype(np.float64)
        done += rows


@lru_cache(maxsize=2)  # the measures of a report are tested on the same clusters, one after the other
def _kept_swaps(num_clusters: int, num_rows: int, seed: int | None) -> tuple[FloatArray, ...]:
    return tuple(_swaps(num_clusters, num_rows, seed))


def mcnemar_p(num_only_first: int, num_only_second: int) -> float:
    """McNemar's exact two-sided p (McNemar 1947): a fair coin decides each discordant pair; 1 without such pairs.

    `paired_permutation_p` estimates the same p for a mean of zeros and ones.
    """
    num_discordant = num_only_first + num_only_second
    if num_discordant == 0:
        return 1.0
    return float(stats.binomtest(num_only_first, num_discordant, 0.5).pvalue)


def student_p(difference: float, standard_error: float, degrees: float) -> float:
    """Two-sided p of Student's test that a difference is 0; NaN if its standard error is NaN or 0."""
    if not standard_error > 0:
        return math.nan
    return float(2 * stats.t.sf(abs(difference) / standard_error, degrees))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of a family of p-values (Holm 1979). A NaN stays NaN and does not count as a test."""
    adjusted = [math.nan] * len(p_values)
    order = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = largest
    return adjusted


def minimum_detectable_effect(standard_error: float, *, confidence: float = 0.95, power: float = 0.8) -> float:
    """The smallest true difference that a two-sided test at this level detects with probability `power`.

    It is (z_{1 - alpha/2} + z_power) times the standard error of the paired difference, in the difference's unit. NaN
    for a standard error of 0: differences that do not vary within the sample say nothing about the noise of another.
    """
    if standard_error == 0:
        return math.nan
    return float(stats.norm.ppf(0.5 + confidence / 2) + stats.norm.ppf(power)) * standard_error


def non_inferior(difference: Interval, margin: float) -> bool | None:
    """Whether the whole interval of a paired difference in a cost (log-perplexity, in nats) lies below `margin`.

    With a 95 % interval the test is one-sided at 2.5 %. None if the interval is not defined. Raises ValueError for a
    margin that is not positive.
    """
    if not margin > 0:
        raise ValueError(f"the non-inferiority margin is {margin}: it must be positive, e.g. 0.05 nats per token")
    return None if math.isnan(difference.high) else difference.high < margin
