"""SST-2: its accuracy is that of its definition."""

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.classifiers import sst2


def test_accuracy_is_the_share_of_right_predictions():
    cells = {(1, 1): 5, (1, 0): 2, (0, 1): 3, (0, 0): 7}  # (class, predicted): how many
    records = [
        {"id": f"{cell}/{number}", "label": cell[0], "predicted": cell[1]}
        for cell, count in cells.items()
        for number in range(count)
    ]
    (accuracy,) = sst2.summarise(records, "c", StatisticsConfig())
    assert accuracy.measurement.value == pytest.approx(12 / 17)
    assert accuracy.measurement.num_items == 17
