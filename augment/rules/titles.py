"""Swap terms of address and titles, whose counterpart depends on what follows.

Functions take a text and the place of a candidate. They return the counterpart (in lower case or already cased), the
end of the edit and the name of the rule, or None if the word must be left alone.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from augment.lexicon import given_names
from augment.rules.capitals import headline
from augment.rules.context import next_word, plain, previous_token, starts_sentence
from augment.rules.tables import word_lists, word_set
from augment.rules.tokens import PARAGRAPH, words_before
from augment.rules.vocatives import ENDS_ADDRESS, is_address

Decision = tuple[str, int, str] | None

# Only Mr., Mrs., Ms. and Miss. are written with a full stop; after any other title it ends the sentence.
_NAME_AFTER_STOP = re.compile(
    r"\.?(?:[^\S\n]+|[^\S\n]*\n[^\S\n]+)"
    r"(?:(?:de|di|da|du|von|van|della|la|le|ten|der|al|el)[ ]|d['’]|O['’])*[A-Z](?:\w|\.|['’])"
)
_NAME_AFTER = re.compile(_NAME_AFTER_STOP.pattern.removeprefix(r"\.?"))
# After "Yes Sir" without a mark, these begin a clause and are no name.
_CLAUSE_BEGINS = word_set("i i'm i've i'll i'd you you're we we're they it it's he she this that the a an please can")
_OFFICE_AFTER = re.compile(
    r"\.?\s(?:President|Vice President|(?:Deputy )?Speaker|Chief Justice|Secretary|Chairman|Chairwoman|Chair"
    r"|Chairperson|Mayor|Ambassador|Justice|Prime Minister|Minister|Attorney General|Governor|Senator|Director"
    r"|Moderator)\b"
)
_CAPITALS_AFTER = re.compile(r"\.?\s+[A-Z][A-Z'’.-]+\b")
_PAGEANT_AFTER = re.compile(r"(?: [A-Z]\w+){1,2} (?:Pageant|Universe|World|Contest|Competition)\b")
_REACH = 100
_COURT_AFTER = re.compile(r"\. (?:Supreme|Court|Gov|Sen|Rep|House|Senate|[a-z]+\b)")
_STATE = re.compile(r"\b(?!(?:Yes|No|Please|Thanks|Well|Oh|Sorry|Pardon|And|But)\b)[A-Z]\w+, \Z")  # Jackson, Miss.
# Near these, the lords are the House.
_PARLIAMENT = re.compile(
    r"\b(?:commons|MPs?|peers?|tor(?:y|ies)|government|gov['’]?t|parliament\w*|unelected|legislation|abolish\w*|reform"
    r"|amendments?)\b|taxcredits|\bvot(?:e|ed|es|ing)\b",
    re.IGNORECASE,
)
_ASKED_OF_GOD = word_set("help know knows forbid willing have")
_BEFORE_LORD = word_set("good dear oh o drug crime war thank praise feudal over to you much")
_TO_GOD = re.compile(r"\b(?:ask|beg|thank|praise|trust|seek|bless|serve|fear|worship) the \Z", re.IGNORECASE)
_MISSED = word_set("You Me Us Him Her It Them The My Our Your Their This That Out Being And Or")
_MISSERS = word_set("you i we they will would can could may might must should don't didn't won't can't never")
_BARE_TITLE = re.compile(r"M(?<!\wM)(?:rs?|s)(?![\w.])")  # begins with a letter, so that the search is fast
_AND_LADY = re.compile(r"(?: (?:and|or|&) |[&+])(?:Lady|Lord) [A-Z]")
_VOCATIVE_MY = re.compile(r"(?:^|[,:;—–!?\"“‘'.]|\b(?:yes|no|oh|well))[ ,]*my \Z", re.I)
_OF_PLACE = re.compile(r" of [A-Z]")
_WORDS = word_lists("titles")
_NAMES = word_lists("names")
_NUMBERS = _NAMES.counting | {"every", "each"}
_FUNCTION_WORDS = _NAMES.function_words
_TITLE_AND = re.compile(r"\b(?:mrs?|ms|dr|miss|prof)\b\.? [\w'’-]+ and \Z")
_CALL_ENDS = re.compile(r"\s*[,.!?]")
_LOWER_NAME = re.compile(r"\.?(?:[^\S\n]+|[^\S\n]*\n[^\S\n]+)([a-z][a-z'’-]+)(?: +([a-z]+)|(['’]s))?")


def mister(text: str, start: int, end: int) -> Decision:
    """Swap Mr for Mrs, or for Madam before an office (Mr. President)."""
    if _not_a_title(text, start, end):
        return None
    if _OFFICE_AFTER.match(text, end):
        return "madam", end + (text[end] == "."), "title: before an office"
    return "mrs", end, "title"


def _is_pageant(text: str, end: int) -> bool:
    """Whether a country or state follows, so that the title is that of a contest: Miss Venezuela."""
    following = next_word(text, end).lower()
    named = following in _WORDS.contests and following not in given_names()
    return named or _PAGEANT_AFTER.match(text, end) is not None


def _not_a_title(text: str, start: int, end: int) -> bool:
    """Whether MR or MS in capitals, or ms in lower case, is something else: a unit, a manuscript, a company.

    So is the title of a contest (Mr. Venezuela).
    """
    source = text[start:end]
    if text[start].isupper() and _is_pageant(text, end + (text[end : end + 1] == ".")):
        return True
    if source == "ms":
        return not (_NAME_AFTER_STOP.match(text, end) or _before_lower_name(text, start, end))
    if source == "MS":
        return not text.startswith(".", end) or not _CAPITALS_AFTER.match(text, end)
    return source == "MR" and not _CAPITALS_AFTER.match(text, end)


def ms(text: str, start: int, end: int) -> Decision:
    """Swap Ms for Mr; leave units, manuscripts and acronyms alone."""
    return None if _not_a_title(text, start, end) else ("mr", end, "title")


def miss(text: str, start: int, end: int) -> Decision:
    """Swap Miss for Mr. before a name, and for sir as a form of address; leave the verb alone."""
    source = text[start:end]
    if source.islower():
        if _before_lower_name(text, start, end):
            return "mr" + "." * (text[end] != "."), end, "title"
        return ("sir", end, "title: address") if is_address(text, start, end) and not _verb_miss(text, start) else None
    abbreviated = text[end : end + 1] == "."  # "Miss. Carter", but "Thank you, Miss. Now go"
    near = start - 30 if start > 30 else 0
    if abbreviated and (_STATE.search(text, near, start) or _COURT_AFTER.match(text, end) or headline(text, start)):
        return None
    address = abbreviated and text.endswith(", ", 0, start) and is_address(text, start, end)
    if _NAME_AFTER_STOP.match(text, end) and not address:
        token = previous_token(text, start)
        # "I Miss Ohio", "They'll Miss Opener", but "You, Miss Hill"
        is_verb = token[:1].isupper() and (token[:-1].lower() in _MISSERS or token[-4:-1] in ("'ll", "’ll"))
        if is_verb or next_word(text, end).capitalize() in _MISSED:
            return None
        if plain(token) == "Little" or (
            token == "to " and headline(text, start)
        ):  # Cole Set to Miss Opener, but bowed to Miss Hill
            return None
        if source.isupper() and not next_word(text, end)[:2].isupper():
            return None
        if _is_pageant(text, end):
            return None
        full_stop = "" if abbreviated or _has_bare_titles(text) else "."
        return "mr" + full_stop, end, "title"
    return ("sir", end, "title: address") if is_address(text, start, end) else None


def _before_lower_name(text: str, start: int, end: int) -> bool:
    """Whether ms or miss stands before a name, all in lower case: "ms. brown", "hi miss brown", "miss brown is".

    Ms could be the unit, and miss the verb, so there must be evidence: a full stop, or the words around.
    """
    match = _LOWER_NAME.match(text, end)
    if match is None or match[1] in _FUNCTION_WORDS or match[1] in _WORDS.no_lower_names:
        return False
    if text[start:end] == "ms" and match[1] in _WORDS.no_ms:
        return False
    token = previous_token(text, start)
    before = plain(token).lower()
    if before in _WORDS.greetings or (
        before == "and" and _TITLE_AND.search(text, start - 30 if start > 30 else 0, start)
    ):
        return True
    if text[start:end] == "ms" and text[end] == ".":
        return not before[-1:].isdigit() and before not in _WORDS.before_units
    second = words_before(text, start)[1]
    told = before in _WORDS.before_names or (before == "to" and second in _WORDS.speaking)
    if told:
        return True
    opens = starts_sentence(token) or token.endswith(", ")
    if match[2] in _WORDS.after_names or match[3]:
        return opens or before in _WORDS.before_clauses
    opens = opens or (before == "and" and second in (PARAGRAPH, "", ".", "?", "!"))
    return (opens or before in _WORDS.before_calls) and _CALL_ENDS.match(text, match.end(1)) is not None


@lru_cache(maxsize=1)  # of the whole text, which must not be searched again for each of its words
def _has_bare_titles(text: str) -> bool:
    return bool(_BARE_TITLE.search(text))


def _verb_miss(text: str, start: int) -> bool:
    return previous_token(text, start).lower() in ("you ", "me ", "i ", "we ", "they ", "to ", "not ")


def madam(text: str, start: int, end: int) -> Decision:
    """Swap Madam for Mr. before an office, otherwise for sir."""
    if _OFFICE_AFTER.match(text, end):
        return "mr" + ("" if _has_bare_titles(text) else "."), end, "title: before an office"
    return "sir", end, "title: address"


def sir(text: str, start: int, end: int) -> Decision:
    """Swap Sir for Dame before a name, otherwise for madam."""
    following = next_word(text, end)
    if text[start].islower() and following.islower() and following in given_names() and text[end] == " ":
        return "dame", end, "title: before a name"  # sir john
    named = text[start].isupper() and _NAME_AFTER.match(text, end) and following.lower() not in _CLAUSE_BEGINS
    if named and (not following.isupper() or text[start:end].isupper()):
        return "dame", end, "title: before a name"
    return "madam", end, "title: address"


def dame(text: str, start: int, end: int) -> Decision:
    """Swap Dame for Sir before a name; leave Notre Dame, the pantomime dame and slang alone."""
    if text[start].isupper() and _NAME_AFTER.match(text, end) and plain(previous_token(text, start)) != "Notre":
        return "sir", end, "title: before a name"
    return None


def lord(text: str, start: int, end: int) -> Decision:
    """Swap Lord before a name, my lord and lower-case lord for lady; leave God, drug lords and `the Lord` alone."""
    before = plain(previous_token(text, start)).lower()
    if next_word(text, end).lower() in _ASKED_OF_GOD or _TO_GOD.search(text, start - 12 if start > 12 else 0, start):
        return None
    if text[start:end].islower():
        if before in _BEFORE_LORD:
            return None
        return "lady", end, "title"
    if before == "my" and not next_word(text, end)[:1].isupper():
        return "lady", end, "title: my lord"
    if text[start:end].isupper() and not _CAPITALS_AFTER.match(text, end):
        return None
    if _AND_LADY.match(text, end):
        return "lady", end, "title: before a name"
    if _NAME_AFTER.match(text, end) and before not in ("the", "o", "oh", "our", "good", "dear", "first"):
        return "lady", end, "title: before a name"
    return None


def lords(text: str, start: int, end: int) -> Decision:
    """Swap lords for ladies in lower case and after my; leave the House of Lords and Lord's alone."""
    before = plain(previous_token(text, start)).lower()
    if before == "the" and _PARLIAMENT.search(text, start - _REACH if start > _REACH else 0, end + _REACH):
        return None
    if before == "my" or (text[start:end].islower() and before not in ("drug", "crime", "war", "it")):
        return "ladies", end, "title"
    return None


