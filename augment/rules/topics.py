"""Reasons to leave a word alone that speaks of no person's gender: ships called she, mankind, God, a word's meaning.

Functions take a text and the place of a candidate, and return the reason to leave it alone, or None. `scan.py` also
finds the words that name ships and countries; `impersonal` tells which pronouns refer to them.
"""

import re
from collections.abc import Iterable

from augment.rules.context import QUOTES, next_word, plain, previous_token
from augment.rules.tables import word_lists
from augment.rules.tokens import words_after, words_before

_WORDS = word_lists("topics")
# Words for ships and countries, which are called she. `scan.py` finds them together with the gendered words.
SHIPS = _WORDS.ships
LANDS = _WORDS.lands
_SHIP_VERBS = re.compile(
    r" (?:(?:was|is|had been|has been|would be|could be) (?:\w+ly )?(?:built|launched|commissioned|decommissioned"
    r"|scrapped|sunk|wrecked|christened|torpedoed|refitted|laid down|renamed|fitted out|armed with|sold|towed|beached"
    r"|captured|broken up|bound for|sinking|moored|anchored|afloat|at anchor)|sank|sailed|set sail|ran aground|steamed"
    r"|capsized|foundered|docked|displaced|put to sea|heeled|rolled|lay at anchor|sails|sinks|carries|carried \d"
    r"|served|escorted|patrolled|entered service|collided|exploded|drifted|listed|arrived|departed)\b"
)
_LAND_VERBS = re.compile(
    r" (?:had |has |would |will )?(?:declared war|entered the war|joined the|ceded|surrendered|signed|annexed"
    r"|conquered|invaded|lost the war|became a republic|is a republic|withdrew|mobili[sz]ed|allied)\b"
)
_REACH = 250
_IS_A = re.compile(r"\b(?:was|is|were) (?:an?|the|one of the) (?:[\w-]+ ){0,8}\Z")
_GENERIC_TAIL = _WORDS.generic_tail | {
    "",
    "\n\n",
}
_BEFORE_MANKIND = _WORDS.before_mankind | {"", "\n\n"}
_GRAMMAR = re.compile(
    r"\b(?:pro)?nouns?\b|\bgrammatical|\bdeclension|\bsuffix|\bneuter\b|\barticles?\b|\b(?:plural|singular)\b",
    re.IGNORECASE,
)
_ANIMALS = re.compile(
    r"\b(?:bulls?|cows?|(?:stag|hen)s?(?! (?:dos?|nights?|part(?:y|ies))\b)|doe|calf|calves|roosters?|mares?|stallions?"
    r"|ewes?|rams?|species|larvae?|eggs?|mates?|mating|offspring|insects?|birds?|fish|spiders?|plumage|nests?|pups?|cubs?|chicks?|breeding|spawn\w*"
    r"|(?:king|queen)s lay|hatch\w*|antlers?|penis|vagina|sperm\w*|ovum|ova|ovar(?:y|ies)|testes|testicles?|uterus"
    r"|prostate|hormones?|flowers?|gametes?|pollen|chromosomes?|mammals?|lizards?|snakes?|wasps?|mosquito\w*)\b",
    re.IGNORECASE,
)
_PERSON_NEXT = re.compile(
    r" (?:student|pupil|nurse|doctor|surgeon|chef|cook|suspect|patient|customer|colleague|relative|officer|voice|lead"
    r"|teacher|worker|employee|athlete|player|singer|dancer|model|friend|victim|prisoner|soldier|voter|artist|writer"
    r"|author|character|lawyer|judge|scientist|engineer|farmer|servant|guest|protagonist|citizen|resident|passenger"
    r"|driver|pilot)s?\b"
)
_WORD_BEFORE = re.compile(r"\b(?:the|a|an) (?:word|term|noun|adjective|prefix|suffix) \Z", re.IGNORECASE)
_PRONOUN_BEFORE = re.compile(r"\b(?:the|a|an) pronouns? \Z", re.IGNORECASE)
_GLOSS_BEFORE = re.compile(
    r"(?:\b(?:[Ww]ord|Latin|Greek|French|German|Hebrew|Sanskrit|Arabic|Spanish|Italian|Dutch|Norse|Gaelic|Welsh"
    r"|Irish|Old English|Japanese|Chinese|Russian|Turkish) for (?:the |a |an )?[\"'“‘]?"
    r"|(?<![\w-])(?<!\bI )(?<!\b[Yy]ou )(?<!\b[Hh]e )(?<!\b[Ss]he )(?<!\bdo )"
    r"(?<!\b[Aa] )(?<!\b[Tt]he )(?<!\b[Tt]hat )(?<!\b[Tt]his )(?<!\bone )(?<!\bso )(?<!\bvery )"
    r"(?:mean|means|meaning|meant|signifying|signifies|literally|lit\.,?|i\.e\.,?|translates as|translated as"
    r"|translates to)"
    r"(?: the| an?)? [\"'“‘]?)\Z"
)
# How the text before a word ends if one of the patterns above matches. This fast test settles most words.
_VERBS_OF_MEANING = (" for", *_WORDS.verbs_of_meaning)
_GLOSS_ENDINGS = (
    *("word ", "term ", "noun ", "nouns ", "adjective ", "prefix ", "suffix ", *QUOTES, "("),
    *(verb + article for verb in _VERBS_OF_MEANING for article in (" ", " the ", " a ", " an ")),
)
_QUOTED_BEFORE = re.compile(r"(?:[\"”’] \(|\([\"“‘'])(?:the |an? |or )?[\"“‘']?\Z")
_GLOSS_AFTER = re.compile(r" of [A-Z]|[\"'”’]?(?:\s*(?:[.,;:!?)]|\Z)| (?:in|and|or|is|comes) )")
HONOURS = _WORDS.honours


