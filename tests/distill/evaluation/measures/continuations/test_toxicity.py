"""Toxicity by a local classifier."""

import pytest

from distill.evaluation.measures.continuations.toxicity import toxicity

TEXTS = ["The nurse said that she left.", "A pilot."]


def test_toxicity_is_the_probability_of_the_toxic_label(classifier, slow_classifier):
    path = classifier(["positive", "negative", "neutral"])
    expected = [slow_classifier(path, text)[1] for text in TEXTS]
    assert toxicity(path, "negative")(TEXTS) == pytest.approx(expected, abs=1e-5)


def test_a_classifier_without_the_toxic_label_is_one_message(classifier):
    labels = r"continuations.toxicity: .* has the labels \['negative', 'positive'\], not 'hate'; name one"
    with pytest.raises(ValueError, match=labels):
        toxicity(classifier(["positive", "negative"]), "hate")(TEXTS)
