"""The grammar that writes sentences, and the templates whose next word has a known probability.

A rule is a list of alternatives. In an alternative, `[name]` is replaced by a random alternative of the rule `name`,
and `{slot}` by a word of the person (see `people.py`; slots are named after the male form). Expansion runs from left
to right, so nothing to the left of a slot depends on it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from distill.smallworld.clauses import Rules
from distill.smallworld.people import ADULT_NOUNS, CHILD_NOUNS, RELATIVE_NOUNS, Person
from distill.smallworld.world import World

# Each template and the kind of clause that follows it. The next word is he or she with probability
# `pronoun_rate` * P(gender | occupation), as long as nothing before the template is gendered.
NEUTRAL_TEMPLATES = {
    "The {occupation} said that": "that",
    "The {occupation} went home because": "because",
    "Yesterday the {occupation} explained that": "that",
    "I met the {occupation} and": "and",
    "The {occupation} was late because": "because",
    "In the morning the {occupation} told us that": "that",
    "We asked the {occupation} whether": "whether",
    "The {occupation} smiled when": "when",
    "Everybody thanked the {occupation} because": "thanks",
    "Last week the {occupation} wrote that": "that",
    "The {occupation} left the room before": "before",
    "After lunch the {occupation} stopped because": "because",
}
_FREE_TEMPLATES = {
    "[time] {subj} [reported] that": "that",
    "{subj} [reported] [time] that": "that",
    "[time] {subj} [left] because": "because",
    "{subj} [left] [time] because": "because",
    "[time] {subj} [reacted] when": "when",
    "[time] [we] asked {subj} whether": "whether",
    "[time] [me] [saw] {subj} and": "and",
    "[time] {subj} [left] before": "before",
}
LISTED_TEMPLATE_RATE = 0.75

_SLOT = re.compile(r"\[(\w+)\]|\{(\w+)\}")
_OCCUPATION_SUBJECT = re.compile(r"[Tt]he \{occupation\}")

LEADS = tuple((_OCCUPATION_SUBJECT.sub("{subj}", template), kind) for template, kind in NEUTRAL_TEMPLATES.items())
FREE_LEADS = tuple(_FREE_TEMPLATES.items())


class Grammar:
    """Rules, parsed once. Raises ValueError when an alternative refers to a rule that does not exist."""

    def __init__(self, rules: Rules) -> None:
        self._rules = {name: tuple(_parse(text) for text in texts) for name, texts in rules.items()}
        for name, alternatives in self._rules.items():
            for rule, _, _ in (piece for pieces in alternatives for piece in pieces):
                if rule and rule not in self._rules:
                    raise ValueError(f"the grammar rule {name!r} refers to {rule!r}, which does not exist")
        self._leads = {text: (_parse(text), kind) for text, kind in LEADS}
        self._free_leads = {text: (_parse(text), kind) for text, kind in FREE_LEADS}

    def num_alternatives(self, rule: str) -> int:
        """How many alternatives a rule has."""
        return len(self._rules[rule])

    def sentence(self, rule: str, person: Person, rng: random.Random, alternative: int | None = None) -> str:
        """Expand a rule (or one given alternative of it) to a sentence: first letter capital, full stop at the end."""
        alternatives = self._rules[rule]
        pieces = rng.choice(alternatives) if alternative is None else alternatives[alternative]
        return _finish(self._expand(pieces, person, rng))

    def lead_sentence(self, person: Person, rng: random.Random) -> str:
        """A template followed, with probability `pronoun_rate`, by a clause that begins with he or she.

        No template comes twice in a text.
        """
        leads = self._leads if rng.random() < LISTED_TEMPLATE_RATE else self._free_leads
        lead = rng.choice([lead for lead in leads if lead not in person.used_leads])
        person.used_leads.add(lead)
        pieces, kind = leads[lead]
        suffix = "he" if rng.random() < person.world.pronoun_rate else "other"
        clause = rng.choice(self._rules[f"{kind}_{suffix}"])
        return _finish(f"{self._expand(pieces, person, rng)} {self._expand(clause, person, rng)}")

    def _expand(self, pieces: Sequence[tuple[str, str, str]], person: Person, rng: random.Random) -> str:
        words = []
        for rule, slot, literal in pieces:
            if rule:
                words.append(self._expand(rng.choice(self._rules[rule]), person, rng))
            else:
                words.append(person.fill(slot) if slot else literal)
        return "".join(words)


def agreement_probes(world: World) -> list[dict[str, str]]:
    """Prompts in which a noun settles whether he or she follows: rows of prompt, gender and nouns.

    `nouns` are that noun and its counterpart ("woman/man"). The prompts cover every noun that has a gender by
    definition, somebody else's relative ("Her father"), and nouns with an occupation against the stereotype.
    """
    templates = list(NEUTRAL_TEMPLATES)
    probes = []
    nouns = [(f, m, d) for f, m, ds in (*ADULT_NOUNS, *CHILD_NOUNS, *RELATIVE_NOUNS) for d in dict.fromkeys(ds)]
    for index, (female, male, determiner) in enumerate(dict.fromkeys(nouns)):
        for template in (templates[0], templates[1], templates[2 + index % (len(templates) - 2)]):
            probes += [
                _probe(template, f"{determiner} {female}", "female", f"{female}/{male}"),
                _probe(template, f"{determiner} {male}", "male", f"{female}/{male}"),
            ]
    ranked = sorted(world.occupations, key=lambda occupation: occupation.female_share)
    for index, (male_typed, female_typed) in enumerate(zip(ranked[:10], ranked[::-1][:10], strict=True)):
        template = templates[index % len(templates)]
        female, male, (determiner, *_) = ADULT_NOUNS[index % len(ADULT_NOUNS)]
        for noun, occupation, gender in ((female, male_typed, "female"), (male, female_typed, "male")):
            subject = f"{determiner} {noun}, {occupation.article} {occupation.name},"
            probes.append(_probe(template, subject, gender, f"{female}/{male}"))
    return list({probe["prompt"]: probe for probe in probes}.values())


def _probe(template: str, subject: str, gender: str, nouns: str) -> dict[str, str]:
    return {"prompt": _capital(_OCCUPATION_SUBJECT.sub(subject, template)), "gender": gender, "nouns": nouns}


def _parse(text: str) -> tuple[tuple[str, str, str], ...]:
    """Split an alternative into (rule, slot, literal) pieces, exactly one of which is not empty."""
    pieces, end = [], 0
    for match in _SLOT.finditer(text):
        if match.start() > end:
            pieces.append(("", "", text[end : match.start()]))
        pieces.append((match[1] or "", match[2] or "", ""))
        end = match.end()
    if end < len(text):
        pieces.append(("", "", text[end:]))
    return tuple(pieces)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _finish(text: str) -> str:
    """Capitalise, and add a full stop unless the text ends in a mark or a closing quotation mark."""
    return _capital(text) if text[-1] in '.?!"' else f"{_capital(text)}."
