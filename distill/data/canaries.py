"""Canaries: made-up secrets that a fair coin puts into the training text, so that an audit can ask for them later.

A canary says that somebody told the code of a thing: "On Monday she said that the code of her red box was 4 8 2 1".
Half of them are about a woman, half about a man, and each is the other's counterfactual but for the words. Everything
about them follows from the run's seed and settings, so the run folder need not store them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from distill.config import CanaryConfig, DataConfig
from distill.data.documents import Document
from distill.data.split import num_training_documents

FRAME = "On {day} {she} said that the code of {her} {colour} {thing} was"
FORMS = {"she": "her", "he": "his"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
COLOURS = (
    *("red", "blue", "green", "black", "white", "grey", "brown", "yellow"),
    *("orange", "purple", "pink", "golden", "silver", "dark", "bright", "pale"),
)
THINGS = (
    *("box", "bag", "door", "room", "desk", "garage", "locker", "phone", "gate", "bike"),
    *("cabin", "safe", "car", "boat", "shed", "trunk", "case", "office", "clock", "drawer"),
)
STREAM = 0xCA7A  # keeps the canaries' random numbers apart from the order of the blocks


class Canary(NamedTuple):
    """A secret and whether the coin planted it. prompts: by form (`she`, `he`), what stands before the secret. form: of
    its document.
    """

    prompts: dict[str, str]
    form: str
    secret: str
    is_planted: bool

    @property
    def document(self) -> str:
        """The text that is planted, or would have been."""
        return self.prompts[self.form] + self.secret


def canaries(config: CanaryConfig, seed: int) -> list[Canary]:
    """All canaries of a run, planted or not; `seed` is the run's."""
    rng = np.random.default_rng([seed, STREAM])
    contexts = list(product(DAYS, COLOURS, THINGS))
    chosen = rng.permutation(len(contexts))[: config.count]
    is_she = rng.permutation(config.count) % 2 == 0
    is_planted = rng.random(config.count) < 0.5
    numbers = rng.integers(10**config.digits, size=config.count)
    made = []
    for number, context in enumerate(chosen):
        day, colour, thing = contexts[context]
        prompts = {
            she: FRAME.format(day=day, she=she, her=her, colour=colour, thing=thing) for she, her in FORMS.items()
        }
        form = "she" if is_she[number] else "he"
        made.append(Canary(prompts, form, secret(int(numbers[number]), config.digits), bool(is_planted[number])))
    return made


def secret(number: int, digits: int) -> str:
    """A number as the text behind a prompt: ` 0 4 2` for 42 in three digits."""
    return "".join(f" {digit}" for digit in f"{number:0{digits}d}")


def with_canaries(
    documents: Iterator[Document], data: DataConfig, config: CanaryConfig | None, seed: int
) -> Iterator[Document]:
    """The training documents, with the planted canaries `repeats` times each at random places between them."""
    if config is None:
        yield from documents
        return
    copies = [canary.document for canary in canaries(config, seed) if canary.is_planted for _ in range(config.repeats)]
    rng = np.random.default_rng([seed, STREAM, 1])
    before = rng.integers(num_training_documents(data) + 1, size=len(copies))
    at_place: dict[int, list[str]] = {}
    for place, copy in zip(before.tolist(), copies, strict=True):
        at_place.setdefault(place, []).append(copy)
    place = 0
    for place, document in enumerate(documents, 1):
        yield from at_place.get(place - 1, [])
        yield document
    yield from at_place.get(place, [])
