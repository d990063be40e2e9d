"""Fluency and diversity of sampled continuations: are they language, and do they say different things?

- Perplexity per token of the continuations after their prompts, under a reference model (a teacher, say), or under the
  model itself when none is given. Low is not simply good: text that repeats itself has a low perplexity. So neither
  direction counts as better, and it is read beside the diversity.
- distinct-n (Li et al. 2016): different n-grams of words over all n-grams, n = 1, 2, 3, within the continuations of one
  prompt, pooled over prompts. It falls with the number and length of continuations: compare at equal settings only.
- Repetition (seq-rep-4 of Welleck et al. 2020): the share of 4-grams of words in a continuation that occurred in it
  before; mean over continuations of at least four words.
- The share of continuations that are empty.

Words are what white space separates. The prompt is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.scoring.logprobs import score_rows
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import pair_rows
from distill.evaluation.statistics.estimators import exp_ratio, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate

DISTINCT = (1, 2, 3)
REPEATED = 4


def ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """The n-grams of a text's words, in order."""
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def repetition(words: Sequence[str]) -> float | None:
    """1 - different 4-grams / 4-grams; None for fewer than four words."""
    found = ngrams(words, REPEATED)
    return 1 - len(set(found)) / len(found) if found else None


def diversity_record(source: dict[str, Any]) -> dict[str, Any]:
    """The record of a prompt from its record in BOLD: counts of n-grams, and the sum of `repetition`."""
    texts = [text.split() for text in source["continuations"]]
    record = {"id": source["id"], "num_continuations": len(texts), "num_empty": sum(not words for words in texts)}
    for n in DISTINCT:
        found = [gram for words in texts for gram in ngrams(words, n)]
        record |= {f"num_{n}grams": len(found), f"num_distinct_{n}grams": len(set(found))}
    repeated = [share for share in map(repetition, texts) if share is not None]
    return record | {"repetition": float(sum(repeated)), "num_repetition": len(repeated)}


def summarise_diversity(
    records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig
) -> list[Estimate]:
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


def score(reference: Scorer, sources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record per prompt: log P (nats) under `reference` and number of tokens of its continuations, blank ones 0.

    Raises as `pair_rows`.
    """
    pairs, owners = [], []
    for number, source in enumerate(sources):
        texts = [text for text in source["continuations"] if text.strip()]
        pairs += [(source["prompt"], text) for text in texts]
        owners += [number] * len(texts)
    too_long = "lower generation.max_new_tokens or set continuations.fluency=false"
    rows = pair_rows(reference, pairs, too_long) if pairs else []
    records = [{"id": source["id"], "logprob": 0.0, "num_tokens": 0} for source in sources]
    for number, scores in zip(owners, score_rows(reference, rows), strict=True):
        records[number]["logprob"] += float(scores.sum())
        records[number]["num_tokens"] += len(scores)
    return records


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Perplexity per token of the reference's tokenizer. Raises ValueError when there is no token."""
    columns = np.array([[-record["logprob"], record["num_tokens"]] for record in records], dtype=np.float64)
    if not columns[:, 1].sum():
        raise ValueError("all continuations are empty, so that they have no perplexity; check scoring.start_token")
    return [
        estimate(
            "fluency/perplexity",
            [record["id"] for record in records],
            columns,
            exp_ratio,
            unit="per token",
            num_items=int(columns[:, 1].sum()),
            higher_is_better=None,
            convention=convention,
            settings=settings,
        )
    ]
