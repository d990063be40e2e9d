"""Swap words that only sometimes name a person, or have a counterpart for each of their senses: groom, mummy, best man.

Functions take a text and the place of a candidate. They return the counterpart (in lower case or already cased), the
end of the edit and the name of the rule, or None if the word must be left alone.
"""

import re
from collections.abc import Callable

from augment.rules.context import next_word, plain, previous_token, sentence_span, starts_sentence
from augment.rules.tables import word_set
from augment.rules.titles import Decision
from augment.rules.tokens import words_before

_NOUN_BEFORE = word_set("the a an his her my your their our and or this that each every new young future")
_BEFORE_PARENT = word_set(
    "if when because cause cuz with for from to hope u you ya love luv miss tell told ask asked thank thanks bye"
    " hi hey says said but"
)
_DENIALS = word_set("ain't aint can't cant don't dont didn't didnt won't wont not never doin doing")
_AFTER_NOTHING = word_set("else about finna but")
_AND_BRIDE = re.compile(r",? (?:and|or|&) (?:the |his )?bride\b")
_AT_A_WEDDING = re.compile(
    r" (?!(?:the|an?|your|his|her|their|my|our|this|these|those|all)\b)[^.!?\n]*\b(?:bride|wedding)\b", re.IGNORECASE
)
_BRIDE = re.compile(r"\bbrides?\b", re.IGNORECASE)
_GROOMED = re.compile(r" (?:the|an?|his|her|their|your|my|our|this|these|those|all)\b")  # Groom the dog, bride!
_CLAUSE_MARK = re.compile(r"[.;!?\n]")
_CLAUSE_REACH = 300  # characters of a clause that are read on either side of a word
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
_PARENTS = re.compile(r"\b(?:dadd(?:y|ies)|papa|parents?|bab(?:y|ies)|kids?)\b", re.IGNORECASE)
_TOMBS = re.compile(r"\b(?:egypt\w*|tombs?|pyramids?|pharaohs?|curses?|wrapped|museum|ancient|undead)\b", re.IGNORECASE)
_OWNERS = word_set("my your ur his her their our ya yer ex new mah")
_FREE_OF_GLUTEN = word_set("bread pasta flour pizza diet beer cake cookies oats food foods options recipe recipes menu")
# Beside these a mistress is the head of a house, a school or an animal, elsewhere mostly a lover.
_HOUSEHOLD = re.compile(
    r"\bmistress of (?:the (?!(?:king|queen|prince|duke|emperor|president)\b)|h(?:er|is) (?:own )?\w|it|all|itself)"
    r"|\b(?:house|household|housekeeper|manor|estate|castle|hall|servants?|maids?|slaves?|dogs?|cats?|horses?|butler|cook"
    r"|coachman|footman|kitchen|school|pupils?|apprentices?|plantation|parrot|puppy|kitten)\b",
    re.IGNORECASE,
)


def groom(text: str, start: int, end: int) -> Decision:
    """Swap groom for bride after a determiner or before "and bride"; leave the verb and stable hands alone."""
    first, second, _ = words_before(text, start)
    wed = _BRIDE.search(text, *sentence_span(text, start)) and (first not in _NOT_DESCRIBING or second == "bride")
    if wed and not _GROOMED.match(text, end):
        return "bride", end, "kinship"
    clause = _CLAUSE_MARK.split(text[max(0, start - _CLAUSE_REACH) : start])[-1] + text[start:end]
    clause += _CLAUSE_MARK.split(text[end : end + _CLAUSE_REACH], maxsplit=1)[0]
    if _HORSES.search(clause):
        return None
    described = second in _NOUN_BEFORE and first.isalpha() and first[-1] != "s" and first not in _NOT_DESCRIBING
    joined = _AND_BRIDE.match(text, end) or _is_subject(text, start, end)
    return ("bride", end, "kinship") if first in _NOUN_BEFORE or described or joined else None


def _is_subject(text: str, start: int, end: int) -> bool:
    """Whether groom without an article begins a headline about a wedding: Groom faints, bride laughs."""
    if not starts_sentence(previous_token(text, start)) or text[start].islower():
        return False
    return _AT_A_WEDDING.match(text, end, end + _CLAUSE_REACH) is not None


def grooms(text: str, start: int, end: int) -> Decision:
    """Swap grooms for brides if brides is near; leave stable hands and the verb alone."""
    near = text[max(0, start - 24) : end + 24].lower()
    return ("brides", end, "kinship") if "brides" in near else None


def mummy(text: str, start: int, end: int) -> Decision:
    """Swap mummy for daddy if it means a parent (my mummy, a mummy and a daddy); leave the Egyptian kind alone."""
    target = "daddies" if text[end - 3 : end].lower() == "ies" else "daddy"
    token = previous_token(text, start)
    before = plain(token).lower()
    if before in ("my", "your", "his", "her", "our", "their", "and", "dear") and token.endswith(" "):
        return target, end, "kinship"
    if text[start:end] == "Mummy" and before not in ("the", "a", "an") and not text.startswith(" of", end):
        return target, end, "kinship"
    if text[end - 3 : end].lower() != "ies" and before in _BEFORE_PARENT:
        return target, end, "kinship"  # I hope mummy knows
    first, last = sentence_span(text, start)
    if _PARENTS.search(text, first, last) and not _TOMBS.search(text, first, last):
        return target, end, "kinship"
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
    determined = determined or text.startswith(" ever", end)
    return "best woman" if determined and not _WEDDING.search(near) else "maid of honour", end, "kinship"


def mistress(text: str, start: int, end: int) -> Decision:
    """Swap mistress for master in a house, a school or before an animal; leave a lover alone, whom no word pairs."""
    title = text[start].isupper() and next_word(text, end)[:1].isupper()
    served = plain(previous_token(text, start)).lower() in ("my", "thy", "our", "your", "their", "its")
    near = text[start - 80 if start > 80 else 0 : end + 80]
    if not (title or served or _HOUSEHOLD.search(near)):
        return None
    return "masters" if text[end - 2 : end].lower() == "es" else "master", end, "occupations"


def nun(text: str, start: int, end: int) -> Decision:
    """Swap nun for monk; leave chat's word for nothing alone: "ain't nun to do", "nun else"."""
    before = words_before(text, start)
    denied = not _DENIALS.isdisjoint(before) or next_word(text, end) in _AFTER_NOTHING
    return ("monk", end, "occupations") if not denied or not _NOUN_BEFORE.isdisjoint(before) else None


def sweetheart(text: str, start: int, end: int) -> Decision:
    """Swap bf and gf in lower case behind a possessive (my bf); leave other abbreviations alone (gf bread)."""
    owner, _, _ = words_before(text, start)
    owned = owner in _OWNERS or owner.endswith("'s")
    if not (text[start:end].islower() and owned) or next_word(text, end) in _FREE_OF_GLUTEN:
        return None
    return ("g" if text[start] == "b" else "b") + text[start + 1 : end], end, "persons"


SPECIAL: dict[str, Callable[[str, int, int], Decision]] = {
    "groom": groom,
    "grooms": grooms,
    "mummy": mummy,
    "mummies": mummy,
    "bachelor": bachelor,
    "bachelors": bachelor,
    "best man": best_man,
    "best men": best_man,
    "nun": nun,
    "bf": sweetheart,
    "gf": sweetheart,
    "bfs": sweetheart,
    "gfs": sweetheart,
    "mistress": mistress,
    "mistresses": mistress,
}
