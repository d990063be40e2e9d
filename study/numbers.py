"""Numbers of a study: values, paired differences, shares removed, p-values and verdicts, and how they are written.

A value is the mean over training seeds with its interval. A difference is paired by cluster and by seed. Results are
cached, because tables, plots and texts ask for the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from distill.evaluation.report.cells import p_value as p_cell
from distill.evaluation.statistics.estimators import (
    FloatArray,
    Statistic,
    difference_of,
    mean_over,
    removed_share,
)
from distill.evaluation.statistics.resampling import Interval, two_way_interval
from distill.evaluation.statistics.significance import holm, non_inferior, paired_permutation_p
from study.config import HEALED, TEACHER, UNTRAINED
from study.plan import base_of, is_variant
from study.results import Measure, Results


@cache
def value(measure: Measure, arm: str) -> Interval:
    """The measure of a model: the mean over its seeds, with its interval."""
    return two_way_interval(measure.columns[arm], measure.statistic)


def have_common_seed(measure: Measure, arm: str, reference: str) -> bool:
    """Whether two models can be paired: they share a training seed, or one of them is the teacher or untrained."""
    without_seed = {TEACHER, UNTRAINED} & {arm, reference}
    return bool(without_seed) or not set(measure.seeds[arm]).isdisjoint(measure.seeds[reference])


def paired(measure: Measure, arm: str, reference: str) -> tuple[FloatArray, FloatArray]:
    """The columns [num_seeds, num_clusters, num_columns] of both models, for the seeds that they share.

    The teacher and the untrained student have a single seed, which is paired with every seed of the other model.
    Raises ValueError without a common seed.
    """
    mine, theirs = measure.seeds[arm], measure.seeds[reference]
    if not have_common_seed(measure, arm, reference):
        raise ValueError(f"{measure.name}: {arm} and {reference} have no seed in common; run both with the same seeds")
    if {TEACHER, UNTRAINED} & {arm, reference}:
        num_seeds = max(len(mine), len(theirs))
        columns = [measure.columns[name] for name in (arm, reference)]
        first, second = (np.broadcast_to(array, (num_seeds, *array.shape[1:])) for array in columns)
        return first, second
    common = [seed for seed in mine if seed in theirs]
    return (
        measure.columns[arm][[mine.index(seed) for seed in common]],
        measure.columns[reference][[theirs.index(seed) for seed in common]],
    )


@cache
def difference(measure: Measure, arm: str, reference: str) -> Interval:
    """The measure of an arm minus that of the reference, paired."""
    mine, theirs = paired(measure, arm, reference)
    columns = np.concatenate([mine, theirs], axis=2)
    return two_way_interval(columns, difference_of(measure.statistic, mine.shape[2]))


@cache
def removed_percent(measure: Measure, arm: str, reference: str) -> Interval:
    """How much of the reference's disparity an arm removes, in percent."""
    mine, theirs = paired(measure, arm, reference)
    columns = np.concatenate([mine, theirs], axis=2)
    share = two_way_interval(columns, removed_share(measure.statistic, mine.shape[2]))
    return Interval(*(100 * number for number in (share.value, share.low, share.high, share.standard_error)))


def is_log(measure: Measure) -> bool:
    """Whether a measure is a logarithm, so that a difference is shown as a change in percent."""
    return measure.name.startswith("log_perplexity/")


def change_percent(measure: Measure, arm: str, reference: str) -> Interval:
    """The change in percent from the reference to the arm. measure: a logarithm."""
    log = difference(measure, arm, reference)
    change, low, high = (100 * math.expm1(number) for number in (log.value, log.low, log.high))
    return Interval(change, low, high, 100 * math.exp(log.value) * log.standard_error)


def distance(results: Results, arm: str) -> tuple[float, float]:
    """KL(teacher || student) on held-out text at an arm's first and last step, in nats per token: means over its seeds.

    Raises ValueError if the results file does not have it.
    """
    if arm not in results.distances:
        raise ValueError(f"{results.name} has no distance to the teacher of {arm}")
    start, end = np.mean(list(results.distances[arm].values()), axis=0)
    return float(start), float(end)


