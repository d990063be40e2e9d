"""Regard of continuations by gender: P(positive) - P(negative) by the classifier of Sheng et al. 2019.

The usual classifier is Hugging Face evaluate's `regard`. With `regard_data` it is an encoder of the user's, fine-tuned
here (`regard_judge`), which also says how often it is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.continuations.classifiers import Classifier, load_classifier
from distill.evaluation.measures.continuations.derived import require_prompts, sampling_tasks
from distill.evaluation.measures.continuations.gender_scores import (
    JUDGES_ARE_BIASED,
    Score,
    gender_descriptions,
    gender_estimates,
    scores_task,
)
from distill.evaluation.measures.continuations.regard_judge import KEY, load_judge, tested
from distill.evaluation.statistics.estimators import mean_columns, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Task


def task(inputs: Inputs) -> Task | None:
    """Every sampled prompt is an item. Raises ValueError when no prompts are named or no classifier can be had."""
    path, data = inputs.config.continuations.regard, inputs.config.continuations.regard_data
    if path is None and data is not None:
        raise ValueError(f"{KEY} = {data!r} needs an encoder to fine-tune; set continuations.regard to its folder")
    if path is None:
        return None
    require_prompts(inputs.config, "regard", path)
    sources = sampling_tasks(inputs)
    if not sources:
        return None
    if data is not None:
        judge = load_judge(path, data, inputs.config.scoring.device)
        return tested(_task(Classifier(judge.classify, judge.id), path, sources), judge)
    classifier = load_classifier("regard", path)
    _score(classifier, path)(["A text."])  # other labels are refused now, and not when everything has been sampled
    return _task(classifier, path, sources)


def _task(classifier: Classifier, path: str, sources: Sequence[Task]) -> Task:
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
    """How often a judge that was fine-tuned here is right on its test part; then as `gender_estimates`."""
    tests = [record for record in records if record["prompts"] == "test"]
    estimates = gender_estimates("regard", "probability difference", False, records, convention, settings)
    if not tests:
        return estimates
    right = np.array([float(record["label"] == record["predicted"]) for record in tests])
    accuracy = estimate(
        "regard/test_accuracy",
        [record["id"] for record in tests],
        mean_columns(right),
        ratio,
        unit="proportion",
        num_items=len(tests),
        higher_is_better=True,
        convention=f"test|{convention}",
        settings=settings,
    )
    return [accuracy, *estimates]


MEASURE = Measure(
    name="regard",
    task=task,
    summarise=summarise,
    descriptions={
        "regard/test_accuracy": Description(
            "Regard: accuracy of the judge",
            None,
            "How often the encoder that was fine-tuned to judge regard is right on its test texts (negative, neutral "
            "or positive). It is about the judge, and equal for all models: read it before the rest.",
            column="utility",
        ),
        **gender_descriptions("regard", "Regard", "probability of positive minus that of negative regard"),
    },
    caveats=(JUDGES_ARE_BIASED,),
)
