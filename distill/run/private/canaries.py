"""White-box canaries: records whose gradient is known, so that each step shows how much noise it really adds.

The sum of a step has NUM_CANARIES more values than there are trained weights. Each of them belongs to one canary, is 0
in the gradient of every document, and moves no weight. Half of the canaries, drawn anew, are in a step. The gradient of
one that is in is far too long; it takes the way of a document's, through clip, sum and noise, and must come out of the
clip with a length of max_record_norm. How far apart those that were in and those that were out lie, in standard
deviations of the noise, is what the noise allows an attacker to see in one step (white-box audits: Nasr et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from distill.run.private.secret import random_numbers

NUM_CANARIES = 256
NUM_IN = NUM_CANARIES // 2  # in each step
TOO_LONG = 1000.0  # the norm of a canary's gradient before it is clipped, as a multiple of max_record_norm


def canaries_in(secret: str, step: int) -> npt.NDArray[np.bool_]:
    """Which canaries [NUM_CANARIES] are in the step after `step`."""
    return random_numbers(secret, "canaries", step).permutation(NUM_CANARIES) < NUM_IN


class Seen(NamedTuple):
    """What the canaries show of the noise. gap: by how much those that were in lie above the others. noise: the
    standard deviation within both groups, over `num_free` degrees of freedom. precision: one over the variance of the
    gap, for noise of 1. Gap and noise are multiples of max_record_norm: 1 and the noise multiplier if all is right.
    """

    gap: float
    noise: float
    precision: float
    num_free: int


def metrics_of(values: npt.NDArray[np.float64], is_in: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """What metrics.jsonl says of a step: `noise` and `canary_gap`, as `Seen` has them.

    values [NUM_CANARIES]: what the step has released of the canaries, as multiples of max_record_norm.
    """
    groups = values[is_in], values[~is_in]
    variance = sum(float(group.var(ddof=1)) for group in groups) / 2
    return {"noise": variance**0.5, "canary_gap": float(groups[0].mean() - groups[1].mean())}


def seen_in(lines: Iterable[Mapping[str, Any]]) -> Seen | None:
    """What the canaries of all logged steps show together; None if no line of metrics.jsonl has any."""
    steps = [(line["noise"], line["canary_gap"]) for line in lines if "canary_gap" in line]
    if not steps:
        return None
    noise, gap = np.array(steps, dtype=np.float64).T
    return Seen(
        gap=float(gap.mean()),
        noise=float(np.mean(noise**2) ** 0.5),
        precision=len(steps) * NUM_IN / 2,  # of each step 1 / (1 / NUM_IN + 1 / NUM_IN)
        num_free=len(steps) * (NUM_CANARIES - 2),
    )
