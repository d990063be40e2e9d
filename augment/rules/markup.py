"""Read text through its mark-up: what stands between the words of a sentence without being a word of it.

Both functions return a text of the same length, so that every offset stays. Words and line breaks keep their places.
`unmarked` takes away marks that touch words (emphasis, escapes, TeX commands), so that the words are found.
`sentence_view` also blanks tags, addresses and the handles before a sentence; the rules read the sentence there.
"""

import re
from collections.abc import Sequence

from augment.rules.tables import word_lists
from augment.rules.tokens import PARAGRAPH, ends_sentence

_WORDS = word_lists("markup")
# Emphasis in plain text. Underscores inside the identifiers of code, and two of them around one, are left alone.
_EMPHASIS = re.compile(
    r"(?<![\w*~])(_|__(?=(?:(?!__)[^\n]){1,300}?['’ ])|\*{1,3}|~~)"
    r"(?=[\"'“‘(]?[^\W_])((?:(?!\1)[^\n]){1,300}?)(?<=[^\s_*~])\1(?![\w*~])"
)
_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(n(?=[^a-z])|(?<=[.!?…\"”)]\\)n|[rt](?![a-z]))|([\"']))"
)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
# A backslash between two words, which stands for a line break; not that of a path, a domain or a command.
_LINE_BREAK = re.compile(r"(?<!\S)([^\s\\/@|]{1,60})(\\{1,2})([^\s\\/@|]{1,60})(?!\S)")
_WORD_BEFORE_BREAK = re.compile(r"[\"'“‘(]*(?:[a-z]+|[A-Z][a-z]+|[\w'’.-]+[.,;:!?)\"'”’]+)(?<!^\w:)")
_WORD_AFTER_BREAK = re.compile(r"[\"'“‘($]*\w+(?:[-'’,]\w+)*[.,;:!?)\"'”’-]*")
_BULLETIN = re.compile(r"\[/?(?:" + "|".join(sorted(_WORDS.bulletin_board)) + r")(?:=[^\]\n]{0,200})?\]", re.IGNORECASE)
_COMMAND = re.compile(
    r"\\(?:" + "|".join(sorted(_WORDS.tex_text)) + r")\*?\{|\{\\(?:" + "|".join(sorted(_WORDS.tex_switches)) + r")\b"
)
_BARE_COMMAND = re.compile(r"(?<!\S)\\[A-Za-z]+\*?(?:\[[^\]\n]{0,80}\])?(?=\s)")
_WIKI_QUOTES = re.compile(r"(?<![\w'])'{2,5}(?=\w)|(?<=[\w.,;:!?])'{2,5}(?![\w'])")
_WIKI_LINK = re.compile(r"\[\[([^\[\]|\n]{1,200}\|)?(?=[^\[\]\n]{1,200}\]\])|(?<=[\w.!?])\]\]")
_LINK = re.compile(r"\[([^\[\]\n]{1,300})(\]\([^()\s]{1,400}\))")
# A grave or acute accent typed for an apostrophe: don`t, she´s. It is no mark of code, which begins before a word.
_ACCENT = re.compile(r"(?<![\w`´])([A-Za-z]+)[`´](?=(?:[stmd]|re|ve|ll|all)(?![\w`´]))", re.IGNORECASE)
# Handles and hashtags before the first word of a line: "RT @ann: @bob #sad He left".
_ADDRESSED = re.compile(r"^[ \t\"“'.]*(?:(?:RT[ \t]+|[&+|][ \t]+)?[@#][A-Za-z_]\w*[:,;]?[ \t]+)+", re.MULTILINE)


def unmarked(text: str) -> str:
    """The text without marks that touch its words: emphasis, escapes, wiki and bulletin-board marks, TeX commands."""
    # Tests for single characters are fast, and most texts hold none of them.
    if "`" in text or "´" in text:
        text = _ACCENT.sub(r"\1'", text)
    if "_" in text or "*" in text or "~" in text:
        text = _EMPHASIS.sub(lambda m: _blank(m.group(1)) + m.group(2) + _blank(m.group(1)), text)
    if "\\" in text:
        text = _without_backslashes(text)
    if "''" in text and "``" not in text:
        text = _WIKI_QUOTES.sub(_blanks, text)
    if "[" not in text:
        return text
    if "[[" in text:
        text = _WIKI_LINK.sub(_blanks, text)
    if "](" in text:
        text = _LINK.sub(lambda m: f" {m[1]}{_blank(m[2])}", text)
    return _BULLETIN.sub(_blanks, text) if "[/" in text else text


def sentence_view(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with blanks for its tags and addresses, at `spans`, and for the handles that begin a line.

    A tag that begins a block (a paragraph, a table cell) becomes the end of a paragraph.
    """
    pieces, place = [], 0
    for start, end in spans:
        if text[start] == "`":
            continue
        pieces += [text[place:start], _tag_view(text, start, end)]
        place = end
    view = "".join([*pieces, text[place:]]) if pieces else text
    return _ADDRESSED.sub(_blanks, view)


def _blank(marks: str) -> str:
    return " " * len(marks)


def _blanks(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _unescaped(match: re.Match[str]) -> str:
    """The character of a written-out escape among blanks, beside the word that it touches; letters stay escaped."""
    code, short, control, quote = match.groups()
    character = quote or _CONTROLS.get(control) or chr(int(code or short, 16))
    if character.isalnum() or "\u0300" <= character <= "\u036f":
        return match.group()
    if "\ud800" <= character <= "\udfff" or (character < " " and not control):
        character = " "
    blanks = " " * (len(match.group()) - 1)
    text, end = match.string, match.end()
    before_word = text[end : end + 1].isalnum() and not text[match.start() - 1 : match.start()].isalnum()
    return blanks + character if before_word else character + blanks


def _without_line_break(match: re.Match[str]) -> str:
    left, marks, right = match.groups()
    if not (_WORD_BEFORE_BREAK.fullmatch(left) and _WORD_AFTER_BREAK.fullmatch(right)):
        return match.group()
    return left + _blank(marks) + right


def _without_backslashes(text: str) -> str:
    """The text with blanks for escapes, for TeX commands around words, and for backslashes that break lines."""
    text = _ESCAPE.sub(_unescaped, text)
    if _COMMAND.search(text):
        text = _COMMAND.sub(_blanks, text).replace("}", " ")
    return _BARE_COMMAND.sub(_blanks, _LINE_BREAK.sub(_without_line_break, text))


def _tag_view(text: str, start: int, end: int) -> str:
    """What stands for a tag or an address: the end of a paragraph, nothing, or a mark that begins a sentence."""
    if text[start] not in "<{":
        return "|" + " " * (end - start - 1)
    is_block = text[start] == "<" and ends_sentence(text[start:end])
    return (PARAGRAPH if is_block else "  ") + " " * (end - start - 2)
