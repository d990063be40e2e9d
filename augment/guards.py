"""When a gendered word is left alone: a text and a candidate's place in, the reason or None out. Pure functions.

Each guard treats a term and its counterpart alike, so that leaving alone survives the swap of the swap.
"""

import re

from augment.context import next_word, plain, previous_token, sentence_span, starts_sentence, word_set
from augment.scan import Term, idioms

# Characters beside a word that ordinary prose puts there; anything else has its whole chunk looked at.
SAFE_BEFORE = frozenset(" \n\t\r\"'“‘«(—–…!?;,")
SAFE_AFTER = frozenset(" \n\t\r\"'’”»),;!?—–…")
_CODE = re.compile(
    r"```.*?```|(?<!`)`(?![\s`])[^`\n]*(?<![\s`])`(?!`)|<[A-Za-z/!][^<>\n]{0,400}>|\{\{[^{}]{0,400}\}\}"
    r"|[A-Za-z][\w+.-]*://[^\s<>\"']+|\bwww\.[^\s<>\"']+|[\w.+-]+@[\w-]+\.[\w.-]+",
    re.DOTALL,
)
_CHUNK_IS_CODE = re.compile(
    r"@\w|[#$%&\\|=~^]|\w\(\w*\)|\w\[|[a-z]\.[a-z]{2,}(?:\W|$)|^[/~.]|^\w:[\\/]|_|/.*[/.]\w|\w/$|\w:\w|\d/|\w[+*]"
)
_NEUTRAL_STUMP = re.compile(r"(?<!\w)(?:\(s\)|s/|\(wo\)|wo/|\(fe\)|fe/)\Z", re.IGNORECASE)
_FUNCTION_WORDS = word_set(
    """a an the this that these those my your his her its our their and or but nor so yet for if when while as
    because then there here what who whom whose which how why where in on at by to of from with without into
    upon after before since until i we you they he she it is was are were do did does has have had not no yes oh
    o ah now well even only just like some any every each all both one two three many most more dear poor old
    young little good great said says asked perhaps maybe thus still also although though unless whether once mr
    mrs ms dr"""
)
_DETERMINERS = word_set(
    """a an the this that these those my your his her its our their no every each any some another either neither
    future former late new young old o oh ye dear as became become becomes crowned proclaimed declared majesty"""
)
_INSTITUTION = word_set(
    """street road avenue lane drive square place county city island islands park hall college university school
    hospital hotel theatre theater bridge house palace station company records inc ltd foundation institute
    society association church cathedral abbey library museum prize award cup stakes bay beach lake river
    mountain range inlet channel line class stadium arena gallery trust club press bible airport barracks dock
    docks cross"""
)
_NOT_A_NAME = word_set("I I'm I'll I've I'd I’m I’ll I’ve I’d O God")
_RANKS = word_set("king queen prince princess duke duchess emperor empress baron baroness")
_MANY_RANKS = word_set("kings queens princes princesses dukes duchesses")
_FAMILY_NAMES = word_set(
    """father mother dad mom mum daddy mommy mummy papa mama mamma sister brother aunt auntie aunty uncle
    grandfather grandmother grandpa grandma granddad grandad granny husband wife sir madam ma'am"""
)


def code_spans(text: str) -> list[tuple[int, int]]:
    """Character ranges of code, mark-up, URLs and e-mail addresses; [] at once for text without their marks."""
    if "`" in text or "<" in text or "@" in text or "://" in text or "www." in text or "{{" in text:
        return [m.span() for m in _CODE.finditer(text)]
    return []


def inside(spans: list[tuple[int, int]], start: int) -> bool:
    """Whether `start` lies in one of the spans."""
    return any(first <= start < last for first, last in spans)


