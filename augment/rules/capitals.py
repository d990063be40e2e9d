"""What capitals say: nothing in a headline, elsewhere that a pronoun belongs to a name or that a word is an acronym.

Functions take a text and the place of a candidate.
"""

import re
from functools import lru_cache

from augment.rules.context import next_word, plain, previous_token
from augment.rules.pronouns import her_is_object
from augment.rules.tables import word_lists, word_set
from augment.rules.tokens import words_after
from augment.rules.topics import is_honour

_WORDS = word_lists("capitals")
_FULL_VERBS = word_lists("pronouns").irregular | word_lists("frames").verbs
_VERBS = _FULL_VERBS | _WORDS.after_subject
_PRONOUNS = word_set("he she him her his")
_NO_NOUNS = (
    _VERBS | word_lists("pronouns").closed | word_lists("frames").clause_ends | _WORDS.no_compound | _WORDS.lower
)
_WORD = re.compile(r"(?<!\w)[A-Za-z][\w'’-]*")
_AGE = re.compile(r", \d{1,3},")
_PART = re.compile(r"(?:[^.!?|\n]|\.(?=\S)|(?<=\b[A-Z])\.)+[.!?|]*")
_NOT_A_NAME = word_lists("names").not_a_name
_SENTENCE_ENDS = frozenset('.!?:;…)]"”’')
_LONGEST = 300  # characters of a line that may be a headline
_LARGE_PER_LOWER = 6  # larger words of a headline for each one without a capital
_FEWEST = 4  # words of a sentence that may be a headline
_REACH = 60
_LABEL_START = re.compile(r"(?:^|\n|[?!*…] ?)[ \t]*(?:[A-Z][\w.'’-]*[ ]{1,3}){0,3}\Z")
_LABEL_END = re.compile(r"(?: ?#?\d{1,2})?(?: ?\([^()\n]{1,40}\))?\s?:")
_PRONOUN = re.compile(r"(?<![\w'’-])(?:HE|SHE|HIM|HER)(?![\w'’])")
_TAIL = re.compile(r"-(?:\d|[a-z]{2})")
_DEFINED = re.compile(r"(?<=[\w)] )\(([A-Z]{2,6})\)|(?<![\w-])([A-Z]{2,6}) \(((?:[\w-]+ ){1,7}[\w-]+)\)")
_NUMBERED = re.compile(r"(?<!\w)(HIS|HER|HE|HIM)-?\d")
# Not a title, but what somebody has written: a sign "He Can Cook".
_SIGN_BEFORE = re.compile(
    r"\b(?:signs?|banners?|posters?|billboards?|placards?|shirts?|slogans?|caption|graffiti|tattoos?|stickers?|notes?)"
    r"(?: (?:saying|says?|reading|reads|that (?:says?|reads?|said)|with))?:? [\"“‘']\Z",
    re.IGNORECASE,
)
# Acronyms beside a word in capitals: the LAN and the MAN. A word that can be emphasised has a vowel.
_BESIDE = rf"(?:[B-DF-HJ-NP-TV-XZ]{{3,6}}|{'|'.join(sorted(_WORDS.nets)).upper()})"
_DETERMINER = f"(?:{'|'.join(sorted(_WORDS.articles))})"
_ACRONYM_BEFORE = re.compile(rf"(?<![\w@#]){_BESIDE},? (?:(?:and|or|vs|{_DETERMINER}) ){{1,2}}\Z")
_ACRONYM_AFTER = re.compile(rf",? (?:and|or|vs) (?:{_DETERMINER} )?{_BESIDE}(?!\w)")
_HISTIDINE = re.compile(r"His-?\d")  # begins with letters, so that the search is fast


def headline(text: str, start: int) -> bool:
    """Whether nearly all words of the sentence around `start` have a capital, as in a headline on a line of its own."""
    near = max(0, start - _LONGEST)
    first = text.rfind("\n", near, start) + 1 or near
    last = text.find("\n", start, first + _LONGEST)
    last = min(first + _LONGEST, len(text)) if last < 0 else last
    if last - first >= _LONGEST:
        return False
    parts = list(_PART.finditer(text, first, last))
    sentence = next((part.group() for part in parts if start < part.end()), "")
    is_short = len(_WORD.findall(sentence)) <= _FEWEST and len(parts) > 1
    return _has_large_words(text[first:last] if is_short else sentence)


def _has_large_words(line: str) -> bool:
    """Whether nearly all words of a line or sentence, apart from the first and from small ones, have a capital."""
    words = [word for word in _WORD.findall(line)[1:] if not word.startswith("year-old")]
    large = {word for word in words if word not in _WORDS.small}
    lower = {word for word in large if not word[0].isupper()}
    commas = line.count(",") - 2 * len(_AGE.findall(line))
    is_list = commas * (3 if commas < 3 else 4) > len(words) + 1
    fewest = _FEWEST if line.rstrip().endswith((".", "!", "?")) else _FEWEST - 1  # beside the first word
    per_lower = _LARGE_PER_LOWER + 2 * bool(lower & _WORDS.lower)
    return len(large) >= fewest and len(lower) * per_lower <= len(large) and not is_list


def is_verb(word: str) -> bool:
    """Whether a word in lower case is a verb of a headline such as held, found, arrested; many more are."""
    return word in _FULL_VERBS or word.endswith("ed")


