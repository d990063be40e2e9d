"""Numbers of a study: a measure of all its models in; paired differences, shares removed, p-values and verdicts out."""

from __future__ import annotations

import math

import numpy as np

from distill.evaluation.statistics.estimators import (
    FloatArray,
    Statistic,
    difference_of,
    mean_over_seeds,
    removed_share,
)
from distill.evaluation.statistics.resampling import Interval, two_way_interval
from distill.evaluation.statistics.significance import holm, non_inferior, paired_permutation_p
from study.collect import Measure
from study.plan import TEACHER, UNTRAINED, base_of, is_variant


def have_common_seed(measure: Measure, arm: str, reference: str) -> bool:
    """Whether two models can be paired: by a training seed that both have; teacher and untrained, with any."""
    alone = {TEACHER, UNTRAINED} & {arm, reference}
    return bool(alone) or not set(measure.seeds[arm]).isdisjoint(measure.seeds[reference])


def paired(measure: Measure, arm: str, reference: str) -> tuple[FloatArray, FloatArray]:
    """The columns [num_seeds, num_clusters, num_columns] of both on the seeds that they share.

    A model with a single seed (teacher, untrained) stands beside every seed of the other. Raises ValueError without
    a common seed.
    """
    mine, theirs = measure.seeds[arm], measure.seeds[reference]
    if not have_common_seed(measure, arm, reference):
        raise ValueError(f"{measure.name}: {arm} and {reference} have no seed in common; run both with the same seeds")
    if TEACHER in (arm, reference) or UNTRAINED in (arm, reference):
        num_seeds = max(len(mine), len(theirs))
        return tuple(  # type: ignore[return-value]
            np.broadcast_to(measure.columns[name], (num_seeds, *measure.columns[name].shape[1:]))
            for name in (arm, reference)
        )
    common = [seed for seed in mine if seed in theirs]
    return tuple(  # type: ignore[return-value]
        measure.columns[name][[measure.seeds[name].index(seed) for seed in common]] for name in (arm, reference)
    )


def compare(measure: Measure, arm: str, reference: str, kind: str = "difference") -> Interval:
    """The paired difference of an arm to another, or the share that it removes of it (`kind` removed)."""
    mine, theirs = paired(measure, arm, reference)
    how = {"difference": difference_of, "removed": removed_share}[kind]
    return two_way_interval(np.concatenate([mine, theirs], axis=2), how(measure.statistic, mine.shape[2]))


def p_value(measure: Measure, arm: str, reference: str) -> float:
    """Two-sided p of no difference, from swapping labels within clusters."""
    mine, theirs = paired(measure, arm, reference)
    statistic: Statistic = mean_over_seeds(measure.statistic, len(mine))
    return paired_permutation_p(_side_by_side(mine), _side_by_side(theirs), statistic)


def families(measure: Measure, reference: str) -> tuple[list[str], list[str]]:
    """What is tested against a reference: all arms, and the reference's own variants (REFERENCE+VARIANT).

    Teacher, untrained and reference are not, nor is an arm without a seed that the reference has.
    """
    if reference not in measure.columns:
        return [], []
    every = [arm for arm in measure.columns if have_common_seed(measure, arm, reference)]
    arms = [arm for arm in every if not is_variant(arm) and arm not in (TEACHER, UNTRAINED, reference)]
    return arms, [arm for arm in every if is_variant(arm) and base_of(arm) == reference]


def holm_p_values(measure: Measure, reference: str) -> dict[str, float]:
    """Holm-adjusted p-values against a reference, each of the `families` adjusted by itself."""
    adjusted: dict[str, float] = {}
    for family in families(measure, reference):
        adjusted |= zip(family, holm([p_value(measure, arm, reference) for arm in family]), strict=True)
    return adjusted


def is_log(measure: Measure) -> bool:
    """Whether a measure is a logarithm, so that a difference of it is told in percent."""
    return measure.name.startswith("log_perplexity/")


def percent(difference: Interval) -> Interval:
    """A difference of logarithms as a change in percent."""
    value, low, high = (100 * math.expm1(number) for number in (difference.value, difference.low, difference.high))
    return Interval(value, low, high, 100 * math.exp(difference.value) * difference.standard_error)


def removed_percent(measure: Measure, arm: str, reference: str) -> Interval:
    """How much of the reference's disparity an arm removes, in percent."""
    share = compare(measure, arm, reference, "removed")
    return Interval(*(100 * number for number in (share.value, share.low, share.high, share.standard_error)))


def not_inferior(measure: Measure, difference: Interval) -> str:
    """`yes`, `no` or `open`: whether a difference is within the measure's margin, in the direction that is worse.

    Raises ValueError for a measure without a margin, or without a better direction.
    """
    if measure.margin is None:
        raise ValueError(f"the study states no margin for {measure.name}")
    worsening = _worsening(measure, difference)
    if non_inferior(worsening, measure.margin):
        return "yes"
    return "no" if worsening.low > measure.margin else "open"


def better(measure: Measure, difference: Interval) -> str:
    """`yes`, `no` or `open`: whether the whole interval of a difference is on the better side of 0, or on the other.

    Raises ValueError for a measure without a better direction.
    """
    worsening = _worsening(measure, difference)
    return "yes" if worsening.high < 0 else "no" if worsening.low > 0 else "open"


def at_least(interval: Interval, threshold: float) -> str:
    """`yes`, `no` or `open`: whether the whole interval reaches the threshold, or all of it misses it."""
    return "yes" if interval.low >= threshold else "no" if interval.high < threshold else "open"


def _worsening(measure: Measure, difference: Interval) -> Interval:
    """A difference so that more is worse. Raises ValueError for a measure of which neither is."""
    if measure.higher_is_better is None:
        raise ValueError(f"of {measure.name} neither more nor less is better; take it out of the study's margins")
    if not measure.higher_is_better:
        return difference
    return Interval(-difference.value, -difference.high, -difference.low, difference.standard_error)


def _side_by_side(columns: FloatArray) -> FloatArray:
    """[num_seeds, num_clusters, num_columns] as [num_clusters, num_seeds * num_columns]."""
    return columns.transpose(1, 0, 2).reshape(columns.shape[1], -1)


def cell(interval: Interval, digits: int = 3) -> str:
    """A value with its interval. digits: after the point, of values below 100."""
    if math.isnan(interval.value):
        return "not defined"
    digits = 1 if abs(interval.value) >= 100 else digits
    value = f"{interval.value:.{digits}f}"
    return value if math.isnan(interval.low) else f"{value} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def p_text(p: float) -> str:
    """A p-value as tables show it."""
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
