"""Read the words around a place in a text, three on either side, as plain prose would have them. Pure functions.

Mark-up, emoji, handles, hashtags and addresses are no words: they are left out where a sentence goes on, and read as
its end where it stops. The rules and the model for her and his then need to know nothing about them. Long blanks stand
for mark-up too (`markup.sentence_view`).
"""

import html
import re
import unicodedata

from augment.rules.tables import word_set

# A word with inner apostrophes or hyphens, a paragraph break, or one mark. Underscores count as letters, as in code.
_PLAIN = r"\w++(?:['’\-]\w++)*+|[^\w\s]|\n[^\S\n]*\n"  # possessive, so that no place is kept to come back to
_WEB = (
    r"</?[A-Za-z][^<>]{0,200}>|\[/?(?:[bisu]|url|color|size|quote|spoiler)(?:=[^\]\n]{0,99})?\]"
    r"|https?://\S+|&#?\w{2,8};|[#@](?=\w*[^\W\d])\w+|'{2,5}"
)
_TOKEN = re.compile(_PLAIN)
_WEB_TOKEN = re.compile(f"{_WEB}|{_PLAIN}")
# One class of characters, because an alternative would be tried at every place of the text.
_WEB_CHARACTERS = re.compile("[<>&+#@*~|\\\\[/\xad\u200b-\u200f\u2060\u2190-\U0010ffff]")
_TAG_NAME = re.compile(r"</?(\w+)")
_TAGS_IN_SENTENCES = word_set(
    "a abbr b big cite code del em font i ins mark q s small span strike strong sub sup tt u wbr"
)
PARAGRAPH = "\n\n"
_REACH = 48  # characters read on either side: enough for three words, long ones included
_WEB_REACH = 300  # the same where tags and addresses stand between the words
_LEFT_OUT = frozenset("*~#\\")
_READ_AS = {"&": "and", "+": "and", "<": ".", ">": ".", "|": "."}


def words_after(text: str, end: int) -> list[str]:
    """Three lower-case tokens after `end`, padded with ""; a paragraph break is one token."""
    piece = text[end : end + _REACH]
    chunks = piece.lower().split(None, 3)
    has_three = len(chunks) > 3 and "\n" not in piece  # chunks between blanks, each with a token or more
    if has_three and (chunks[0] + chunks[1] + chunks[2]).isalpha():
        return chunks[:3]
    if "    " in piece or "''" in piece or _WEB_CHARACTERS.search(piece):
        words = _words_of_web(text, end, end + _WEB_REACH, 1)
    else:
        words = _plain_words(" ".join(chunks[:3]) if has_three else piece)
    return words[:3] if len(words) > 2 else [*words, "", "", ""][:3]


def words_before(text: str, start: int) -> list[str]:
    """Three lower-case tokens before `start`, nearest first, padded with ""."""
    piece = text[start - _REACH if start > _REACH else 0 : start]
    chunks = piece.lower().rsplit(None, 3)
    has_three = len(chunks) > 3 and "\n" not in piece
    if has_three and (chunks[1] + chunks[2] + chunks[3]).isalpha():
        return chunks[:0:-1]
    if "    " in piece or "''" in piece or _WEB_CHARACTERS.search(piece):
        words = _words_of_web(text, max(0, start - _WEB_REACH), start, -1)
    else:
        words = _plain_words(" ".join(chunks[1:]) if has_three else piece)[::-1]
    return words[:3] if len(words) > 2 else [*words, "", "", ""][:3]


def _plain_words(piece: str) -> list[str]:
    """The tokens of plain prose, in lower case."""
    words = _TOKEN.findall(piece.lower().replace("’", "'"))
    return [PARAGRAPH if word[0] == "\n" else word for word in words] if "\n" in piece else words


def _words_of_web(text: str, start: int, end: int, step: int) -> list[str]:
    """The first three tokens (step 1), or the last three, last one first (step -1), of more than plain prose."""
    words: list[str] = []
    found = _WEB_TOKEN.findall(text, start, end)
    for place in range(len(found))[::step]:
        token = found[place]
        if token[0] == "#" and len(token) > 1:  # a word of the sentence, or one of the tags after its end
            following = found[place + 1] if place + 1 < len(found) else PARAGRAPH
            word = PARAGRAPH if _as_prose(following)[:1] in ("", "\n") else token[1:]
        else:
            word = _as_prose(token)
        if word:
            words.append(PARAGRAPH if word[0] == "\n" else word.lower().replace("’", "'"))
            if len(words) == 3:
                break
    return words


def _as_prose(token: str) -> str:
    """What plain prose would have for a token: a word, a mark, or "" for nothing."""
    if len(token) == 1:
        kind = unicodedata.category(token)
        if kind in ("Cf", "Mn", "Me") or token in _LEFT_OUT:
            return ""
        return "." if kind in ("So", "Sk", "Cs", "Co", "Cn") else _READ_AS.get(token, token)
    if token[0] == "<":
        return PARAGRAPH if ends_sentence(token) else ""
    if token[0] == "&":
        character = html.unescape(token)
        return "" if character.isspace() or len(character) > 1 else _as_prose(character)
    if token[0] in "@#" or "://" in token:
        return PARAGRAPH
    return "" if token[0] == "[" or token[:2] == "''" else token


def ends_sentence(tag: str) -> bool:
    """Whether a tag such as <p> or </td> ends a sentence, as <b> and </a> do not."""
    name = _TAG_NAME.match(tag)
    return name is None or name.group(1).lower() not in _TAGS_IN_SENTENCES
