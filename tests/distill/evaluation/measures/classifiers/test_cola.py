"""CoLA: Matthews' correlation by its definition, and where it is not defined."""

import math

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.classifiers import cola

SETTINGS = StatisticsConfig()


def test_matthews_correlation_is_that_of_its_definition():
    cells = {(1, 1): 5, (1, 0): 2, (0, 1): 3, (0, 0): 7}  # (class, predicted): how many
    records = [
        {"id": f"{cell}/{number}", "label": cell[0], "predicted": cell[1]}
        for cell, count in cells.items()
        for number in range(count)
    ]
    (matthews,) = cola.summarise(records, "c", SETTINGS)
    expected = (5 * 7 - 3 * 2) / math.sqrt((5 + 3) * (5 + 2) * (7 + 3) * (7 + 2))
    assert matthews.measurement.value == pytest.approx(expected)


def test_a_classifier_that_always_gives_the_same_answer_has_zero():
    records = [{"id": str(n), "label": n % 3 > 0, "predicted": True} for n in range(60)]
    (matthews,) = cola.summarise(records, "c", SETTINGS)
    assert (matthews.measurement.value, matthews.measurement.low, matthews.measurement.high) == (0, 0, 0)
    records[0]["predicted"] = False  # some resamples do not hold it
    (matthews,) = cola.summarise(records, "c", SETTINGS)
    assert 0 <= matthews.measurement.low < matthews.measurement.value < matthews.measurement.high
