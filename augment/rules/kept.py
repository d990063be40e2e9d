"""Decide whether a recognised word is left alone, and why: ask the rules about names, the guards, and the topics."""

import re
from collections.abc import Callable

from augment.rules import capitals, guards, names, titled_names, topics, vocatives
from augment.rules.context import QUOTES, next_word
from augment.rules.scan import Candidate
from augment.rules.tables import word_set

_SINGULAR = word_set("man boy girl woman")
_SPECIES = word_set("man woman")
_GENDERS = word_set("masculine feminine")
_BEFORE_GLOSS = frozenset("( \"'“‘")
_ALWAYS_TITLES = word_set("mr mrs ms miss")
_STOPS = frozenset("." + quote for quote in QUOTES)
# Behind the name of a character these tell that a work is meant, before it that its maker is: creator of Batman.
_WORK_NEXT = re.compile(
    r" (?:(?:radio|television|TV|comic|film|movie|cartoon|video|board) )?(?:comics?|strips?|books?|films?|movies?"
    r"|shows?|series|serials?|cartoons?|novels?|stories|story|franchise|saga|game|fan(?!s)|star(?:let)?(?!s)|actor|actress|creator|author"
    r"|producer|director|writer)s?\b",
    re.IGNORECASE,
)
_ACTS = ("seen", "star", "stars", "starred", "starring", "cast", "role", "turn", "dressed", "performance", "appears")
_MAKERS = (
    "creator",
    "inventor",
    "author",
    "voice",
    "writer",
    "director",
    "producer",
    "father",
    "illustrator",
    "composer",
)
# The creator of Batman; seen as Batman: pronouns behind these mean the maker or the actor.
_MADE_BY = (*(f"{maker} of " for maker in _MAKERS), *(f"{act} as " for act in _ACTS))
_CROWNED = word_set("king queen prince princess")
_CONSORTS = word_set("mother father consort dowager regnant regent bee ant wasp")
_SPOKEN_OF = ("name", "mankind")
_SPOKEN_OF_FIRST = ("name without a determiner", "sex of an animal")


def kept_reason(text: str, start: int, end: int, candidate: Candidate) -> str | None:
    """Why a recognised word other than a pronoun is left alone here; None if it must be swapped."""
    term = candidate.term
    if term.use == "kept":
        return "name"
    if term.word in _ALWAYS_TITLES:  # use of 'Mr.' in letters
        return "word spoken about" if text[start - 1 : start] in QUOTES and text[end : end + 2] in _STOPS else None
    if term.tier == "names":
        return names.surname(text, start)
    reason = None
    if term.word in titled_names.GIVEN_NAMES and text[start].islower():
        reason = titled_names.lower_given_name(text, start, end)
    if text[start].isupper() and term.word.islower():
        reason = names.part_of_name(text, start, end, term)
    reason = reason or guards.idiom(text, start, end, term)
    for rule in _RULES.get(term.word, ()):
        reason = reason or rule(text, start, end)
    if reason is None and text[start - 1 : start] in _BEFORE_GLOSS:
        reason = topics.gloss(text, start, end)
    return reason


def _mankind(text: str, start: int, end: int) -> str | None:
    return None if text[start].isupper() and capitals.headline(text, start) else topics.mankind(text, start, end)


# The rules about particular words, in the order in which they are asked.
_RULES: dict[str, list[Callable[[str, int, int], str | None]]] = {}
for _words, _rule in (
    (guards.VERBS, guards.verb),
    (guards.PIECES, guards.game_piece),
    (vocatives.EXCLAIMED, vocatives.interjection),
    (_SPECIES, _mankind),
    (_GENDERS, topics.grammatical),
    (names.SEXES, topics.animal),
):
    for _word in _words:
        _RULES.setdefault(_word, []).append(_rule)


def pronouns_follow(text: str, start: int, end: int, candidate: Candidate, reason: str) -> bool:
    """Whether pronouns in the same sentence refer to this kept word, so that they stay too (Batman and his car)."""
    term = candidate.term
    if term.gender == "-":
        return False
    if reason == "fixed phrase":
        return term.word in _CROWNED and next_word(text, end).lower() in _CONSORTS
    if term.use == "kept" and (_WORK_NEXT.match(text, end) or _made_by(text, start)):
        return False
    spoken_of = (reason in _SPOKEN_OF and term.word in _SINGULAR) or reason in _SPOKEN_OF_FIRST
    return term.use == "kept" or (spoken_of and names.opens_sentence(text, start, end))


def _made_by(text: str, start: int) -> bool:
    """Whether the words before a name tell of its maker: the creator of Batman."""
    before = text[start - 30 if start > 30 else 0 : start].lower().removesuffix("the ")
    return before.endswith(_MADE_BY)
