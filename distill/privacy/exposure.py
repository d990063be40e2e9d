"""Exposure: how far up a planted secret stands among all secrets that it could have been. Pure NumPy.

Carlini et al. 2019: exposure = log2(number of possible secrets) - log2(rank of the planted one by likelihood). All
secrets of the space are ranked, so nothing is extrapolated. At log2(number), the secret is the likeliest of all.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln

from distill.evaluation.statistics.estimators import FloatArray


def rank_among(value: float, others: FloatArray) -> float:
    """The rank of `value` among itself and `others`, 1 for the largest; others of the same value count half."""
    others = np.asarray(others)
    return 1 + float((others > value).sum()) + float((others == value).sum()) / 2


def exposure(rank: float, num_secrets: int) -> float:
    """The exposure in bits of the secret that is number `rank` of `num_secrets`."""
    return math.log2(num_secrets) - math.log2(rank)


def right_guesses(exposures: FloatArray, is_planted: FloatArray, num_guesses: int) -> int:
    """How many guesses are right if the most exposed half of `num_guesses` secrets is said to be planted, and the least
    exposed half not; about the others nothing is said. Both arrays are [num_secrets].
    """
    order = np.argsort(exposures, kind="stable")
    half = num_guesses // 2
    planted = np.asarray(is_planted, dtype=bool)
    return int(planted[order[len(order) - half :]].sum() + (~planted[order[:half]]).sum())


def null_exposure(num_secrets: int) -> float:
    """The mean exposure in bits of secrets that were never planted: each rank is equally likely.

    It comes near 1 / ln 2 = 1.4427 for many possible secrets; their standard deviation does too.
    """
    return math.log2(num_secrets) - float(gammaln(num_secrets + 1)) / math.log(2) / num_secrets
