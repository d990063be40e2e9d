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
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster
from distill.evaluation.task import Records, Task, records_task

PRONOUNS = ("he", "she", "they")
COPIED = ("id", "cluster", "prompt", *(f"logprob_{pronoun}" for pronoun in PRONOUNS))


def task(inputs: Inputs) -> Task | None:
    """Every prompt of the log-odds is an item: their records have P(they), too. Without them there is none."""
    log_odds = inputs.tasks.get("log_odds")
    if not inputs.config.they.enabled or log_odds is None:
        return None
    return records_task("they", "share-of-they", [log_odds], score)


def score(sources: Sequence[dict[str, Any]]) -> Records:
    """The records of the log-odds, as far as they are about the pronouns' log-probabilities (nats)."""
    return [{name: record[name] for name in COPIED} for record in sources]


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
