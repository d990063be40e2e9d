"""Strengthen the target as the student comes near its teacher (perturb.ramp).

Far from its teacher, a student turns a gain and a weight of the counterparts into more bias. So both begin switched off
and follow the held-out KL(teacher || student), which is measured at every evaluation.
"""

from __future__ import annotations

from accelerate import Accelerator

from distill.loss_config import RampConfig
from distill.run.learner import Learner

NUM_LEVELS = 4  # a compiled loss is compiled once for each


def ramp_share(ramp: RampConfig, heldout_kl: float | None) -> float:
    """The share of the full strength, 0 to 1 in quarters, at a held-out KL in nats.

    It is 0 at `far` and beyond and before the first measurement, 1 at `near` and below, and linear between.
    """
    if heldout_kl is None:
        return 0.0
    share = (ramp.far - heldout_kl) / (ramp.far - ramp.near)
    return round(min(max(share, 0.0), 1.0) * NUM_LEVELS) / NUM_LEVELS


def follow_ramp(accelerator: Accelerator, ramp: RampConfig | None, learner: Learner) -> dict[str, float]:
    """Train from now on at the strength that the last held-out KL allows. Returns what the log says of it."""
    if ramp is None:
        return {}
    share = ramp_share(ramp, learner.state.heldout_kl)
    accelerator.unwrap_model(learner.model, keep_torch_compile=False).strengthen(share)
    return {"ramp": share}
