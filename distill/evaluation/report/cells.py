"""How one measurement is written in every layout: its value, its interval, and what the paired test says about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SIGNIFICANCE = 0.05
SYMBOLS = {"better": "▲", "worse": "▼", "different": "◆", "no clear difference": "≈", "": ""}


@dataclass(frozen=True)
class Cell:
    """The texts of one measurement.

    All but value and interval compare the model with the reference, and are empty without a comparison. effect: the
    minimum detectable effect.
    """

    value: str
    interval: str
    difference: str
    difference_interval: str
    p: str
    effect: str
    verdict: str
    symbol: str
    non_inferior: str


def cell(entry: dict[str, Any]) -> Cell:
    """The texts of a measurement of results.json."""
    difference = entry["difference"] or {}
    return Cell(
        value=number(entry["value"]),
        interval=interval(entry["low"], entry["high"]),
        difference=number(difference.get("value"), signed=True),
        difference_interval=interval(difference.get("low"), difference.get("high")),
        p=p_value(difference.get("p_holm")),
        effect=number(difference.get("minimum_detectable_effect")),
        verdict=verdict(entry),
        symbol=SYMBOLS[verdict(entry)],
        non_inferior={True: "yes", False: "no", None: ""}[difference.get("non_inferior")],
    )


def verdict(entry: dict[str, Any]) -> str:
    """What the Holm-adjusted test says about a model against the reference; empty without a comparison.

    Empty too if the test finds a difference that has no interval. One of the models then has a value in hardly any
    cluster (long texts of which almost none has a gender), and the test finds only that the other one has.
    """
    difference = entry["difference"]
    if difference is None or difference["p_holm"] is None:
        return ""
    if difference["p_holm"] >= SIGNIFICANCE:
        return "no clear difference"
    if difference["low"] is None:
        return ""
    if entry["higher_is_better"] is None:
        return "different"
    return "better" if (difference["value"] > 0) == entry["higher_is_better"] else "worse"


def in_words(entry: dict[str, Any]) -> str:
    """The verdict with the difference and its interval, e.g. `better by 0.250 [0.150, 0.350]`; empty without one."""
    said, difference = verdict(entry), entry["difference"]
    if not said:
        return ""
    value, low, high = (difference[key] for key in ("value", "low", "high"))
    if said == "no clear difference":
        return f"{said} {in_brackets(interval(low, high))}".strip()
    if value < 0:
        low, high = (None if end is None else -end for end in (high, low))
    direction = {"different": "higher" if value > 0 else "lower"}.get(said, said)
    return f"{direction} by {number(abs(value))} {in_brackets(interval(low, high))}".strip()


def verdict_legend(results: dict[str, Any]) -> str:
    """What the symbols of the verdicts mean."""
    meanings = ", ".join(f"{symbol} {meaning}" for meaning, symbol in SYMBOLS.items() if meaning)
    return (
        f"{meanings} (paired test, p < {SIGNIFICANCE:g} after Holm's adjustment over {results['family_size']} "
        "comparisons)"
    )


def confidence(results: dict[str, Any]) -> str:
    """The confidence level of the intervals, e.g. `95 %`."""
    return f"{100 * results['config']['statistics']['confidence']:g} %"


def number(value: float | None, signed: bool = False) -> str:
    """A number with about three significant digits; a dash for one that is not defined."""
    if value is None:
        return "–"
    size = abs(value)
    digits = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.lstrip("+-")


def interval(low: float | None, high: float | None) -> str:
    """`low to high`; empty for an interval that is not defined."""
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def in_brackets(interval: str) -> str:
    """`[low, high]` from `low to high`; empty if that is empty."""
    return f"[{interval.replace(' to ', ', ')}]" if interval else ""


def p_value(p: float | None) -> str:
    """A p-value with three decimals; empty for one that is not defined."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
