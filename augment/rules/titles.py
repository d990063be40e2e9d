"""Swap terms of address, words that only sometimes name a person, and words with several counterparts.

Functions take a text and the place of a candidate. They return the counterpart (in lower case or already cased), the
end of the edit and the name of the rule, or None if the word must be left alone.
"""

import re
from collections.abc import Callable

from augment.rules.context import next_word, plain, previous_token, starts_sentence
from augment.rules.tables import word_set
from augment.rules.tokens import words_before
from augment.rules.vocatives import ENDS_ADDRESS, is_address

Decision = tuple[str, int, str] | None

# Only Mr., Mrs., Ms. and Miss. are written with a full stop; after any other title it ends the sentence.
_NAME_AFTER_STOP = re.compile(
    r"\.?[^\S\n]*\n?[^\S\n]+(?:(?:de|di|da|du|von|van|della|la|le|ten|der|al|el)[ ]|d['’]|O['’])*[A-Z](?:\w|\.|['’])"
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
_STATE = re.compile(r"\b(?!(?:Yes|No|Please|Thanks|Well|Oh|Sorry|Pardon|And|But)\b)[A-Z]\w+, \Z")  # Jackson, Miss.
_MISSED = word_set("You Me Us Him Her It Them")
_BARE_TITLE = re.compile(r"\bM(?:r|rs|s)\b(?!\.)")
_AND_LADY = re.compile(r" (?:and|or|&) (?:Lady|Lord) [A-Z]")
_VOCATIVE_MY = re.compile(r"(?:^|[,:;—–!?\"“‘'.]|\b(?:yes|no|oh|well))[ ,]*my \Z", re.I)
_OF_PLACE = re.compile(r" of [A-Z]")
_NOUN_BEFORE = word_set("the a an his her my your their our and or this that each every new young future")
_AND_BRIDE = re.compile(r",? (?:and|or|&) (?:the |his )?bride\b")
_CLAUSE_END = re.compile(r"[.;!?\n]|\Z")
_HORSES = re.compile(
    r"\b(?:horses?|stables?|mares?|saddles?|saddled|carriages?|pon(?:y|ies)|stallions?|bridles?|reins|harness|stirrups?"
    r"|coach(?:man)?|livery|gallop\w*|riding|mounted|kennels?)\b",
    re.IGNORECASE,
)
_NOT_DESCRIBING = word_set("to will would can could must shall should may might stable head who men women people horse")
_DEGREE = re.compile(r"(?:['’]s?|\s+of\b|\s+degrees?\b|['’]?s?\s+(?:degrees?|program|in)\b|-level)", re.I)
GENERIC = word_set("actor actors waiter waiters landlord chairman businessman fireman policeman craftsman foreman")
_SAID_OF_A_WOMAN = re.compile(
    r"\b(?:she['’]s|(?:she|her|herself|woman|women|girl|mother|sister|daughter|wife|aunt|lady|female|actresses)"
    r"(?: (?:who|also|later|soon|first|has|had|have))* (?:is|was|were|are|be|been|became|becomes|become))"
    r"(?: also| not| still| now)?(?: (?:an?|the|one of the))?"
    r"(?: (?!(?:of|to|by|with|opposite|dating|married|engaged)\b)[\w-]+){0,2} \Z"
    r"|\b(?:she|her)\b(?:(?!\b(?:who|he|husband|son|brother|father)\b)[^.;:!?]){0,40} as(?: an?)?(?: [\w-]+)? \Z",
    re.IGNORECASE,
)
_WEDDING = re.compile(
    r"\b(?:brides?\w*|groom\w*|weddings?|marr(?:y|ied|iage)|speech|toast|rings?|altar|ushers?)\b", re.I
)


def mister(text: str, start: int, end: int) -> Decision:
    """Swap Mr for Mrs, or for Madam before an office (Mr. President)."""
    if _not_a_title(text, start, end):
        return None
    if _OFFICE_AFTER.match(text, end):
        return "madam", end + (text[end] == "."), "title: before an office"
    return "mrs", end, "title"


def _not_a_title(text: str, start: int, end: int) -> bool:
    """Whether MR or MS in capitals, or ms in lower case, is something else: a unit, a manuscript, a company."""
    source = text[start:end]
    if source == "ms":
        return not _NAME_AFTER_STOP.match(text, end)
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
        return ("sir", end, "title: address") if is_address(text, start, end) and not _verb_miss(text, start) else None
    abbreviated = text[end : end + 1] == "."  # "Miss. Carter", but "Thank you, Miss. Now go"
    if abbreviated and _STATE.search(text, start - 30 if start > 30 else 0, start):
        return None
    address = abbreviated and text.endswith(", ", 0, start) and is_address(text, start, end)
    if _NAME_AFTER_STOP.match(text, end) and not address:
        if next_word(text, end) in _MISSED:
            return None
        if source.isupper() and not next_word(text, end)[:2].isupper():
            return None
        full_stop = "" if abbreviated or _BARE_TITLE.search(text) else "."
        return "mr" + full_stop, end, "title"
    return ("sir", end, "title: address") if is_address(text, start, end) else None


def _verb_miss(text: str, start: int) -> bool:
    return previous_token(text, start).lower() in ("you ", "me ", "i ", "we ", "they ", "to ", "not ")


def madam(text: str, start: int, end: int) -> Decision:
    """Swap Madam for Mr. before an office, otherwise for sir."""
    if _OFFICE_AFTER.match(text, end):
        return "mr" + ("" if _BARE_TITLE.search(text) else "."), end, "title: before an office"
    return "sir", end, "title: address"


def sir(text: str, start: int, end: int) -> Decision:
    """Swap Sir for Dame before a name, otherwise for madam."""
    following = next_word(text, end)
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
    if text[start:end].islower():
        if before in ("good", "dear", "oh", "o", "drug", "crime", "war", "thank", "praise", "feudal", "over", "to"):
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
    if before == "my" or (text[start:end].islower() and before not in ("drug", "crime", "war", "it")):
        return "ladies", end, "title"
    return None


def lady(text: str, start: int, end: int) -> Decision:
    """Swap Lady before a name and my lady for lord, otherwise lady for gentleman."""
    before = plain(previous_token(text, start)).lower()
    if before in ("our", "dinner", "leading", "bag", "foxy", "painted") and text[start].isupper():
        return None
    if text[start].isupper() and (_NAME_AFTER.match(text, end) or _AND_LADY.match(text, end)):
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


def groom(text: str, start: int, end: int) -> Decision:
    """Swap groom for bride after a determiner or before "and bride"; leave the verb and stable hands alone."""
    first, second, _ = words_before(text, start)
    first_of_clause = max(text.rfind(mark, 0, start) for mark in ".;!?\n") + 1
    clause_end = _CLAUSE_END.search(text, end)
    if _HORSES.search(text, first_of_clause, clause_end.start() if clause_end else len(text)):
        return None
    described = second in _NOUN_BEFORE and first.isalpha() and first[-1] != "s" and first not in _NOT_DESCRIBING
    joined = _AND_BRIDE.match(text, end)
    return ("bride", end, "kinship") if first in _NOUN_BEFORE or described or joined else None


def grooms(text: str, start: int, end: int) -> Decision:
    """Swap grooms for brides if brides is near; leave stable hands and the verb alone."""
    near = text[max(0, start - 24) : end + 24].lower()
    return ("brides", end, "kinship") if "brides" in near else None


def mummy(text: str, start: int, end: int) -> Decision:
    """Swap mummy for daddy if it means a parent (my mummy, Mummy said); leave the Egyptian kind alone."""
    token = previous_token(text, start)
    before = plain(token).lower()
    if before in ("my", "your", "his", "her", "our", "their", "and", "dear") and token.endswith(" "):
        return "daddy", end, "kinship"
    if text[start:end] == "Mummy" and before not in ("the", "a", "an") and not text.startswith(" of", end):
        return "daddy", end, "kinship"
    return None


def bachelor(text: str, start: int, end: int) -> Decision:
    """Swap bachelor for bachelorette if it means a person; leave degrees alone."""
    if text[start].isupper() and not starts_sentence(previous_token(text, start)):
        return None
    if _DEGREE.match(text, end):
        return None
    return "bachelorette" + "s" * (text[end - 1] in "sS"), end, "kinship"


def generic_masculine(text: str, start: int, word: str) -> bool:
    """Whether a masculine occupation is said of a woman ("She is an actor"): swapping it would reverse the sense."""
    return word in GENERIC and bool(_SAID_OF_A_WOMAN.search(text[start - 60 if start > 60 else 0 : start]))


def best_man(text: str, start: int, end: int) -> Decision:
    """Swap best man for maid of honour at a wedding, otherwise for best woman (the best man for the job).

    Words about weddings nearby, or a missing article (as best man), tell that it is a wedding.
    """
    near = text[start - 80 if start > 80 else 0 : end + 80]
    if text[end - 3 : end].lower() == "men":
        return "maids of honour" if _WEDDING.search(near) else "best women", end, "kinship"
    determined = plain(previous_token(text, start)).lower() in ("the", "a", "that", "this", "no", "very")
    return "best woman" if determined and not _WEDDING.search(near) else "maid of honour", end, "kinship"


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
    "groom": groom,
    "grooms": grooms,
    "mummy": mummy,
    "bachelor": bachelor,
    "bachelors": bachelor,
    "best man": best_man,
    "best men": best_man,
}
