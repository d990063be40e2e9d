"""Change what depends on a swapped word: its article, its possessive ending, a counterpart joined with it."""

import re
from collections.abc import Mapping
from itertools import takewhile

from augment.pair import Edit
from augment.rules.case import recase
from augment.rules.context import previous_token, sentence_span, starts_sentence
from augment.rules.scan import Term

_VOWELS = tuple("aeiou")
_VOWEL_SOUNDS = ("heir", "honour", "honor", "honest")  # the h is silent
_CONSONANT_SOUNDS = ("ewe", "uter")  # these begin like "you"
_ARTICLE = re.compile(r"(?<!\w)(an?)\s+\Z", re.IGNORECASE)
_OPENING = re.compile(r"(?:(?<=[\s(:])|\A)['‘](?=\w)(?!.*\w['’](?!\w))")
_QUOTE_REACH = 60
# Of these, only the plural, or one of two feminine words, is said of men and women: two actors and an actress.
_OF_EVERYBODY = frozenset({"count", "actor", "landlord"})
_FAR = 1500  # characters: edits that begin so far before a sentence are not followed by others of that sentence
_OWNER = re.compile(r"['’](?![sS]\b) ?[\w-]")
# Before god these make an exclamation: oh my god.
_EXCLAIMED = re.compile(r"\b(?:my|oh|o|thank|good|dear|by|to|for) \Z", re.IGNORECASE)


def append_edit(text: str, edit: Edit, term: Term, edits: list[Edit], table: Mapping[str, object]) -> None:
    """Append an edit of `term` to `edits`, with the edits of its article and of counterparts in the same sentence.

    table: the surface forms that are swapped by themselves.
    """
    _, _, source, target, _, _ = edit
    if target[0] in "aeiouAEIOU" or source[0] in "aeiouAEIOU":
        _append_article(text, edit, edits)
    edits.append(edit)
    if term.use == "feminine" or term.target in _OF_EVERYBODY:
        _append_counterparts(text, edit, term, edits, table)


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


def _append_counterparts(text: str, edit: Edit, term: Term, edits: list[Edit], table: Mapping[str, object]) -> None:
    """Append an edit of each masculine counterpart beside the word: "a hero and a heroine" -> "a heroine and a hero".

    A masculine counterpart that stands alone is left alone, because it is said of men and women (`use` is `feminine`).
    """
    first, last = sentence_span(text, edit.start)
    edited = {e.start for e in takewhile(lambda e: e.start > first - _FAR, reversed(edits))}
    for masculine, feminine in _in_both_numbers(term).items():
        if masculine in table and masculine != "count":
            continue
        for match in re.finditer(rf"(?<![\w-]){masculine}(?![\w-])", text[first:last], re.IGNORECASE):
            source = match.group()
            start, end = first + match.start(), first + match.end()
            named = source == "God" or (source.istitle() and not starts_sentence(previous_token(text, start)))
            if named or start in edited or _EXCLAIMED.search(text, max(0, start - 8), start):
                continue
            target = recase(source, feminine)
            edited.add(start)
            edits.append(Edit(start, end, source, target, "m->f joined with its counterpart", 1.0))


def _in_both_numbers(term: Term) -> dict[str, str]:
    """The masculine counterpart of a feminine term in singular and plural, each with its feminine form."""
    masculine, feminine = term.target, term.word
    if not masculine.isalpha():
        return {}
    if masculine[-1] == "s" and feminine[-1] == "s":
        one = masculine[: -2 if masculine.endswith("oes") else -1], feminine[: -2 if feminine.endswith("sses") else -1]
        return {masculine: feminine, one[0]: one[1]}
    many = masculine + ("es" if masculine[-1] == "o" else "s")
    if feminine[-1] == "y":
        return {masculine: feminine, many: feminine[:-1] + "ies"}
    return {masculine: feminine, many: feminine + ("es" if feminine.endswith("ss") else "s")}


def _quoted(text: str, end: int) -> bool:
    """Whether the mark at `end` closes a quotation that opens shortly before: a 'good princess' said it."""
    opening = _OPENING.search(text, end - _QUOTE_REACH if end > _QUOTE_REACH else 0, end)
    return opening is not None and opening.group()[-1] in "'‘"


def with_possessive(text: str, end: int, source: str, target: str) -> tuple[int, str]:
    """Adapt the possessive ending: ladies' -> gentlemen's, gentlemen's -> ladies'. Returns the end and the target."""
    mark = text[end : end + 1]
    if mark not in ("'", "’") or not mark:
        return end, target
    plural_in_n = source[-2:].lower() == "en" and target[-1:] in "sS"
    if plural_in_n and text[end + 1 : end + 2] in ("s", "S") and not text[end + 2 : end + 3].isalnum():
        return end + 2, target + mark
    if source[-1:] in "sS" and target[-1:] not in "sS" and _OWNER.match(text, end) and not _quoted(text, end):
        return end + 1, target + mark + ("S" if target.isupper() else "s")
    return end, target
