"""Bootstrap intervals: how much a statistic would vary with other clusters, or with other clusters and seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from distill.evaluation.statistics.estimators import FloatArray, OverDraws, Statistic

MAX_CHUNK_ELEMENTS = 1 << 21  # bounds the memory of resampling: 16 MiB per array of counts


@dataclass(frozen=True)
class Interval:
    """A value, its confidence interval and its bootstrap standard error; NaN where one of them is not defined."""

    value: float
    low: float
    high: float
    standard_error: float


def bootstrap_interval(
    columns: FloatArray,
    statistic: Statistic,
    *,
    num_resamples: int = 2000,
    confidence: float = 0.95,
    method: Literal["percentile", "bca"] = "bca",
    seed: int = 0,
    expanded: bool = False,
) -> Interval:
    """Cluster-bootstrap interval of `statistic` over `columns` [num_clusters, num_columns].

    `percentile` takes quantiles of the resampled values. `bca` corrects them for bias and acceleration (Efron 1987, as
    in Efron and Tibshirani 1993, section 14.3). A strongly biased statistic, such as the ratio of the smaller to the
    larger count, can move the corrected interval off the median of the resamples. It is then widened to hold the value
    and the percentile interval. `expanded` widens the levels of either by what a bootstrap of few clusters lacks
    (`_levels`). The same seed and number of clusters give the same resamples. The ends are NaN if the
    statistic is undefined on any resample, or with fewer than two clusters. If no resample differs, the interval has no
    width, and the standard error is 0; see `unvaried_interval`.
    """
    columns = np.asarray(columns, dtype=np.float64)
    value = float(statistic(columns.sum(axis=0)))
    resampled = bootstrap_values(columns, statistic, num_resamples, seed)
    if len(columns) < 2 or not math.isfinite(value) or not np.isfinite(resampled).all():
        return Interval(value, math.nan, math.nan, math.nan)
    levels = _levels(confidence, len(columns) if expanded else None)
    low, high = np.quantile(resampled, levels)
    if method == "bca":
        corrected = _bca_levels(levels, value, resampled, statistic(columns.sum(axis=0) - columns))
        if np.isnan(corrected).any():  # the statistic is undefined without one of the clusters
            corrected = levels
        bca_low, bca_high = np.quantile(resampled, corrected)
        # do not trust the correction alone if it leaves the median of the resamples outside the interval
        trusted = corrected[0] <= 0.5 <= corrected[1]
        low, high = (bca_low, bca_high) if trusted else (min(low, bca_low, value), max(high, bca_high, value))
    varies = np.ptp(resampled) > 1e-12 * np.abs(resampled).max()  # rounding may leave a little of nothing
    return Interval(value, float(low), float(high), float(resampled.std(ddof=1)) if varies else 0.0)


def unvaried_interval(value: float, least: float, most: float, num_clusters: int, confidence: float) -> Interval:
    """An interval of a mean of scores between `least` and `most`, of which every cluster has the same: `value`.

    Resamples of such clusters all give `value`, and say nothing about the clusters that were not drawn. Of all
    clusters, an unknown proportion scores otherwise. Its exact upper limit, given none of `num_clusters` (Clopper and
    Pearson 1934), bounds how far the mean can be from `value`. For 0 or N of N items the result is therefore the exact
    binomial interval. The standard error is NaN.
    """
    others = 1 - ((1 - confidence) / 2) ** (1 / num_clusters)
    return Interval(value, value + (least - value) * others, value + (most - value) * others, math.nan)


def two_way_interval(
    columns: FloatArray, statistic: Statistic, *, num_resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile interval of the mean over seeds of `statistic`, over `columns` [num_seeds, num_clusters, num_columns].

    A resample draws clusters, the same for all seeds, and seeds, both with replacement (the pigeonhole bootstrap,
    Owen 2007). With n seeds, the standard deviation between seeds is too small by a factor of about sqrt((n - 1) / n);
    with one seed, the interval covers the choice of clusters only. If the statistic is so biased that its value lies
    outside (a mean of minima over small groups), the interval is widened to hold the value. The ends are NaN in the
    same cases as those of `bootstrap_interval`.
    """
    columns = np.asarray(columns, dtype=np.float64)
    num_seeds, num_clusters, _ = columns.shape
    value = float(statistic(columns.sum(axis=1)).mean())
    chunks = [
        np.stack([statistic(counts @ block) for block in columns], axis=1)
        for counts in resample_counts(num_clusters, num_resamples, seed)
    ]
    by_seed = np.concatenate(chunks)
    drawn = np.random.default_rng([seed, num_seeds]).integers(num_seeds, size=by_seed.shape)
    resampled = np.take_along_axis(by_seed, drawn, axis=1).mean(axis=1)
    if num_clusters < 2:
        return Interval(value, math.nan, math.nan, math.nan)
    return percentile_interval(value, resampled, confidence)


