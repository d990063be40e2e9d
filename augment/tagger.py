"""Let a spaCy model decide her and his instead of the built-in rules, or measure how often the two agree.

Only `load_reader` imports spaCy; a caller may also load a pipeline and pass it to `spacy_reader`.
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

    "her" tagged PRP is an object; "his" is absolute when it is tagged PRP or does not depend on a noun as `poss`. If
    the pipeline has no token at the pronoun's place, or gives it another tag, the built-in rules decide.
    """

    @lru_cache(maxsize=4)
    def tokens(text: str) -> dict[int, Any]:
        return {token.idx: token for token in nlp(text)}

    def read(text: str, start: int, end: int) -> bool | None:
        token = tokens(text).get(start)
        if token is None or len(token.text) != end - start:
            return None
        if token.text.lower() == "his" and token.dep_:
            return token.tag_ == _OBJECT_TAG or token.dep_ != "poss"
        return bool(token.tag_ == _OBJECT_TAG) if token.tag_ in (_OBJECT_TAG, _DETERMINER_TAG) else None

    return read


def load_reader(model: str) -> Reader:
    """The reader of an installed spaCy model by its name. Raises ValueError when spaCy or the model is absent."""
    try:
        import spacy  # type: ignore[import-not-found]
    except ImportError:
        raise ValueError("spaCy is not installed; run `pip install spacy`") from None
    try:
        return spacy_reader(spacy.load(model, disable=["ner"]))
    except OSError:
        raise ValueError(f"spaCy has no model {model!r}; run `python -m spacy download {model}`") from None


@dataclass(frozen=True)
class Agreement:
    """How often two readers agree on her and his, and where they differ.

    `by_pronoun` maps "her" and "his" to (how many both read alike, how many both decided). `differences` holds (text,
    character offset).
    """

    by_pronoun: dict[str, tuple[int, int]]
    differences: tuple[tuple[str, int], ...]

    @property
    def num_agreeing(self) -> int:
        """How many pronouns both read alike."""
        return sum(agreeing for agreeing, _ in self.by_pronoun.values())

    @property
    def num_pronouns(self) -> int:
        """How many pronouns both decided."""
        return sum(number for _, number in self.by_pronoun.values())


def agreement(texts: Iterable[str], reader: Reader, max_differences: int = 100) -> Agreement:
    """Compare the built-in decisions with a reader's on raw texts; keep the first `max_differences` differences."""
    counts = {"her": [0, 0], "his": [0, 0]}
    differences: list[tuple[str, int]] = []
    for text in texts:
        for edit in swap(text).edits:
            pronoun = edit.source.lower()
            answer = reader(text, edit.start, edit.end) if pronoun in counts else None
            if answer is None:
                continue
            agrees = answer == (edit.target.lower() in ("him", "hers"))
            counts[pronoun][0] += agrees
            counts[pronoun][1] += 1
            if not agrees and len(differences) < max_differences:
                differences.append((text, edit.start))
    return Agreement({name: (a, n) for name, (a, n) in counts.items()}, tuple(differences))
