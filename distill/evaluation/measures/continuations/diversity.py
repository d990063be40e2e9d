"""Diversity of sampled continuations: do they say different things?

- distinct-n (Li et al. 2016): different n-grams of words over all n-grams, n = 1, 2, 3, within the continuations of one
  prompt, pooled over prompts. It falls with the number and length of continuations: compare at equal settings only.
- Repetition (seq-rep-4 of Welleck et al. 2020): the share of 4-grams of words in a continuation that occurred in it
  before; mean over continuations of at least four words.
- The share of continuations that are empty.

Words are separated by white space. The prompt is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.continuations.derived import sampling_tasks
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Records, Task, records_task

DISTINCT = (1, 2, 3)
REPEATED = 4


def task(inputs: Inputs) -> Task | None:
    """Every sampled prompt is an item."""
    sources = sampling_tasks(inputs)
    if not inputs.config.continuations.diversity or not sources:
        return None
    return records_task("diversity", "white-space-words|per-prompt", sources, score)


def score(sources: Sequence[dict[str, Any]]) -> Records:
    """One record per sampled prompt: counts of n-grams, and the sum of `repetition`."""
    return [_record(source) for source in sources]


def _record(source: dict[str, Any]) -> dict[str, Any]:
    texts = [text.split() for text in source["continuations"]]
    record = {"id": source["id"], "num_continuations": len(texts), "num_empty": sum(not words for words in texts)}
    for n in DISTINCT:
        grams = [gram for words in texts for gram in ngrams(words, n)]
        record |= {f"num_{n}grams": len(grams), f"num_distinct_{n}grams": len(set(grams))}
    repeated = [share for share in map(repetition, texts) if share is not None]
    return record | {"repetition": float(sum(repeated)), "num_repetition": len(repeated)}


def ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """The n-grams of a text's words, in order."""
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def repetition(words: Sequence[str]) -> float | None:
    """1 - different 4-grams / 4-grams; None for fewer than four words."""
    grams = ngrams(words, REPEATED)
    return 1 - len(set(grams)) / len(grams) if grams else None


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """distinct-1, -2 and -3, repetition, and the share of empty continuations (proportions)."""
    names = [record["id"] for record in records]
    shared: dict[str, Any] = {"unit": "proportion", "convention": convention, "settings": settings}
    fields: list[tuple[str, str, str, bool | None]] = [
        (f"diversity/distinct_{n}", f"num_distinct_{n}grams", f"num_{n}grams", None) for n in DISTINCT
    ]
    fields += [
        ("diversity/repetition", "repetition", "num_repetition", False),
        ("diversity/empty", "num_empty", "num_continuations", False),
    ]
    estimates = []
    for name, part, whole, better in fields:
        columns = np.array([[record[part], record[whole]] for record in records], dtype=np.float64)
        if columns[:, 1].sum():
            more = {"num_items": int(columns[:, 1].sum()), "higher_is_better": better, **shared}
            estimates.append(estimate(name, names, columns, ratio, **more))
    return estimates


MEASURE = Measure(
    name="diversity",
    task=task,
    summarise=summarise,
    descriptions={
        **{
            f"diversity/distinct_{n}": Description(
                f"Continuations: distinct-{n}",
                None,
                f"Different {n}-grams of words over all of them within the continuations of one prompt.",
                column="utility",
            )
            for n in DISTINCT
        },
        "diversity/repetition": Description(
            "Continuations: repetition",
            None,
            "The share of 4-grams in a continuation that occurred in it before.",
            column="utility",
        ),
        "diversity/empty": Description(
            "Continuations: empty", None, "The share of continuations without any text.", column="utility"
        ),
    },
    caveats=("distinct-n falls with the number and the length of continuations: compare at equal settings only.",),
)