class DrawsError(NamedTuple):
    """The standard error of a mean over draws, and Student's degrees of freedom for it."""

    standard_error: float
    degrees: float


def draws_error(columns: FloatArray, statistic: OverDraws, num_resamples: int, seed: int) -> DrawsError:
    """How much a mean over draws would vary with other clusters and other draws; NaN if it is undefined in a resample.

    The variance from other clusters (bootstrap of the mean over draws) and that of the mean of so many draws are added;
    what is peculiar to a cluster in a draw is in both, so the sum is a little too large (Owen 2007). Few draws tell
    their variance roughly: hence Student's distribution, with the degrees of freedom of a sum of two estimated
    variances (Welch 1947).
    """
    columns = np.asarray(columns, dtype=np.float64)
    points = statistic.by_draw(columns.sum(axis=0))
    resampled = bootstrap_values(columns, statistic, num_resamples, seed)
    if len(columns) < 2 or not np.isfinite(points).all() or not np.isfinite(resampled).all():
        return DrawsError(math.nan, math.nan)
    num_draws = len(points)
    of_clusters, of_draws = float(resampled.var(ddof=1)), float(points.var(ddof=1)) / num_draws
    total = of_clusters + of_draws
    if total <= (1e-12 * float(np.abs(points).max())) ** 2:  # rounding may leave a little of nothing
        return DrawsError(0.0, math.inf)
    degrees = total**2 / (of_clusters**2 / (len(columns) - 1) + of_draws**2 / (num_draws - 1))
    return DrawsError(math.sqrt(total), degrees)


def draws_interval(
    columns: FloatArray, statistic: OverDraws, *, num_resamples: int, confidence: float, seed: int
) -> Interval:
    """Student's interval of a mean over draws, of other clusters and other draws; see `draws_error`."""
    value = float(statistic(np.asarray(columns, dtype=np.float64).sum(axis=0)))
    error, degrees = draws_error(columns, statistic, num_resamples, seed)
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * error if error > 0 else error
    return Interval(value, value - half, value + half, error)


def percentile_interval(value: float, resampled: FloatArray, confidence: float) -> Interval:
    """Quantiles of the resampled values [num_resamples], widened to hold the value; NaN if any of them is undefined."""
    if not math.isfinite(value) or not len(resampled) or not np.isfinite(resampled).all():
        return Interval(value, math.nan, math.nan, math.nan)
    low, high = np.quantile(resampled, _levels(confidence))
    return Interval(value, min(float(low), value), max(float(high), value), float(resampled.std(ddof=1)))


def bias_corrected_interval(value: float, resampled: FloatArray, confidence: float) -> Interval:
    """As `percentile_interval`, with quantile levels corrected for the bias of the resamples (Efron 1981)."""
    interval = percentile_interval(value, resampled, confidence)
    if math.isnan(interval.low):
        return interval
    levels = _bca_levels(_levels(confidence), value, resampled, np.zeros(1))  # without acceleration
    low, high = np.quantile(resampled, levels)
    return Interval(value, min(float(low), value), max(float(high), value), interval.standard_error)


