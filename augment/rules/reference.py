"""Find the pronouns that refer to what a swap leaves alone: a kept name, a ship or country called she, a cow, God."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import takewhile
from operator import attrgetter

from augment.pair import Edit
from augment.rules import topics
from augment.rules.context import sentence_span
from augment.rules.scan import FEMININE, MASCULINE

_PRONOUNS = {
    MASCULINE: frozenset({"he", "him", "his", "himself"}),
    FEMININE: frozenset({"she", "her", "hers", "herself"}),
}
_OPENS_SENTENCE = re.compile(r"[\W\d]*(?:\w+ )?")  # She ...; Then she ...
_SAME_PERSON = 200  # characters: a feminine pronoun refers to a woman who is named this close before it
_SAME_SENTENCE = 600  # characters between two pronouns of a sentence, at most


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
    women = [e.start for e in edits if e.rule[0] == FEMININE and not _is_pronoun(e.source, FEMININE)]
    nouns = _nouns(edits)
    is_about_a_ship = topics.about_a_ship(text, named)
    impersonal = []
    previous_end = -1  # of the last pronoun that means no person
    for e in edits:
        if e.rule[0] != FEMININE or not _is_pronoun(e.source, FEMININE):
            continue
        woman = women[bisect_left(women, e.start) - 1] if women and women[0] < e.start else -_SAME_PERSON
        same_sentence = previous_end >= 0 and e.start - previous_end < _SAME_SENTENCE
        same_sentence = same_sentence and "." not in text[previous_end : e.start]
        same_sentence = same_sentence and e.end + 1 not in nouns  # no ship has a husband
        if (
            (same_sentence and woman < previous_end)
            or (is_about_a_ship and e.start - woman >= _SAME_PERSON)
            or topics.impersonal(text, named, e.start, e.source, woman)
        ):
            previous_end = e.end
            impersonal.append(e)
    return impersonal


def pronouns_of_animals_and_god(text: str, edits: list[Edit], named: list[tuple[int, str]]) -> list[Edit]:
    """The edits of pronouns that mean an animal of one sex or God, and of the son of God.

    `named` holds (start, word). Such a pronoun stands after the word, in the same sentence or at the beginning of the
    next one, and no person of that gender is named before it.
    """
    impersonal: list[Edit] = []
    named = [(start, word) for start, word in named if word in topics.SEXED]
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
