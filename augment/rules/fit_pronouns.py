"""Train the pronoun models on raw text by self-supervision.

Every "him" or "his" in raw text shows how "her" would be read in its place, so it is a free label. "me" and "my",
"them" and "their", "us" and "our" teach the same grammar. "mine" and "my" and their like label how "his" would be read.
Neither annotation nor another model is needed.
"""

import re
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augment.files.safe import written_aside
from augment.rules.pronoun_model import MAGIC, ZERO, HashedModel, hashes
from augment.rules.tokens import words_after, words_before

NUM_BUCKETS = {"her": 2**19, "his": 2**16}
# For each task, pairs of forms: one of the first reading and one of the second. Pairs differ in how often each reading
# occurs, so each pair has its own bias; the model keeps the bias of the first pair.
LABELS = {
    "her": (("him", "his"), ("me", "my"), ("them", "their"), ("us", "our")),
    "his": (("mine", "my"), ("yours", "your"), ("theirs", "their"), ("ours", "our")),
}
_BATCH_SIZE = 512
MIN_COUNT = 3


@dataclass
class Examples:
    """Free labels as flat arrays.

    buckets [examples, features]: the bucket numbers of each context. labels: 1 for the first reading, 0 for the second.
    groups: which pair of LABELS the form belongs to.
    """

    buckets: "array[int]"
    labels: "array[int]"
    groups: "array[int]"


def collect(texts: Iterable[str], task: str) -> Examples:
    """Every free label for `task` (`her` or `his`) in the texts."""
    examples = Examples(array("i"), array("b"), array("b"))
    known = {
        form: (label, group)
        for group, forms in enumerate(LABELS[task])
        for label, form in zip((1, 0), forms, strict=True)
    }
    pattern = re.compile(r"\b(?:" + "|".join(sorted(known)) + r")\b", re.IGNORECASE)
    mask = NUM_BUCKETS[task] - 1
    for text in texts:
        for match in pattern.finditer(text):
            start, end = match.span()
            if match.group().isupper():
                continue  # US, ME: abbreviations
            label, group = known[match.group().lower()]
            hashed = hashes(words_before(text, start), words_after(text, end))
            examples.buckets.extend(number & mask for number in hashed)
            examples.labels.append(label)
            examples.groups.append(group)
    return examples


def train(examples: Examples, num_buckets: int, num_passes: int = 3, learning_rate: float = 0.2) -> HashedModel:
    """Fit a logistic regression by AdaGrad on mini-batches in a fixed order: the same text gives the same weights.

    Raises ValueError when the first group lacks one of the readings.
    """
    labels = np.frombuffer(examples.labels, dtype=np.int8).astype(np.float64)
    groups = np.frombuffer(examples.groups, dtype=np.int8).astype(np.int64)
    first = labels[groups == 0]
    if not len(first) or first.min() == first.max():
        raise ValueError("the corpus holds too few free labels (him and his, mine and my); give more running text")
    buckets = np.frombuffer(examples.buckets, dtype=np.int32).reshape(len(labels), -1)
    # A context seen once or twice can only be learnt by heart, so its bucket stays zero.
    rare = np.bincount(buckets.ravel(), minlength=num_buckets) < MIN_COUNT
    weights, bias = np.zeros(num_buckets), np.zeros(int(groups.max()) + 1)
    squares, bias_squares = np.full(num_buckets, 1e-2), np.full(len(bias), 1e-2)
    order = np.random.default_rng(0)
    for _ in range(num_passes):
        shuffled = order.permutation(len(labels))
        for start in range(0, len(labels), _BATCH_SIZE):
            rows = shuffled[start : start + _BATCH_SIZE]
            active, group = buckets[rows], groups[rows]
            score = weights[active].sum(axis=1) + bias[group]
            error = 1 / (1 + np.exp(-np.clip(score, -60, 60))) - labels[rows]
            touched, place = np.unique(active, return_inverse=True)
            _descend(weights, squares, touched, place.ravel(), np.repeat(error, active.shape[1]), learning_rate)
            weights[touched[rare[touched]]] = 0
            touched, place = np.unique(group, return_inverse=True)
            _descend(bias, bias_squares, touched, place.ravel(), error, learning_rate)
    return _rounded(weights, float(bias[0]))


def _descend(
    values: np.ndarray, squares: np.ndarray, at: np.ndarray, place: np.ndarray, errors: np.ndarray, rate: float
) -> None:
    """Take one AdaGrad step on `values[at]`, in place. `place` is the position in `at` of each of the `errors`."""
    gradient = np.bincount(place, errors, minlength=len(at))
    squares[at] += gradient**2
    values[at] -= rate * gradient / np.sqrt(squares[at])


def _rounded(weights: np.ndarray, bias: float) -> HashedModel:
    scale = float(np.abs(weights).max()) / 127 or 1.0
    return HashedModel((np.rint(weights / scale) + ZERO).astype(np.uint8).tobytes(), scale, bias)


def save_model(model: HashedModel, path: Path) -> None:
    """Write a model. The bytes depend only on its numbers."""
    with written_aside(path) as file:
        file.write(MAGIC + f"{model.scale!r} {model.bias!r}\n".encode() + zlib.compress(model.weights, 9))


def fit(texts: Iterable[str], out_dir: Path) -> dict[str, int]:
    """Train both models on `texts` and write her.bin and his.bin into `out_dir`; returns how many labels each had."""
    kept = list(texts)
    models, counts = {}, {}
    for task, num_buckets in NUM_BUCKETS.items():
        examples = collect(kept, task)
        models[task] = train(examples, num_buckets)
        counts[task] = len(examples.labels)
    out_dir.mkdir(parents=True, exist_ok=True)
    for task, model in models.items():
        save_model(model, out_dir / f"{task}.bin")
    return counts
