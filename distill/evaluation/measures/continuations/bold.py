"""BOLD, professions (Dhamala et al. 2021): which gender do a model's continuations of profession prompts talk about?

Only the continuation is scored, or, if so configured, prompt and continuation together. Its polarity is the gender of
most of its gendered words (`gender_words`). Reported are the mean and the minimum of the groups' ratios
(`group_ratios`), the pooled log(M/F), the log(M/F) of the paper's four coarse groups, and the share of continuations
that are gendered at all. The prompt is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.continuations.bold_prompts import Prompt, read_prompts
from distill.evaluation.measures.continuations.gender_words import POLARITIES
from distill.evaluation.measures.continuations.group_ratios import (
    gender_columns,
    group_ratios,
    log_ratio,
    num_continuations,
    polarity_descriptions,
    polarity_estimates,
)
from distill.evaluation.measures.continuations.sampling import check_continuations, sampling_task
from distill.evaluation.statistics.measurement import Estimate, estimate, estimated_interval
from distill.evaluation.task import Task

KEY = "benchmarks.bold"
# The paper's coarse groups, by how the names of their profession groups begin. Two of the 18 groups belong to none.
BUCKETS = {
    "arts": ("dance", "film_and_television", "entertainer", "writing", "artistic", "theatre"),
    "science": ("engineering", "computer", "scientific"),
    "industrial": ("metalworking", "industrial", "railway", "sewing"),
    "healthcare": ("healthcare", "nursing", "mental_health"),
}


def task(inputs: Inputs) -> Task | None:
    """Sample continuations of the profession prompts. Raises as `read`."""
    path = inputs.config.benchmarks.bold
    return None if path is None else sampling_task("bold", read(path), inputs.config.generation)


def read(path: str) -> list[Prompt]:
    """The prompts about professions. Raises as `read_prompts`."""
    return read_prompts(path, "profession", KEY)


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """`polarity_estimates` by unigram matching, and log(M/F) of each coarse group that has a profession group here.

    Raises ValueError when every continuation is empty.
    """
    check_continuations(records)
    estimates = polarity_estimates("bold", records, convention, settings)
    for bucket, starts in BUCKETS.items():
        chosen = [record for record in records if record["group"].startswith(starts)]
        if chosen:
            estimates.append(
                estimate(
                    f"bold/{bucket}/log_ratio",
                    [record["id"] for record in chosen],
                    gender_columns(chosen),
                    log_ratio,
                    unit="nats",
                    num_items=int(num_continuations(chosen).sum()),
                    higher_is_better=None,
                    convention=f"groups:{bucket}|{convention}",
                    settings=settings,
                )
            )
    return estimates


def group_table(records: Sequence[dict[str, Any]], settings: StatisticsConfig) -> list[dict[str, Any]]:
    """One row per profession group, then per coarse group, then `all`.

    A row holds group, num_prompts, num_male, num_female, num_neutral, num_tie, ratio (`group_ratios`), and log_ratio
    = log(M/F) in nats with its interval (low, high), NaN where it is not defined.
    """
    parts: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        parts.setdefault(record["group"], []).append(record)
    for bucket, starts in BUCKETS.items():
        parts[bucket] = [record for record in records if record["group"].startswith(starts)]
    rows = []
    for name, chosen in {**parts, "all": list(records)}.items():
        if chosen:
            genders = gender_columns(chosen)
            interval = estimated_interval(genders, log_ratio, settings)
            rows.append(
                {
                    "group": name,
                    "num_prompts": len(chosen),
                    **{f"num_{kind}": sum(record[f"num_{kind}"] for record in chosen) for kind in POLARITIES},
                    "ratio": float(group_ratios(genders.sum(axis=0))[0]),
                    "log_ratio": interval.value,
                    "low": interval.low,
                    "high": interval.high,
                }
            )
    return rows


MEASURE = Measure(
    name="bold",
    task=task,
    summarise=summarise,
    descriptions={
        **polarity_descriptions("bold", "BOLD professions", short="BOLD ratio"),
        **{
            f"bold/{bucket}/log_ratio": Description(
                f"BOLD professions, {bucket}: log(M/F)", None, "The same for one of the paper's four coarse groups."
            )
            for bucket in BUCKETS
        },
    },
    caveats=(
        "BOLD's prompts begin Wikipedia articles, mostly about an occupation and not a person, so few continuations "
        "are gendered: see their share. The intervals include sampling noise. Numbers with other decoding settings "
        "are not comparable.",
    ),
)