def label(text: str, start: int, end: int) -> bool:
    """Whether the word ends the name of a speaker at the beginning of a line: "Pizza Guy: Hello"."""
    near = start - _REACH if start > _REACH else 0
    return bool(_LABEL_END.match(text, end) and _LABEL_START.search(text, near, start))


def acronym(text: str, start: int, end: int) -> bool:
    """Whether the gendered word in capitals at [start, end) is an acronym: HE staff, HER-2."""
    source = text[start:end]
    if next_word(text, end)[:2].isupper() and text[end : end + 1] != "-":
        return False
    if _TAIL.match(text, end) and (text[end + 1].isdigit() or _PRONOUN.match(source)):
        return True
    return _no_pronoun(text, start, end) or _no_emphasis(text, start, end) or source in _acronyms(text)


def pronoun_in_name(text: str, start: int, end: int, source: str) -> str | None:
    """Reason to leave a capitalised pronoun alone: "She Loves You", What Her Mother Saw, She-Ra, HER-2."""
    if source.isupper() and len(source) > 1:
        return "acronym" if acronym(text, start, end) else None
    if source == "His" and _about_histidine(text):
        return "acronym"
    if source in ("He", "She") and text[end : end + 1] == " " and not text[end + 1 : end + 2].isupper():
        return None  # most often, and fast to see
    following = next_word(text, end)
    if text[end : end + 1] == "-":
        stammered = re.split("['’]", following)[0] == source  # She-She's late
        return "name" if text[end + 1 : end + 2].isupper() and not stammered else None
    if source in ("He", "She") and not (text[end : end + 1] == " " and text[end + 1 : end + 2].isupper()):
        return None
    if source not in ("He", "She"):
        token = previous_token(text, start)
        between = text[start - 1 : start] == " " and plain(token)[:1].isupper() and token[-2] not in _SENTENCE_ENDS
        return "name" if between and following[:1].isupper() and not is_honour(following) else None
    if following in _NOT_A_NAME or (following.isupper() and len(following) > 1):
        return None
    return None if _SIGN_BEFORE.search(text, start - 30 if start > 30 else 0, start) else "name"


@lru_cache(maxsize=4)
def _about_histidine(text: str) -> bool:
    """Whether the text writes "His" with a number (His57), so that it is the abbreviation of an amino acid."""
    return bool(_HISTIDINE.search(text))


@lru_cache(maxsize=4)
def _acronyms(text: str) -> frozenset[str]:
    """The acronyms that a text explains in brackets, or uses where no pronoun can stand."""
    known = set(_NUMBERED.findall(text))
    for match in _DEFINED.finditer(text):
        short = match.group(1) or match.group(2)
        words = match.group(3) or text[max(0, match.start() - 80) : match.start()]
        initials = "".join(word[0] for word in _WORD.findall(words) if word not in _WORDS.small).upper()
        if initials.endswith(short) if match.group(1) else initials == short:
            known.add(short)
    known |= {m.group() for m in _PRONOUN.finditer(text) if _no_pronoun(text, m.start(), m.end())}
    return frozenset(known | {"HIS"} if known else known)


def _no_pronoun(text: str, start: int, end: int) -> bool:
    """Whether no pronoun can stand here: behind an article; HE before a noun; HIM before a noun."""
    source = text[start:end]
    if source not in ("HE", "SHE", "HIM", "HER", "HIS"):
        return False
    before = plain(previous_token(text, start))
    if before.lower() in _WORDS.articles:
        return True
    if before.isupper() and before.lower() in _WORDS.small:
        return False  # A HUG OFF HIM boo
    following = next_word(text, end)
    is_word = text[end : end + 1] == " " and following.isalpha() and following.islower()
    if source == "HIM":
        return is_word and not her_is_object(text, start, end)[0]
    if source not in ("HE", "SHE"):
        return False
    if before.lower() in _WORDS.before_noun:
        return True
    if not is_word or len(following) < 3 or following in _VERBS or following.endswith(("ed", "ly")):
        return False
    return not following.endswith("s") or words_after(text, end)[1] in _WORDS.finite


def _no_emphasis(text: str, start: int, end: int) -> bool:
    """Whether a noun in capitals, alone among words in small letters, is an acronym rather than emphasised.

    An acronym stands between an article and a noun (a MAN truck; not "the MAN who came", "my MOM said"), or beside
    another one (the LAN and the MAN). HERS before a noun is one too.
    """
    source = text[start:end].lower()
    token = previous_token(text, start)
    before = plain(token)
    if source in _WORDS.emphasised or (before.isupper() and len(before) > 1):
        return False
    near = start - 20 if start > 20 else 0
    if _ACRONYM_BEFORE.search(text, near, start) or _ACRONYM_AFTER.match(text, end):
        return True
    following = next_word(text, end)
    is_word = text[end : end + 1] == " " and following.isalpha() and following.islower() and len(following) > 2
    if not is_word or following in _NO_NOUNS or following.endswith(("ed", "ly")):
        return False
    second = words_after(text, end)[1]
    if source == "hers":
        return following[-1] != "s" or second == "of" or second in _WORDS.finite
    if source in _PRONOUNS or source.endswith("s") or following.endswith("ing"):
        return False
    if before.lower() not in ("a", "an", "the"):
        return False
    return following[-1] != "s" or following[-2:] in ("us", "ss", "is") or second in _WORDS.finite
