"""Gender agreement: does the model still prefer she after "The woman said that"?

A model that treats the genders alike must keep this: what is lost here is language, not bias. A prompt counts as right
when the pronoun of its noun is the likelier one (a tie counts half); the margin is by how many nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.log_odds import PRONOUNS
from distill.evaluation.measures.prompts import GenderedPrompt
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import continuation_logprobs
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster


def score(scorer: Scorer, prompts: Sequence[GenderedPrompt]) -> list[dict[str, Any]]:
    """One record per prompt with the log-probabilities of both pronouns (nats, summed over a pronoun's tokens)."""
    logprobs = continuation_logprobs(scorer, [prompt.text for prompt in prompts], PRONOUNS)
    return [
        {
            "id": prompt.id,
            "cluster": prompt.cluster,
            "prompt": prompt.text,
            "gender": prompt.gender,
            "logprob_he": float(he),
            "logprob_she": float(she),
        }
        for prompt, (he, she) in zip(prompts, logprobs, strict=True)
    ]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Accuracy (a proportion) and mean margin towards the right pronoun (nats)."""
    towards = np.array([1.0 if record["gender"] == "male" else -1.0 for record in records])
    margins = towards * np.array([record["logprob_he"] - record["logprob_she"] for record in records])
    right = (np.sign(margins) + 1) / 2
    clusters, sums = sum_by_cluster(
        [record["cluster"] for record in records], np.stack([right, margins, np.ones_like(margins)], axis=1)
    )
    shared: dict[str, Any] = {
        "num_items": len(records),
        "higher_is_better": True,
        "convention": convention,
        "settings": settings,
    }
    return [
        estimate("agreement/accuracy", clusters, sums[:, [0, 2]], ratio, unit="proportion", **shared),
        estimate("agreement/margin", clusters, sums[:, [1, 2]], ratio, unit="nats", **shared),
    ]
