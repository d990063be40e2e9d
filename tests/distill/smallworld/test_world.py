"""The small world's parameters: their parity, their closed forms, and what is refused."""

from __future__ import annotations

import math

import pytest

from distill.smallworld import (
    Occupation,
    Trait,
    World,
    default_world,
    occupation_posterior,
    trait_probabilities,
    true_log_odds,
    true_pronoun_probabilities,
)


@pytest.fixture(scope="module")
def world() -> World:
    return default_world()


def test_default_world_is_at_parity_and_spread(world: World) -> None:
    log_odds = [true_log_odds(world, occupation.name) for occupation in world.occupations]
    assert len(log_odds) == 40
    assert abs(math.fsum(log_odds) / 40) < 1e-12
    assert max(log_odds) == pytest.approx(math.log(19))
    assert min(log_odds) == pytest.approx(-math.log(19))
    assert sum(1 for value in log_odds if abs(value) < 0.3) >= 4
    assert true_log_odds(world, "nurse") < -2 < 2 < true_log_odds(world, "mechanic")


def test_closed_forms_agree_with_each_other(world: World) -> None:
    posterior = {gender: occupation_posterior(world, gender) for gender in ("female", "male")}
    for occupation in world.occupations:
        female, male = posterior["female"][occupation.name], posterior["male"][occupation.name]
        assert female / (female + male) == pytest.approx(occupation.female_share)
        spoken = true_pronoun_probabilities(world, occupation.name)
        assert math.log(spoken["he"] / spoken["she"]) == pytest.approx(true_log_odds(world, occupation.name))
        assert spoken["he"] + spoken["she"] == pytest.approx(world.pronoun_rate)
    for traits in (world.adjectives, world.activities):
        assert math.fsum(trait_probabilities(traits, "female").values()) == pytest.approx(1)


def test_world_refuses_what_would_break_the_truth() -> None:
    nurse = Occupation("nurse", "a", 0.75, "at work", ("help",))
    pilot = Occupation("pilot", "a", 0.25, "at work", ("fly",))
    even = (Trait("kind", 0.5),)
    assert true_log_odds(World((nurse, pilot), even, even), "pilot") == pytest.approx(math.log(3))
    with pytest.raises(ValueError, match=r"mean female_share is 0\.75"):
        World((nurse,), even, even)
    with pytest.raises(ValueError, match="none twice"):
        World((nurse, nurse), even, even)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        World((nurse, pilot), (Trait("kind", 1.0),), even)
    with pytest.raises(ValueError, match="no occupation 'wizard'"):
        true_log_odds(World((nurse, pilot), even, even), "wizard")
    with pytest.raises(ValueError, match="gender is 'other'"):
        occupation_posterior(World((nurse, pilot), even, even), "other")
