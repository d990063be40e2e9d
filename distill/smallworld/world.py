"""The parameters of the small world and the exact truth that follows from them.

The generator writes its texts from a `World`; an evaluation compares the closed-form probabilities with what a model
has learned.

The whole world is one joint distribution: an occupation is drawn uniformly, then a gender from that occupation's
`female_share`. Everything else a text says depends on the occupation alone or on the gender alone. So P(gender |
occupation) is `female_share`, P(occupation | gender) is its Bayes inverse, and an adjective or activity tells something
about the occupation only through the gender.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GENDERS = ("female", "male")


@dataclass(frozen=True)
class Trait:
    """An adjective or an activity. `female_share` = P(female | word) when both genders are equally frequent."""

    word: str
    female_share: float


@dataclass(frozen=True)
class Occupation:
    """An occupation, its indefinite article, P(female | occupation), and what belongs to it whatever the gender.

    `workplace` is a phrase with its preposition ("at the hospital"); `tasks` are bare infinitives ("sort the files").
    """

    name: str
    article: str
    female_share: float
    workplace: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """Occupations, adjectives and activities with their shares of women, and the rate of pronouns after a template.

    `pronoun_rate` is the probability that a neutral template is continued by he or she rather than by another clause.
    Raises ValueError when a share is not in (0, 1), a name occurs twice, or the mean share is not 0.5, which would
    make one gender more frequent than the other.
    """

    occupations: tuple[Occupation, ...]
    adjectives: tuple[Trait, ...]
    activities: tuple[Trait, ...]
    pronoun_rate: float = 0.75

    def __post_init__(self) -> None:
        if not 0.0 < self.pronoun_rate <= 1.0:
            raise ValueError(f"pronoun_rate is {self.pronoun_rate}: it must lie in (0, 1]")
        _check_shares("occupations", {o.name: o.female_share for o in self.occupations}, len(self.occupations))
        _check_shares("adjectives", {t.word: t.female_share for t in self.adjectives}, len(self.adjectives))
        _check_shares("activities", {t.word: t.female_share for t in self.activities}, len(self.activities))

    def occupation(self, name: str) -> Occupation:
        """The occupation of that name. Raises ValueError when the world has none."""
        for occupation in self.occupations:
            if occupation.name == name:
                return occupation
        raise ValueError(f"the world has no occupation {name!r}: choose one of {[o.name for o in self.occupations]}")


def true_log_odds(world: World, occupation: str) -> float:
    """log P(he) - log P(she) in nats after any neutral template about the occupation."""
    return share_log_odds(world.occupation(occupation).female_share)


def true_pronoun_probabilities(world: World, occupation: str) -> dict[str, float]:
    """P(next word is he) and P(next word is she) after any neutral template; they add up to `world.pronoun_rate`."""
    share = world.occupation(occupation).female_share
    return {"he": world.pronoun_rate * (1.0 - share), "she": world.pronoun_rate * share}


def occupation_posterior(world: World, gender: str) -> dict[str, float]:
    """P(occupation | gender) under the uniform occupation prior; sums to 1. Raises ValueError for another gender."""
    return conditional({o.name: o.female_share for o in world.occupations}, gender)


def trait_probabilities(traits: tuple[Trait, ...], gender: str) -> dict[str, float]:
    """P(word | gender) of the first adjective (or activity) that a text ascribes to a person; sums to 1."""
    return conditional({t.word: t.female_share for t in traits}, gender)


def share_log_odds(female_share: float) -> float:
    """log((1 - female_share) / female_share) in nats: positive towards male."""
    return math.log((1.0 - female_share) / female_share)


def gender_share(female_share: float, gender: str) -> float:
    """The share of that gender. Raises ValueError for a gender that is neither female nor male."""
    if gender not in GENDERS:
        raise ValueError(f"gender is {gender!r}: it must be one of {GENDERS}")
    return female_share if gender == "female" else 1.0 - female_share


def conditional(female_shares: dict[str, float], gender: str) -> dict[str, float]:
    """P(word | gender) from P(female | word) and a uniform prior over words (Bayes' rule)."""
    weights = {word: gender_share(share, gender) for word, share in female_shares.items()}
    total = math.fsum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


def _check_shares(what: str, shares: dict[str, float], num_given: int) -> None:
    if not shares or len(shares) != num_given:
        raise ValueError(f"{what}: {num_given} given, {len(shares)} distinct: at least one is needed, none twice")
    for word, share in shares.items():
        if not 0.0 < share < 1.0:
            raise ValueError(f"{what}: the female_share of {word!r} is {share}: it must lie strictly between 0 and 1")
    mean = math.fsum(shares.values()) / len(shares)
    if abs(mean - 0.5) > 1e-9:
        raise ValueError(f"{what}: the mean female_share is {mean:.4f}: balance the shares so that it is 0.5")
