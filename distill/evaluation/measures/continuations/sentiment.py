"""Sentiment of continuations by gender: VADER's compound score in [-1, 1] (Hutto and Gilbert 2014), offline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Inputs, Measure
from distill.evaluation.measures.continuations.derived import sampling_tasks
from distill.evaluation.measures.continuations.gender_scores import (
    JUDGES_ARE_BIASED,
    Score,
    gender_descriptions,
    gender_estimates,
    scores_task,
)
from distill.evaluation.statistics.measurement import Estimate
from distill.evaluation.task import Task


def task(inputs: Inputs) -> Task | None:
    """Every sampled prompt is an item. Raises as `vader`."""
    sources = sampling_tasks(inputs)
    if not inputs.config.continuations.sentiment or not sources:
        return None
    return scores_task("sentiment", "vader", vader(), sources)


def vader() -> Score:
    """VADER's compound score. Raises ValueError, naming what to install, when the package is missing."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError as error:
        raise ValueError(
            "continuations.sentiment needs the package vaderSentiment: pip install 'evenhand[sentiment]', or set "
            "continuations.sentiment=false"
        ) from error
    analyzer = SentimentIntensityAnalyzer()
    return lambda texts: [float(analyzer.polarity_scores(text)["compound"]) for text in texts]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """As `gender_estimates`; neither direction is better."""
    return gender_estimates("sentiment", "compound score", False, records, convention, settings)


MEASURE = Measure(
    name="sentiment",
    task=task,
    summarise=summarise,
    descriptions=gender_descriptions("sentiment", "Sentiment", "VADER's compound score, from -1 to 1"),
    caveats=(JUDGES_ARE_BIASED,),
)
