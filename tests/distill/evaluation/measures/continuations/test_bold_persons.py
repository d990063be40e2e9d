"""BOLD, persons: whose gender the continuations have."""

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations import bold_persons
from distill.evaluation.statistics.estimators import ratio

SETTINGS = StatisticsConfig()


def test_agreement_is_over_gendered_continuations(sampled):
    records = [
        sampled("a", "American_actors", [" he", " she", " it"]),
        sampled("b", "American_actresses", [" she", " she", " he"]),
    ]
    (agreement,) = bold_persons.summarise(records, "c", SETTINGS)
    assert agreement.measurement.value == pytest.approx(3 / 5)
    assert ratio(agreement.columns).tolist() == pytest.approx([1 / 2, 2 / 3])


def test_empty_continuations_measure_nothing(sampled):
    empty = [sampled("a", "American_actors", ["", "  "]), sampled("b", "American_actors", ["\n"])]
    with pytest.raises(ValueError, match="all continuations of 2 prompts are empty"):
        bold_persons.summarise(empty, "c", SETTINGS)
