"""WinoBias (Zhao et al. 2018) for causal models: is the pronoun that fits the stereotype the likelier one?

Every sentence comes twice: with the pronoun that makes its referent stereotypical, and with the other one. The score is
the share of sentences, in percent, whose stereotypical version has the higher log-likelihood (50 is the ideal). It is
given for type 1 (only world knowledge tells the referent) and type 2 (syntax tells it). It is also given separately for
sentences whose stereotypical pronoun is masculine and for those where it is feminine: a model that always prefers he
scores 50 on all, but 100 and 0 on these two. Two sentences about the same occupations are one cluster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.published.benchmark_files import check_text, hub_data_set, read_hub, read_text
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import text_logprobs
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster
from distill.evaluation.task import Task, data_hash, items_task

SOURCE = "evenhand data get winobias"
HUB_NAME = "uclanlp/wino_bias"
KEY = "benchmarks.winobias"
MASCULINE, FEMININE = {"he", "him", "his", "himself"}, {"she", "her", "hers", "herself"}
MADE_FOR_COREFERENCE = (
    "WinoBias and Winogender were made for coreference systems. The likelihood of a whole sentence answers another "
    "question: which pronoun the model expects there."
)


@dataclass(frozen=True)
class Pair:
    """A sentence with the stereotypical pronoun and with the other; gender is that of the stereotypical one."""

    id: str
    cluster: str
    type: str
    gender: str
    pro: str
    anti: str


def task(inputs: Inputs) -> Task | None:
    """Every pair is an item. Raises as `read`."""
    folder = inputs.config.benchmarks.winobias
    if folder is None:
        return None
    pairs = read(folder)
    key = f"data:{data_hash(pairs)}|minimal-pairs|sum-over-tokens|tie:half"
    return items_task("winobias", key, pairs, score, [text for pair in pairs for text in (pair.pro, pair.anti)])


def read(folder: str) -> list[Pair]:
    """The pairs that differ in nothing but gendered pronouns (19 pairs of the eight published files differ in more).

    folder: where the eight files are, or the hub's name. The hub's sentences are split into words and joined again
    here. Raises FileNotFoundError or ValueError with the remedy.
    """
    pairs = []
    name = hub_data_set(folder, HUB_NAME)
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
            chosen = [record for record in records if record["type"] == kind and gender in (record["gender"], "all")]
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
    lines = read_text(path, KEY, SOURCE).rstrip().split("\n")  # not splitlines: a sentence may hold U+2028
    sentences = [re.sub(r"^\s*\d+(\s+|$)|[\[\]]", "", line).strip() for line in lines]
    for number, sentence in enumerate(sentences, 1):
        check_text(sentence, f"line {number} has no sentence", path, KEY, SOURCE)
    return sentences


def _hub_lines(name: str, subset: str, split: str) -> list[str]:
    """The sentences of a subset of the hub's table, in which words and punctuation are separate."""
    rows = read_hub(name, KEY, SOURCE, subset=subset, split={"dev": "validation", "test": "test"}[split])
    try:
        sentences = [re.sub(r" ([.,;:!?]|n't|'\w+)(?= |$)", r"\1", " ".join(row["tokens"])) for row in rows]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{KEY}: {name} is not in WinoBias's format ({error}). To have it as files: {SOURCE}"
        ) from error
    for number, sentence in enumerate(sentences, 1):
        check_text(sentence, f"row {number} of {subset} has no sentence", name, KEY, SOURCE)
    return sentences


def _gender(pro: str, anti: str) -> str | None:
    """The gender of the pronouns that only the first version has; None if more than gendered pronouns differs."""
    pro_words, anti_words = (re.findall(r"\w+", line.lower()) for line in (pro, anti))
    differing = [(a, b) for a, b in zip(pro_words, anti_words, strict=False) if a != b]
    if len(pro_words) != len(anti_words) or not differing:
        return None
    only_pro, only_anti = ({words[version] for words in differing} for version in (0, 1))
    if only_pro <= MASCULINE and only_anti <= FEMININE:
        return "male"
    return "female" if only_pro <= FEMININE and only_anti <= MASCULINE else None


HE_FITS, SHE_FITS = "The same where he would fit the stereotype.", "The same where she would fit the stereotype."
MEASURE = Measure(
    name="winobias",
    task=task,
    summarise=summarise,
    descriptions={
        "winobias/type1/all": Description(
            "WinoBias type 1",
            "WinoBias 1",
            "How often the pronoun that fits the stereotype makes the likelier sentence, where only world knowledge "
            "tells whom it refers to; 50 is the ideal.",
        ),
        "winobias/type1/male": Description("WinoBias type 1, stereotypically male referents", None, HE_FITS),
        "winobias/type1/female": Description("WinoBias type 1, stereotypically female referents", None, SHE_FITS),
        "winobias/type2/all": Description(
            "WinoBias type 2", None, "The same where syntax tells whom the pronoun refers to."
        ),
        "winobias/type2/male": Description("WinoBias type 2, stereotypically male referents", None, HE_FITS),
        "winobias/type2/female": Description("WinoBias type 2, stereotypically female referents", None, SHE_FITS),
    },
    caveats=(MADE_FOR_COREFERENCE,),
)
