"""P(they): where did the probability go that debiasing took from he and she?

The prompts are those of the log-odds: each names only an occupation. The share is P(they) / (P(he) + P(she) + P(they)),
and its mean over prompts is given. The mean of log P(they) is given too. Its difference between two models is the mean
log-ratio of their P(they), whatever they do with he and she. The occupation is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.prompts import NeutralPrompt, neutral_prompts
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import continuation_logprobs
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster
from distill.evaluation.task import Task, data_hash, items_task

PRONOUNS = ("he", "she", "they")


def task(inputs: Inputs) -> Task | None:
    """Every prompt of the log-odds is an item; without log-odds there is none. Raises as `neutral_prompts`."""
    config = inputs.config
    if not (config.they.enabled and config.log_odds.enabled):
        return None
    prompts = neutral_prompts(config.log_odds, config.world)
    key = f"he-she-they|prompts:{data_hash(prompts)}|sum-over-tokens"
    return items_task("they", key, prompts, score, [prompt.text for prompt in prompts])


def score(scorer: Scorer, prompts: Sequence[NeutralPrompt]) -> list[dict[str, Any]]:
    """One record per prompt with the log-probabilities of the pronouns (nats, summed over a pronoun's tokens)."""
    words = [f" {pronoun}" for pronoun in PRONOUNS]
    logprobs = continuation_logprobs(scorer, [prompt.text for prompt in prompts], words)
    return [
        {"id": prompt.id, "cluster": prompt.occupation, "prompt": prompt.text}
        | {f"logprob_{pronoun}": float(logprob) for pronoun, logprob in zip(PRONOUNS, row, strict=True)}
        for prompt, row in zip(prompts, logprobs, strict=True)
    ]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """The mean share of they in the probability of he, she and they (a proportion), and the mean log P(they) (nats)."""
    logprobs = np.array([[record[f"logprob_{pronoun}"] for pronoun in PRONOUNS] for record in records])
    they = PRONOUNS.index("they")
    columns = np.stack([softmax(logprobs, axis=1)[:, they], logprobs[:, they], np.ones(len(records))], axis=1)
    clusters, sums = sum_by_cluster([record["cluster"] for record in records], columns)
    shared: dict[str, Any] = {
        "num_items": len(records),
        "higher_is_better": None,
        "convention": convention,
        "settings": settings,
    }
    return [
        estimate("they/share", clusters, sums[:, [0, 2]], ratio, unit="proportion", **shared),
        estimate("they/logprob", clusters, sums[:, [1, 2]], ratio, unit="nats", **shared),
    ]


MEASURE = Measure(
    name="they",
    task=task,
    summarise=summarise,
    descriptions={
        "they/share": Description(
            "They after occupations: share",
            "P(they)",
            "Mean of P(they) / (P(he) + P(she) + P(they)) after the prompts of the log-odds.",
            "collateral",
        ),
        "they/logprob": Description(
            "They after occupations: log-probability",
            None,
            "Mean log P(they) after the same prompts. The difference of two models is the mean log-ratio of their "
            "P(they).",
            "collateral",
        ),
    },
    caveats=(
        "After a prompt about one person, they may also be several people or somebody else: P(they) is more than "
        "singular they, and no value of it is the right one.",
    ),
)
