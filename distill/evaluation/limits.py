"""Limits that a pipeline sets: `--fail-above MEASURE=VALUE`.

A limit is compared with the measured value, not with its interval. It is exceeded above VALUE, whichever direction is
better for the measure, and also where the value is not defined, so that a broken model does not pass.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.evaluation.measures.all_measures import DESCRIPTIONS


@dataclass(frozen=True)
class Limit:
    """The highest value that a measure may have for any model."""

    measure: str
    value: float


def parse_limit(text: str) -> Limit:
    """Read `MEASURE=VALUE`. Raises ValueError if the measure is unknown or VALUE is not a finite number."""
    measure, equals, written = text.rpartition("=")
    try:
        value = float(written) if equals else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"--fail-above {text!r} is not MEASURE=VALUE, e.g. --fail-above log_odds/mean_abs=0.5")
    if measure not in DESCRIPTIONS:
        near = difflib.get_close_matches(measure, DESCRIPTIONS, n=1)
        meant = f"did you mean {near[0]}?" if near else f"measures are {', '.join(DESCRIPTIONS)}"
        raise ValueError(f"--fail-above {text}: no measure is called {measure!r}; {meant}")
    return Limit(measure, value)


def check_limits(limits: Sequence[Limit], measurements: Sequence[Mapping[str, Any]]) -> tuple[list[str], bool]:
    """Compare each limit with the measurements of all models.

    measurements: of a results.json, with the keys model, name and value. Returns a verdict line per limit and model,
    and whether any value is above its limit. Raises ValueError for a measure that no model has.
    """
    verdicts = []
    is_above = False
    for limit in limits:
        entries = [entry for entry in measurements if entry["name"] == limit.measure]
        if not entries:
            names = ", ".join(dict.fromkeys(entry["name"] for entry in measurements))
            raise ValueError(f"--fail-above {limit.measure}: these settings do not measure it; measured are {names}")
        for entry in entries:
            value = entry["value"]
            fails = value is None or value > limit.value
            is_above |= fails
            shown = "is not defined" if value is None else f"is {value:.7g}"
            verdicts.append(
                f"{'FAIL' if fails else 'pass'}: {limit.measure} of {entry['model']} {shown} (limit {limit.value:g})"
            )
    return verdicts, is_above
