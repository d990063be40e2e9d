"""Align the tokens of a text with those of its counterfactual, from character offsets and edits.

The alignment is between *predictions*: position t of the original pairs with position t' of the counterfactual when
the text read up to and including t is the counterfactual of the text read up to and including t'. It follows from
where tokens end in the text and from where the edits are, never from a diff of token ids.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from augment.swap import Edit

IntArray = npt.NDArray[np.int64]


def align_tokens(ends: Sequence[int] | IntArray, cf_ends: Sequence[int] | IntArray, edits: Sequence[Edit]) -> IntArray:
    """The counterfactual position whose prediction pairs with each original position, or -1; shape [len(ends)].

    ends, cf_ends: the end offset, in characters, of each token of the original and of the counterfactual text.
    edits: sorted, without overlap, with offsets into the original.

    Positions that end at corresponding characters pair. Inside an edit, where no characters correspond, positions pair
    one to one if both words have the same number of tokens, and have no partner otherwise. The result grows strictly
    over the positions that have a partner. Several tokens may end at the same character, because a byte-level tokenizer
    splits characters: they pair counted from the last token, which completes the character.
    """
    own, other = monotone(ends), monotone(cf_ends)
    starts = np.array([edit.start for edit in edits], dtype=np.int64)
    stops = np.array([edit.end for edit in edits], dtype=np.int64)
    shift = _shift(edits)

    mapped = _moved(own, stops, shift)
    rank_from_last = np.searchsorted(own, own, side="right") - 1 - np.arange(len(own))
    candidate = np.searchsorted(other, mapped, side="right") - 1 - rank_from_last
    corresponds = candidate >= 0
    corresponds[corresponds] = other[candidate[corresponds]] == mapped[corresponds]
    inside = _inside(own, starts, stops)
    align = np.where(corresponds & ~inside, candidate, -1)
    _pair_equal_words(align, inside, _inside(other, starts + shift[:-1], stops + shift[1:]))
    return align


def counterfactual_places(places: Sequence[int] | IntArray, edits: Sequence[Edit]) -> IntArray:
    """The places (character offsets) of the counterfactual that correspond to places of the original.

    An offset inside an edit corresponds to none, and what is returned for it means nothing.
    """
    stops = np.array([edit.end for edit in edits], dtype=np.int64)
    return _moved(np.asarray(places, dtype=np.int64), stops, _shift(edits))


def _moved(places: IntArray, stops: IntArray, shift: IntArray) -> IntArray:
    """`counterfactual_places`, from where the edits end and their `_shift`."""
    return np.asarray(places + shift[np.searchsorted(stops, places, side="right")])


def _shift(edits: Sequence[Edit]) -> IntArray:
    """How many characters longer the counterfactual is than the original, before the first edit and after each."""
    growth = np.array([len(edit.target) - (edit.end - edit.start) for edit in edits], dtype=np.int64)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(growth)])


def invert(align: IntArray, num_cf_tokens: int) -> IntArray:
    """The same alignment seen from the counterfactual: shape [num_cf_tokens], -1 where no position points."""
    inverse = np.full(num_cf_tokens, -1, dtype=np.int64)
    (paired,) = np.nonzero(align >= 0)
    inverse[align[paired]] = paired
    return inverse


def inside_edits(ends: IntArray, edits: Sequence[Edit]) -> npt.NDArray[np.bool_]:
    """Which offsets into the original lie strictly between the start and the end of an edit; shape [len(ends)]."""
    return _inside(ends, np.array([edit.start for edit in edits]), np.array([edit.end for edit in edits]))


def monotone(ends: Sequence[int] | IntArray) -> IntArray:
    """The end offsets of tokens, as an array that never steps back.

    Some tokenizers give (0, 0) to a token that stands for no character.
    """
    return np.maximum.accumulate(np.asarray(ends, dtype=np.int64))


def _inside(ends: IntArray, starts: IntArray, stops: IntArray) -> npt.NDArray[np.bool_]:
    """Which offsets lie strictly between the start and the end of an edit."""
    following = np.searchsorted(stops, ends, side="right")
    inside = np.zeros(len(ends), dtype=bool)
    near = following < len(stops)
    inside[near] = starts[following[near]] < ends[near]
    return inside


def _pair_equal_words(align: IntArray, inside: npt.NDArray[np.bool_], cf_inside: npt.NDArray[np.bool_]) -> None:
    """Pair, in place, the positions inside an edit whose two words have the same number of tokens."""
    position = 0
    while position < len(align):
        if not inside[position]:
            position += 1
            continue
        first = position
        while position < len(align) and inside[position]:
            position += 1
        cf_first = align[first - 1] + 1 if first else 0
        num_inside = position - first
        closed = position < len(align) and align[position] == cf_first + num_inside
        if (first == 0 or align[first - 1] >= 0) and closed and cf_inside[cf_first : cf_first + num_inside].all():
            align[first:position] = np.arange(cf_first, cf_first + num_inside)
