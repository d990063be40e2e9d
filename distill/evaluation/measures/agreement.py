"""Gender agreement: does the model still prefer she after "The woman said that"?

A model that treats the genders alike must keep this: a loss here is a loss of language, not of bias. A prompt counts as
right when the pronoun that fits its noun is the likelier one; a tie counts half. The margin says by how many nats. The
pair of nouns (woman and man) is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.log_odds import PRONOUNS
from distill.evaluation.measures.prompts import GenderedPrompt, gendered_prompts
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import continuation_logprobs
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster
from distill.evaluation.task import Task, data_hash, items_task

ACCURACY = "agreement/accuracy"


def task(inputs: Inputs) -> Task | None:
    """Every prompt is an item. Raises as `gendered_prompts`."""
    config = inputs.config
    if not config.agreement.enabled:
        return None
    prompts = gendered_prompts(config.agreement, config.world)
    key = f"he-she|prompts:{data_hash(prompts)}|sum-over-tokens|tie:half"
    return items_task("agreement", key, prompts, score, [prompt.text for prompt in prompts])


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
    return estimates("agreement", records, convention, settings)


def estimates(
    measure: str, records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig
) -> list[Estimate]:
    """`MEASURE/accuracy` and `MEASURE/margin` of records of `score`."""
    signs = np.array([1.0 if record["gender"] == "male" else -1.0 for record in records])
    margins = signs * np.array([record["logprob_he"] - record["logprob_she"] for record in records])
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
        estimate(f"{measure}/accuracy", clusters, sums[:, [0, 2]], ratio, unit="proportion", **shared),
        estimate(f"{measure}/margin", clusters, sums[:, [1, 2]], ratio, unit="nats", **shared),
    ]


MEASURE = Measure(
    name="agreement",
    task=task,
    summarise=summarise,
    descriptions={
        ACCURACY: Description(
            "Gender agreement: accuracy",
            "agreement",
            "How often the right pronoun is the likelier one where the noun decides it (The woman said that ...). "
            "A loss here is a loss of language, not of bias.",
            column="utility",
        ),
        "agreement/margin": Description(
            "Gender agreement: margin",
            None,
            "By how many nats the right pronoun is ahead, on average.",
            column="utility",
        ),
    },
)