# -- tests -----------------------------------------------------------------------------------------------------------


def p_value(measure: Measure, arm: str, reference: str) -> float:
    """Two-sided p of no difference, from swapping labels within clusters."""
    mine, theirs = paired(measure, arm, reference)
    statistic: Statistic = mean_over(measure.statistic, len(mine))
    return paired_permutation_p(_side_by_side(mine), _side_by_side(theirs), statistic)


def _side_by_side(columns: FloatArray) -> FloatArray:
    """[num_seeds, num_clusters, num_columns] as [num_clusters, num_seeds * num_columns]."""
    return columns.transpose(1, 0, 2).reshape(columns.shape[1], -1)


def families(measure: Measure, reference: str) -> tuple[list[str], list[str]]:
    """The models that are tested against a reference: all arms, and the reference's own variants.

    Excluded are teacher, untrained, healed, the reference itself, and arms without a seed that the reference has.
    """
    if reference not in measure.columns:
        return [], []
    comparable = [arm for arm in measure.columns if have_common_seed(measure, arm, reference)]
    no_arms = (TEACHER, UNTRAINED, HEALED, reference)
    arms = [arm for arm in comparable if not is_variant(arm) and arm not in no_arms]
    return arms, [arm for arm in comparable if is_variant(arm) and base_of(arm) == reference]


@cache
def holm_p_values(measure: Measure, reference: str) -> Mapping[str, float]:
    """Holm-adjusted p-values against a reference. Each of the `families` is adjusted by itself."""
    adjusted: dict[str, float] = {}
    for family in families(measure, reference):
        adjusted |= zip(family, holm([p_value(measure, arm, reference) for arm in family]), strict=True)
    return MappingProxyType(adjusted)


# -- verdicts --------------------------------------------------------------------------------------------------------


def not_inferior(measure: Measure, change: Interval) -> str:
    """`yes`, `no` or `open`: whether a difference stays within the measure's margin in the direction that is worse.

    Raises ValueError for a measure without a margin, or without a better direction.
    """
    if measure.margin is None:
        raise ValueError(f"the study states no margin for {measure.name}")
    worsening = _worsening(measure, change)
    if non_inferior(worsening, measure.margin):
        return "yes"
    return "no" if worsening.low > measure.margin else "open"


def better(measure: Measure, change: Interval) -> str:
    """`yes`, `no` or `open`: whether the whole interval of a difference is on the better side of 0, or on the worse.

    Raises ValueError for a measure without a better direction.
    """
    worsening = _worsening(measure, change)
    return "yes" if worsening.high < 0 else "no" if worsening.low > 0 else "open"


def at_least(interval: Interval, threshold: float) -> str:
    """`yes`, `no` or `open`: whether the whole interval reaches a threshold, or all of it misses it."""
    return "yes" if interval.low >= threshold else "no" if interval.high < threshold else "open"


def _worsening(measure: Measure, change: Interval) -> Interval:
    """The difference, with the sign changed where higher is better, so that a larger value is always worse.

    Raises ValueError for a measure without a better direction.
    """
    if measure.higher_is_better is None:
        raise ValueError(f"for {measure.name} neither more nor less is better; take it out of the study's margins")
    if not measure.higher_is_better:
        return change
    return Interval(-change.value, -change.high, -change.low, change.standard_error)


# -- as text ---------------------------------------------------------------------------------------------------------


def cell(interval: Interval, digits: int = 3, with_interval: bool = True) -> str:
    """Write a value, with its interval if it has one. digits: decimal places of values below 100."""
    if math.isnan(interval.value):
        return "not defined"
    digits = 1 if abs(interval.value) >= 100 else digits
    middle = f"{interval.value:.{digits}f}"
    if not with_interval or math.isnan(interval.low):
        return middle
    return f"{middle} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def p_text(p: float) -> str:
    """Write a p-value: three decimals, `< 0.001`, or a dash if it is not defined."""
    return "–" if math.isnan(p) else p_cell(p)