def lady(text: str, start: int, end: int) -> Decision:
    """Swap Lady before a name and my lady for lord, otherwise lady for gentleman."""
    before = plain(previous_token(text, start)).lower()
    if before in ("our", "dinner", "leading", "bag", "foxy", "painted") and text[start].isupper():
        return None
    if text[start].isupper() and (_NAME_AFTER.match(text, end) or _AND_LADY.match(text, end)):
        # Which Brave Lady Are You
        described = before in _NAMES.describing or before in _WORDS.ladies
        if not ((described or next_word(text, end).lower() in _WORDS.no_names) and headline(text, start)):
            return "lord", end, "title: before a name"
    if (
        before in ("my", "milord")
        and ENDS_ADDRESS.match(text, end)
        and _VOCATIVE_MY.search(text[max(0, start - 14) : start])
    ):
        return "lord", end, "title: my lady"
    if text[start].isupper() and text.startswith(" of ", end):
        return None
    return "gentleman", end, "persons"


def ladies(text: str, start: int, end: int) -> Decision:
    """Swap ladies for lords in "lords and ladies", otherwise for gentlemen."""
    window = text[max(0, start - 10) : start].lower() + "|" + text[end : end + 12].lower()
    if "lords, |" in window or "lords and |" in window or "| and lords" in window or "my lords, |" in window:
        return "lords", end, "title"
    return "gentlemen", end, "persons"


