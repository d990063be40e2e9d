"""Intervals and tests: per-cluster sums in; intervals, paired differences and p-values out. Pure numpy and scipy.

Every statistic here is a function of sums over clusters (a mean, a ratio of sums, a standard deviation, a correlation,
a perplexity). A measure therefore hands over `columns` [num_clusters, num_columns], one row per cluster (the unit of
resampling: the prompt, the occupation, the document), and a `Statistic` that maps sums [..., num_columns] to
values [...]. A bootstrap resample is then a vector of cluster counts times `columns`, a jackknife is the total minus
each row, and swapping the labels of two models is a sum over the swapped rows: nothing is ever recomputed per item.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]

MAX_CHUNK_ELEMENTS = 1 << 21  # bounds the memory of resampling: 16 MiB per array of counts


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval and its bootstrap standard error; NaN where it is not defined."""

    value: float
    low: float
    high: float
    standard_error: float


# -- statistics of sums ----------------------------------------------------------------------------------------------


def ratio(sums: FloatArray) -> FloatArray:
    """Sum over count: columns (numerator, denominator). With a column of ones as denominator, the mean."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def exp_ratio(sums: FloatArray) -> FloatArray:
    """exp(numerator / denominator): a perplexity, from columns (negative log-likelihood in nats, number of units)."""
    return np.exp(ratio(sums))


def root_ratio(sums: FloatArray) -> FloatArray:
    """sqrt(numerator / denominator): a root mean square, from columns (sum of squares, count)."""
    return np.sqrt(ratio(sums))


def spread(sums: FloatArray) -> FloatArray:
    """Sample standard deviation (ddof = 1) of x, from `moments(x)`. NaN below two clusters."""
    total, square, count = sums[..., 0], sums[..., 1], sums[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (square - total**2 / count) / (count - 1)
    return np.sqrt(np.maximum(variance, 0.0))


def moments(x: FloatArray) -> FloatArray:
    """The columns that `spread` needs [num_clusters, 3]: x, x squared, one."""
    return np.stack([x, x**2, np.ones_like(x)], axis=1)


def slope(sums: FloatArray) -> FloatArray:
    """Least-squares slope of y on x, from `joint_moments(x, y)`. NaN where x does not vary."""
    _, variance_x, covariance, _ = _centred(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance_x > 0, covariance / variance_x, np.nan)


def correlation(sums: FloatArray) -> FloatArray:
    """Pearson's correlation of x and y, from `joint_moments(x, y)`. NaN where either does not vary."""
    _, variance_x, covariance, variance_y = _centred(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((variance_x > 0) & (variance_y > 0), covariance / np.sqrt(variance_x * variance_y), np.nan)


def joint_moments(x: FloatArray, y: FloatArray) -> FloatArray:
    """The columns that `slope` and `correlation` need [num_clusters, 6]: one, x, y, x squared, x y, y squared."""
    return np.stack([np.ones_like(x), x, y, x**2, x * y, y**2], axis=1)


def _centred(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Count, and the centred sums of squares xx, xy, yy; rounding residue of a constant is taken as zero."""
    count, x, y, xx, xy, yy = (sums[..., column] for column in range(6))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance_x, covariance, variance_y = xx - x * x / count, xy - x * y / count, yy - y * y / count
    variance_x = np.where(variance_x > 1e-12 * np.abs(xx), variance_x, 0.0)
    variance_y = np.where(variance_y > 1e-12 * np.abs(yy), variance_y, 0.0)
    return count, variance_x, covariance, variance_y


def difference_of(statistic: Statistic, num_columns: int) -> Statistic:
    """The statistic of the first `num_columns` columns minus that of the others: a paired difference."""

    def difference(sums: FloatArray) -> FloatArray:
        return statistic(sums[..., :num_columns]) - statistic(sums[..., num_columns:])

    return difference


def removed_share(statistic: Statistic, num_columns: int) -> Statistic:
    """1 - the statistic of the first `num_columns` columns / that of the others: 1 is all removed, 0 nothing."""

    def removed(sums: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1 - statistic(sums[..., :num_columns]) / statistic(sums[..., num_columns:])

    return removed


def mean_over_seeds(statistic: Statistic, num_seeds: int) -> Statistic:
    """The mean over seeds of the statistic, each seed having its own block of equally many columns."""

    def mean(sums: FloatArray) -> FloatArray:
        return statistic(sums.reshape(*sums.shape[:-1], num_seeds, -1)).mean(axis=-1)

    return mean


# -- intervals -------------------------------------------------------------------------------------------------------


def bootstrap_interval(
    columns: FloatArray,
    statistic: Statistic,
    *,
    num_resamples: int = 2000,
    confidence: float = 0.95,
    method: Literal["percentile", "bca"] = "bca",
    seed: int = 0,
) -> Interval:
    """Cluster-bootstrap interval of `statistic` over `columns` [num_clusters, num_columns].

    `percentile` takes quantiles of the resampled values; `bca` corrects them for bias and acceleration (Efron 1987,
    as in Efron and Tibshirani 1993, section 14.3). Where that moves the interval off the middle of the resamples (as
    for a ratio of the smaller to the larger count, which is biased), it is widened to hold value and percentiles. The
    same seed and number of clusters give the same resamples.
    Undefined on any resample, or with fewer than two clusters: NaN.
    """
    columns = np.asarray(columns, dtype=np.float64)
    value = float(statistic(columns.sum(axis=0)))
    resampled = bootstrap_values(columns, statistic, num_resamples, seed)
    if len(columns) < 2 or not math.isfinite(value) or not np.isfinite(resampled).all():
        return Interval(value, math.nan, math.nan, math.nan)
    tail = (1 - confidence) / 2
    levels = np.array([tail, 1 - tail])
    low, high = np.quantile(resampled, levels)
    if method == "bca":
        corrected = _bca_levels(levels, value, resampled, statistic(columns.sum(axis=0) - columns))
        if np.isnan(corrected).any():  # the statistic is undefined without one of the clusters
            corrected = levels
        bca_low, bca_high = np.quantile(resampled, corrected)
        # a correction that leaves the middle of the resamples outside the interval is not to be trusted alone
        trusted = corrected[0] <= 0.5 <= corrected[1]
        low, high = (bca_low, bca_high) if trusted else (min(low, bca_low, value), max(high, bca_high, value))
    return Interval(value, float(low), float(high), float(resampled.std(ddof=1)))


def two_way_interval(
    columns: FloatArray, statistic: Statistic, *, num_resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile interval of the mean over seeds of `statistic`, over `columns` [num_seeds, num_clusters, num_columns].

    A resample draws clusters, the same for all seeds, and seeds, both with replacement (the pigeonhole bootstrap,
    Owen 2007). With few seeds it is narrow in that direction, by a factor of about sqrt((n - 1) / n) in the standard
    deviation; with one it covers the choice of clusters alone. Where the statistic is so biased that its value lies
    outside (a mean of minima over small groups), the interval is widened to hold it. Undefined as in
    `bootstrap_interval`.
    """
    columns = np.asarray(columns, dtype=np.float64)
    num_seeds, num_clusters, _ = columns.shape
    value = float(statistic(columns.sum(axis=1)).mean())
    parts = [
        np.stack([statistic(counts @ columns[number]) for number in range(num_seeds)], axis=1)
        for counts in _resample_counts(num_clusters, num_resamples, seed)
    ]
    by_seed = np.concatenate(parts)
    drawn = np.random.default_rng([seed, num_seeds]).integers(num_seeds, size=by_seed.shape)
    resampled = np.take_along_axis(by_seed, drawn, axis=1).mean(axis=1)
    if num_clusters < 2 or not math.isfinite(value) or not np.isfinite(resampled).all():
        return Interval(value, math.nan, math.nan, math.nan)
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value, min(float(low), value), max(float(high), value), float(resampled.std(ddof=1)))


def bootstrap_values(columns: FloatArray, statistic: Statistic, num_resamples: int, seed: int) -> FloatArray:
    """`statistic` on every bootstrap resample of the clusters [num_resamples]."""
    parts = [statistic(counts @ columns) for counts in _resample_counts(len(columns), num_resamples, seed)]
    return np.concatenate(parts)


def _resample_counts(num_clusters: int, num_resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each cluster is drawn, in chunks [num_rows, num_clusters]; the draws do not depend on the chunks."""
    rng = np.random.default_rng(seed)
    for num_rows in _chunks(num_resamples, num_clusters):
        draws = rng.integers(num_clusters, size=(num_rows, num_clusters)) + num_clusters * np.arange(num_rows)[:, None]
        counts = np.bincount(draws.ravel(), minlength=num_rows * num_clusters)
        yield counts.reshape(num_rows, num_clusters).astype(np.float64)


def _bca_levels(levels: FloatArray, value: float, resampled: FloatArray, jackknife: FloatArray) -> FloatArray:
    """Quantile levels corrected for bias (z0) and acceleration; unchanged when every jackknife value is the same."""
    below = np.mean(resampled < value) + 0.5 * np.mean(resampled == value)
    edge = 0.5 / len(resampled)
    z0 = stats.norm.ppf(np.clip(below, edge, 1 - edge))
    deviation = jackknife.mean() - jackknife
    square = float(np.sum(deviation**2))
    if not math.isfinite(square):
        return np.full(2, np.nan)
    acceleration = float(np.sum(deviation**3)) / (6 * square**1.5) if square > 0 else 0.0
    z = z0 + stats.norm.ppf(levels)
    return stats.norm.cdf(z0 + z / (1 - acceleration * z))


def _chunks(num_rows: int, num_columns: int) -> Iterator[int]:
    """`num_rows` in chunks whose arrays hold at most MAX_CHUNK_ELEMENTS each."""
    chunk = max(1, MAX_CHUNK_ELEMENTS // max(1, num_columns))
    for start in range(0, num_rows, chunk):
        yield min(chunk, num_rows - start)


# -- tests -----------------------------------------------------------------------------------------------------------


def paired_permutation_p(
    columns: FloatArray, reference: FloatArray, statistic: Statistic, *, num_permutations: int = 9999, seed: int = 0
) -> float:
    """Two-sided p of `statistic` being the same for two models that were scored on the same clusters.

    Under the null hypothesis the labels of the two models may be swapped within any cluster; for a mean this is the
    sign-flip test. Exact over all 2^num_clusters swaps if these are at most num_permutations, else Monte Carlo with
    the observed labelling counted (Phipson and Smyth 2010), so that p is never 0. NaN where it is not defined.
    """
    total, reference_total = columns.sum(axis=0), reference.sum(axis=0)
    observed = float(statistic(total) - statistic(reference_total))
    if not math.isfinite(observed):
        return math.nan
    num_clusters = len(columns)
    exact = num_clusters < 63 and 2**num_clusters <= num_permutations
    num_rows = 2**num_clusters if exact else num_permutations
    tolerance = 1e-9 * max(abs(observed), 1e-12)  # swaps that tie with the observed difference count as ties
    num_extreme, done = 0, 0
    rng = np.random.default_rng(seed)
    for rows in _chunks(num_rows, num_clusters):
        if exact:
            numbers = np.arange(done, done + rows)[:, None]
            swaps = ((numbers >> np.arange(num_clusters)) & 1).astype(np.float64)
        else:
            swaps = rng.integers(2, size=(rows, num_clusters)).astype(np.float64)
        moved = swaps @ (reference - columns)
        permuted = statistic(total + moved) - statistic(reference_total - moved)
        if not np.isfinite(permuted).all():
            return math.nan
        num_extreme += int(np.sum(np.abs(permuted) >= abs(observed) - tolerance))
        done += rows
    return num_extreme / num_rows if exact else (num_extreme + 1) / (num_rows + 1)


def mcnemar_p(num_only_first: int, num_only_second: int) -> float:
    """McNemar's exact two-sided p from the discordant pairs (McNemar 1947): a fair coin decides each; 1 without any.

    It is what `paired_permutation_p` estimates for a mean of zeros and ones.
    """
    num_discordant = num_only_first + num_only_second
    if num_discordant == 0:
        return 1.0
    return float(stats.binomtest(num_only_first, num_discordant, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of a family of p-values (Holm 1979). NaN stays NaN and is not in the family."""
    adjusted = [math.nan] * len(p_values)
    order = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = largest
    return adjusted


def minimum_detectable_effect(standard_error: float, *, confidence: float = 0.95, power: float = 0.8) -> float:
    """The smallest true difference that a two-sided test at this level finds with probability `power`.

    (z_{1 - alpha/2} + z_power) times the standard error of the paired difference, in the unit of the difference.
    """
    return float(stats.norm.ppf(0.5 + confidence / 2) + stats.norm.ppf(power)) * standard_error


def non_inferior(difference: Interval, margin: float) -> bool | None:
    """Whether a paired difference in a cost (log-perplexity, nats) is below `margin` with its whole interval.

    With a 95 % interval the test is one-sided at 2.5 %. None when the interval is not defined. Raises ValueError
    for a margin that is not positive.
    """
    if not margin > 0:
        raise ValueError(f"the non-inferiority margin is {margin}: it must be positive, e.g. 0.05 nats per token")
    return None if math.isnan(difference.high) else difference.high < margin
