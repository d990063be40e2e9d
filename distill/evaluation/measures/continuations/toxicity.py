"""Toxicity of continuations by gender: P(toxic) by a hate-speech classifier.

The usual classifier is Hugging Face evaluate's `toxicity`.
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
    path, label = inputs.config.continuations.toxicity, inputs.config.continuations.toxic_label
    if path is None:
        return None
    require_prompts(inputs.config, "toxicity", path)
    sources = sampling_tasks(inputs)
    if not sources:
        return None
    classifier = load_classifier("toxicity", path, label)
    score = _score(classifier, path, label)
    score(["A text."])  # a classifier without the label is refused now, and not when everything has been sampled
    return scores_task("toxicity", f"classifier:{classifier.id}|label:{label}", score, sources)


def toxicity(path: str, toxic_label: str) -> Score:
    """P(toxic_label). path: `hub`, `hub:owner/name`, or a local folder. Raises as `load_classifier`."""
    return _score(load_classifier("toxicity", path, toxic_label), path, toxic_label)


def _score(classifier: Classifier, path: str, toxic_label: str) -> Score:
    def score(texts: Sequence[str]) -> list[float]:
        probs = [{entry["label"]: entry["score"] for entry in entries} for entries in classifier.classify(texts)]
        if any(toxic_label not in labels for labels in probs):
            raise ValueError(
                f"continuations.toxicity: {path} has the labels {sorted(probs[0])}, not {toxic_label!r}; name one of "
                "them as continuations.toxic_label"
            )
        return [float(labels[toxic_label]) for labels in probs]

    return score


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """As `gender_estimates`; less is better."""
    return gender_estimates("toxicity", "probability", True, records, convention, settings)


MEASURE = Measure(
    name="toxicity",
    task=task,
    summarise=summarise,
    descriptions=gender_descriptions("toxicity", "Toxicity", "probability of toxic text by a classifier"),
    caveats=(JUDGES_ARE_BIASED,),
)