def count(text: str, start: int, end: int) -> Decision:
    """Swap the title Count for Countess (Count Rossi, Count of Lucca, the Count); leave the verb and sums alone."""
    if not text[start:end].istitle():
        return None
    token = previous_token(text, start)
    named = _NAME_AFTER.match(text, end) or _OF_PLACE.match(text, end)
    if named and starts_sentence(token) and next_word(text, end).lower() in ("me", "us", "on", "the", "your", "i"):
        return None
    if named and headline(text, start):  # Body Count Rises; Help Him Count Down
        is_sum = token[:1].isupper() and plain(token).lower() not in _FUNCTION_WORDS and token[-2:-1].isalnum()
        if is_sum or next_word(text, end).lower() in _WORDS.counted:
            return None
    if plain(token).lower() in _NUMBERS:
        return None  # One Count of Perjury
    if named or (token.endswith(" ") and plain(token) in ("the", "this", "that", "dear")):
        return "countess", end, "title"
    return None


def sultana(text: str, start: int, end: int) -> Decision:
    """Swap Sultana for Sultan before a name; leave the fruit alone."""
    return _before_name(text, start, end, "sultan")


def sultan(text: str, start: int, end: int) -> Decision:
    """Swap Sultan for Sultana before a name; leave it alone elsewhere, because sultana is left alone there."""
    return _before_name(text, start, end, "sultana")


def _before_name(text: str, start: int, end: int, target: str) -> Decision:
    if text[start].isupper() and _NAME_AFTER.match(text, end):
        return target, end, "title: before a name"
    return None


SPECIAL: dict[str, Callable[[str, int, int], Decision]] = {
    "mr": mister,
    "ms": ms,
    "miss": miss,
    "madam": madam,
    "sir": sir,
    "dame": dame,
    "lord": lord,
    "lords": lords,
    "lady": lady,
    "ladies": ladies,
    "count": count,
    "sultan": sultan,
    "sultana": sultana,
}
