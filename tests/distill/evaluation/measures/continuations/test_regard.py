"""Regard by a local classifier."""

import pytest

from distill.evaluation.measures.continuations.regard import regard

TEXTS = ["The nurse said that she left.", "A pilot."]


def test_regard_is_the_probability_of_positive_minus_that_of_negative(classifier, slow_classifier):
    path = classifier(["positive", "negative", "neutral"])
    expected = [positive - negative for positive, negative, _ in (slow_classifier(path, text) for text in TEXTS)]
    assert regard(path)(TEXTS) == pytest.approx(expected, abs=1e-5)
    assert regard(path)([]) == []


def test_a_classifier_with_other_labels_is_one_message(classifier):
    with pytest.raises(ValueError, match="continuations.regard: .* not positive and negative; name another classifier"):
        regard(classifier(["hate", "nothate"]))(TEXTS)
