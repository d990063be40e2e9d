"""Reasons to leave a gendered word alone: code, fixed phrases, verbs, pieces in a game, exclamations.

Each guard takes a text and the place of a candidate, and returns the reason to leave it alone, or None. A guard treats
a term and its counterpart alike, so that a second swap leaves alone what the first one left alone.
"""

import re
from bisect import bisect_right
from functools import lru_cache
from operator import itemgetter

from augment.rules.context import INVISIBLE, plain, previous_token, sentence_span, starts_sentence
from augment.rules.phrases import fixed_phrases
from augment.rules.scan import Term
from augment.rules.tables import word_lists, word_set

# Characters that ordinary prose has beside a word. Beside any other, the whole chunk between blanks is examined.
SAFE_BEFORE = frozenset(" \xa0\n\t\r\"'“‘«(—–…!?;,")
SAFE_AFTER = frozenset(" \xa0\n\t\r\"'’”»),;!?—–…")
_BLANKS = " \xa0\n\t"
_CODE = re.compile(
    r"```.*?```|(?<!`)`(?![\s`])[^`\n]*(?<![\s`])`(?!`)|<[A-Za-z/!][^<>\n]{0,400}>|\{\{[^{}]{0,400}\}\}"
    r"|(?<!\w)[A-Za-z][\w+-]{0,20}://[^\s<>\"']+|\bwww\.[^\s<>\"']+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.[\w.-]+",
    re.DOTALL,
)
_CHUNK_IS_CODE = re.compile(
    r"@\w|[#$%&\\|=~^]|\w\(\w*\)|\w\[|[a-z]\.[a-z]{2,}(?:\W|$)|^[/~.]|^\w:[\\/]|_|/.*[/.]\w|\w/$|\w:\w|::|\d/|\w[+*]"
)
# Prose on web pages may hold entities, footnote numbers, dots at the start of a line, and marks of a heading.
_WEB_PROSE = re.compile(
    r"&(?:#\d+|#x[0-9a-fA-F]+|[A-Za-z]+);|\[\d{1,3}\]|^[\"'“‘(]*\.{2,}|^={2,6}(?=[A-Z])|(?<=[a-z])={2,6}\Z"
)
# Forms of pronouns in a row, as people give theirs: she/her/hers, he/him, they/them/theirs.
_PRONOUN_LIST = re.compile(
    r"(?:(?:she|hers?|herself|he|him|his|himself|they|them|theirs?|themsel(?:f|ves)|it|its|any|ze|zir|xe|xem|ella|él|elle)(?:/|\Z)){2,}\Z",
    re.IGNORECASE,
)
_MARKS_OF_PROSE = "\"'“”‘’«»()[]{}<>*_,;:!?… "
_CHUNK_REACH = 200
# Among words, these marks glue words together that a writer of prose would have parted: him&his wife, men+women.
_WORD = r"[\"'“‘(]*(?:[A-Za-z][a-z'’-]*|[A-Z]{2,})[.,;:!?…)\"'”]*"
_WORD_BEFORE = re.compile(rf"(?<!\S){_WORD}\s\Z")
_WORD_AFTER = re.compile(rf"\s{_WORD}(?!\S)")
_GLUED_BEFORE = re.compile(
    r"^(?:.*[A-Za-z.,!?'’\"”]{2})?&+\Z|^.*[a-z]{2}:\Z|^[@#]\w+[:,;.!?…-]+(?=[^@#]*\Z)|^\*?[A-Za-z]{3,}\*\Z"
    r"|^[\"“‘'(]*(?:[A-Za-z'’]+|\d\d?)[+~]\Z"
)
_GLUED_AFTER = re.compile(
    r"^&+(?:[A-Za-z]{2}.*)?\Z|^:(?:[A-Z][a-z]?[^:]*|\d[\d.,/%-]*|(?:s?he|i|we|they|you|it|the|my|her|his)\b[^:]*)\Z"
    r"|[.,;!?…]+[@#]\w+\Z|^[+~](?:[A-Za-z'’]+|\d\d?)[.,!?…)\"”’]*\Z"
)
# A writer of chat may forget the blank after a full stop: fast.he left. Nothing in code is called so before a word.
_STOP_BEFORE = re.compile(r"^[\"'“‘(]*[A-Za-z][a-z'’]+\.\Z")
_AFTER_STOP = word_set("he she his her")
_NEUTRAL_BRACKET = re.compile(r"\((?:s\)|wo|he|hi)", re.IGNORECASE)
_INDICES = "|".join(sorted(word_lists("markup").indices))
# Neither the call of a function nor the index of a variable: an age, a name, several words, or a remark: husband[sic].
_BRACKET_OF_PROSE = re.compile(
    r"[(\[](?:\d\d[)\]]|[A-Z][A-Za-z]+[)\]]|[\"'“‘]?[\w'’/-]+ [\w'’])"
    rf"|\[(?!(?:{_INDICES})\])[a-z]{{3,}}\](?!\.?\w|[\[(]|\s?=)"
)
_FOLLOWING = re.compile(r"[^\w.,;:!?]+(\w+)")  # no phrase goes on behind these marks
_NEUTRAL_STUMP = re.compile(
    r"(?<![\w'’])(?:\(s\)|s/|\(wo\)|wo/|\(fe\)|fe/|(?:wo|fe|s)[-\u2010\u2011])\Z", re.IGNORECASE
)
# Blanks tear words apart in some corpora: "t he horn", "w he n", "he ck". The pieces are no words of their own.
TORN_BEFORE = frozenset({" t ", " w ", " s ", " c "})
TORN_AFTER = frozenset({" ck", " n ", " y ", " re", " ad", " lp", " ar"})
_TORN_WORDS = word_set("the then she this when where check here heck head help hear hey")
_PIECE_BEFORE = re.compile(r"(?<![\w'’.&/-])([a-z]) \Z")
_PIECE_AFTER = re.compile(r" (ck|n|y|re|ad|lp|ar)(?![\w'’/-])")
_CLIPPED = re.compile(r"\b(?:(?i:what|where|who|how|that|it|there|here|when|why)|[A-Z]\w+|\d+) s \Z")  # what s he
_OF_A_PERSON = re.compile(
    r"-(?:owned|led|run|headed|only|friendly|hat(?:er|ing)s?|(?:to|on|for|by)-(?:wo)?m[ae]n)\b", re.IGNORECASE
)
_OATH = re.compile(r"(?<!\w)[fF][-*]+\Z")
_LETTER = re.compile(r"[a-z](?!(?:ervant|child)\b)", re.IGNORECASE)
_BEFORE_VERB = word_set(
    "to will would can could must shall should may might they we who cannot can't didn't not don't doesn't won't i you"
    " u he she never ever gone gon gonna gotta finna tryna wanna bouta ima imma lets let's"
)
_VERB_OBJECT = re.compile(
    r"[ \n](?:the|an?|his|her|their|our|your|my|its|this|that|dat|dis|these|those|all|every|two|three|\d+"
    r"|me|him|us|them|you|it)\b"
)
_MARRIED = re.compile(r" (?:that|dat|this|dis|her|him|them) ")
_VERB_OBJECT_STRONG = re.compile(r" (?:the|their|our|its|these|those) \w+s?\b")
_CREW_THAT = re.compile(r"(?:[a-z]s|crew|men|women|people|those|team|staff) that \Z")
VERBS = word_set("man woman father mother groom bride husband wife king queen lord lady")
_CHESS = re.compile(
    r"\b(?=\w)(?:chess\w*|pawns?|rooks?|checkmate\w*|castl(?:ed|ing)|stalemate|gambit|grandmaster"
    r"|(?:captur\w+|sacrific\w+|trap\w*|takes?|moves?|exchang\w+) (?:\w+ ){0,3}bishops?"
    r"|(?:king|queen)s? (?:\w+ )?in check|(?:on|off) the (?:chess)?board|(?:king|queen)s (?:problem|puzzle)"
    r"|[a-h][1-8])\b",
    re.IGNORECASE,
)
_CARDS = re.compile(
    r"\b(?=\w)(?:poker|(?:playing|trump|face|court|(?:deck|pack|hand|suit|game) of) cards?|(?-i:trumps?|jacks?)|spades"
    r"|of clubs|of diamonds|pair of (?:aces|kings|queens|tens)|aces|ace of|bridge hand|blackjack|solitaire)\b",
    re.IGNORECASE,
)
_BLACK_QUEEN = re.compile(r"\b(?:black|white)(?:['’]s)? (?:king|queen)\b", re.IGNORECASE)
_MOVES = re.compile(
    r"\b(?:knights?|moves?|moved|pieces?|boards?|files?|ranks?|diagonals?|squares?|pin(?:s|ned)?|captur\w+|attack\w*|takes?"
    r"|took|mated?|threaten\w*|cornered)\b",
    re.IGNORECASE,
)
PIECES = word_set("king queen kings queens")


