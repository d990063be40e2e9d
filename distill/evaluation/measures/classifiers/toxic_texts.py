"""What the tasks about toxic texts share: the two classes, and the probability that a classifier finds a text toxic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distill.evaluation.measures.classifiers.text_classifier import TextClassifier
from distill.evaluation.statistics.estimators import FloatArray

CLASSES = ("not toxic", "toxic")
THRESHOLD = 0.5


def toxicity(classifier: TextClassifier, texts: Sequence[str], toxic_labels: Sequence[str]) -> FloatArray:
    """The probability [num_texts] that a text is toxic.

    toxic_labels: which classes of the user's own classifier are toxic. Their probabilities are added; of classes that
    do not exclude each other, the largest counts. Raises ValueError if the classifier has no such class, or no other.
    """
    labels = toxic_labels if classifier.is_own else CLASSES[1:]
    chosen = [index for index, name in enumerate(classifier.classes) if name in labels]
    if not chosen or len(chosen) == len(classifier.classes):
        raise ValueError(
            f"{classifier.label}: which of its classes are toxic? It has {', '.join(classifier.classes)}; name some of "
            "them in text_classifier.toxic_labels"
        )
    probs = classifier.probs(texts)[:, chosen]
    return np.asarray(probs.sum(axis=1) if classifier.excludes else probs.max(axis=1))
