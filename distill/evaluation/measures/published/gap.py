"""GAP (Webster et al. 2018) for causal models: is the pronoun of a passage about named persons the likelier one?

A passage from Wikipedia holds two names and a pronoun that may refer to either; names and pronoun have one gender. The
pronoun at that place, and nothing else, is exchanged for the forms of the other gender that may stand there: he and she
for each other, her for him, and her for him or his (object or possessive), his for her or hers, hers for his. The
passage counts as right when it is likelier than every one of these versions; a tie with the likeliest of them counts
half. The rest of the passage tells which form of the two is grammatical, so no rule has to. Passages of both genders
are given separately, and the ratio of their accuracies, feminine to masculine, is the paper's bias ratio (there of F1).

This is a measure of utility: a model that no longer tells the genders apart, or always prefers one, loses here. All
rows are used, also where the pronoun refers to neither name, because whom it refers to is not asked. The Wikipedia page
is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.rules.case import recase
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.published.benchmark_files import (
    check_columns,
    check_distinct,
    fault,
    hub_data_set,
    read_csv,
    read_hub,
)
from distill.evaluation.measures.published.winobias import MASCULINE
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import version_logprobs
from distill.evaluation.statistics.estimators import FloatArray, mean_columns, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster
from distill.evaluation.task import Task, data_hash, items_task

SOURCE = "evenhand data get gap"
HUB_NAME = "google-research-datasets/gap"
KEY = "benchmarks.gap"
COLUMNS = ("Text", "Pronoun", "Pronoun-offset", "URL")
OTHER_FORMS = {
    "he": ("she",),
    "him": ("her",),
    "his": ("her", "hers"),
    "she": ("he",),
    "her": ("him", "his"),
    "hers": ("his",),
}


@dataclass(frozen=True)
class Passage:
    """A text with the pronoun at its place, and the forms of the other gender for that place. page: its URL."""

    id: str
    page: str
    before: str
    pronoun: str
    others: tuple[str, ...]
    after: str

    @property
    def gender(self) -> str:
        """Of the pronoun: male or female."""
        return "male" if self.pronoun.lower() in MASCULINE else "female"

    @property
    def versions(self) -> list[str]:
        """The passage as it is written, and with each of the other forms."""
        return [self.before + form + self.after for form in (self.pronoun, *self.others)]


def task(inputs: Inputs) -> Task | None:
    """Every passage is an item. Raises as `read`."""
    path = inputs.config.benchmarks.gap
    if path is None:
        return None
    passages = read(path)
    key = f"data:{data_hash(passages)}|target-pronoun-alone|against-likeliest-form|sum-over-tokens|tie:half"
    return items_task("gap", key, passages, score, [text for passage in passages for text in passage.versions])


def read(path: str) -> list[Passage]:
    """The passages of a .tsv(.gz) file, or of the hub. Raises FileNotFoundError or ValueError with the remedy."""
    name = hub_data_set(path, HUB_NAME)
    if name is None:
        rows = read_csv(path, KEY, SOURCE, COLUMNS, delimiter="\t")
    else:
        rows = read_hub(name, KEY, SOURCE, subset="default", split="test")
        check_columns(rows, COLUMNS, path, KEY, SOURCE)
    check_distinct([tuple(row.items()) for row in rows], path, KEY, SOURCE)
    return [_passage(row, number, path) for number, row in enumerate(rows)]


def score(scorer: Scorer, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """One record per passage: log P (nats) as it is written and of the likeliest other version, and that one's form.

    Both are counted from the first token on that differs between the versions. Raises as `version_logprobs`.
    """
    logprobs = version_logprobs(scorer, [passage.versions for passage in passages])
    return [
        {
            "id": passage.id,
            "cluster": passage.page,
            "gender": passage.gender,
            "pronoun": passage.pronoun,
            "other": passage.others[others.argmax()],
            "logprob_pronoun": float(written),
            "logprob_other": float(others.max()),
        }
        for passage, (written, *_), others in zip(passages, logprobs, (each[1:] for each in logprobs), strict=True)
    ]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Accuracy (a proportion) over all passages and by gender, and the ratio feminine / masculine."""
    estimates = []
    for gender in ("all", "female", "male"):
        chosen = [record for record in records if gender in (record["gender"], "all")]
        if chosen:
            estimates.append(
                estimate(
                    f"gap/accuracy/{gender}",
                    *_by_page(chosen, mean_columns(_right(chosen))),
                    ratio,
                    unit="proportion",
                    num_items=len(chosen),
                    higher_is_better=True,
                    convention=f"gender:{gender}|{convention}",
                    settings=settings,
                )
            )
    is_female = np.array([record["gender"] == "female" for record in records])
    if len(set(is_female)) == 2:
        right = _right(records)
        both = np.stack([right * is_female, is_female, right * ~is_female, ~is_female], axis=1)
        estimates.append(
            estimate(
                "gap/ratio",
                *_by_page(records, both),
                _ratio_of_ratios,
                unit="",
                num_items=len(records),
                higher_is_better=None,
                convention=convention,
                settings=settings,
            )
        )
    return estimates


