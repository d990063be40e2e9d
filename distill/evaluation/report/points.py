"""The points of the fairness-utility plot: which models can be compared in it, and in which unit of cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from distill.evaluation.measures.log_odds import MEAN_ABS
from distill.evaluation.measures.perplexity import LOG_PERPLEXITY
from distill.evaluation.report.plots import Point

# the cost axis: measure, unit, and the function that turns its values into nats
COSTS: tuple[tuple[str, str, Callable[[float], float]], ...] = (
    (LOG_PERPLEXITY, "nats per token", float),
    ("perplexity/word", "nats per word", math.log),
    ("wikitext/word_perplexity", "nats per word of WikiText", math.log),
)


def fairness_utility_points(results: dict[str, Any]) -> tuple[list[Point], str] | None:
    """The points of the plot and the unit of its cost axis; None if no model has both measures.

    A model is a point if it was measured as the first model was. Of COSTS, the first that gives the most points is the
    axis: log-perplexity per token; per word, if the tokenizers differ; that of WikiText, if there is no other text.
    """
    by_name: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in results["measurements"]:
        by_name.setdefault(entry["name"], {})[entry["model"]] = entry
    labels = [model["label"] for model in results["models"]]
    disparities = by_name.get(MEAN_ABS, {})
    choices = [(_points(labels, by_name.get(name, {}), disparities, to_nats), unit) for name, unit, to_nats in COSTS]
    points, unit = max(choices, key=lambda choice: len(choice[0]))
    return (points, unit) if points else None


def _points(
    labels: Sequence[str],
    costs: dict[str, dict[str, Any]],
    disparities: dict[str, dict[str, Any]],
    to_nats: Callable[[float], float],
) -> list[Point]:
    measured = [label for label in labels if label in costs and label in disparities]
    return [
        Point(label, _with_interval(costs[label], to_nats), _with_interval(disparities[label], float))
        for label in measured
        if all(entries[label]["convention"] == entries[measured[0]]["convention"] for entries in (costs, disparities))
    ]


def _with_interval(entry: dict[str, Any], transform: Callable[[float], float]) -> tuple[float, float, float]:
    value, low, high = (math.nan if entry[key] is None else transform(entry[key]) for key in ("value", "low", "high"))
    return value, low, high
