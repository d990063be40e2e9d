"""How well a score separates two groups: the ROC curve, the area under it, and what is found at few false alarms.

Scores of the `positives` should be the higher ones. Equal scores count half, so a constant score has an area of 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from distill.evaluation.statistics.estimators import FloatArray
from distill.evaluation.statistics.resampling import Interval, chunk_sizes, percentile_interval, unvaried_interval

MIN_FALSE_ALARMS = 10  # a rate is reported if so many negatives may exceed the threshold: fewer say nothing about it


class Counted(NamedTuple):
    """Both groups by distinct score, the highest first: how many positives and negatives [..., num_scores] have it."""

    positives: FloatArray
    negatives: FloatArray


def count_scores(positives: FloatArray, negatives: FloatArray) -> Counted:
    """The groups' scores [num], counted. Raises ValueError for an empty group or a score that is not a number."""
    positives, negatives = (np.asarray(group, dtype=np.float64) for group in (positives, negatives))
    for name, group in (("positives", positives), ("negatives", negatives)):
        if not len(group) or np.isnan(group).any():
            raise ValueError(f"the scores of the {name} are {'not numbers' if len(group) else 'none'}")
    distinct, place = np.unique(-np.concatenate([positives, negatives]), return_inverse=True)
    sides = (place[: len(positives)], place[len(positives) :])
    return Counted(*(np.bincount(side, minlength=len(distinct)).astype(np.float64) for side in sides))


def auc(counted: Counted) -> FloatArray:
    """The probability that a positive scores higher than a negative, equal scores counted half (Mann-Whitney) [...]."""
    positives, negatives = counted
    below = negatives.sum(axis=-1, keepdims=True) - np.cumsum(negatives, axis=-1) + negatives / 2
    return (positives * below).sum(axis=-1) / positives.sum(axis=-1) / negatives.sum(axis=-1)


def roc_curve(counted: Counted) -> tuple[FloatArray, FloatArray]:
    """False and true positive rates of every threshold, from (0, 0) to (1, 1): two arrays [num_scores + 1]."""
    rates = (np.cumsum(group) / group.sum() for group in (counted.negatives, counted.positives))
    false, true = (np.concatenate([[0.0], rate]) for rate in rates)
    return false, true


def tpr_at_fpr(counted: Counted, fpr: float) -> FloatArray:
    """The largest true positive rate whose false positive rate is at most `fpr` [...].

    Nothing is drawn between two thresholds: the rate is that of a threshold that exists.
    """
    false = np.cumsum(counted.negatives, axis=-1)
    allowed = false <= fpr * false[..., -1:] + 1e-9
    return np.where(allowed, counted.positives, 0).sum(axis=-1) / counted.positives.sum(axis=-1)


def supported_fprs(num_negatives: int, fprs: tuple[float, ...] = (0.1, 0.01, 0.001)) -> tuple[float, ...]:
    """The false positive rates at which so many negatives can be counted: at least ten of them exceed the threshold."""
    return tuple(fpr for fpr in fprs if fpr * num_negatives >= MIN_FALSE_ALARMS - 1e-9)


def separation(
    positives: FloatArray,
    negatives: FloatArray,
    fprs: tuple[float, ...] = (),
    *,
    num_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Interval, dict[float, Interval]]:
    """The AUC and the true positive rates at `fprs`, with bootstrap intervals: both groups are resampled.

    Where no resample differs (the groups are wholly apart, or all scores equal), the interval is the exact one of the
    smaller group (`unvaried_interval`). Raises ValueError as `count_scores`.
    """
    counted = count_scores(positives, negatives)
    statistics: list[Callable[[Counted], FloatArray]] = [auc, *(partial(tpr_at_fpr, fpr=fpr) for fpr in fprs)]
    chunks = [np.stack([s(chunk) for s in statistics]) for chunk in _resampled(counted, num_resamples, seed)]
    smaller = min(len(positives), len(negatives))
    intervals = []
    for statistic, resampled in zip(statistics, np.concatenate(chunks, axis=1), strict=True):
        value = float(statistic(counted))
        varies = np.ptp(resampled) > 1e-12
        exact = unvaried_interval(value, 0.0, 1.0, smaller, confidence)
        intervals.append(percentile_interval(value, resampled, confidence) if varies else exact)
    return intervals[0], dict(zip(fprs, intervals[1:], strict=True))


def _resampled(counted: Counted, num_resamples: int, seed: int) -> Iterator[Counted]:
    """Resamples of both groups with replacement, counted, in chunks [num_rows, num_scores]."""
    rng = np.random.default_rng(seed)
    num_scores = counted.positives.size
    places = [np.repeat(np.arange(num_scores), group.astype(int)) for group in counted]
    for num_rows in chunk_sizes(num_resamples, num_scores):
        starts = num_scores * np.arange(num_rows)[:, None]
        drawn = [(place[rng.integers(place.size, size=(num_rows, place.size))] + starts).ravel() for place in places]
        counts = [np.bincount(draw, minlength=num_rows * num_scores).reshape(num_rows, num_scores) for draw in drawn]
        yield Counted(*(count.astype(np.float64) for count in counts))
