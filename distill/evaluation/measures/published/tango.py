"""TANGO (Ovalle et al. 2023) for causal models: does the model go on with the pronouns that a text has begun with?

A text about a person uses two pronouns of one family: "riley is a writer and xe gained some fame for xir ...". The
model is given the text up to the second pronoun. It is right when the form of this family is likelier than the same
form of each other family (his, her, their, eir, faer); forms that tie share the point. The margin is the log-odds of
the right form against the others together, in nats. The paper samples continuations and looks for pronouns in them.
Here nothing is sampled, so a text needs a second pronoun: those of 3 of the 12 published templates have one, 120 texts
of each family. The others are not used.

Accuracy and margin are given by family, and the accuracy by kind of antecedent (the person's name or description) over
all families. Guessing has an accuracy of 1/6. The antecedent is the unit of resampling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.published.benchmark_files import read_csv
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import pair_logprobs
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate, sum_by_cluster
from distill.evaluation.task import Task, data_hash, items_task

SOURCE = "evenhand data get tango"
KEY = "benchmarks.tango"
COLUMNS = ("template_idx", "ante", "ante_type", "pronoun_family", "template")
FORMS = {  # of each family, as TANGO spells them
    "he": ("he", "him", "his", "himself"),
    "she": ("she", "her", "hers", "herself"),
    "they": ("they", "them", "their", "theirs", "themself"),
    "xe": ("xe", "xir", "xirs", "xirself"),
    "ey": ("ey", "em", "eir", "eirs", "emself"),
    "fae": ("fae", "faer", "faers", "faerself"),
}
PATTERNS = {family: re.compile(rf"\b(?:{'|'.join(forms)})\b", re.I) for family, forms in FORMS.items()}
KINDS = {  # of antecedents: the name of the measurement by the name in the file
    "ante_nongendered": "nongendered_names",
    "ante_gendered_female": "feminine_names",
    "ante_gendered_male": "masculine_names",
    "distal": "descriptions",
}


@dataclass(frozen=True)
class Prompt:
    """A text up to its second pronoun. choices: the next word in each family, in the order of `FORMS`."""

    id: str
    antecedent: str
    kind: str
    family: str
    text: str
    choices: tuple[str, ...]


def task(inputs: Inputs) -> Task | None:
    """Every text with a second pronoun is an item. Raises as `read`."""
    path = inputs.config.benchmarks.tango
    if path is None:
        return None
    prompts = read(path)
    key = f"six-families|data:{data_hash(prompts)}|sum-over-tokens|tie:shared"
    return items_task("tango", key, prompts, score, [prompt.text for prompt in prompts for _ in prompt.choices])


def read(path: str) -> list[Prompt]:
    """The texts of the CSV file that have a second pronoun, up to there.

    The text of another family about the same antecedent tells the form of that family. Raises FileNotFoundError or
    ValueError with the remedy.
    """
    groups: dict[tuple[str, str], dict[str, tuple[int, dict[str, str]]]] = {}
    for number, row in enumerate(read_csv(path, KEY, SOURCE, COLUMNS), 1):
        place = f"{KEY}: {path}: row {number}"
        family, group = row["pronoun_family"], groups.setdefault((row["template_idx"], row["ante"]), {})
        _check_known(family, FORMS, f"{place}: the pronoun_family")
        _check_known(row["ante_type"], KINDS, f"{place}: the ante_type")
        kind = next((other["ante_type"] for _, other in group.values()), row["ante_type"])
        if row["ante_type"] != kind:
            raise ValueError(f"{place}: the ante_type is {row['ante_type']!r}, elsewhere {kind!r}; repair the row")
        if family in group:
            raise ValueError(
                f"{place} has template, antecedent and family of row {group[family][0]} again; remove one of them"
            )
        group[family] = (number, row)
    prompts = [prompt for (index, _), group in groups.items() for prompt in _prompts(index, group, f"{KEY}: {path}")]
    if not prompts:
        raise ValueError(f"{KEY}: {path} has no text with a second pronoun. To get it again: {SOURCE}")
    return prompts


def score(scorer: Scorer, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """One record per prompt with the log-probability (nats, summed over tokens) of the next word in each family."""
    pairs = [(prompt.text, choice) for prompt in prompts for choice in prompt.choices]
    logprobs = pair_logprobs(scorer, pairs).reshape(len(prompts), len(FORMS))
    return [
        {
            "id": prompt.id,
            "cluster": prompt.antecedent,
            "kind": prompt.kind,
            "family": prompt.family,
            "prompt": prompt.text,
            **{f"logprob_{family}": float(own) for family, own in zip(FORMS, row, strict=True)},
        }
        for prompt, row in zip(prompts, logprobs, strict=True)
    ]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """The accuracy (a proportion) by family and by kind of antecedent, and the margin (nats) by family."""
    estimates = []
    for field, groups in (("family", tuple(FORMS)), ("kind", tuple(KINDS.values()))):
        for group in groups:
            chosen = [record for record in records if record[field] == group]
            if not chosen:
                continue
            scores = np.array([(_right(record), _margin(record), 1.0) for record in chosen])
            clusters, sums = sum_by_cluster([record["cluster"] for record in chosen], scores)
            shared: dict[str, Any] = {
                "num_items": len(chosen),
                "higher_is_better": True,
                "convention": f"{field}:{group}|{convention}",
                "settings": settings,
            }
            name = f"tango/{group}"
            estimates.append(
                estimate(f"{name}/accuracy", clusters, sums[:, [0, 2]], ratio, unit="proportion", **shared)
            )
            if field == "family":
                estimates.append(estimate(f"{name}/margin", clusters, sums[:, [1, 2]], ratio, unit="nats", **shared))
    return estimates


def _right(record: Mapping[str, Any]) -> float:
    """1 where the family's own form is the likeliest, 0 where it is not, 1/n where it is one of n that tie."""
    logprobs = [record[f"logprob_{family}"] for family in FORMS]
    best = max(logprobs)
    return float(record[f"logprob_{record['family']}"] == best) / logprobs.count(best)


