"""Find the pronouns that refer to what a swap leaves alone: a kept name, a ship or country called she, a cow, God."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import takewhile
from operator import attrgetter

from augment.lexicon import given_names
from augment.pair import Edit
from augment.rules import topics
from augment.rules.context import plain, previous_token, sentence_span
from augment.rules.scan import FEMININE, MASCULINE
from augment.rules.tables import word_lists
from augment.rules.tokens import words_after

_WORDS = word_lists("reference")
_PRONOUNS = {
    MASCULINE: frozenset({"he", "him", "his", "himself"}),
    FEMININE: frozenset({"she", "her", "hers", "herself"}),
}
_OPENS_SENTENCE = re.compile(r"[\W\d]*(?:\w+ )?")  # She ...; Then she ...
_SAME_PERSON = 200  # characters: a feminine pronoun refers to a woman who is named this close before it
_SAME_SENTENCE = 600  # characters between two pronouns of a sentence, at most
_SOMEBODY = re.compile(r"\b[A-Z][a-z]+")
_SHE = re.compile(r"\b(?:she|hers?|herself)\b", re.IGNORECASE)
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
_NEAR = 120  # characters before a ship or country in which no woman may be named, if only a trade is evidence
_WORDS_BEFORE_SUBJECT = 3  # of its sentence, at most: In May the tanker sank
_IS_A = re.compile(r"\b(?:was|is|were) (?:an?|the|one of the) (?:[\w-]+ ){0,8}\Z")


def pronouns_of_kept_names(text: str, edits: list[Edit], kept_names: list[tuple[int, str]]) -> list[Edit]:
    """The edits to leave out because a name stays; `kept_names` holds (start, gender).

    A pronoun after a name in the same sentence refers to it if it has its gender, unless a person of that gender comes
    before the name (He played Batman). A sentence that speaks of a person of the other gender too stays whole:
    otherwise two persons would become one gender.
    """
    left_out: dict[int, Edit] = {}
    sentences = []
    for start, gender in kept_names:
        first, last = sentence_span(text, start)
        sentence = list(takewhile(lambda e: e.start < last, _edits_from(edits, first)))  # noqa: B023  # used at once
        opens_clause = text[first:start].rstrip().endswith(",")  # In his cave, Batman slept
        if not opens_clause and any(e.start < start and e.rule[0] == gender for e in sentence):
            continue
        pronouns = [e for e in sentence if _is_pronoun(e.source, gender) and (opens_clause or e.start > start)]
        left_out |= {e.start: e for e in pronouns}
        if pronouns:
            sentences.append((sentence, gender))
    for sentence, gender in sentences:
        if any(e.start not in left_out and e.rule[0] in _PRONOUNS and e.rule[0] != gender for e in sentence):
            left_out |= {e.start: e for e in sentence}
    return list(left_out.values())


def pronouns_of_ships_and_countries(text: str, edits: list[Edit], named: list[tuple[int, str]]) -> list[Edit]:
    """The edits of feminine pronouns that mean a ship or a country, and of pronouns after them in the same sentence.

    `named` holds (start, word) of the words that name ships and countries.
    """
    named = [(start, word) for start, word in named if word not in topics.SEXED]
    if not named:
        return []
    pronouns = [e for e in edits if e.rule[0] == FEMININE and _is_pronoun(e.source, FEMININE)]
    if not pronouns:
        return []
    women = [e.start for e in edits if e.rule[0] == FEMININE and not _is_pronoun(e.source, FEMININE)]
    nouns = _nouns(edits)
    is_about_a_ship = _about_a_ship(text, named)
    impersonal = []
    previous_end = -1  # of the last pronoun that means no person
    for e in pronouns:
        woman = women[bisect_left(women, e.start) - 1] if women and women[0] < e.start else -_SAME_PERSON
        same_sentence = previous_end >= 0 and e.start - previous_end < _SAME_SENTENCE
        same_sentence = same_sentence and "." not in text[previous_end : e.start]
        same_sentence = same_sentence and e.end + 1 not in nouns  # no ship has a husband
        if (
            (same_sentence and woman < previous_end)
            or (is_about_a_ship and e.start - woman >= _SAME_PERSON)
            or _impersonal(text, named, e.start, e.source, woman)
        ):
            previous_end = e.end
            impersonal.append(e)
    return impersonal


def _impersonal(text: str, named: list[tuple[int, str]], place: int, source: str, woman: int) -> bool:
    """Whether the feminine pronoun at `place` means the ship or country named shortly before it.

    named: ascending (start, word) of words of SHIPS and LANDS. woman: start of the last word before `place` that names
    a woman. The words after the pronoun must be evidence: a part of a ship, what ships do, what countries have.
    """
    start, word = named[bisect_left(named, (place,)) - 1]  # the last one before, or one after it
    if not 0 < place - start < _REACH:
        return False
    between = text[start + len(word) : place]
    if woman > start or between.count(".") + between.count("\n\n") > 1:
        return False
    is_ship = word.lower() in topics.SHIPS or word in topics.SHIPS
    if not is_ship and ("." in between or plain(previous_token(text, start)).lower() in _WORDS.in_or_to):
        return False
    if _evidence(text, place + len(source), source.lower(), is_ship):
        return True
    # Anybody may have a doctor: a trade or an office is evidence only for a subject, and where no woman is named.
    return (
        woman < start - _NEAR
        and _serves(text, place + len(source), is_ship)
        and text.count(" ", sentence_span(text, start)[0], start) <= _WORDS_BEFORE_SUBJECT
        and not _names_a_woman(text, max(0, start - _NEAR), place)
    )


def _about_a_ship(text: str, named: list[tuple[int, str]]) -> bool:
    """Whether a text is an article about a ship: "... was a brig of the Royal Navy" near its beginning."""
    return any(start < _REACH and word in topics.SHIPS and _IS_A.search(text, 0, start) for start, word in named[:3])


def _evidence(text: str, end: int, pronoun: str, is_ship: bool) -> bool:
    if pronoun == "she":
        return bool((_SHIP_VERBS if is_ship else _LAND_VERBS).match(text, end))
    near = words_after(text, end)[:2]
    if near[0] == "own":
        near = near[1:]
    return bool((_WORDS.ship_parts if is_ship else _WORDS.land_parts) & set(near))


def _serves(text: str, end: int, is_ship: bool) -> bool:
    """Whether a trade on board of a ship or an office of a state follows: her cook, her chancellor."""
    return bool((_WORDS.ship_crew if is_ship else _WORDS.land_offices) & set(words_after(text, end)[:2]))


def _names_a_woman(text: str, first: int, place: int) -> bool:
    """Whether a pronoun or a given name before `place` can be the one that a later "her" refers to."""
    before = text[first:place]
    return bool(_SHE.search(before)) or any(m[0].lower() in given_names() for m in _SOMEBODY.finditer(before))


def pronouns_of_animals_and_god(text: str, edits: list[Edit], named: list[tuple[int, str]]) -> list[Edit]:
    """The edits of pronouns that mean an animal of one sex or God, and of the son of God.

    `named` holds (start, word). Such a pronoun stands after the word, in the same sentence or at the beginning of the
    next one, and no person of that gender is named before it.
    """
    impersonal: list[Edit] = []
    last_edit = {e.rule[0]: e.start for e in edits}  # of each gender
    named = [(start, word) for start, word in named if last_edit.get(topics.SEXED.get(word, ""), -1) >= start]
    if not named:
        return impersonal
    nouns = _nouns(edits)
    for start, word in named:
        gender = topics.SEXED[word]
        first, last = sentence_span(text, start)
        if not topics.antecedent(text, first, start, word):
            continue
        for e in _edits_from(edits, first):
            if e.start - last > _SAME_SENTENCE:
                break
            if e.rule[0] != gender:
                continue
            opens_next = e.start > last and word not in topics.DIVINE and _OPENS_SENTENCE.fullmatch(text, last, e.start)
            if opens_next:
                last = sentence_span(text, e.start)[1]
            divine_son = e.source in ("son", "Son") and topics.his_son(text, e.start)
            has_relative = e.end + 1 in nouns and word not in topics.DIVINE
            if not start <= e.start <= last or has_relative or not (_is_pronoun(e.source, gender) or divine_son):
                break  # somebody else of that gender
            impersonal.append(e)
    return impersonal


def _nouns(edits: list[Edit]) -> set[int]:
    """Where the edited nouns start; an article that follows its noun (an earl -> a countess) has no gender."""
    return {e.start for e in edits if e.rule[0] in _PRONOUNS and not _is_pronoun(e.source, e.rule[0])}


def _edits_from(edits: list[Edit], first: int) -> Iterator[Edit]:
    """The edits at `first` and after it; those before are not looked at."""
    for number in range(bisect_left(edits, first, key=attrgetter("start")), len(edits)):
        yield edits[number]


def _is_pronoun(source: str, gender: str) -> bool:
    return source.lower() in _PRONOUNS[gender]
