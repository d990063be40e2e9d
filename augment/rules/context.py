"""Read what is around a word: the next and the previous word, the sentence. Pure functions on text."""

import re

from augment.rules.tables import word_set
from augment.rules.tokens import PARAGRAPH

QUOTES = frozenset("\"“”‘’'")
INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2060\ufeff"  # zero-width characters
_OPENING = "\"'“‘«([{*_-—–"
_CLOSING = "\"'”’»)]}*_"
_ABBREVIATIONS = word_set(
    "mr. mrs. ms. dr. st. prof. rev. hon. gen. col. capt. lt. sgt. sr. jr. vs. no. e.g. i.e. etc. cf. vol. ed."
)
_NEXT_WORD = re.compile(r"(?:['’]s?(?=\s))?(?:-|[^\S\n]+|[^\S\n]*\n[^\S\n]+|\n)(\w+(?:['’]\w+)?)")
_SENTENCE_REACH = 600
# It begins with one of a few characters, so that the search for it is fast.
_SENTENCE_END = re.compile(
    r"[.!?\n](?:(?<=\n)\s*\n|(?<!\n)(?<!\bMr.)(?<!\bMrs.)(?<!\bMs.)(?<!\bDr.)(?<!\bSt.)[.!?]*[\"'”’)\]]*\s+(?=[^a-z]))"
)


def next_word(text: str, end: int) -> str:
    """The next word after `end`, in its own case; "" if a punctuation mark comes first.

    Blanks, a hyphen and a possessive ending are skipped.
    """
    match = _NEXT_WORD.match(text, end)
    return match.group(1) if match else ""


def previous_token(text: str, start: int) -> str:
    """The blank-delimited token before `start` with its punctuation; "" at the start of the text or of a paragraph.

    It ends with a blank, unless a mark is attached to the word at `start` (an opening quotation mark, a hyphen): then
    it ends with that mark.
    """
    head = text[start - 40 if start > 40 else 0 : start]
    if not head:
        return ""
    stripped = head.rstrip()
    if "\n" in head[len(stripped) :] and PARAGRAPH in head[len(stripped) :].replace("\r", ""):
        return ""
    pieces = stripped.rsplit(None, 1)
    if not pieces:
        return ""
    return pieces[-1] if len(stripped) == len(head) else pieces[-1] + " "


def starts_sentence(token: str) -> bool:
    """Whether a word after `token` (from `previous_token`) stands at the start of a sentence or of quoted speech."""
    if not token:
        return True
    if token[-1] != " ":
        return token[-1] in "\"'“‘«([{*_—–"
    bare = token[:-1].rstrip(_CLOSING)
    if not bare:
        return True
    if bare.lstrip(_OPENING).lower() in _ABBREVIATIONS:
        return False
    return bare[-1] in ".!?:…|>;" or bare in ("RT", "-", "—", "–", "•", "#", "##", "###", "==", "=")


def plain(token: str) -> str:
    """A token without the punctuation around it."""
    return token.strip(" " + _OPENING + _CLOSING + ".,;:!?")


def sentence_span(text: str, position: int) -> tuple[int, int]:
    """Character range of the sentence around `position`: up to a full stop, a ! or ?, or a blank line.

    It reaches at most 600 characters either way. Without this limit, a text without such marks would be read whole for
    each of its words.
    """
    start = first = max(0, position - _SENTENCE_REACH)
    for match in _SENTENCE_END.finditer(text, first, position):
        start = match.end()
    last = min(len(text), position + _SENTENCE_REACH)
    after = _SENTENCE_END.search(text, position, last)
    return start, after.start() + 1 if after else last
