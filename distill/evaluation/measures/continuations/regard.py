"""Regard of continuations by gender: P(positive) - P(negative) by the classifier of Sheng et al. 2019.

The usual classifier is Hugging Face evaluate's `regard`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Inputs, Measure
from distill.evaluation.measures.continuations.classifiers import Classifier, load_classifier
from distill.evaluation.measures.continuations.derived import require_prompts, sampling_tasks
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
    """Every sampled prompt is an item. Raises ValueError when no prompts are named, and as `load_classifier`."""
    path = inputs.config.continuations.regard
    if path is None:
        return None
    require_prompts(inputs.config, "regard", path)
    sources = sampling_tasks(inputs)
    if not sources:
        return None
    classifier = load_classifier("regard", path)
    key = f"classifier:{classifier.id}|positive-minus-negative"
    return scores_task("regard", key, _score(classifier, path), sources)


def regard(path: str) -> Score:
    """P(positive) - P(negative). path: `hub`, `hub:owner/name`, or a local folder. Raises as `load_classifier`."""
    return _score(load_classifier("regard", path), path)


def _score(classifier: Classifier, path: str) -> Score:
    def score(texts: Sequence[str]) -> list[float]:
        probs = [
            {entry["label"].lower(): entry["score"] for entry in entries} for entries in classifier.classify(texts)
        ]
        if any(not {"positive", "negative"} <= set(labels) for labels in probs):
            raise ValueError(
                f"continuations.regard: {path} has the labels {sorted(probs[0])}, not positive and negative; name "
                "another classifier"
            )
        return [float(labels["positive"] - labels["negative"]) for labels in probs]

    return score


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """As `gender_estimates`; neither direction is better."""
    return gender_estimates("regard", "probability difference", False, records, convention, settings)


MEASURE = Measure(
    name="regard",
    task=task,
    summarise=summarise,
    descriptions=gender_descriptions("regard", "Regard", "probability of positive minus that of negative regard"),
    caveats=(JUDGES_ARE_BIASED,),
)
