"""What a swap returns: a text, its counterfactual, and the edits that lead from one to the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

_OPPOSITE = {"m->f": "f->m", "f->m": "m->f"}


class Edit(NamedTuple):  # a tuple is made three times as fast as a frozen dataclass, and every text makes many
    """Replace the characters [start, end) of the original text, which read `source`, by `target`.

    `rule` names what decided; `confidence` is in [0, 1].
    """

    start: int
    end: int
    source: str
    target: str
    rule: str
    confidence: float


@dataclass(frozen=True)
class CounterfactualPair:
    """A text, its counterfactual, and the edits (ascending, disjoint) that lead from one to the other."""

    original: str
    counterfactual: str
    edits: tuple[Edit, ...]

    @cached_property
    def num_masculine_to_feminine(self) -> int:
        """Number of edits that replace a masculine word."""
        return sum(e.rule.startswith("m->f") for e in self.edits)

    @cached_property
    def num_feminine_to_masculine(self) -> int:
        """Number of edits that replace a feminine word."""
        return sum(e.rule.startswith("f->m") for e in self.edits)

    @property
    def confidence(self) -> float:
        """The confidence of the least certain edit; 1.0 without edits."""
        return min((e.confidence for e in self.edits), default=1.0)

    def reverse(self) -> "CounterfactualPair":
        """The pair seen from the other side. Its edits restore the original exactly, many-to-one terms included."""
        shift = 0
        back = []
        for e in self.edits:
            start = e.start + shift
            rule = _OPPOSITE.get(e.rule[:4], e.rule[:4]) + e.rule[4:]
            back.append(Edit(start, start + len(e.target), e.target, e.source, rule, e.confidence))
            shift += len(e.target) - len(e.source)
        return CounterfactualPair(self.counterfactual, self.original, tuple(back))


@dataclass(frozen=True, slots=True)
class KeptTerm:
    """A gendered word at [start, end) of a text that a swap leaves alone, and why."""

    start: int
    end: int
    source: str
    reason: str


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """Replay ascending, disjoint edits on the text that they were made for."""
    if not edits:
        return text
    pieces: list[str] = []
    position = 0
    for start, end, _, target, _, _ in edits:
        pieces.append(text[position:start])
        pieces.append(target)
        position = end
    pieces.append(text[position:])
    return "".join(pieces)
