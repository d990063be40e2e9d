"""Statistics as functions of sums over clusters: means, ratios, spreads, slopes, correlations. Pure NumPy.

A measure hands over `columns` [num_clusters, num_columns], one row per cluster (the unit of resampling: the prompt, the
occupation, the document), and a `Statistic` that maps sums [..., num_columns] to values [...]. Nothing is ever
recomputed per item: a bootstrap resample is a vector of cluster counts times `columns`, a jackknife is the total minus
each row, and swapping the labels of two models is a sum over the swapped rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class OverDraws:
    """The mean of a statistic over draws: what depends on chance was done several times, on the same clusters.

    of: the statistic of one draw. by_draw: maps sums [..., num_columns] to the values of all draws [..., num_draws].
    """

    of: Statistic
    by_draw: Statistic

    def __call__(self, sums: FloatArray) -> FloatArray:
        return np.asarray(self.by_draw(sums).mean(axis=-1))

    @property
    def __name__(self) -> str:
        """What a results file would call it."""
        return f"{self.of.__name__} over draws"


def ratio(sums: FloatArray) -> FloatArray:
    """numerator / denominator, from columns (numerator, denominator); the mean, from `mean_columns(x)`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def exp_ratio(sums: FloatArray) -> FloatArray:
    """exp(numerator / denominator): a perplexity, from columns (negative log-likelihood in nats, number of units)."""
    return np.exp(ratio(sums))


def root_ratio(sums: FloatArray) -> FloatArray:
    """sqrt(numerator / denominator): a root mean square, from columns (sum of squares, count)."""
    return np.sqrt(ratio(sums))


def signed_root_ratio(sums: FloatArray) -> FloatArray:
    """A root mean square whose squares are estimates, and so may be negative: sign(mean) sqrt(|mean|).

    From columns (sum of the estimated squares, count). Cut off at 0, it would be above the truth on average where that
    is 0, and its interval would hold 0 too often.
    """
    mean = ratio(sums)
    return np.sign(mean) * np.sqrt(np.abs(mean))


def mean_columns(x: FloatArray) -> FloatArray:
    """The columns that `ratio` needs for the mean of x [num_clusters, 2]: x, 1."""
    return np.stack([x, np.ones_like(x)], axis=1)


def spread(sums: FloatArray) -> FloatArray:
    """Sample standard deviation (ddof = 1) of x, from `moments(x)`; NaN with fewer than two clusters."""
    total, square, count = sums[..., 0], sums[..., 1], sums[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (square - total**2 / count) / (count - 1)
    return np.sqrt(np.maximum(variance, 0.0))


def moments(x: FloatArray) -> FloatArray:
    """The columns that `spread` needs [num_clusters, 3]: x, x squared, 1."""
    return np.stack([x, x**2, np.ones_like(x)], axis=1)


def t_value(sums: FloatArray) -> FloatArray:
    """Student's t of the hypothesis that the mean of x is 0, from `moments(x)`; NaN with fewer than two clusters."""
    total, count = sums[..., 0], sums[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return total / np.sqrt(count) / spread(sums)


def slope(sums: FloatArray) -> FloatArray:
    """Least-squares slope of y on x, from `joint_moments(x, y)`; NaN if x does not vary."""
    _, variance_x, covariance, _ = _centred(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance_x > 0, covariance / variance_x, np.nan)


def correlation(sums: FloatArray) -> FloatArray:
    """Pearson's correlation of x and y, from `joint_moments(x, y)`; NaN if either does not vary."""
    _, variance_x, covariance, variance_y = _centred(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((variance_x > 0) & (variance_y > 0), covariance / np.sqrt(variance_x * variance_y), np.nan)


def joint_moments(x: FloatArray, y: FloatArray) -> FloatArray:
    """The columns that `slope` and `correlation` need [..., num_clusters, 6]: 1, x, y, x squared, x y, y squared."""
    return np.stack([np.ones_like(x), x, y, x**2, x * y, y**2], axis=-1)


def pair_mean_columns(pairs: FloatArray) -> FloatArray:
    """The columns that `ratio` needs for the mean over all pairs of clusters, as `mean_columns` of pseudo-values.

    pairs [num_clusters, num_clusters]: a value for every two clusters; symmetric, zero on the diagonal.

    A cluster is in many pairs, so the means of its own pairs are not independent, and their spread would give half of
    the standard error. The jackknife's pseudo-values (Tukey 1958; for means over pairs Arvesen 1969), n times the mean
    minus n - 1 times the mean without the cluster, have the same mean as the pairs and the right spread. Raises
    ValueError for fewer than three clusters.
    """
    num_clusters = len(pairs)
    if num_clusters < 3:
        raise ValueError(f"{num_clusters} clusters have no pair left without one of them; at least 3 are needed")
    total, own = pairs.sum(), pairs.sum(axis=1)
    return mean_columns(total / (num_clusters - 1) - (total - 2 * own) / (num_clusters - 2))


def _centred(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The count and the centred sums xx, xy, yy. A small xx or yy that rounding leaves of a constant is set to 0."""
    count, x, y, xx, xy, yy = (sums[..., column] for column in range(6))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance_x, covariance, variance_y = xx - x * x / count, xy - x * y / count, yy - y * y / count
    variance_x = np.where(variance_x > 1e-12 * np.abs(xx), variance_x, 0.0)
    variance_y = np.where(variance_y > 1e-12 * np.abs(yy), variance_y, 0.0)
    return count, variance_x, covariance, variance_y


def difference_of(statistic: Statistic, num_columns: int) -> Statistic:
    """The statistic of the first `num_columns` columns minus that of the remaining ones: a paired difference."""

    def difference(sums: FloatArray) -> FloatArray:
        return statistic(sums[..., :num_columns]) - statistic(sums[..., num_columns:])

    if isinstance(statistic, OverDraws):
        return OverDraws(statistic.of, difference_of(statistic.by_draw, num_columns))
    return difference


def removed_share(statistic: Statistic, num_columns: int) -> Statistic:
    """1 - the statistic of the first `num_columns` columns / that of the remaining ones: 1 is all, 0 nothing."""

    def removed(sums: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1 - statistic(sums[..., :num_columns]) / statistic(sums[..., num_columns:])

    return removed


@lru_cache  # so that equal statistics of two measures are the same one
def mean_over(statistic: Statistic, num_draws: int) -> OverDraws:
    """The mean of the statistic over draws, such as seeds; each has a block of columns, all of the same size."""

    def by_draw(sums: FloatArray) -> FloatArray:
        return statistic(sums.reshape(*sums.shape[:-1], num_draws, -1))

    return OverDraws(statistic, by_draw)


def over_draws(columns: Sequence[FloatArray], statistic: Statistic) -> tuple[FloatArray, Statistic]:
    """The columns of every draw side by side, and the mean of the statistic over draws; one draw stays as it is."""
    if len(columns) == 1:
        return columns[0], statistic
    return np.concatenate(columns, axis=1), mean_over(statistic, len(columns))
