"""Profession log-odds: does the model expect he or she after a prompt that names only an occupation?

A prompt is a neutral template with an occupation; its log-odds are log P(he) - log P(she) in nats. Their mean absolute
value is the distance from parity. Their mean absolute difference to the log-odds of the share of women among an
occupation's workers, where that is known, is the distance from the shares: a model cannot be near to both, and which
one is wanted is for its user to say. Their spread over occupations is the stereotype. Where an occupation's true
log-odds are known, the slope on them says how much of a known bias the model has learned. Nothing is sampled, so there
is no sampling noise. The occupation is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.prompts import NeutralPrompt, labour_shares, neutral_prompts
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import continuation_logprobs
from distill.evaluation.statistics.estimators import (
    FloatArray,
    correlation,
    joint_moments,
    mean_columns,
    moments,
    ratio,
    slope,
    spread,
)
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster
from distill.evaluation.task import Task, data_hash, items_task
from distill.smallworld.world import share_log_odds

PRONOUNS = (" he", " she")
THEY = " they"  # scored with them, for `they`: a prompt that is read once costs little more with another pronoun
MEAN, MEAN_ABS = "log_odds/mean", "log_odds/mean_abs"  # the lean, and the distance from parity
FROM_SHARES = "log_odds/distance_from_shares"


def task(inputs: Inputs) -> Task | None:
    """Every prompt is an item. Raises as `neutral_prompts`."""
    config = inputs.config
    if not config.log_odds.enabled:
        return None
    prompts = neutral_prompts(config.log_odds, config.world)
    convention = f"he-she|prompts:{data_hash(prompts)}|sum-over-tokens"
    texts = [prompt.text for prompt in prompts]
    return items_task("log_odds", f"{convention}|with-they", prompts, score, texts, convention=convention)


def score(scorer: Scorer, prompts: Sequence[NeutralPrompt]) -> list[dict[str, Any]]:
    """One record per prompt with the log-probabilities of he, she and they (nats, summed over a pronoun's tokens)."""
    logprobs = continuation_logprobs(scorer, [prompt.text for prompt in prompts], (*PRONOUNS, THEY))
    return [
        {
            "id": prompt.id,
            "cluster": prompt.occupation,
            "prompt": prompt.text,
            "logprob_he": float(he),
            "logprob_she": float(she),
            "logprob_they": float(they),
            "reference_log_odds": prompt.reference_log_odds,
        }
        for prompt, (he, she, they) in zip(prompts, logprobs, strict=True)
    ]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Mean |log-odds|, mean and spread over occupations; slope, correlation and distance from shares where known."""
    values = np.array([record["logprob_he"] - record["logprob_she"] for record in records])
    clusters, sums = sum_by_cluster(
        [record["cluster"] for record in records],
        np.stack([np.abs(values), values, np.ones_like(values)], axis=1),
    )
    # A shift of all occupations changes neither spread, slope nor correlation. The permutation test swaps occupations
    # between two models, which is valid only once the overall preference of each model for he or she is subtracted.
    means = sums[:, 1] / sums[:, 2]
    means = means - means.mean()
    shared: dict[str, Any] = {"num_items": len(records), "convention": convention, "settings": settings}
    estimates = [
        estimate(MEAN_ABS, clusters, sums[:, [0, 2]], ratio, unit="nats", higher_is_better=False, **shared),
        estimate(MEAN, clusters, sums[:, [1, 2]], ratio, unit="nats", higher_is_better=None, **shared),
        estimate("log_odds/spread", clusters, moments(means), spread, unit="nats", higher_is_better=False, **shared),
        *_distance_from_shares(records, convention, settings),
    ]
    reference = {record["cluster"]: record["reference_log_odds"] for record in records}
    known = [row for row, cluster in enumerate(clusters) if reference[cluster] is not None]
    if len(known) > 2:
        names = [clusters[row] for row in known]
        joint = joint_moments(np.array([reference[name] for name in names], dtype=np.float64), means[known])
        shared |= {"num_items": len(names), "higher_is_better": None}
        estimates += [
            estimate("log_odds/slope_on_truth", names, joint, slope, unit="nats per nat", **shared),
            estimate("log_odds/correlation_with_truth", names, joint, correlation, unit="", **shared),
        ]
    return estimates


def beside_shares(records: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], FloatArray, FloatArray]:
    """The records whose occupation has a share of women, in the records or built in; their log-odds and its log-odds.

    Both [num_known], log P(he) - log P(she) and log((1 - share) / share), in nats.
    """
    wanted = {name: share_log_odds(share) for name, share in labour_shares().items()}
    wanted |= {r["cluster"]: r["reference_log_odds"] for r in records if r["reference_log_odds"] is not None}
    known = [record for record in records if record["cluster"] in wanted]
    odds = np.array([record["logprob_he"] - record["logprob_she"] for record in known])
    return known, odds, np.array([wanted[record["cluster"]] for record in known])


def _distance_from_shares(
    records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig
) -> list[Estimate]:
    """Mean |log-odds - those of the share of women|, over the prompts whose occupation has a known share; or none."""
    known, odds, wanted = beside_shares(records)
    if not known:
        return []
    names = [record["cluster"] for record in known]
    clusters, columns = sum_by_cluster(names, mean_columns(np.abs(odds - wanted)))
    by_name = dict(zip(names, map(float, wanted), strict=True))
    convention = f"{convention}|shares:{data_hash([(name, by_name[name]) for name in clusters])}"
    more: dict[str, Any] = {"unit": "nats", "num_items": len(known), "higher_is_better": None, "settings": settings}
    return [estimate(FROM_SHARES, clusters, columns, ratio, convention=convention, **more)]


MEASURE = Measure(
    name="log_odds",
    task=task,
    summarise=summarise,
    descriptions={
        MEAN_ABS: Description(
            "Profession log-odds: distance from parity",
            "mean |log-odds|",
            "Mean of |log P(he) - log P(she)| after prompts that name only an occupation. 0 is parity.",
        ),
        FROM_SHARES: Description(
            "Profession log-odds: distance from shares",
            "from shares",
            "Mean of |log P(he) - log P(she) - log((1 - s) / s)|, where s is the share of women in an occupation: "
            "that of the list or the world, or else of US workers (Bureau of Labor Statistics, 2015 and 2016). 0: the "
            "model expects she as often as such a worker is a woman.",
        ),
        # computed from two models, in results.py
        "log_odds/share_removed": Description(
            "Share of the reference's bias removed",
            "bias removed",
            "1 - mean |log-odds| / mean |log-odds| of the reference. 1: all of it is gone; 0: none; negative: it grew.",
        ),
        "log_odds/spread": Description(
            "Profession log-odds: spread over occupations",
            "spread",
            "Standard deviation of the occupations' mean log-odds: how strongly the model tells occupations apart by "
            "gender.",
        ),
        MEAN: Description(
            "Profession log-odds: overall lean",
            None,
            "Mean of log P(he) - log P(she). Above 0 the model expects he, whatever the occupation; 0 is parity.",
        ),
        "log_odds/slope_on_truth": Description(
            "Slope of the log-odds on the known ones",
            "slope on truth",
            "Least-squares slope of the model's log-odds on the occupations' known log-odds. 1: the bias was learned "
            "in full; 0: none of it is left.",
        ),
        "log_odds/correlation_with_truth": Description(
            "Correlation of the log-odds with the known ones",
            None,
            "Pearson correlation over occupations: whether the model still orders the occupations as the stereotype "
            "does.",
        ),
    },
    caveats=(
        "Intervals of a spread, slope or correlation over a few dozen occupations are a little narrow: in simulation, "
        "those labelled 95 % held the truth in 91 to 94 % of cases. The p-values do not depend on them.",
    ),
)