def code_spans(text: str) -> list[tuple[int, int]]:
    """Character ranges of code, mark-up, URLs and e-mail addresses."""
    # These tests are fast, and most texts hold none; a search for one character is the fastest.
    has_mark = "`" in text or "<" in text or "@" in text or ("{" in text and "{{" in text)
    if has_mark or ("/" in text and "://" in text) or "www." in text:
        return [m.span() for m in _CODE.finditer(text)]
    return []


def inside(spans: list[tuple[int, int]], start: int) -> bool:
    """Whether `start` lies in one of the spans."""
    index = bisect_right(spans, start, key=itemgetter(0))
    return index > 0 and start < spans[index - 1][1]


def odd_neighbour(text: str, start: int, end: int, tags: list[tuple[int, int]]) -> str | None:
    """Reason to leave a word alone because of what touches it: code, a path, a combining mark, a neutral form.

    `tags`: spans of code and mark-up (`code_spans`); text between two tags is prose.
    """
    left = text[start - 1] if start else " "
    right = text[end] if end < len(text) else " "
    if right == "." and not text[end + 1 : end + 2].isalnum() and left in SAFE_BEFORE:
        return None
    if left in "-*" and text[start:end].lower() == "king" and _OATH.search(text, max(0, start - 5), start):
        return "part of a longer word"
    if _continues(text[end : end + 9]) or _continues(text[max(0, start - 9) : start][::-1]):
        return "part of a longer word"
    if _NEUTRAL_STUMP.search(text, max(0, start - 4), start):
        return "neutral form"
    first, last = _chunk(text, start, end, tags)
    before, after = text[first:start], text[end:last]
    among_words = _WORD_BEFORE.search(text, max(0, first - 40), first) or _WORD_AFTER.match(text, last)
    if right in "([" and not _NEUTRAL_BRACKET.match(text, end):
        if among_words and _BRACKET_OF_PROSE.match(text, end):
            after = ""
        elif right == "(":
            return "code"
    if among_words:
        before, after = _GLUED_BEFORE.sub("", before), _GLUED_AFTER.sub("", after)
        begins = first == 0 or _WORD_BEFORE.search(text, max(0, first - 40), first)
        if begins and text[start:end] in _AFTER_STOP and _WORD_AFTER.match(text, last):
            before = _STOP_BEFORE.sub("", before)
    chunk = _WEB_PROSE.sub(" ", before + text[start:end] + after).strip(_MARKS_OF_PROSE).rstrip(_MARKS_OF_PROSE + ".")
    if left in "-_" and chunk.startswith("--"):
        chunk = chunk.lstrip("-")
    return "code, path or address" if _is_code(chunk) else None


