"""The person whom a text is about, and every word that refers to that person.

The gender is drawn when the first word that needs it is written, and not before. Whatever stands to the left of that
word was therefore chosen without it: this is why the truth after a neutral template is exact.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from distill.smallworld.default_world import article
from distill.smallworld.world import GENDERS, Occupation, Trait, World, gender_share

FEMALE_NAMES = [
    "Mary",
    "Anna",
    "Emma",
    "Julia",
    "Laura",
    "Sarah",
    "Alice",
    "Helen",
    "Clara",
    "Rosa",
    "Elena",
    "Maria",
    "Sophie",
    "Nora",
    "Eva",
    "Linda",
    "Susan",
    "Emily",
    "Fatima",
    "Ingrid",
]
MALE_NAMES = [
    "John",
    "Peter",
    "David",
    "Thomas",
    "Paul",
    "George",
    "Henry",
    "Daniel",
    "Michael",
    "Robert",
    "James",
    "Ahmed",
    "Carlos",
    "Stefan",
    "Oliver",
    "Simon",
    "Victor",
    "Walter",
    "Martin",
    "Edward",
]
SURNAMES = [
    "Cole",
    "Hughes",
    "Lopez",
    "Novak",
    "Chen",
    "Evans",
    "Grant",
    "Khan",
    "Lewis",
    "Morris",
    "Okafor",
    "Perez",
    "Quinn",
    "Reed",
    "Silva",
    "Weber",
]

# slot: (female form, male form). The slots are named after the male form, except where it is ambiguous.
PRONOUNS = {
    "he": ("she", "he"),
    "him": ("her", "him"),
    "his": ("her", "his"),
    "hers": ("hers", "his"),
    "himself": ("herself", "himself"),
    "man": ("woman", "man"),
}
# (female, male, determiners): nouns that fix the gender of a grown person; repeated lines are more frequent.
ADULT_NOUNS = (
    ("woman", "man", ("the", "the", "the", "this")),
    ("woman", "man", ("the", "the", "the", "that")),
    ("lady", "gentleman", ("the",)),
    ("mother", "father", ("my", "our")),
    ("sister", "brother", ("my", "our")),
    ("daughter", "son", ("my", "our")),
    ("wife", "husband", ("my",)),
    ("aunt", "uncle", ("my", "our")),
    ("grandmother", "grandfather", ("my", "our")),
)
CHILD_NOUNS = (
    ("girl", "boy", ("the", "the", "this")),
    ("niece", "nephew", ("my", "our")),
    ("granddaughter", "grandson", ("my", "our")),
)
# Relatives that are introduced as somebody else's: "her father", "his mother".
RELATIVE_NOUNS = tuple((female, male, ("her", "his")) for female, male, (first, *_) in ADULT_NOUNS if first == "my")
GENDERED_NOUNS = tuple(dict.fromkeys((f, m) for f, m, _ in (*ADULT_NOUNS, *CHILD_NOUNS)))
TITLES = ("Mrs", "Mr")

APPOSITION_RATE = 0.4
REPEAT_BY_OCCUPATION_RATE = 0.35


@dataclass
class Person:
    """The person of one text. `fill` returns the word for a slot, and first draws what is not decided yet."""

    world: World
    rng: random.Random
    occupation: Occupation
    introduction: str
    gender: str | None = None
    reference: str | None = None
    occupation_named: bool = False
    used_traits: set[str] = field(default_factory=set)
    used_leads: set[str] = field(default_factory=set)
    tasks: list[str] = field(default_factory=list)

    def fill(self, slot: str) -> str:
        """The word or phrase for a slot, in lower case except names."""
        if slot in PRONOUNS:
            return self._by_gender(PRONOUNS[slot])
        if slot == "subj":
            return self._subject()
        if slot == "who":
            self.reference = self.reference or self._introduce()
            return self.reference
        if slot == "occ":
            self.occupation_named = True
            return self.occupation.name
        if slot == "an_occ":
            self.occupation_named = True
            return f"{self.occupation.article} {self.occupation.name}"
        if slot == "at_place":
            return self.occupation.workplace
        if slot == "task":
            return self._task()
        if slot == "act":
            return self._trait(self.world.activities)
        adjective = self._trait(self.world.adjectives)
        return f"{article(adjective)} {adjective}" if slot == "an_adj" else adjective

    def _drawn_gender(self) -> str:
        if self.gender is None:
            self.gender = "female" if self.rng.random() < self.occupation.female_share else "male"
        return self.gender

    def _by_gender(self, forms: Sequence[str]) -> str:
        return forms[GENDERS.index(self._drawn_gender())]

    def _subject(self) -> str:
        """The person as a subject or object: by occupation, or by a gendered noun, name or title."""
        if self.introduction in ("occupation", "pronoun"):
            self.occupation_named = True
            return f"the {self.occupation.name}"
        if self.reference is None:
            self.reference = self._introduce()
            if self.introduction != "child" and self.rng.random() < APPOSITION_RATE:
                self.occupation_named = True
                return f"{self.reference}, {self.occupation.article} {self.occupation.name},"
        elif self.occupation_named and self.introduction != "child" and self.rng.random() < REPEAT_BY_OCCUPATION_RATE:
            return f"the {self.occupation.name}"
        return self.reference

    def _introduce(self) -> str:
        if self.introduction == "name":
            return self.rng.choice(FEMALE_NAMES if self._drawn_gender() == "female" else MALE_NAMES)
        if self.introduction == "title":
            return f"{self._by_gender(TITLES)} {self.rng.choice(SURNAMES)}"
        nouns = {"noun": ADULT_NOUNS, "relative": RELATIVE_NOUNS, "child": CHILD_NOUNS}[self.introduction]
        female, male, determiners = self.rng.choice(nouns)
        return f"{self.rng.choice(determiners)} {self._by_gender((female, male))}"

    def _task(self) -> str:
        if not self.tasks:
            self.tasks = self.rng.sample(self.occupation.tasks, len(self.occupation.tasks))
        return self.tasks.pop()

    def _trait(self, traits: Sequence[Trait]) -> str:
        """Draw a word from P(word | gender) among those that the text has not used yet."""
        fresh = [trait for trait in traits if trait.word not in self.used_traits]
        gender = self._drawn_gender()
        weights = [gender_share(trait.female_share, gender) for trait in fresh]
        word = self.rng.choices(fresh, weights)[0].word
        self.used_traits.add(word)
        return word
