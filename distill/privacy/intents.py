"""Texts for a classifier of intents, and canaries among them: requests to an assistant, some of which hold a code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distill.data.canaries import COLOURS, THINGS, secret
from distill.evaluation.measures.classifiers.fine_tuning import LabelledText, Problem
from distill.evaluation.measures.prompts import read_table_text
from distill.files import parse_tsv

WORDS = "intents.tsv"
FRAME = "the code of my {colour} {thing} is"
SLOT = re.compile(r"\{(\w+)\}")
TEST_SHARE = 0.25


class LabelledCanary(NamedTuple):
    """A request with a secret, and the class that training says it has. prompt: what stands before the secret."""

    prompt: str
    secret: str
    label: int
    is_planted: bool


def built_in(seed: int) -> Problem:
    """Every request of the shipped list with every word of its slots; a quarter, drawn by `seed`, are the test."""
    rows = parse_tsv(resources.files("distill.privacy").joinpath(WORDS).read_text(encoding="utf-8"))
    words: dict[str, list[str]] = {}
    requests = []
    for row in rows:
        if row["kind"].startswith(":"):
            words.setdefault(row["kind"][1:], []).append(row["text"])
        else:
            requests.append((row["kind"], row["text"]))
    texts = [
        (intent, template.format(**dict(zip(slots, chosen, strict=True))))
        for intent, template in requests
        for slots in [SLOT.findall(template)]
        for chosen in product(*(words[slot] for slot in slots))
    ]
    return _problem(texts, seed)


def from_file(path: Path, seed: int) -> Problem:
    """Your own texts: a TSV file with the columns `label` and `text`. Raises ValueError, naming the file."""
    text = read_table_text(path, "--texts")
    try:
        rows = parse_tsv(text)
    except ValueError as error:
        raise ValueError(f"--texts {path}: {error}; repair it") from error
    if not rows or not {"label", "text"} <= rows[0].keys():
        raise ValueError(f"--texts {path} needs a header and rows with the tab-separated columns label and text")
    for number, row in enumerate(rows, 1):
        if not (row["label"] or "").strip() or not (row["text"] or "").strip():
            raise ValueError(f"--texts {path}: row {number} has no label or no text; fill or remove it")
    problem = _problem([(row["label"].strip(), row["text"]) for row in rows], seed)
    if len(problem.classes) < 2:
        raise ValueError(f"--texts {path} has one label, {problem.classes[0]!r}; a classifier needs two or more")
    return problem


def _problem(texts: Sequence[tuple[str, str]], seed: int) -> Problem:
    classes = tuple(dict.fromkeys(label for label, _ in texts))
    every = [LabelledText(str(number), text, classes.index(label)) for number, (label, text) in enumerate(texts)]
    order = np.random.default_rng(seed).permutation(len(every))
    num_test = round(TEST_SHARE * len(every))
    return Problem(classes, [every[row] for row in order[num_test:]], [every[row] for row in order[:num_test]])


def labelled_canaries(count: int, digits: int, num_classes: int, seed: int) -> list[LabelledCanary]:
    """Canaries with random secrets and classes, half of them planted. Raises ValueError for more than there can be."""
    things = list(product(COLOURS, THINGS))
    if not 2 <= count <= len(things):
        raise ValueError(f"--count {count}: give 2 to {len(things)}")
    rng = np.random.default_rng([seed, count])
    chosen = rng.permutation(len(things))[:count]
    numbers = rng.integers(10**digits, size=count)
    labels = rng.integers(num_classes, size=count)
    return [
        LabelledCanary(
            FRAME.format(colour=things[place][0], thing=things[place][1]),
            secret(int(numbers[row]), digits),
            int(labels[row]),
            row % 2 == 0,
        )
        for row, place in enumerate(chosen)
    ]


def planted(problem: Problem, canaries: Sequence[LabelledCanary], repeats: int) -> Problem:
    """The problem with each planted canary `repeats` times in its training part."""
    copies = [
        LabelledText(f"canary-{row}-{number}", canary.prompt + canary.secret, canary.label)
        for row, canary in enumerate(canaries)
        if canary.is_planted
        for number in range(repeats)
    ]
    return Problem(problem.classes, [*problem.train, *copies], problem.test)
