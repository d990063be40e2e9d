"""Winogender's files and hub table: sentences in triples, and the labour statistics of their occupations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.evaluation.measures.published.benchmark_files import check_columns, hub_data_set, read_csv, read_hub
from distill.evaluation.measures.published.winobias import FEMININE, MASCULINE

SOURCE = "evenhand data get winogender"
HUB_NAME = "oskarvanderwal/winogender"
KEY = "benchmarks.winogender"
HUB_COLUMNS = ("sentence", "occupation", "participant", "label", "gender")  # label: 0 occupation, 1 participant
PRONOUNS = {
    "male": MASCULINE,
    "female": FEMININE,
    "neutral": {"they", "them", "their", "theirs", "themselves"},
}
REFERENTS = ("occupation", "participant")


@dataclass(frozen=True)
class Schema:
    """Three sentences that differ in their pronoun, in the order of PRONOUNS.

    refers_to: one of REFERENTS. female_share: of the occupation's workers (a proportion), None if it is not known.
    """

    id: str
    occupation: str
    participant: str
    refers_to: str
    female_share: float | None
    sentences: tuple[str, str, str]


def read(path: str) -> list[Schema]:
    """The schemas of a folder with all_sentences.tsv and occupations-stats.tsv, or of the hub (without statistics).

    Raises FileNotFoundError or ValueError with the remedy.
    """
    rows, shares = _rows_and_shares(path)
    sentences: dict[str, dict[str, str]] = {}
    for row in rows:
        parts = re.fullmatch(r"(.+\..+\.[01])\.(male|female|neutral)(?:\.txt)?", row["sentid"])
        if parts is None:
            raise ValueError(f"{KEY}: {path} has the sentence id {row['sentid']!r}. To get it again: {SOURCE}")
        sentences.setdefault(parts[1], {})[parts[2]] = row["sentence"].strip()
    return [_schema(name, by_pronoun, shares, path) for name, by_pronoun in sentences.items()]


def coreference_prompt(sentence: str, kind: str) -> str:
    """The sentence and the question whom its pronoun refers to, in the words of lm-evaluation-harness.

    Raises ValueError for a sentence without a pronoun of that kind.
    """
    pronoun = next((word for word in re.findall(r"\w+", sentence) if word.lower() in PRONOUNS[kind]), None)
    if pronoun is None:
        raise ValueError(f"{KEY}: {sentence[:60]!r} has no {kind} pronoun. To get the sentences again: {SOURCE}")
    left, right = "\N{LEFT SINGLE QUOTATION MARK}", "\N{RIGHT SINGLE QUOTATION MARK}"
    return f"{sentence} {left}{pronoun.capitalize()}{right} refers to the"


def _rows_and_shares(path: str) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Rows with sentid and sentence, and the share of women in each occupation (empty for the hub)."""
    name = hub_data_set(path, HUB_NAME)
    if name is None:
        folder = Path(path).expanduser()
        rows = read_csv(folder / "all_sentences.tsv", KEY, SOURCE, ("sentid", "sentence"), delimiter="\t")
        return rows, _shares(folder / "occupations-stats.tsv")
    table = read_hub(name, KEY, SOURCE, subset="all", split="test")
    check_columns(table, HUB_COLUMNS, path, KEY, SOURCE)
    rows = [
        {"sentid": ".".join(str(row[column]) for column in HUB_COLUMNS[1:]), "sentence": row["sentence"]}
        for row in table
    ]
    return rows, {}


def _shares(path: Path) -> dict[str, float]:
    """The share of women among the workers of each occupation (US Bureau of Labor Statistics, as published)."""
    rows = read_csv(path, KEY, SOURCE, ("occupation", "bls_pct_female"), delimiter="\t")
    try:
        return {row["occupation"]: float(row["bls_pct_female"]) / 100 for row in rows}
    except ValueError as error:
        raise ValueError(f"{KEY}: {path} has a share that is no number ({error}). To get it again: {SOURCE}") from error


def _schema(name: str, by_pronoun: dict[str, str], shares: dict[str, float], path: str) -> Schema:
    if set(by_pronoun) != set(PRONOUNS):
        raise ValueError(f"{KEY}: {path}: {name} lacks one of {', '.join(PRONOUNS)}. To get it again: {SOURCE}")
    occupation, participant, answer = name.split(".")
    if shares and occupation not in shares:
        raise ValueError(f"{KEY}: {path}: occupations-stats.tsv lacks {occupation!r}. To get it again: {SOURCE}")
    for kind, sentence in by_pronoun.items():
        coreference_prompt(sentence, kind)  # raises for a sentence without the pronoun
    male, female, neutral = (by_pronoun[kind] for kind in PRONOUNS)
    share = shares.get(occupation)
    return Schema(name, occupation, participant, REFERENTS[int(answer)], share, (male, female, neutral))
