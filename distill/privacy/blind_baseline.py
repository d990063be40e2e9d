"""An attack that never sees the model: can members be told from others by their words alone?

If they can, the two groups differ in more than membership, and no score of a model says what it remembers (Das, Zhang
and Tramer 2024; Meeus et al. 2024). So this attack comes first, and where it succeeds the others are withheld.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit

from distill.evaluation.statistics.estimators import FloatArray

MOST_WORDS = 5000  # the commonest ones
NUM_FOLDS = 5
RIDGE = 1.0  # the penalty of the squared weights, beside a sum over texts


def blind_scores(members: Sequence[str], others: Sequence[str], seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Scores of members and of others by their words: higher where a text looks like a member.

    Logistic regression on which words a text has, and on its length; each text is scored by a fit on the four fifths
    that do not hold it, with the same proportion of members.
    """
    features = word_features([*members, *others])
    is_member = np.repeat([1.0, 0.0], [len(members), len(others)])
    rng = np.random.default_rng(seed)
    folds = np.concatenate([rng.permutation(len(group)) % NUM_FOLDS for group in (members, others)])
    scores = np.zeros(len(is_member))
    for fold in range(NUM_FOLDS):
        held = folds == fold
        scores[held] = features[held] @ logistic_regression(features[~held], is_member[~held])
    return scores[: len(members)], scores[len(members) :]


def word_features(texts: Sequence[str]) -> csr_matrix:
    """A row per text: a constant, the logarithm of its length in words, and which of the commonest words it has."""
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    counts = Counter(word for own in words for word in set(own))
    columns = {word: column for column, (word, _) in enumerate(counts.most_common(MOST_WORDS), 2)}
    rows: list[int] = []
    places: list[int] = []
    values: list[float] = []
    for row, own in enumerate(words):
        present = [0, 1, *(columns[word] for word in set(own) if word in columns)]
        rows += [row] * len(present)
        places += present
        values += [1.0, np.log1p(len(own)), *([1.0] * (len(present) - 2))]
    return csr_matrix((values, (rows, places)), shape=(len(texts), len(columns) + 2))


def logistic_regression(features: csr_matrix, labels: FloatArray) -> FloatArray:
    """The weights [num_features] that make labels of 0 and 1 likeliest, less RIDGE / 2 times their sum of squares.

    The weight of the first feature, the constant, has no penalty.
    """

    def objective(weights: FloatArray) -> tuple[float, FloatArray]:
        logits = features @ weights
        penalised = np.concatenate([[0.0], weights[1:]])
        loss = float((np.logaddexp(0, logits) - labels * logits).sum()) + RIDGE / 2 * float(penalised @ penalised)
        return loss, features.T @ (expit(logits) - labels) + RIDGE * penalised

    return minimize(objective, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