@lru_cache(maxsize=1024)  # long chunks repeat themselves: he-she-he-she
def _is_code(chunk: str) -> bool:
    return bool(_CHUNK_IS_CODE.search(chunk)) and not _PRONOUN_LIST.match(chunk.rstrip("."))


def _continues(beside: str) -> bool:
    """Whether a word goes on beside itself: a combining mark follows, or a letter behind zero-width characters."""
    rest = beside.lstrip(INVISIBLE)
    return "\u0300" <= rest[:1] <= "\u036f" or (rest != beside and rest[:1].isalnum())


def _chunk(text: str, start: int, end: int, tags: list[tuple[int, int]]) -> tuple[int, int]:
    """The range of characters around a word up to the nearest blank or tag on either side."""
    near = start - _CHUNK_REACH if start > _CHUNK_REACH else 0
    first = max(near - 1, *(text.rfind(blank, near, start) for blank in _BLANKS)) + 1
    far = end + _CHUNK_REACH
    last = min((p for p in (text.find(blank, end, far) for blank in _BLANKS) if p >= 0), default=far)
    index = bisect_right(tags, start, key=itemgetter(0))
    if index and tags[index - 1][1] <= start:
        first = max(first, tags[index - 1][1])
    return first, min(last, tags[index][0]) if index < len(tags) else last


