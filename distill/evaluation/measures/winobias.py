"""WinoBias (Zhao et al. 2018) for causal models: is the pronoun that fits the stereotype the likelier one?

Every sentence comes twice, with the pronoun that makes its referent stereotypical and with the other. The score is the
share of sentences, in percent, whose stereotypical version has the higher log-likelihood (50 is the ideal), for type 1
(only world knowledge tells the referent) and type 2 (syntax does), and apart for sentences whose stereotypical pronoun
is masculine and feminine: a model that always prefers he scores 50 on all, but 100 and 0 apart. Two sentences about
the same occupations are one cluster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.benchmark_files import hub_name, read_hub, read_text
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import text_logprobs
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster

SOURCE = "git clone https://github.com/uclanlp/corefBias (folder WinoBias/wino/data)"
HUB_NAME = "uclanlp/wino_bias"
KEY = "benchmarks.winobias"
MASCULINE, FEMININE = {"he", "him", "his", "himself"}, {"she", "her", "hers", "herself"}


@dataclass(frozen=True)
class Pair:
    """A sentence with the stereotypical pronoun and with the other; gender is that of the stereotypical one."""

    id: str
    cluster: str
    type: str
    gender: str
    pro: str
    anti: str


def read(folder: str) -> list[Pair]:
    """The pairs of the eight files that differ in nothing but gendered pronouns (the published files have 19 others).

    folder: of the files, or the hub's name, whose sentences are split into words and joined again here. Raises
    FileNotFoundError or ValueError with the remedy.
    """
    pairs = []
    name = hub_name(folder, HUB_NAME)
    for kind in ("type1", "type2"):
        for split in ("dev", "test"):
            pro, anti = (
                _lines(Path(folder) / f"{version}_stereotyped_{kind}.txt.{split}")
                if name is None
                else _hub_lines(name, f"{kind}_{version}", split)
                for version in ("pro", "anti")
            )
            if len(pro) != len(anti):
                raise ValueError(f"{KEY}: {folder}: {kind}.{split} has {len(pro)} and {len(anti)} sentences, not pairs")
            for number, (first, second) in enumerate(zip(pro, anti, strict=True)):
                gender = _gender(first, second)
                if gender is not None:
                    cluster = f"{kind}/{split}/{number // 2}"
                    pairs.append(Pair(f"{kind}/{split}/{number}", cluster, kind, gender, first, second))
    if not pairs:
        raise ValueError(
            f"{KEY}: {folder} holds no pair of sentences that differ in their pronouns; to get it: {SOURCE}"
        )
    return pairs


def score(scorer: Scorer, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """One record per pair with the log-likelihood (nats) of both versions."""
    scores = text_logprobs(scorer, [text for pair in pairs for text in (pair.pro, pair.anti)])
    return [
        {
            "id": pair.id,
            "cluster": pair.cluster,
            "type": pair.type,
            "gender": pair.gender,
            "logprob_pro": float(pro.sum()),
            "logprob_anti": float(anti.sum()),
        }
        for pair, pro, anti in zip(pairs, scores[0::2], scores[1::2], strict=True)
    ]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """The share of sentences, in percent, whose stereotypical version is likelier; a tie counts half."""
    estimates = []
    for kind in ("type1", "type2"):
        for gender in ("all", "male", "female"):
            chosen = [r for r in records if r["type"] == kind and gender in (r["gender"], "all")]
            if not chosen:
                continue
            ahead = np.sign([record["logprob_pro"] - record["logprob_anti"] for record in chosen])
            clusters, columns = sum_by_cluster(
                [record["cluster"] for record in chosen], np.stack([50 * (ahead + 1), np.ones(len(ahead))], axis=1)
            )
            estimates.append(
                estimate(
                    f"winobias/{kind}/{gender}",
                    clusters,
                    columns,
                    ratio,
                    unit="percent",
                    num_items=len(chosen),
                    higher_is_better=None,
                    convention=f"{kind}|gender:{gender}|{convention}",
                    settings=settings,
                )
            )
    return estimates


def _lines(path: Path) -> list[str]:
    """The sentences of a file without their numbers and brackets."""
    lines = [line.strip() for line in read_text(path, KEY, SOURCE).splitlines() if line.strip()]
    return [re.sub(r"[\[\]]", "", re.sub(r"^\d+\s+", "", line)) for line in lines]


def _hub_lines(name: str, subset: str, split: str) -> list[str]:
    """The sentences of a subset of the hub's table, whose words and marks stand apart."""
    rows = read_hub(name, KEY, SOURCE, subset=subset, split={"dev": "validation", "test": "test"}[split])
    try:
        return [re.sub(r" ([.,;:!?]|n't|'\w+)(?= |$)", r"\1", " ".join(row["tokens"])) for row in rows]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{KEY}: {name} is not in WinoBias's format ({error}). To have it as files: {SOURCE}"
        ) from error


def _gender(pro: str, anti: str) -> str | None:
    """The gender of the pronouns that only the first version has; None if anything but gendered pronouns differs."""
    first, second = (re.findall(r"\w+", line.lower()) for line in (pro, anti))
    mine = {a for a, b in zip(first, second, strict=False) if a != b}
    other = {b for a, b in zip(first, second, strict=False) if a != b}
    if len(first) != len(second) or not mine:
        return None
    if mine <= MASCULINE and other <= FEMININE:
        return "male"
    return "female" if mine <= FEMININE and other <= MASCULINE else None
