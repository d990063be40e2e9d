"""Measurements, the sums behind them, and their comparison with a reference model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.statistics.estimators import (
    FloatArray,
    OverDraws,
    Statistic,
    difference_of,
    ratio,
    removed_share,
)
from distill.evaluation.statistics.resampling import (
    Interval,
    bootstrap_interval,
    draws_error,
    draws_interval,
    unvaried_interval,
)
from distill.evaluation.statistics.significance import (
    holm,
    mcnemar_p,
    minimum_detectable_effect,
    paired_permutation_p,
    student_p,
)

# The units of shares: the least and the most that a cluster can have.
RANGES = {"proportion": (0.0, 1.0), "percent": (0.0, 100.0), "proportion - 1/2": (-0.5, 0.5)}


@dataclass(frozen=True)
class Measurement:
    """One number about one model, with everything needed to read it.

    low, high, standard_error: from the bootstrap; NaN if it gives none. For a share that is the same in every cluster,
    low and high are exact instead. num_items: how many items were scored.
    higher_is_better: None if neither direction is better (a signed quantity, a shape). convention: how the number was
    computed, as `key:value` parts joined by `|`; numbers with equal conventions can be compared.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    num_items: int
    higher_is_better: bool | None
    convention: str
    standard_error: float = math.nan


@dataclass(frozen=True)
class Estimate:
    """A measurement with the clusters [num_clusters] and columns [num_clusters, num_columns] that it comes from.

    expanded: whether its intervals, and those of its differences, have levels for few clusters (`bootstrap_interval`).
    """

    measurement: Measurement
    clusters: tuple[str, ...]
    columns: FloatArray
    statistic: Statistic
    expanded: bool = False


@dataclass(frozen=True)
class Comparison:
    """Model minus reference model on the same clusters, in the measurement's unit.

    p_value: two-sided, from swapping the labels of the two models; McNemar's exact test if every cluster is one item
    that counts or does not; Student's, with the errors of `draws_error`, for means over draws. test: `permutation`,
    `mcnemar` or `student`. p_holm: adjusted over all comparisons of the report. minimum_detectable_effect: the smallest
    true difference that a test without adjustment detects with a probability of 0.8; NaN if the difference is the same
    in every cluster. discordant: how many items count for the model only and for the reference only; None for another
    test than McNemar's.
    """

    difference: Interval
    p_value: float
    p_holm: float
    minimum_detectable_effect: float
    num_clusters: int
    discordant: tuple[int, int] | None = None
    test: str = "permutation"


def estimate(
    name: str,
    clusters: Sequence[str],
    columns: FloatArray,
    statistic: Statistic,
    *,
    unit: str,
    num_items: int,
    higher_is_better: bool | None,
    convention: str,
    settings: StatisticsConfig,
    expanded: bool = False,
) -> Estimate:
    """Bootstrap `statistic` over the clusters. Raises ValueError if a cluster name occurs twice."""
    if len(set(clusters)) != len(clusters):
        raise ValueError(f"{name}: a cluster occurs twice; sum its rows, so that its items are resampled together")
    columns = np.asarray(columns, dtype=np.float64)
    interval = estimated_interval(columns, statistic, settings, expanded)
    interval = _share_interval(interval, statistic, unit, len(columns), settings)
    measurement = Measurement(
        name,
        interval.value,
        interval.low,
        interval.high,
        unit,
        num_items,
        higher_is_better,
        convention,
        interval.standard_error,
    )
    return Estimate(measurement, tuple(clusters), columns, statistic, expanded)


def compare(model: Estimate, reference: Estimate, settings: StatisticsConfig) -> Comparison:
    """The paired difference model - reference, with its interval, unadjusted p and minimum detectable effect.

    Raises ValueError if the two were not measured in the same way on the same clusters.
    """
    mine, theirs = model.measurement, reference.measurement
    if (mine.name, mine.convention) != (theirs.name, theirs.convention):
        raise ValueError(f"{mine.name}: not comparable, measured as {mine.convention!r} and {theirs.convention!r}")
    if model.clusters != reference.clusters:
        raise ValueError(f"{mine.name}: not comparable, the two models were not scored on the same items")
    num_columns = model.columns.shape[1]
    both = np.concatenate([model.columns, reference.columns], axis=1)
    statistic = difference_of(model.statistic, num_columns)
    difference = estimated_interval(both, statistic, settings, model.expanded)
    difference = _share_interval(difference, model.statistic, mine.unit, len(both), settings, of_differences=True)
    discordant = _discordant(model, reference)
    test = "permutation"
    if discordant is not None:
        test, p_value = "mcnemar", mcnemar_p(*discordant)
    elif isinstance(statistic, OverDraws):
        test = "student"
        p_value = student_p(difference.value, *draws_error(both, statistic, settings.num_resamples, settings.seed))
    else:
        p_value = paired_permutation_p(
            model.columns,
            reference.columns,
            model.statistic,
            num_permutations=settings.num_permutations,
            seed=settings.seed,
        )
    effect = minimum_detectable_effect(difference.standard_error, confidence=settings.confidence)
    return Comparison(difference, p_value, math.nan, effect, len(model.clusters), discordant, test)