def bootstrap_values(columns: FloatArray, statistic: Statistic, num_resamples: int, seed: int) -> FloatArray:
    """`statistic` on every bootstrap resample of the clusters [num_resamples]."""
    chunks = resample_counts(len(columns), num_resamples, seed)
    return np.concatenate([statistic(counts @ columns) for counts in chunks])


def resample_counts(num_clusters: int, num_resamples: int, seed: int | tuple[int, ...]) -> Iterable[FloatArray]:
    """How often each cluster is drawn, in chunks [num_rows, num_clusters]; draws do not depend on the chunk size."""
    kept = num_resamples * num_clusters <= MAX_CHUNK_ELEMENTS
    return (_kept_counts if kept else _drawn_counts)(num_clusters, num_resamples, seed)


@lru_cache(maxsize=2)  # the measures of a report are resampled in the same way, one after the other
def _kept_counts(num_clusters: int, num_resamples: int, seed: int | tuple[int, ...]) -> tuple[FloatArray, ...]:
    return tuple(_drawn_counts(num_clusters, num_resamples, seed))


def _drawn_counts(num_clusters: int, num_resamples: int, seed: int | tuple[int, ...]) -> Iterator[FloatArray]:
    rng = np.random.default_rng(seed)
    for num_rows in chunk_sizes(num_resamples, num_clusters):
        draws = rng.integers(num_clusters, size=(num_rows, num_clusters)) + num_clusters * np.arange(num_rows)[:, None]
        counts = np.bincount(draws.ravel(), minlength=num_rows * num_clusters)
        yield counts.reshape(num_rows, num_clusters).astype(np.float64)


def _levels(confidence: float, num_clusters: int | None = None) -> FloatArray:
    """The two levels of the quantiles that hold the middle `confidence` of the resampled values.

    num_clusters: if given, the levels are expanded (Hesterberg 2015, section 3.4). The resampled values of a mean of N
    clusters are too narrow by sqrt((N - 1) / N), and their normal quantiles ignore that the variance is estimated: so
    the normal quantile becomes Student's with N - 1 degrees of freedom times sqrt(N / (N - 1)).
    """
    tail = (1 - confidence) / 2
    if num_clusters is not None:
        quantile = stdtrit(num_clusters - 1, tail) * math.sqrt(num_clusters / (num_clusters - 1))
        tail = max(1e-9, float(ndtr(quantile)))  # of two clusters it is 0 otherwise, whose quantile is -inf
    return np.array([tail, 1 - tail])


def _bca_levels(levels: FloatArray, value: float, resampled: FloatArray, jackknife: FloatArray) -> FloatArray:
    """Quantile levels corrected for bias (z0) and acceleration; unchanged if all jackknife values are equal."""
    below = np.mean(resampled < value) + 0.5 * np.mean(resampled == value)
    edge = 0.5 / len(resampled)
    z0 = ndtri(np.clip(below, edge, 1 - edge))
    deviation = jackknife.mean() - jackknife
    square = float(np.sum(deviation**2))
    if not math.isfinite(square):
        return np.full(2, np.nan)
    acceleration = float(np.sum(deviation**3)) / (6 * square**1.5) if square > 0 else 0.0
    z = z0 + ndtri(levels)
    return ndtr(z0 + z / (1 - acceleration * z))


def chunk_sizes(num_rows: int, num_columns: int) -> Iterator[int]:
    """Divide `num_rows` rows into chunks whose arrays hold at most MAX_CHUNK_ELEMENTS elements each."""
    chunk = max(1, MAX_CHUNK_ELEMENTS // max(1, num_columns))
    for start in range(0, num_rows, chunk):
        yield min(chunk, num_rows - start)
