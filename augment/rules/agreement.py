"""Change what depends on a swapped word: its article, its possessive ending, a counterpart joined with it."""

import re

from augment.pair import Edit
from augment.rules.case import recase
from augment.rules.scan import Term

_VOWELS = tuple("aeiou")
_VOWEL_SOUNDS = ("heir", "honour", "honor", "honest")  # the h is silent
_CONSONANT_SOUNDS = ("ewe", "uter")  # these begin like "you"
_ARTICLE = re.compile(r"(?<!\w)(an?)\s+\Z", re.IGNORECASE)
_OWNER = re.compile(r"['’](?![sS]\b) ?[\w-]")
_JOINED_BEFORE = re.compile(r"(?<![\w-])([A-Za-z]+),? (?:and|or|nor|&|to) (?:the |an? |his |her |their )?\Z")
_JOINED_AFTER = re.compile(r",? (?:and|or|nor|&|to) (?:the |an? |his |her |their )?([A-Za-z]+)(?![\w-])")


def append_edit(text: str, edit: Edit, term: Term, edits: list[Edit]) -> None:
    """Append an edit of `term` to `edits`, with the edits of its article and of a counterpart joined with it."""
    if edit.target[0] in "aeiouAEIOU" or edit.source[0] in "aeiouAEIOU":
        _append_article(text, edit, edits)
    if term.use == "feminine" or term.target == "count":
        _append_coordinated(text, edit, term, edits)
    else:
        edits.append(edit)


def _append_article(text: str, edit: Edit, edits: list[Edit]) -> None:
    """Turn a/an into an/a when the new word begins with the other kind of sound."""
    if _starts_with_vowel(edit.source) == _starts_with_vowel(edit.target):
        return
    match = _ARTICLE.search(text, max(0, edit.start - 8), edit.start)
    if match is None or (edits and edits[-1].end > match.start()):
        return
    old = match.group(1)
    new = "an" if _starts_with_vowel(edit.target) else "a"
    if old.lower() == new:
        return
    new = new.upper() if old.isupper() and edit.source.isupper() else new.capitalize() if old[0] == "A" else new
    edits.append(Edit(match.start(1), match.end(1), old, new, "article", 1.0))


def _starts_with_vowel(word: str) -> bool:
    lower = word.lower()
    return lower.startswith(_VOWEL_SOUNDS) or (lower.startswith(_VOWELS) and not lower.startswith(_CONSONANT_SOUNDS))


def _append_coordinated(text: str, edit: Edit, term: Term, edits: list[Edit]) -> None:
    """Append an edit; also swap a counterpart joined with the word: "hero and heroine" -> "heroine and hero".

    A masculine counterpart that is not joined with it is left alone, because it is said of men and women (`use` is
    `feminine`).
    """
    before = _JOINED_BEFORE.search(text, max(0, edit.start - 40), edit.start)
    after = _JOINED_AFTER.match(text, edit.end)
    for match, comes_first in ((before, True), (after, False)):
        if match is None or match.group(1).lower() != term.target or match.group(1).istitle():
            continue
        start, end = match.span(1)
        if comes_first and any(earlier.start < end and start < earlier.end for earlier in edits[-2:]):
            continue
        target = recase(match.group(1), term.word)
        other = Edit(start, end, match.group(1), target, "m->f joined with its counterpart", 1.0)
        edits += [other, edit] if comes_first else [edit, other]
        return
    edits.append(edit)


def with_possessive(text: str, end: int, source: str, target: str) -> tuple[int, str]:
    """Adapt the possessive ending: ladies' -> gentlemen's, gentlemen's -> ladies'. Returns the end and the target."""
    mark = text[end : end + 1]
    if mark not in ("'", "’") or not mark:
        return end, target
    plural_in_n = source[-2:].lower() == "en" and target[-1:] in "sS"
    if plural_in_n and text[end + 1 : end + 2] in ("s", "S") and not text[end + 2 : end + 3].isalnum():
        return end + 2, target + mark
    if source[-1:] in "sS" and target[-1:] not in "sS" and _OWNER.match(text, end):
        return end + 1, target + mark + ("S" if target.isupper() else "s")
    return end, target
