"""Epsilon: what attacks prove that it cannot be below, and what it allows attacks to do at most. Pure SciPy.

A mechanism is (epsilon, delta)-private if no attack that says "was in the training data" has
TPR > e^epsilon FPR + delta, and none that says "was not" has TNR > e^epsilon FNR + delta. An attack that did better
refutes a smaller epsilon. Every bound here holds with probability `confidence` over the draw of the sample, whatever
the attack. A bound of 0 says nothing: the attack was too weak, or the sample too small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtrc, betaincinv, expit, log_ndtr, ndtr, ndtri

from distill.evaluation.statistics.estimators import FloatArray
from distill.evaluation.statistics.roc import count_scores

LARGEST = 64.0  # no sample that fits on a disk refutes a larger epsilon


class Bounds(NamedTuple):
    """At which delta the bounds of epsilon of an audit are, and at which confidence each of them."""

    delta: float
    confidence: float


def largest_advantage(epsilon: float, delta: float = 0.0) -> float:
    """The largest TPR - FPR of any attack on an (epsilon, delta)-private mechanism (Humphries et al. 2020)."""
    return math.tanh(epsilon / 2) + 2 * delta / (math.exp(epsilon) + 1)


# -- many training records and others, one threshold -----------------------------------------------------------------


def clopper_pearson(num: FloatArray, of: float, error: float) -> tuple[FloatArray, FloatArray]:
    """Lower and upper limit [...] of a proportion, from `num` of `of`; each is wrong with probability `error` at most.

    Exact limits of the binomial distribution (Clopper and Pearson 1934).
    """
    num = np.asarray(num, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        low = np.where(num > 0, betaincinv(np.maximum(num, 1), of - num + 1, error), 0.0)
        high = np.where(num < of, betaincinv(num + 1, np.maximum(of - num, 1), 1 - error), 1.0)
    return low, high


def two_rates_epsilon(
    num_found: FloatArray, num_members: float, num_false: FloatArray, num_others: float, delta: float, error: float
) -> FloatArray:
    """The lower bound of epsilon [...] of an attack that named `num_found` members, and `num_false` others.

    ln((TPR - delta) / FPR) at the limits of both rates, each of which is wrong with probability error / 2. Can be
    negative or -inf, where it says nothing.
    """
    low, _ = clopper_pearson(num_found, num_members, error / 2)
    _, high = clopper_pearson(num_false, num_others, error / 2)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(low - delta, 0.0)) - np.log(high)


def split_half_epsilon(
    members: FloatArray, others: FloatArray, delta: float = 0.0, confidence: float = 0.95, seed: int = 0
) -> float:
    """Lower bound of epsilon from the scores of members and of others, each drawn independently; 0 if it says nothing.

    One half of both chooses the threshold, and whether what is above or what is below it is named. Clopper and
    Pearson's limits on the other half give the bound: chosen and measured on the same half, it would be too large.
    """
    rng = np.random.default_rng(seed)
    (choose_in, measure_in), (choose_out, measure_out) = (
        np.array_split(rng.permutation(np.asarray(scores, dtype=np.float64)), 2) for scores in (members, others)
    )
    if not len(measure_in) or not len(measure_out):
        return 0.0
    error = 1 - confidence
    thresholds, (num_in, num_out) = _cumulative(choose_in, choose_out)
    sizes = len(choose_in), len(choose_out)
    named_in = two_rates_epsilon(num_in, sizes[0], num_out, sizes[1], delta, error)
    named_out = two_rates_epsilon(sizes[1] - num_out, sizes[1], sizes[0] - num_in, sizes[0], delta, error)
    found, false = (float((scores >= thresholds[named_in.argmax()]).sum()) for scores in (measure_in, measure_out))
    if named_out.max() > named_in.max():
        found, false = (float((s < thresholds[named_out.argmax()]).sum()) for s in (measure_out, measure_in))
        measure_in, measure_out = measure_out, measure_in
    bound = two_rates_epsilon(np.array(found), len(measure_in), np.array(false), len(measure_out), delta, error)
    return max(0.0, float(bound))


def _cumulative(members: FloatArray, others: FloatArray) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Every score that occurs, the highest first, and how many members and others have it or a higher one."""
    counted = count_scores(members, others)
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    return thresholds, (np.cumsum(counted.positives), np.cumsum(counted.negatives))