def adjust(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with Holm-adjusted p-values, as one family."""
    adjusted = holm([comparison.p_value for comparison in comparisons])
    return [replace(comparison, p_holm=p) for comparison, p in zip(comparisons, adjusted, strict=True)]


def share_removed(model: Estimate, reference: Estimate, settings: StatisticsConfig) -> Interval:
    """1 - value(model) / value(reference), with a paired bootstrap interval: 1 if all is removed, 0 if nothing.

    Raises ValueError if the clusters differ.
    """
    if model.clusters != reference.clusters:
        raise ValueError(f"{model.measurement.name}: not comparable, the two models were not scored on the same items")
    both = np.concatenate([model.columns, reference.columns], axis=1)
    return estimated_interval(both, removed_share(model.statistic, model.columns.shape[1]), settings, model.expanded)


def sum_by_cluster(clusters: Sequence[str], columns: FloatArray) -> tuple[tuple[str, ...], FloatArray]:
    """Sum per-item rows [num_items, num_columns] by cluster; the clusters are in the order of their first item."""
    names = tuple(dict.fromkeys(clusters))
    index = {name: row for row, name in enumerate(names)}
    sums = np.zeros((len(names), columns.shape[1]))
    np.add.at(sums, [index[name] for name in clusters], columns)
    return names, sums


def estimated_interval(
    columns: FloatArray, statistic: Statistic, settings: StatisticsConfig, expanded: bool = False
) -> Interval:
    """The bootstrap interval of a statistic of the columns, with the method and resamples of the settings.

    That of a mean over draws is Student's, whatever the method.
    """
    if isinstance(statistic, OverDraws):
        return draws_interval(
            columns,
            statistic,
            num_resamples=settings.num_resamples,
            confidence=settings.confidence,
            seed=settings.seed,
        )
    return bootstrap_interval(
        columns,
        statistic,
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        method=settings.method,
        seed=settings.seed,
        expanded=expanded,
    )


def _share_interval(
    interval: Interval,
    statistic: Statistic,
    unit: str,
    num_clusters: int,
    settings: StatisticsConfig,
    *,
    of_differences: bool = False,
) -> Interval:
    """The interval of a share, such as an accuracy, or of a difference of two shares, also where no cluster differs.

    If every item counts, or none, the bootstrap gives an interval of no width. It is then replaced by an exact one if
    the share is a mean over clusters, and by NaN otherwise. The interval of a mean over draws ends where shares do.
    """
    if unit not in RANGES:
        return interval
    least, most = RANGES[unit]
    if of_differences:
        least, most = least - most, most - least
    of_one = statistic.of if isinstance(statistic, OverDraws) else statistic
    if interval.standard_error != 0:
        is_student = of_one is not statistic
        return (
            replace(interval, low=max(interval.low, least), high=min(interval.high, most)) if is_student else interval
        )
    if of_one is not ratio:
        return Interval(interval.value, math.nan, math.nan, math.nan)
    return unvaried_interval(interval.value, least, most, num_clusters, settings.confidence)


def _discordant(model: Estimate, reference: Estimate) -> tuple[int, int] | None:
    """How many items count for the model only, and for the reference only.

    None unless every cluster is a single item that counts or does not.
    """
    both = np.concatenate([model.columns, reference.columns])
    if model.statistic is not ratio or both.shape[1] != 2 or not (both[:, 1] == 1).all():
        return None
    unit = both[:, 0].max(initial=0.0)  # 1, or 100 for a percentage
    if unit not in (1.0, 100.0) or not np.isin(both[:, 0], (0.0, unit)).all():
        return None
    mine, theirs = model.columns[:, 0], reference.columns[:, 0]
    return int((mine > theirs).sum()), int((mine < theirs).sum())