def odd_neighbour(text: str, start: int, end: int) -> str | None:
    """Reason to leave a word alone because of what touches it: code, paths, combining marks, neutral forms."""
    left = text[start - 1] if start else " "
    right = text[end] if end < len(text) else " "
    if right == "(" and text[end : end + 3].lower() not in ("(s)", "(wo", "(he", "(hi"):
        return "code"
    if right == "." and not text[end + 1 : end + 2].isalnum() and left in SAFE_BEFORE:
        return None
    if right in "\u00ad\u200d\u2060" or left in "\u00ad\u200d\u2060" or "\u0300" <= right <= "\u036f":
        return "part of a longer word"
    if _NEUTRAL_STUMP.search(text, max(0, start - 4), start):
        return "neutral form"
    first = max(text.rfind(" ", 0, start), text.rfind("\n", 0, start), text.rfind("\t", 0, start)) + 1
    last = min((p for p in (text.find(c, end) for c in " \n\t") if p >= 0), default=len(text))
    chunk = text[first:last].strip("\"'“”‘’«»()[]{}<>*_,;:!?…")
    if left in "-_" and chunk.startswith("--"):
        chunk = chunk.lstrip("-")
    return "code, path or address" if _CHUNK_IS_CODE.search(chunk) else None


_BEFORE_GIVEN_NAME = _FUNCTION_WORDS | word_set(
    """aunt auntie uncle cousin sister brother father mother sir dame lady lord king queen prince princess saint st
    emperor empress duke duchess captain doctor president senator young little"""
)


def surname(text: str, start: int) -> str | None:
    """Reason to leave a given name alone: behind another capitalised word or a plain title it is a surname."""
    token = previous_token(text, start)
    before = plain(token)
    if token.lower() in ("mr. ", "mrs. ", "ms. ", "miss ", "mr ", "mrs ", "ms ", "dr. ", "professor "):
        return "surname"
    if (
        token.endswith(" ")
        and token[-2].isalpha()
        and before[:1].isupper()
        and before.lower() not in _BEFORE_GIVEN_NAME
    ):
        return "surname"
    return None


QUOTES = frozenset("\"“”‘’'")
_MENTIONED = re.compile(
    r"\b(?:words?|terms?|nouns?|pronouns?|adjectives?|titles?|nicknames?|meaning|means|meant|literally|called|known as"
    r"(?: an?| the)?) [\"“‘']\Z"
)


def mentioned(text: str, start: int) -> bool:
    """Whether the quoted word at `start` is spoken about rather than used: the word "guy", the pronoun "he"."""
    return bool(_MENTIONED.search(text, start - 24 if start > 24 else 0, start))


def idiom(text: str, start: int, end: int, term: Term) -> str | None:
    """Reason to leave a word alone because it is part of a fixed phrase (mother tongue, man-hours, king-size)."""
    if term.word in ("man", "woman") and text[end : end + 1] == "-" and _LETTER.match(text, end + 1):
        return "compound of man"
    table = idioms()
    for word in (term.word, term.target):
        patterns = table.get(word)
        if patterns is None:
            continue
        after, around = patterns
        if after.match(text, end):
            return "fixed phrase"
        for before, behind in around:
            if before.search(text, start - 24 if start > 24 else 0, start) and behind.match(text, end):
                return "fixed phrase"
    return None


_LETTER = re.compile(r"[a-z](?!(?:ervant|child)\b)")


def part_of_name(text: str, start: int, end: int, term: Term) -> str | None:
    """Reason to leave a capitalised word alone because it belongs to a name of a work, group, place or institution."""
    source = text[start:end]
    if source.isupper() and len(source) > 1:
        return None
    token = previous_token(text, start)
    if token.endswith("-") and token[:1].isupper() and token[:-1].isalpha():
        return "name"
    following = next_word(text, end)
    capital_next = following[:1].isupper() and following not in _NOT_A_NAME
    capital_next = capital_next and not (following.isupper() and len(following) > 1 and not following.isalpha())
    if text[end : end + 1] == "-" and capital_next:
        return "name"
    before = plain(token)
    detached = token.endswith(" ") and token[-2:-1].isalnum()
    capital_before = detached and before[:1].isupper() and before not in _NOT_A_NAME
    initial = starts_sentence(token)
    if before == "the" and source in ("Son", "Daughter") and not capital_next:
        return "name"
    if term.word in _FIRM and _FIRM_BEFORE.search(text, start - 24 if start > 24 else 0, start):
        return "name"
    if term.tier == "titles" and (capital_next or term.word not in ("lady", "ladies")):
        return _part_of_titled_name(text, start, end, term, before if detached else "", initial, capital_next)
    if term.word in _FAMILY_NAMES:
        return _part_of_family_name(
            text, end, before, capital_before, initial, capital_next, _opens(text, start, token)
        )
    if capital_next and not _precedes_names(term):
        return "name"
    if capital_before and before.lower() in _BEFORE_OFFICE and term.tier == "occupations":
        return None
    if capital_before and not (before.lower() in _FUNCTION_WORDS and _opens(text, start, token)):
        return "name"
    return "name" if (_OF_THE.match(text, end) if initial else _NAME_TAIL.match(text, end)) else None