def impersonal(text: str, named: list[tuple[int, str]], place: int, source: str, persons: Iterable[int]) -> bool:
    """Whether the feminine pronoun at `place` means the ship or country named shortly before it.

    named: (start, word) of words of SHIPS and LANDS. persons: starts of words that name a woman. The words after the
    pronoun must be evidence: a part of a ship, what ships do, what countries have.
    """
    for start, word in reversed(named):
        if not 0 < place - start < _REACH:
            continue
        between = text[start + len(word) : place]
        if any(start < p < place for p in persons) or between.count(".") + between.count("\n\n") > 1:
            return False
        is_ship = word.lower() in SHIPS or word in SHIPS
        if not is_ship and ("." in between or plain(previous_token(text, start)).lower() in _WORDS.in_or_to):
            return False
        return _evidence(text, place + len(source), source.lower(), is_ship)
    return False


def about_a_ship(text: str, named: list[tuple[int, str]]) -> bool:
    """Whether a text is an article about a ship: "... was a brig of the Royal Navy" near its beginning."""
    return any(start < _REACH and word in SHIPS and _IS_A.search(text, 0, start) for start, word in named[:3])


def _evidence(text: str, end: int, pronoun: str, is_ship: bool) -> bool:
    if pronoun == "she":
        return bool((_SHIP_VERBS if is_ship else _LAND_VERBS).match(text, end))
    near = words_after(text, end)[:2]
    if near[0] == "own":
        near = near[1:]
    return bool((_WORDS.ship_parts if is_ship else _WORDS.land_parts) & set(near))


def mankind(text: str, start: int, end: int) -> str | None:
    """Reason to leave man or woman alone: it means the species (man is mortal, the rights of man)."""
    before, after = words_before(text, start), words_after(text, end)
    is_a_person = before[0] == "that" and after[2] in _WORDS.of_one  # he saved that woman's life
    if after[1] == "s" and after[2] in _WORDS.of_mankind and before[0] in _BEFORE_MANKIND and not is_a_person:
        return "mankind"
    if text[start].isupper():
        first = not before[0] or before[0] in (".", "!", "?", "\n\n", '"', "“")
        return "mankind" if first and after[0] in _WORDS.generic_verbs and text[start:end] in ("Man", "Woman") else None
    if before[0] in _WORDS.ages and before[1] in _BEFORE_MANKIND:
        return "mankind"
    if (
        before[0] in _WORDS.of_before
        and before[1] not in _WORDS.kinds
        and after[0] in _GENERIC_TAIL
        and after[1] not in _WORDS.wives
    ):
        return "mankind"
    if before[0] in ("and", "or") and before[1] in _WORDS.beasts and after[0] in _GENERIC_TAIL:
        return "mankind"
    return (
        "mankind"
        if after[0] in ("and", "or") and after[1] in _WORDS.beasts and before[0] not in _WORDS.articles
        else None
    )


def grammatical(text: str, start: int, end: int) -> str | None:
    """Reason to leave masculine or feminine alone: it means the gender of a word."""
    return "gender of a word" if _GRAMMAR.search(text, start - 60 if start > 60 else 0, end + 40) else None


def animal(text: str, start: int, end: int) -> str | None:
    """Reason to leave male or female alone: the text speaks of animals or plants, and no word for a person follows."""
    if _PERSON_NEXT.match(text, end):
        return None
    return "sex of an animal" if _ANIMALS.search(text, start - 80 if start > 80 else 0, end + 80) else None


def gloss(text: str, start: int, end: int) -> str | None:
    """Reason to leave a word alone: the text speaks about its meaning or form (rex means king, the pronoun he is)."""
    near = start - 30 if start > 30 else 0
    if not text.endswith(_GLOSS_ENDINGS, near, start):
        return None
    if _WORD_BEFORE.search(text, near, start):
        return None if text[start:end].lower() in _WORDS.pronouns else "word spoken about"
    if _PRONOUN_BEFORE.search(text, near, start):
        return "word spoken about"
    meaning = _GLOSS_BEFORE.search(text, near, start)
    if meaning and (meaning.group()[-1] in QUOTES or _GLOSS_AFTER.match(text, end)):
        return "word spoken about"
    return "word spoken about" if _QUOTED_BEFORE.search(text, near, start) and _GLOSS_AFTER.match(text, end) else None


def reverent(text: str, start: int, end: int) -> str | None:
    """Reason to leave He, His or Him alone: a capital in the middle of a sentence means God (God gave His only son)."""
    if text[start - 1 : start] != " " or start < 2 or text[start + 1 : end].isupper():
        return None
    last = text[start - 2]
    if not (last.islower() or (last == "," and text[start - 3 : start - 2].islower())):
        return None
    if previous_token(text, start)[:1] in ("@", "#"):
        return None  # a handle or hashtag is no word of the sentence
    return None if is_honour(next_word(text, end)) else "God"


def is_honour(word: str) -> bool:
    """Whether a word follows His or Her in a title: Majesty, Majesty's."""
    return word[:1].isupper() and word.lower().replace("’", "'").removesuffix("'s") in HONOURS
