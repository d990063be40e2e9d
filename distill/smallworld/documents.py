"""Whole documents: how a person is introduced, in which order the sentences come, and when a text ends.

A document is a dict {text, occupation, gender, kind, introduction}.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from distill.smallworld.biographies import BIOGRAPHY_RULES
from distill.smallworld.childhood import CHILD_RULES, NEUTRAL_RULES
from distill.smallworld.clauses import SHARED_RULES
from distill.smallworld.dialogues import DIALOGUE_RULES
from distill.smallworld.grammar import Grammar
from distill.smallworld.people import Person
from distill.smallworld.scenes import SCENE_RULES
from distill.smallworld.world import World

KINDS = ("biography", "scene", "dialogue")
# How the person comes into the text, with weights. Only "occupation" leaves the gender open at first.
INTRODUCTIONS = {
    "occupation": 0.51,
    "noun": 0.20,
    "relative": 0.04,
    "child": 0.04,
    "name": 0.10,
    "title": 0.04,
    "pronoun": 0.04,
    "nobody": 0.03,
}
MAX_SENTENCES = 6
MIN_WORDS, MAX_WORDS = 24, 56  # a text ends with the sentence that reaches a number of words drawn from this range
LEAD_RATE = 0.3
NOUN_LEAD_RATE = 0.6  # in a first sentence where a noun, name or title introduces the person
CHILD_LEAD_RATE = 0.4

GRAMMARS = {
    "biography": Grammar({**SHARED_RULES, **BIOGRAPHY_RULES}),
    "scene": Grammar({**SHARED_RULES, **SCENE_RULES}),
    "dialogue": Grammar({**SHARED_RULES, **SCENE_RULES, **DIALOGUE_RULES}),
}
_CHILD_GRAMMAR = Grammar({**SHARED_RULES, **CHILD_RULES})
_NEUTRAL_GRAMMAR = Grammar({**SHARED_RULES, **NEUTRAL_RULES})


def generate_documents(world: World, num_documents: int, seed: int) -> Iterator[dict[str, str | None]]:
    """Yield documents. The same world and seed give the same ones; a smaller number gives the first of them.

    `gender` is None when the text never says it; `occupation` is None too when the text is about nobody.
    `introduction` is one of `INTRODUCTIONS`. Raises ValueError for a negative number.
    """
    if num_documents < 0:
        raise ValueError(f"num_documents is {num_documents}; give 0 or more")
    rng = random.Random(seed)
    names, weights = list(INTRODUCTIONS), list(INTRODUCTIONS.values())
    for _ in range(num_documents):
        kind = rng.choice(KINDS)
        introduction = rng.choices(names, weights)[0]
        yield _document(Person(world, rng, rng.choice(world.occupations), introduction), kind, rng)


def _document(person: Person, kind: str, rng: random.Random) -> dict[str, str | None]:
    if person.introduction == "nobody":
        text = " ".join(_sentences(_NEUTRAL_GRAMMAR, person, rng, body="neutral", lead_rate=0.0, opening=[]))
    elif person.introduction == "child":
        opening = [_CHILD_GRAMMAR.sentence("intro", person, rng)]
        text = " ".join(_sentences(_CHILD_GRAMMAR, person, rng, "body", CHILD_LEAD_RATE, opening))
    else:
        grammar = GRAMMARS[kind]
        text = " ".join(_sentences(grammar, person, rng, "body", LEAD_RATE, _opening(grammar, person, rng)))
    return {
        "text": text,
        "occupation": None if person.introduction == "nobody" else person.occupation.name,
        "gender": person.gender,
        "kind": kind,
        "introduction": person.introduction,
    }


def _opening(grammar: Grammar, person: Person, rng: random.Random) -> list[str]:
    """The first sentences, by the way in which the person is introduced."""
    if person.introduction == "occupation":
        neutral = [rng.choice(("setting", "at_work")) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
        opening = [grammar.sentence(rule, person, rng) for rule in dict.fromkeys(neutral)]
        return [*opening, grammar.lead_sentence(person, rng)]
    if person.introduction == "pronoun":
        return [grammar.sentence("pronoun_intro", person, rng)]
    leads = rng.random() < NOUN_LEAD_RATE
    opening = [grammar.lead_sentence(person, rng) if leads else grammar.sentence("intro", person, rng)]
    if not person.occupation_named:
        opening.append(grammar.sentence("pronoun_intro", person, rng))
    return opening


def _sentences(
    grammar: Grammar, person: Person, rng: random.Random, body: str, lead_rate: float, opening: list[str]
) -> list[str]:
    """Add leads and sentences of the body until the text is long enough. No sentence of the body comes twice."""
    sentences = list(opening)
    num_words = sum(sentence.count(" ") + 1 for sentence in sentences)
    target = rng.randint(MIN_WORDS, MAX_WORDS)
    alternatives = list(range(grammar.num_alternatives(body)))
    while num_words < target and len(sentences) < MAX_SENTENCES:
        if rng.random() < lead_rate:
            sentence = grammar.lead_sentence(person, rng)
        else:
            chosen = alternatives.pop(rng.randrange(len(alternatives)))
            sentence = grammar.sentence(body, person, rng, chosen)
        sentences.append(sentence)
        num_words += sentence.count(" ") + 1
    return sentences
