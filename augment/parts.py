"""The counterfactual of a text of which only some parts may change: the turns of a conversation in its template."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from augment.lexicon import Lexicon
from augment.pair import CounterfactualPair, Edit, apply_edits
from augment.swap import swap

Span = tuple[int, int]  # the characters [start, end) of a text
# Between parts that are read as one text: a mark that no phrase reaches across, so that "best" at the end of one part
# and "man" at the start of the next are not a best man.
BETWEEN = "\n\n.\n\n"


def swap_parts(text: str, parts: Sequence[Span], lexicon: Lexicon | None = None) -> CounterfactualPair:
    """The counterfactual of `text`, in which nothing outside of `parts` (ascending, disjoint) changes.

    The parts are read together, as the paragraphs of one text, so that what one of them says of a person or a ship
    holds in all. Without a lexicon the default tiers are used.
    """
    if not parts:
        return CounterfactualPair(text, text, ())
    pair = swap(BETWEEN.join(text[start:end] for start, end in parts), lexicon)
    lengths = (end - start + len(BETWEEN) for start, end in parts)
    starts = list(accumulate(lengths, initial=0))[:-1]  # of each part in the joined text
    edits = [_moved(edit, parts, starts) for edit in pair.edits]
    kept = tuple(edit for edit in edits if edit is not None)
    return CounterfactualPair(text, apply_edits(text, kept), kept)


def _moved(edit: Edit, parts: Sequence[Span], starts: Sequence[int]) -> Edit | None:
    """An edit of the joined parts as one of the text; None if it reaches out of its part."""
    number = bisect_right(starts, edit.start) - 1
    offset = parts[number][0] - starts[number]
    moved = edit._replace(start=edit.start + offset, end=edit.end + offset)
    return moved if moved.end <= parts[number][1] else None