def _precedes_names(term: Term) -> bool:
    """Whether the word stands before names of persons as a title does: Congressman Hill, Widow Green."""
    return (term.tier == "occupations" and term.word[-1] != "s" and term.word[-3:] != "men") or term.word in (
        "widow",
        "widower",
    )


_FIRM = word_set("son sons daughter daughters brother brothers sister sisters")
_FIRM_BEFORE = re.compile(r"[A-Z]\w+(?: &| and|,? &) \Z")
_OF_THE = re.compile(r" of the [A-Z]\w")
_NAME_TAIL = re.compile(r"['’]?s?[ ](?:of|in|for|and|with|&)[ ](?:the[ ]|a[ ])?[A-Z]\w")


def _opens(text: str, start: int, token: str) -> bool:
    """Whether the word before the candidate is itself the first of its sentence."""
    at = start - len(token)
    return starts_sentence(previous_token(text, at)) or token[:1] in "\"'“‘(["


def in_title(text: str, end: int) -> bool:
    """Whether a capitalised he or she stands before another capital, as in the name of a song: "She Loves You"."""
    if text[end : end + 1] != " " or not text[end + 1 : end + 2].isupper():
        return False
    following = next_word(text, end)
    return following not in _NOT_A_NAME and not (following.isupper() and len(following) > 1)


def _part_of_family_name(
    text: str, end: int, before: str, capital_before: bool, initial: bool, capital_next: bool, opens: bool
) -> str | None:
    if capital_next and _run_ends_in_institution(text, end):
        return "name"
    if before == "the" and not capital_next and text[end - 6 : end] in ("Father", "Mother"):
        return "name"
    if not capital_before or initial or opens:
        return None
    if before.lower() in ("dr", "mr", "mrs", "ms") or not before.isalpha():
        return None
    return "name"


def _part_of_titled_name(
    text: str, start: int, end: int, term: Term, before: str, initial: bool, capital_next: bool
) -> str | None:
    if capital_next and _run_ends_in_institution(text, end):
        return "name"
    if term.word in _MANY_RANKS:
        return _many_ranks(text, end, term, before, initial, capital_next)
    if term.word not in _RANKS and term.target not in _RANKS:
        return None
    if before in _SHIPS:
        return "name"
    personal = not before[:1].isupper() or before.lower() in _BEFORE_RANK or before.endswith(_PEOPLE_ENDINGS)
    if capital_next and text[end : end + 1] == " " and personal and not _JUNIOR.match(text, end):
        return None
    if capital_next and text[end : end + 1] in "'’":
        return "name"
    near = re.findall(r"\w+", re.split(r"[.,;:!?]", text[max(0, start - 40) : start].lower())[-1])[-4:]
    determined = bool(_DETERMINERS & set(near))
    if before[:1].isupper() and before.lower() not in _BEFORE_RANK:
        return None if determined and before.endswith(_PEOPLE_ENDINGS) else "surname"
    if determined or capital_next or text.startswith(" of ", end):
        return None
    return "name without a determiner"


def _many_ranks(text: str, end: int, term: Term, before: str, initial: bool, capital_next: bool) -> str | None:
    if initial:
        return "name" if capital_next or text[end : end + 1] == "," else None
    if before[:1].isupper() and before.lower() not in _BEFORE_RANK:
        return "name"
    return "name" if before.lower() in _PLACE_BEFORE and {term.word, term.target} == {"kings", "queens"} else None


