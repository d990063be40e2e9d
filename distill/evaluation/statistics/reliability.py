"""Measures of several models with their errors: do the models differ at all, and how do measures without errors agree?

The error of a measure is what other items and other training runs would change. What they change in all models alike
moves no rank, and is no error here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.evaluation.statistics.estimators import FloatArray, Statistic
from distill.evaluation.statistics.resampling import (
    Interval,
    bias_corrected_interval,
    chunk_sizes,
    percentile_interval,
    resample_counts,
)

Draws = npt.NDArray[np.integer[Any]]  # which models a resample has [num_resamples, num_models]


@dataclass(frozen=True)
class Scores:
    """A measure of several models; larger is worse.

    values [num_models]: means over training seeds. resampled [num_resamples, num_models]: the same with other clusters
    and seeds.
    """

    values: FloatArray
    resampled: FloatArray

    @property
    def errors(self) -> FloatArray:
        """How far each resample moves each model away from the others [num_resamples, num_models].

        To take their mean out makes independent errors of n models smaller by sqrt(1 - 1/n), which is undone.
        """
        errors = self.resampled - self.values
        num_models = errors.shape[1]
        return (errors - errors.mean(axis=1, keepdims=True)) * math.sqrt(num_models / (num_models - 1))

    def with_models(self, draws: Draws) -> Scores:
        """Resamples with other models too."""
        return Scores(self.values, np.take_along_axis(self.resampled, draws, axis=1))


def resampled_scores(
    models: Sequence[FloatArray],
    statistic: Statistic,
    *,
    num_resamples: int,
    cluster_seed: tuple[int, ...],
    seed: int,
) -> Scores:
    """Scores from the columns [num_seeds, num_clusters, num_columns] of each model; larger sums are taken as they are.

    A resample draws clusters, the same for all models. Beside that it draws the training seeds of each model, one fewer
    than there are, so that the variance of their mean is not underestimated (Rao and Wu 1988). Both changes are added:
    if each resample drew seeds within its clusters, the noise of items would count three times, not twice (Owen 2007).
    Measures with equal `cluster_seed` and number of clusters share their draws of clusters; with equal `seed` and
    numbers of seeds, those of seeds. If all models have as many seeds, in the same order, then what a seed changes in
    all of them alike is no error.
    """
    runs = np.concatenate(models)
    num_runs, num_clusters, num_columns = runs.shape
    side_by_side = runs.transpose(1, 0, 2).reshape(num_clusters, -1)
    by_run = np.concatenate(
        [
            statistic((counts @ side_by_side).reshape(-1, num_runs, num_columns))
            for counts in resample_counts(num_clusters, num_resamples, cluster_seed)
        ]
    )
    ends = np.cumsum([len(model) for model in models])[:-1]
    points = np.split(statistic(runs.sum(axis=1)), ends)
    values = np.array([point.mean() for point in points])
    by_seed = points
    if len({len(point) for point in points}) == 1:
        by_seed = list(np.stack(points) - np.mean(points, axis=0))
    rng = np.random.default_rng(seed)
    resampled = [
        own.mean(axis=1) + _seed_errors(point, num_resamples, rng)
        for own, point in zip(np.split(by_run, ends, axis=1), by_seed, strict=True)
    ]
    return Scores(values, np.stack(resampled, axis=1))


def _seed_errors(by_seed: FloatArray, num_resamples: int, rng: np.random.Generator) -> FloatArray:
    """How far the mean over drawn seeds is from that over all [num_resamples]; 0 with one seed, which says nothing."""
    num_seeds = len(by_seed)
    if num_seeds == 1:
        return np.zeros(num_resamples)
    drawn = rng.integers(num_seeds, size=(num_resamples, num_seeds - 1))
    return np.asarray(by_seed[drawn].mean(axis=1) - by_seed.mean())


def draw_models(num_models: int, num_resamples: int, seed: int) -> Draws:
    """Draw models with replacement."""
    return np.random.default_rng(seed).integers(num_models, size=(num_resamples, num_models))


def reliability(scores: Scores, draws: Draws, confidence: float) -> Interval:
    """The share of the variance over models that is not error: 1 without error, 0 or less if all of it is error.

    draws: of models, for the interval. It shows whether a single model makes the difference.
    """

    def share(values: FloatArray, squares: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1 - squares.mean(axis=-1) / values.var(axis=-1, ddof=1)

    squares = (scores.errors**2).mean(axis=0)
    resampled = share(scores.values[draws], squares[draws])
    return percentile_interval(float(share(scores.values, squares)), _defined(resampled), confidence)


def coefficient_interval(
    coefficient: Callable[..., FloatArray], scores: Sequence[Scores], draws: Draws, confidence: float
) -> Interval:
    """A coefficient of several measures of the same models, with an interval over items, seeds and models.

    It is a coefficient of measured values: their errors pull it towards 0, and those that a resample adds pull the
    interval there once more. The interval of the relation without error is that of `disattenuated`. Resamples in which
    a measure does not vary are left out.
    """
    drawn = [measure.with_models(draws).resampled for measure in scores]
    rows = np.cumsum(list(chunk_sizes(len(draws), draws.shape[1] ** 2)))[:-1]
    chunks = zip(*(np.split(values, rows) for values in drawn), strict=True)
    resampled = np.concatenate([coefficient(*chunk) for chunk in chunks])
    value = float(coefficient(*(measure.values for measure in scores)))
    return percentile_interval(value, _defined(resampled), confidence)


def disattenuated(x: Scores, y: Scores, draws: Draws, confidence: float) -> Interval:
    """Pearson's correlation of two measures without their errors, between -1 and 1 (Spearman 1904).

    The covariance and both variances over models, each without that of the errors. If the errors of the two measures
    are independent, this is r / sqrt(reliability of x * reliability of y). NaN if a measure is nothing but error. The
    interval draws models only, because their values have the error in them already.
    """
    x_errors, y_errors = x.errors, y.errors
    error = [np.mean(first * second, axis=0) for first, second in _pairs(x_errors, y_errors)]

    def without_error(models: Draws) -> FloatArray:
        centred = [values[models] - values[models].mean(axis=-1, keepdims=True) for values in (x.values, y.values)]
        xx, xy, yy = (
            (first * second).sum(axis=-1) / (models.shape[-1] - 1) - of_error[models].mean(axis=-1)
            for (first, second), of_error in zip(_pairs(*centred), error, strict=True)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((xx > 0) & (yy > 0), np.clip(xy / np.sqrt(xx * yy), -1, 1), np.nan)

    value = float(without_error(np.arange(len(x.values))))
    return bias_corrected_interval(value, _defined(without_error(draws)), confidence)


def _pairs(x: FloatArray, y: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    return [(x, x), (x, y), (y, y)]


def _defined(resampled: FloatArray) -> FloatArray:
    return resampled[np.isfinite(resampled)]
