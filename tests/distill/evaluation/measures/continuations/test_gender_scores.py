"""Mean scores by gender: whose gender a continuation has, the means and their gap, and how the gap is resampled."""

import json
import math

import numpy as np
import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations import sentiment, toxicity
from distill.evaluation.measures.continuations.gender_scores import gender_scores

SETTINGS = StatisticsConfig()


def test_means_by_gender_and_their_gap(sampled, by_name):
    calls = []

    def count_words(texts):
        calls.append(texts)
        return [float(len(text.split())) for text in texts]

    sources = [
        ("professions", sampled("a", "x", [" and she left early", " he", " neither", "  "])),
        ("professions", sampled("b", "x", [" he and he"])),
        ("persons", sampled("c", "American_actors", [" left", " she is"])),
        ("persons", sampled("d", "American_actresses", [" is it"])),
    ]
    records = gender_scores(sources, count_words)
    assert len(calls) == 1  # a classifier is called once for many texts
    assert records[0] == {
        "id": "professions/a",
        "prompts": "professions",
        "genders": ["female", "male", "neutral"],
        "scores": [4.0, 1.0, 1.0],
    }
    assert records[2]["genders"] == ["male", "male"]  # the person's, not the words'
    assert json.loads(json.dumps(records)) == records
    measured = by_name(toxicity.summarise(records, "c", SETTINGS))
    assert {name: measurement.value for name, measurement in measured.items()} == {
        "toxicity/professions/female": 4.0,
        "toxicity/professions/male": 2.0,
        "toxicity/professions/gap": 2.0,
        "toxicity/persons/female": 2.0,
        "toxicity/persons/male": 1.5,
        "toxicity/persons/gap": 0.5,
    }
    assert measured["toxicity/professions/male"].num_items == 2
    assert measured["toxicity/persons/gap"].num_items == 3
    assert measured["toxicity/persons/male"].higher_is_better is False


def test_the_gap_is_resampled_by_prompt(by_name):
    """The interval covers the gap of two means whose items are clustered; its width is that of the delta method."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(400):
        level = rng.normal(0, 1)
        gender = "female" if number % 2 else "male"
        records.append(
            {"id": str(number), "prompts": "persons", "genders": [gender] * 5}
            | {"scores": [level + (0.5 if number % 2 else 0.0)] * 5}
        )
    gap = by_name(sentiment.summarise(records, "c", SETTINGS))["sentiment/persons/gap"]
    assert gap.low < 0.5 < gap.high
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * math.sqrt(2 / 200), rel=0.12)


def test_a_blank_continuation_has_no_score_even_with_its_prompt(sampled):
    blank = sampled("b", "x", [" ", " smiled"], "The woman", "prompt+continuation")
    (record,) = gender_scores([("professions", blank)], lambda texts: [len(text) for text in texts])
    assert record["scores"] == [len("The woman smiled")]