_SHIPS = frozenset({"HMS", "HMAS", "HMCS", "USS", "SS", "RMS", "Port-au"})
_JUNIOR = re.compile(r" (?:Jr|Sr|II|III|IV)\b")
_BEFORE_RANK = _FUNCTION_WORDS | word_set("crown majesty highness grand imperial his her lord lady holy")
_PEOPLE_ENDINGS = ("an", "ish", "ese", "ench", "utch", "eek", "ine", "ic")  # Roman, Polish, French: no first names
_BEFORE_OFFICE = word_set("deputy vice acting assistant former senior honorary republican democratic labour")
_PLACE_BEFORE = word_set("in at from to near of 1 2 i ii")


def _run_ends_in_institution(text: str, end: int) -> bool:
    run = _CAPITAL_RUN.match(text, end)
    return run is not None and any(
        w.lower().rstrip(".,;:!?'’") in _INSTITUTION for w in run.group().replace("'s", "").split()
    )


_CAPITAL_RUN = re.compile(r"(?:['’]s)?(?: (?:[A-Z][\w.'’-]*|of|the|[IVX]+))+")


def verb(text: str, start: int, end: int, term: Term) -> str | None:
    """Reason to leave man, mother, father, groom, host, husband or queen alone: it is a verb here."""
    if not _VERB_OBJECT.match(text, end):
        return None
    token = plain(previous_token(text, start)).lower()
    if token in _BEFORE_VERB:
        return "verb"
    if term.word in ("man", "woman") and token.endswith("s") and _VERB_OBJECT_STRONG.match(text, end):
        return (
            None if token in ("this", "his", "as", "is", "was", "'s", "its") or token.endswith(("'s", "ss")) else "verb"
        )
    return None


_BEFORE_VERB = word_set("to will would can could must shall should may might they we who cannot can't didn't not")
_VERB_OBJECT = re.compile(r" (?:the|a|an|his|her|their|our|your|my|its|this|that|these|those|all|every|two|three|\d+) ")
_VERB_OBJECT_STRONG = re.compile(r" (?:the|their|our|its|these|those) \w+s?\b")
VERBS = word_set("man woman father mother groom bride husband wife king queen lord lady")

_CHESS = re.compile(
    r"\b(?:chess\w*|pawns?|rooks?|bishops?|checkmate\w*|castl(?:e[sd]?|ing)|stalemate|gambit"
    r"|grandmaster|in check|[a-h][1-8])\b",
    re.IGNORECASE,
)
_CARDS = re.compile(
    r"\b(?:poker|(?:playing )?cards|trumps?|spades|(?:of|the) clubs|diamonds|pair of|aces?|jacks?|bridge hand|blackjack"
    r"|solitaire)\b",
    re.IGNORECASE,
)
PIECES = word_set("king queen kings queens")


def game_piece(text: str, start: int) -> str | None:
    """Reason to leave king or queen alone: the sentence speaks of chess or cards."""
    first, last = sentence_span(text, start)
    if len(_CHESS.findall(text, first, last)) or _CARDS.search(text, first, last):
        return "piece in a game"
    return None


_INTERJECTION_BEFORE = re.compile(
    r"(?:^|[.!?,\"“‘—] *)(?:oh|hey|come on|yeah|ah|well|wow|no|yes|dude|thanks),? *\Z", re.I
)


def interjection(text: str, start: int, end: int) -> str | None:
    """Reason to leave man, boy, girl or woman alone: an exclamation ("Man, that hurt", "Oh boy!")."""
    if text[end : end + 1] not in (",", "!", ".") or text.startswith((", who", ", whose"), end):
        return None
    if _INTERJECTION_BEFORE.search(text[max(0, start - 14) : start]):
        return "interjection"
    if text[start : start + 1].isupper() and text[end] in ",!" and starts_sentence(previous_token(text, start)):
        return "interjection"
    return None


EXCLAIMED = word_set("man boy girl woman")
