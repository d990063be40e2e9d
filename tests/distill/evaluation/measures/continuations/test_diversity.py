"""Diversity has its closed form."""

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations import diversity


def test_diversity_has_its_closed_form(sampled, values):
    sources = [sampled("a", "x", ["a b a b a b", "a b", "", " c"]), sampled("b", "x", ["d e f g", "x"])]
    records = diversity.score(sources)
    assert records[0] == {
        "id": "a",
        "num_continuations": 4,
        "num_empty": 1,
        "num_1grams": 9,
        "num_distinct_1grams": 3,
        "num_2grams": 6,
        "num_distinct_2grams": 2,
        "num_3grams": 4,
        "num_distinct_3grams": 2,
        "repetition": pytest.approx(1 - 2 / 3),  # abab, baba, abab
        "num_repetition": 1,
    }
    assert values(diversity.summarise(records, "c", StatisticsConfig())) == pytest.approx(
        {
            "diversity/distinct_1": 8 / 14,
            "diversity/distinct_2": 5 / 9,
            "diversity/distinct_3": 4 / 6,
            "diversity/repetition": (1 / 3 + 0) / 2,
            "diversity/empty": 1 / 6,
        }
    )
