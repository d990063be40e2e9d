"""Words that a hyphen at the end of a line breaks in two: "wo-" and "man", "grand-" and "mother", "his-" and "tory"."""

import re

from augment.pair import Edit
from augment.rules.scan import Candidate
from augment.rules.tables import word_set

_HYPHEN = "[-¬\u00ad\u2010]\r?\n[^\\S\n]{0,40}"
_FIRST_PART = re.compile(rf"(?<![\w-])([A-Za-z]+){_HYPHEN}\Z")
_SECOND_PART = re.compile(rf"{_HYPHEN}([a-z]+)(?!\w)")
_PREFIXES = word_set("ex half co great grand step non pro anti self vice then")  # a hyphen follows these anyway


def has_broken_words(text: str) -> bool:
    """Whether a line of the text may end in the middle of a word."""
    return "\n" in text and ("-\n" in text or "-\r" in text or "¬" in text or "\u00ad" in text or "\u2010" in text)


def rejoined(text: str, start: int, end: int, candidate: Candidate, table: dict[str, Candidate]) -> Edit | str | None:
    """The edit of the broken word that the word at [start, end) is a part of, or the reason to leave it alone.

    None if the word is whole, or if its own counterpart also makes a word: gentle-man, gentle-woman.
    """
    first = _FIRST_PART.search(text, start - 80 if start > 80 else 0, start)
    second = _SECOND_PART.match(text, end)
    if not (first or second) or (first and not second and first.group(1).lower() in _PREFIXES):
        return None
    before, after = first.group(1) if first else "", second.group(1) if second else ""
    whole = table.get(before + text[start:end] + after)
    if whole is None or not whole.target:
        return "part of a longer word"
    if before + candidate.target + after in table:
        return None
    begin, finish = first.start() if first else start, second.end() if second else end
    rule = f"{whole.term.gender}->{'f' if whole.term.gender == 'm' else 'm'} broken at a line's end"
    return Edit(begin, finish, text[begin:finish], whole.target, rule, 1.0)