def torn(text: str, start: int, end: int) -> str | None:
    """Reason to leave he, she or his alone: it is a piece of a word that blanks tear apart ("t he horn", "he ck")."""
    before = _PIECE_BEFORE.search(text, start - 3 if start > 3 else 0, start)
    if before is not None and _CLIPPED.search(text, start - 12 if start > 12 else 0, start):
        return None
    after = _PIECE_AFTER.match(text, end)
    word = text[start:end].lower()
    first, last = before[1].lower() if before else "", after[1].lower() if after else ""
    joined = {first + word + last, first + word if first else "", word + last if last else ""}
    return "part of a longer word" if not _TORN_WORDS.isdisjoint(joined - {word}) else None


def idiom(text: str, start: int, end: int, term: Term) -> str | None:
    """Reason to leave a word alone because it is part of a fixed phrase (mother tongue, man-hours, king-size)."""
    if term.word in ("man", "woman") and text[end : end + 1] == "-" and _LETTER.match(text, end + 1):
        return None if _OF_A_PERSON.match(text, end) else "compound of man"
    phrases = fixed_phrases(term.word, term.target)
    if phrases is None:
        return None
    after, first, endings, around = phrases
    found = _FOLLOWING.match(text, end)
    following = found[1].lower() if found else ""
    if (following in first or not following.isascii()) and after.match(text, end):  # letters such as ſ match s
        return "fixed phrase"
    near = start - 24 if start > 24 else 0
    before = text[near:start].lower().rstrip(" \n\t\r-")
    if before.endswith(endings):
        for last_words, preceding, rest in around:
            if before.endswith(last_words) and preceding.search(text, near, start) and rest.match(text, end):
                return "fixed phrase"
    return None


def verb(text: str, start: int, end: int) -> str | None:
    """Reason to leave man, mother, father, groom, husband or queen alone: it is a verb here."""
    if not _VERB_OBJECT.match(text, end):
        return None
    word, before = text[start:end].lower(), previous_token(text, start)
    token = plain(before).lower()
    if token in _BEFORE_VERB:
        return "verb"
    if word in ("wife", "husband") and _MARRIED.match(text, end):
        return "verb" if starts_sentence(before) or before.endswith(", ") else None
    if (
        word in ("man", "woman")
        and _VERB_OBJECT_STRONG.match(text, end)
        and (
            starts_sentence(before)
            or (token == "that" and _CREW_THAT.search(text, start - 40 if start > 40 else 0, start))
        )
    ):
        return "verb"
    if word in ("man", "woman") and token.endswith("s") and _VERB_OBJECT_STRONG.match(text, end):
        return (
            None if token in ("this", "his", "as", "is", "was", "'s", "its") or token.endswith(("'s", "ss")) else "verb"
        )
    return None


def game_piece(text: str, start: int, end: int) -> str | None:
    """Reason to leave king or queen alone: the sentence speaks of chess or cards."""
    first, last = sentence_span(text, start)
    coloured = _BLACK_QUEEN.search(text, first, last) and _MOVES.search(text, first, last)
    if coloured or _CHESS.search(text, first, last) or _CARDS.search(text, first, last):
        return "piece in a game"
    return None