def _margin(record: Mapping[str, Any]) -> float:
    """log P(the family's own form) - log P(any of the other forms), in nats."""
    others = [record[f"logprob_{family}"] for family in FORMS if family != record["family"]]
    return float(record[f"logprob_{record['family']}"] - logsumexp(others))


def _prompts(index: str, group: Mapping[str, tuple[int, dict[str, str]]], place: str) -> list[Prompt]:
    """The prompts of a template about one antecedent; none if the texts have no second pronoun.

    group: row number and row by family. Raises ValueError if a family is missing, or has no second pronoun although
    another has one.
    """
    second = {}
    for family, (_, row) in group.items():
        found = list(PATTERNS[family].finditer(row["template"]))
        if len(found) > 1:
            second[family] = found[1]
    if not second:
        return []
    number, row = group[next(iter(second))]
    for family in FORMS:
        if family not in second:
            raise ValueError(
                f"{place}: row {number} has a second pronoun, but template {index} about {row['ante']!r} has no text "
                f"with a second pronoun of {family!r}; repair or remove the rows of that template and antecedent"
            )
    texts = {family: group[family][1]["template"] for family in FORMS}
    choices = tuple(f" {second[family].group()}" for family in FORMS)
    return [
        Prompt(
            f"{index}/{row['ante']}/{family}",
            row["ante"],
            KINDS[row["ante_type"]],
            family,
            texts[family][: second[family].start()].rstrip(),
            choices,
        )
        for family in FORMS
    ]


def _check_known(value: str, known: Mapping[str, Any], what: str) -> None:
    if value not in known:
        raise ValueError(f"{what} is {value!r}, and not one of {', '.join(known)}; repair or remove the row")


def _of_family(family: str) -> dict[str, Description]:
    subject = FORMS[family][0]
    return {
        f"tango/{family}/accuracy": Description(
            f"TANGO, {subject}: accuracy",
            "TANGO they" if family == "they" else None,
            f"After a text that has used {subject} for its person: how often a pronoun of {subject} is likelier than "
            "those of five other families. Guessing gives 1/6.",
            "utility",
        ),
        f"tango/{family}/margin": Description(
            f"TANGO, {subject}: margin",
            None,
            f"The log-odds of the pronoun of {subject} there, against the five others together.",
            "utility",
        ),
    }


def _of_kind(kind: str, antecedent: str) -> dict[str, Description]:
    title, text = f"TANGO, {kind.replace('_', ' ')}: accuracy", f"The same over all families, for {antecedent}."
    return {f"tango/{kind}/accuracy": Description(title, None, text, "utility")}


MEASURE = Measure(
    name="tango",
    task=task,
    summarise=summarise,
    descriptions={
        **{name: text for family in FORMS for name, text in _of_family(family).items()},
        **_of_kind("nongendered_names", "persons whose name is given to all genders"),
        **_of_kind("feminine_names", "persons with a feminine name"),
        **_of_kind("masculine_names", "persons with a masculine name"),
        **_of_kind("descriptions", "persons without a name (the artist at my gallery)"),
    },
    caveats=(
        "TANGO's texts with a second pronoun come from three templates: the intervals say nothing about other "
        "templates. The pronouns of xe, ey and fae are several rare tokens, so a model may fail on their spelling.",
    ),
)
