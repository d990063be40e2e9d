"""How much noise a promise of privacy needs, and what of it has been spent. The mathematics is dp-accounting's.

One optimizer step of a private run is one Poisson-subsampled Gaussian mechanism: each record takes part with
probability `sample_rate`, and Gaussian noise of `noise_multiplier` times the clipped norm is added to the sum. Epsilon
is that of adding or removing one record, by privacy loss distributions (PLD), rounded so that it never is too small.
"""

from __future__ import annotations

import functools
import importlib.metadata
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from scipy.optimize import brentq

PACKAGE = "dp-accounting"
FINE, COARSE = 1e-4, 1e-3  # the grid of the privacy loss; a coarse one is faster and states a little more
TOLERANCE, ROUGH = 1e-4, 1e-2  # of the noise, relative
MAX_NOISE = 2.0**20
ORDERS = (*range(2, 33), 48, 64, 128, 256)  # a fractional order has a series that need not converge


class Steps(NamedTuple):
    """The steps of a private run, as the accountant sees them."""

    noise_multiplier: float
    sample_rate: float
    num_steps: int


def check_accountant() -> None:
    """Raise ValueError, saying what to install, if dp-accounting is missing."""
    _library()


def accountant_version() -> str:
    """The version of dp-accounting."""
    return importlib.metadata.version(PACKAGE)


@functools.cache
def epsilon_of(steps: Steps, delta: float, grid: float = FINE) -> float:
    """Epsilon at `delta` of these steps together, by PLD; 0 for no steps, infinite without noise."""
    accountant = _library().pld.PLDAccountant(value_discretization_interval=grid)
    return _epsilon(accountant, steps, delta)


def rdp_epsilon_of(steps: Steps, delta: float) -> float:
    """The same by Rényi differential privacy of whole orders: fast, and larger."""
    return _epsilon(_library().rdp.RdpAccountant(ORDERS), steps, delta)


def epsilon_curve(steps: Steps, delta: float, num_points: int = 8) -> list[tuple[int, float]]:
    """Epsilon after about `num_points` numbers of steps, evenly spaced, the last of which is all of them."""
    numbers = sorted({math.ceil(steps.num_steps * point / num_points) for point in range(1, num_points + 1)})
    return [(number, epsilon_of(steps._replace(num_steps=number), delta, COARSE)) for number in numbers]


@functools.cache
def noise_for(epsilon: float, delta: float, sample_rate: float, num_steps: int) -> float:
    """The smallest noise multiplier, to one in ten thousand, with which so many steps spend at most `epsilon`.

    Takes seconds. Raises ValueError if no noise suffices.
    """
    steps = Steps(1.0, sample_rate, num_steps)

    def by_rdp(noise: float) -> float:
        return rdp_epsilon_of(steps._replace(noise_multiplier=noise), delta)

    def by_pld(noise: float) -> float:
        return epsilon_of(steps._replace(noise_multiplier=noise), delta, COARSE)

    enough = 1.0
    while by_rdp(enough) > epsilon:
        enough *= 2
        if enough > MAX_NOISE:
            raise ValueError(
                f"no amount of noise gives epsilon {epsilon:g} at delta {delta:g} in {num_steps:,} steps; set a larger "
                "privacy.epsilon or privacy.delta"
            )
    return _least_noise(by_pld, epsilon, _least_noise(by_rdp, epsilon, enough, ROUGH), TOLERANCE)


def _least_noise(epsilon_at: Callable[[float], float], epsilon: float, enough: float, tolerance: float) -> float:
    """The least noise, to a relative tolerance, with which a falling function is `epsilon` at most, from some that is
    enough.
    """
    high = enough
    while epsilon_at(low := 0.8 * high) <= epsilon:
        high = low
    step = tolerance * low / 4
    noise = float(brentq(lambda noise: epsilon_at(noise) - epsilon, low, high, xtol=step))
    while epsilon_at(noise) > epsilon:  # the root is found to within a tolerance, on either side
        noise += step
    return noise


def _epsilon(accountant: Any, steps: Steps, delta: float) -> float:
    library = _library()
    if steps.num_steps == 0:
        return 0.0
    one = library.PoissonSampledDpEvent(steps.sample_rate, library.GaussianDpEvent(steps.noise_multiplier))
    return float(accountant.compose(one, steps.num_steps).get_epsilon(delta))


def _library() -> ModuleType:
    try:
        import dp_accounting
        import dp_accounting.pld
        import dp_accounting.rdp
    except ImportError as error:
        raise ValueError("privacy needs the package dp-accounting: pip install 'evenhand[privacy]'") from error
    return dp_accounting