# -- one training run, records that were put in by coin --------------------------------------------------------------


def one_run_epsilon(
    num_records: int, num_guesses: int, num_right: int, delta: float, confidence: float = 0.95
) -> float:
    """Lower bound of epsilon from a single run, into which a fair coin put or did not put each of `num_records`.

    num_guesses: for how many the attack said "in" or "out". num_right: how many of these guesses were right. Steinke,
    Nasr and Jagielski 2023, theorem 5.2; 0 if it says nothing.
    """
    return _largest_refuted(
        lambda epsilon: 1 - confidence - one_run_p(num_records, num_guesses, num_right, epsilon, delta)
    )


def one_run_p(num_records: int, num_guesses: int, num_right: int, epsilon: float, delta: float) -> float:
    """How likely so many right guesses are at most, if the run is (epsilon, delta)-private."""

    def at_least(num: FloatArray) -> FloatArray:
        return np.where(num > 0, bdtrc(np.maximum(num, 1) - 1, num_guesses, expit(epsilon)), 1.0)

    tail = float(at_least(np.array(num_right)))
    fewer = np.arange(1.0, num_right + 1)
    slack = (at_least(num_right - fewer) - tail) / fewer
    return min(1.0, tail + 2 * num_records * delta * float(slack.max(initial=0.0)))


def one_run_gaussian_epsilon(
    num_records: int, num_guesses: int, num_right: int, delta: float, confidence: float = 0.95
) -> float:
    """As `one_run_epsilon`, for a mechanism that only adds Gaussian noise: larger, because it assumes more.

    Bounds the separation mu of the noise (Mahloujifar, Melis and Chaudhuri 2024, algorithm 3 for the trade-off function
    of Gaussian noise) and states it as epsilon at `delta`, which must be positive.
    """

    def excess(mu: float) -> float:
        right = (1 - confidence) * num_right / num_records
        wrong = (1 - confidence) * (num_guesses - num_right) / num_records
        for still_right in range(num_right - 1, -1, -1):
            more_wrong = max(wrong, float(ndtr(ndtri(right) - mu)))
            right = min(1.0, right + still_right / (num_guesses - still_right) * (more_wrong - wrong))
            wrong = more_wrong
        return right + wrong - num_guesses / num_records

    mu = _largest_refuted(excess)
    return 0.0 if mu == 0 else gaussian_epsilon(mu, delta)


def gaussian_delta(mu: float, epsilon: float) -> float:
    """The smallest delta at which Gaussian noise is (epsilon, delta)-private; mu = sensitivity / standard deviation.

    Balle and Wang 2018, theorem 8.
    """
    shift = epsilon / mu
    return float(ndtr(mu / 2 - shift) - math.exp(epsilon + log_ndtr(-mu / 2 - shift)))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The smallest epsilon at which Gaussian noise is (epsilon, delta)-private; see `gaussian_delta`."""
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    high = 1.0
    while gaussian_delta(mu, high) > delta:
        high *= 2
    return float(brentq(lambda epsilon: gaussian_delta(mu, epsilon) - delta, 0.0, high, xtol=1e-9))


# -- one step, records whose gradient is known -----------------------------------------------------------------------


def least_separation(gap: float, noise: float, precision: float, num_free: int, confidence: float = 0.95) -> float:
    """Lower bound of mu = gap / standard deviation, of which `gap` and `noise` are the estimates; 0 if it says nothing.

    precision: one over the variance of the gap, for noise of 1. num_free: degrees of freedom of `noise`, a hundred at
    least: a normal approximation of the noncentral t distribution. Without noise it is infinite.
    """
    if noise == 0:
        return math.inf if gap > 0 else 0.0
    found = gap / noise
    return max(0.0, found - float(ndtri(confidence)) * math.sqrt(1 / precision + found**2 / (2 * num_free)))


def _largest_refuted(excess: Callable[[float], float]) -> float:
    """Where a falling function of a privacy parameter is 0; 0 if it never is positive, LARGEST if it always is."""
    lowest = 1e-9
    if excess(lowest) <= 0:
        return 0.0
    return LARGEST if excess(LARGEST) > 0 else float(brentq(excess, lowest, LARGEST, xtol=1e-9))
