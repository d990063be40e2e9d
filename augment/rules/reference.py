"""Find the pronouns that refer to what a swap leaves alone: a kept name, or a ship or country called she."""

from augment.pair import Edit
from augment.rules import topics
from augment.rules.context import sentence_span
from augment.rules.scan import FEMININE, MASCULINE

_PRONOUNS = {
    MASCULINE: frozenset({"he", "him", "his", "himself"}),
    FEMININE: frozenset({"she", "her", "hers", "herself"}),
}
_SAME_PERSON = 200  # characters: a feminine pronoun refers to a woman who is named this close before it


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
        sentence = [e for e in edits if first <= e.start < last]
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
    women = [e.start for e in edits if e.rule[0] == FEMININE and not _is_pronoun(e.source, FEMININE)]
    is_about_a_ship = topics.about_a_ship(text, named)
    impersonal = []
    previous_end = -1  # of the last pronoun that means no person
    for e in edits:
        if e.rule[0] != FEMININE or not _is_pronoun(e.source, FEMININE):
            continue
        same_sentence = previous_end >= 0 and "." not in text[previous_end : e.start]
        same_topic = same_sentence and not any(previous_end <= place < e.start for place in women)
        no_woman_near = not any(e.start - _SAME_PERSON < place < e.start for place in women)
        if (
            same_topic
            or (is_about_a_ship and no_woman_near)
            or topics.impersonal(text, named, e.start, e.source, women)
        ):
            previous_end = e.end
            impersonal.append(e)
    return impersonal


def _is_pronoun(source: str, gender: str) -> bool:
    return source.lower() in _PRONOUNS[gender]
