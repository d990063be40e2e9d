"""What sentiment, regard and toxicity share: mean scores of continuations by gender, and the gap between the genders.

A score is one number per continuation. In the continuations of BOLD's prompts about professions, a text's gender is the
polarity of its own words (`gender_words`), and neutral texts are left out. In those about persons it is the person's.
Blank continuations have no score. The prompt is the unit of resampling; the gap is female minus male.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description
from distill.evaluation.measures.continuations.bold_persons import PERSON_GROUPS
from distill.evaluation.measures.continuations.derived import SETS
from distill.evaluation.measures.continuations.gender_words import polarity
from distill.evaluation.measures.continuations.sampling import scored_texts
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import difference_of, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import RECORDS_AT_ONCE, Records, Task, Work, derived_task, whole_key

Score = Callable[[Sequence[str]], list[float]]
JUDGES_ARE_BIASED = (
    "Sentiment, regard and toxicity are judgements of a word list or of classifiers, which have gender biases of their "
    "own. A gap is evidence of a difference in the texts only as far as these can be trusted."
)


def scores_task(name: str, key: str, score: Score, sources: Sequence[Task]) -> Task:
    """Every record of the tasks that sample is an item. key: identifies the score."""

    def prepare(scorer: Scorer, *source_records: Records) -> Work:
        items = [
            (SETS[source.name], record)
            for source, records in zip(sources, source_records, strict=True)
            for record in records
        ]
        ids = [f"{prompts}/{record['id']}" for prompts, record in items]
        convention = f"{whole_key(key, sources)}|{scorer.start_convention}"

        def score_records(part: Sequence[tuple[str, dict[str, Any]]]) -> Records:
            return gender_scores(part, score)

        return Work(ids, items, score_records, lambda _: (convention,), chunk=RECORDS_AT_ONCE)

    return derived_task(name, key, sources, prepare)


def gender_scores(sources: Sequence[tuple[str, dict[str, Any]]], score: Score) -> list[dict[str, Any]]:
    """One record per prompt: the genders and scores of its continuations that are not blank.

    sources: a set of prompts (`professions` or `persons`) and a record of `sampling.record`. All texts are scored in
    one call.
    """
    texts = [
        [
            text
            for text, continuation in zip(scored_texts(source), source["continuations"], strict=True)
            if continuation.strip()
        ]
        for _, source in sources
    ]
    scores = iter(score([text for own in texts for text in own]))
    return [
        {
            "id": f"{prompts}/{source['id']}",
            "prompts": prompts,
            "genders": [_gender(prompts, source, text) for text in own],
            "scores": [next(scores) for _ in own],
        }
        for (prompts, source), own in zip(sources, texts, strict=True)
    ]


def gender_estimates(
    name: str,
    unit: str,
    lower_is_better: bool,
    records: Sequence[dict[str, Any]],
    convention: str,
    settings: StatisticsConfig,
) -> list[Estimate]:
    """Mean score of continuations about women, about men, and their difference, by set of prompts.

    lower_is_better: whether the two means are better when lower; neither direction of the gap is better.
    """
    better = False if lower_is_better else None
    estimates = []
    for prompts in SETS.values():
        chosen = [record for record in records if record["prompts"] == prompts]
        if not chosen:
            continue
        columns = np.array([_sums(record) for record in chosen])
        names = [record["id"] for record in chosen]
        shared: dict[str, Any] = {"unit": unit, "convention": f"{prompts}|{convention}", "settings": settings}
        for gender, own in (("female", columns[:, :2]), ("male", columns[:, 2:])):
            more = {"num_items": int(own[:, 1].sum()), "higher_is_better": better, **shared}
            estimates.append(estimate(f"{name}/{prompts}/{gender}", names, own, ratio, **more))
        more = {"num_items": int(columns[:, [1, 3]].sum()), "higher_is_better": None, **shared}
        estimates.append(estimate(f"{name}/{prompts}/gap", names, columns, difference_of(ratio, 2), **more))
    return estimates


def gender_descriptions(name: str, title: str, what: str) -> dict[str, Description]:
    """The descriptions of `gender_estimates`. what: the score, in words."""
    descriptions = {}
    for prompts, whose in (("professions", "with words of that gender"), ("persons", "about persons of that gender")):
        for gender in ("female", "male"):
            descriptions[f"{name}/{prompts}/{gender}"] = Description(
                f"{title}, {prompts}, {gender}", None, f"Mean {what}, of continuations {whose}."
            )
        descriptions[f"{name}/{prompts}/gap"] = Description(
            f"{title}, {prompts}: female minus male",
            f"{name} gap" if prompts == "persons" else None,
            f"Difference of the means of both genders ({what}). 0: alike.",
        )
    return descriptions


def _gender(prompts: str, source: dict[str, Any], text: str) -> str:
    """The person's gender, or the polarity of the text."""
    return PERSON_GROUPS[source["group"]] if prompts == "persons" else polarity(text)


def _sums(record: dict[str, Any]) -> list[float]:
    """(female sum, count, male sum, count)."""
    by_gender = {
        gender: [score for score, own in zip(record["scores"], record["genders"], strict=True) if own == gender]
        for gender in ("female", "male")
    }
    return [number for scores in by_gender.values() for number in (float(sum(scores)), float(len(scores)))]
