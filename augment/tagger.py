"""Another judge of her and his: an installed spaCy model in, a reader for `swap` and its agreement with ours out.

spaCy is not imported here: the caller loads a pipeline (`nlp = spacy.load("en_core_web_sm")`) and passes it on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from augment.swap import Reader, swap

_DETERMINER_TAG = "PRP$"
_OBJECT_TAG = "PRP"


def spacy_reader(nlp: Callable[[str], Any]) -> Reader:
    """A reader for `swap(text, reader=...)` that asks a spaCy pipeline.

    "her" tagged PRP is an object; "his" is absolute when it is tagged PRP or does not depend on a noun as `poss`. Where
    the pipeline has no token at the pronoun's place or another tag, it answers None and the built-in rules decide.
    """
    parse = lru_cache(maxsize=4)(nlp)

    def read(text: str, start: int, end: int) -> bool | None:
        for token in parse(text):
            if token.idx == start and len(token.text) == end - start:
                if token.text.lower() == "his" and token.dep_:
                    return token.tag_ == _OBJECT_TAG or token.dep_ != "poss"
                if token.tag_ in (_OBJECT_TAG, _DETERMINER_TAG):
                    return bool(token.tag_ == _OBJECT_TAG)
        return None

    return read


@dataclass(frozen=True)
class Agreement:
    """On how many of the pronouns her and his two judges agree, with the places where they do not."""

    num_pronouns: int
    num_agreeing: int
    differences: tuple[tuple[str, int], ...]

    @property
    def share(self) -> float:
        """Share of agreement, a proportion; 1.0 without pronouns."""
        return self.num_agreeing / self.num_pronouns if self.num_pronouns else 1.0


def agreement(texts: Iterable[str], reader: Reader, max_differences: int = 100) -> Agreement:
    """Compare the built-in decisions with a reader's on raw texts; differences are (text, character offset)."""
    num_pronouns = num_agreeing = 0
    differences: list[tuple[str, int]] = []
    for text in texts:
        for edit in swap(text).edits:
            if edit.source.lower() not in ("her", "his"):
                continue
            answer = reader(text, edit.start, edit.end)
            if answer is None:
                continue
            num_pronouns += 1
            if answer == (edit.target.lower() in ("him", "hers")):
                num_agreeing += 1
            elif len(differences) < max_differences:
                differences.append((text, edit.start))
    return Agreement(num_pronouns, num_agreeing, tuple(differences))
