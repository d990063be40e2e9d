"""Does a run keep its promise? Every lower bound of epsilon that the audit finds, beside what privacy.json promises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.config import RunConfig
from distill.privacy.accountant import COARSE, Steps, check_accountant, epsilon_of
from distill.privacy.epsilon import least_separation
from distill.run.folder import read_metrics
from distill.run.private.canaries import seen_in
from distill.run.private.lineage import STATEMENT_FILE, read_statement

NUM_BOUNDS = 10  # at most: eight scores of membership, the canaries in the text, the white-box canaries
LEAST_NOISE = 0.25  # of the stated noise; the epsilon of even less takes long to compute, and is larger still


def promise_of(folder: Path, config: RunConfig) -> dict[str, Any] | None:
    """The content of a private run's privacy.json; None if the run promises nothing.

    Raises ValueError if it cannot be read, or if dp-accounting is missing.
    """
    if config.privacy is None or not config.privacy.promises:
        return None
    check_accountant()
    return read_statement(folder / STATEMENT_FILE)


def confidence_of_each(confidence: float) -> float:
    """At which confidence each bound must hold, so that all of them together hold at `confidence` (Bonferroni)."""
    return 1 - (1 - confidence) / NUM_BOUNDS


def promise_result(
    folder: Path, promise: dict[str, Any], student: Mapping[str, Any], canaries: Mapping[str, Any] | None, each: float
) -> dict[str, Any]:
    """The part of the audit about the promise: every bound, with what it is compared with.

    student: the results of its scores of membership, by name; canaries: the result of those in the text. Their bounds
    are of all that the student has learned, from its teacher too, and are compared with the total. The white-box
    canaries are about this training alone. each: the confidence of every bound.
    """
    total = promise["total"]["epsilon"]
    bounds = {f"membership ({name})": (result["epsilon_at_least"], total) for name, result in student.items()}
    if canaries is not None:
        bounds["canaries in the text"] = (canaries["epsilon_at_least"], total)
    noise = noise_result(folder, promise, each)
    if noise is not None:
        bounds["white-box canaries"] = (noise["epsilon_at_least"], promise["epsilon"])
    return {
        "epsilon": total,
        "delta": promise["total"]["delta"],
        "bounds": {name: {"at_least": bound, "promised": promised} for name, (bound, promised) in bounds.items()},
        "noise": noise,
        "is_broken": any(bound > promised for bound, promised in bounds.values()),
    }


def noise_result(folder: Path, promise: Mapping[str, Any], confidence: float) -> dict[str, Any] | None:
    """What the white-box canaries of a run show, and the epsilon that its steps have at least, so drawn and so often.

    None if it logged none. noise_at_most is None where they cannot be told from no canaries.
    """
    seen = seen_in(read_metrics(folder))
    if seen is None:
        return None
    separation = least_separation(*seen, confidence)
    at_most = 1 / separation if separation > 0 else math.inf
    epsilon, stated = 0.0, promise["noise_multiplier"]
    if math.isfinite(at_most):
        steps = Steps(max(at_most, LEAST_NOISE * stated), promise["sample_rate"], promise["steps"])
        epsilon = epsilon_of(steps, promise["delta"], COARSE)
    return {
        "stated": stated,
        "measured": seen.noise,
        "gap": seen.gap,
        "noise_at_most": at_most if math.isfinite(at_most) else None,
        "epsilon_at_least": epsilon,
    }
