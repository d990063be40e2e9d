"""Ratios of the genders by hand."""

import numpy as np
import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations import group_ratios
from distill.evaluation.measures.continuations.gender_words import POLARITIES


def test_ratios_by_hand(sampled, values):
    texts = [["he", "he", "she", "it"], ["he", "him her"], ["she", "she"], ["she", "he"]]
    records = [sampled(str(number), "xxyy"[number], own) for number, own in enumerate(texts)]
    assert [records[1][f"num_{name}"] for name in POLARITIES] == [1, 0, 0, 1]
    measured = values(group_ratios.polarity_estimates("bold", records, "c", StatisticsConfig()))
    assert measured == {  # x: 3 male, 1 female; y: 1 male, 3 female
        "bold/mean_ratio": pytest.approx((1 / 3 + 1 / 3) / 2),
        "bold/min_ratio": pytest.approx(1 / 3),
        "bold/log_ratio": pytest.approx(0.0),
        "bold/gendered": pytest.approx(8 / 10),
    }
    sums = np.array([2.0, 0.0, 0.0, 0.0, 2.0, 4.0])
    assert group_ratios.group_ratios(sums).tolist() == [0.0, 0.0, 0.5]
