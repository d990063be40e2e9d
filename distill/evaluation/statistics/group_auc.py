"""The area under the ROC curve of a group of texts, as a mean over texts: it is resampled and compared like any mean.

AUC is the share of pairs of a positive and a negative text in which the positive one has the higher score; ties count
half (Mann and Whitney 1947). The jackknife's pseudo-values of the texts have this share as their mean, exactly, and a
spread that gives its standard error (Arvesen 1969; DeLong et al. 1988).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from distill.evaluation.statistics.estimators import FloatArray, Statistic, ratio

BoolArray = npt.NDArray[np.bool_]


def placements(scores: FloatArray, is_positive: BoolArray) -> FloatArray:
    """For each text the share of the texts of the other kind against which it is on the right side."""
    num_positive, num_negative = int(is_positive.sum()), int((~is_positive).sum())
    both = rankdata(scores)
    shares = np.full(len(scores), np.nan)
    if num_positive and num_negative:
        shares[is_positive] = (both[is_positive] - rankdata(scores[is_positive])) / num_negative
        shares[~is_positive] = 1 - (both[~is_positive] - rankdata(scores[~is_positive])) / num_positive
    return shares


def auc_columns(scores: FloatArray, is_positive: BoolArray, is_member: BoolArray | None = None) -> FloatArray:
    """The columns [num_texts, 2] from which `ratio` gives the AUC of the members: their pseudo-values, and 1.

    is_member: which texts count; None takes all. The columns of the others are 0. Raises ValueError unless there are
    two members of each kind: without one of a single member of its kind there is no AUC.
    """
    chosen = np.ones(len(scores), dtype=bool) if is_member is None else is_member
    positive = is_positive[chosen]
    num, num_positive = len(positive), int(positive.sum())
    if min(num_positive, num - num_positive) < 2:
        raise ValueError(
            f"of {num} texts {num_positive} are positive; an AUC with an interval takes two of each kind at least"
        )
    won = placements(scores[chosen], positive)
    area = float(won[positive].mean())
    of_kind = np.where(positive, num_positive, num - num_positive)
    pseudo = num * area - (num - 1) * (of_kind * area - won) / (of_kind - 1)
    columns = np.zeros((len(scores), 2))
    columns[chosen] = np.stack([pseudo, np.ones(num)], axis=1)
    return columns


def power_mean(values: FloatArray, power: float) -> FloatArray:
    """The generalised mean over the last axis: ((1 / m) sum of values ** power) ** (1 / power); 0 if a value is 0 and
    the power negative.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(np.mean(values**power, axis=-1) ** (1 / power))


def power_mean_of_ratios(power: float) -> Statistic:
    """The generalised mean of ratios, from the columns of one after the other; those of AUCs end at 0 and 1."""

    def mean(sums: FloatArray) -> FloatArray:
        return power_mean(np.clip(ratio(sums.reshape(*sums.shape[:-1], -1, 2)), 0, 1), power)

    return mean


def ratio_difference(sums: FloatArray) -> FloatArray:
    """One share minus another, from columns (numerator, denominator) of the one and of the other."""
    return ratio(sums[..., :2]) - ratio(sums[..., 2:])
