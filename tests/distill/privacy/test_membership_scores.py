"""Scores of membership on numbers that can be followed by hand."""

import zlib

import numpy as np
import pytest

from distill.privacy.membership_scores import gain, model_scores, training_scores
from distill.privacy.token_statistics import TokenStatistics

BEFORE = np.array([-1.0, -2, -3, -4, -5, -6, -7, -8, -9, -10])


def statistics(logprobs, means=-4.0, deviations=2.0, is_top=0.0):
    parts = (logprobs, means, deviations, is_top)
    return TokenStatistics(*(np.broadcast_to(np.asarray(part, dtype=float), np.shape(logprobs)) for part in parts))


def test_scores_of_a_model():
    scores = model_scores([statistics(BEFORE), statistics([-1.0])], ["a text", "a"])
    assert scores["loss"].tolist() == [-5.5, -1]
    assert scores["zlib"].tolist() == [-5.5 / len(zlib.compress(b"a text")), -1 / len(zlib.compress(b"a"))]
    assert scores["min_k"].tolist() == [-9.5, -1]  # the lowest two of ten; of a single token that one
    assert scores["min_k_pp"].tolist() == [-2.75, 1.5]


def test_tokens_that_are_all_equally_likely_are_standard():
    assert model_scores([statistics([-3.0, -3.0], means=-3.0, deviations=0.0)], ["x"])["min_k_pp"] == 0


def test_scores_of_training_look_at_changes():
    after = BEFORE + np.array([3, 1, -1, 0, 0, 0, 0, 0, 0, 0])
    is_top = [1] + [0] * 9
    scores = training_scores([statistics(after, is_top=is_top)], [statistics(BEFORE)])
    assert scores["reference"] == pytest.approx(0.3)
    assert scores["ez"] == 0.5  # the first token, which is predicted by now, does not count: one up, one down
    assert gain(statistics(BEFORE), statistics(BEFORE)) == 0
    assert training_scores([statistics(BEFORE)], [statistics(BEFORE)])["ez"] == 0.5