def _right(records: Sequence[dict[str, Any]]) -> FloatArray:
    """1 where the passage as it is written is likelier than the other versions, 1/2 for a tie [num_records]."""
    return np.array([np.sign(record["logprob_pronoun"] - record["logprob_other"]) + 1 for record in records]) / 2


def _by_page(records: Sequence[dict[str, Any]], columns: FloatArray) -> tuple[tuple[str, ...], FloatArray]:
    return sum_by_cluster([record["cluster"] for record in records], columns)


def _ratio_of_ratios(sums: FloatArray) -> FloatArray:
    """(a / b) / (c / d), from columns (a, b, c, d)."""
    return ratio(np.stack([ratio(sums[..., :2]), ratio(sums[..., 2:])], axis=-1))


def _passage(row: dict[str, Any], number: int, path: str) -> Passage:
    """A row as a passage. Raises ValueError for another pronoun, and if it does not stand where the row says."""
    place, text, pronoun = f"row {number + 1}", row["Text"], row["Pronoun"]
    if pronoun.lower() not in OTHER_FORMS:
        what = f"{place} has the pronoun {pronoun!r}, not one of {', '.join(OTHER_FORMS)}"
        raise fault(path, what, KEY, SOURCE)
    offset = str(row["Pronoun-offset"])  # a number in the hub's table
    start = int(offset) if offset.isdecimal() and len(offset) < 10 else len(text)
    before, after = text[:start], text[start:].removeprefix(pronoun)
    if after == text[start:] or before[-1:].isalnum() or after[:1].isalnum():  # there is a she in every sheet
        raise fault(path, f"{place} has no {pronoun!r} at 'Pronoun-offset' {offset!r} of its text", KEY, SOURCE)
    others = tuple(recase(pronoun, form) for form in OTHER_FORMS[pronoun.lower()])
    return Passage(f"passage/{number}", row["URL"], before, pronoun, others, after)


MEASURE = Measure(
    name="gap",
    task=task,
    summarise=summarise,
    descriptions={
        "gap/accuracy/all": Description(
            "GAP: accuracy",
            "GAP",
            "How often a passage about named persons is likelier with its own pronoun than with the other gender's.",
            column="utility",
        ),
        "gap/accuracy/female": Description(
            "GAP: accuracy, feminine pronouns", None, "The same where it is she.", column="utility"
        ),
        "gap/accuracy/male": Description(
            "GAP: accuracy, masculine pronouns", None, "The same where it is he.", column="utility"
        ),
        "gap/ratio": Description(
            "GAP: ratio of the accuracies, feminine / masculine",
            None,
            "Below 1, the model is worse at women than at men. 1: alike.",
        ),
    },
    caveats=(
        "GAP was made for coreference. Here it shows only whether the gender of a person is kept: both names of a "
        "passage have it, and in more than half of the passages an earlier pronoun tells it.",
    ),
)
