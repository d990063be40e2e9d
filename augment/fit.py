"""Train the pronoun models by self-supervision: raw text in, weight files out.

Every "him" and "his" in raw text is a free label for what "her" would have been there, and every "mine" and "my"
(yours and your, theirs and their, ours and our) for whether "his" would have been "hers" or "her". No annotation and
no other model.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from augment.context import words_after, words_before
from augment.model import HashedModel, features, save_model

NUM_BUCKETS = {"her": 2**19, "his": 2**16}
_TASKS = {
    "her": (re.compile(r"\b(?:him|his|Him|His)\b"), frozenset({"him"})),
    "his": (
        re.compile(r"\b(?:my|your|their|our|mine|yours|theirs|ours)\b", re.IGNORECASE),
        frozenset({"mine", "yours", "theirs", "ours"}),
    ),
}


def examples(texts: Iterable[str], task: str) -> Iterator[tuple[list[int], int]]:
    """Bucket numbers and label (1: object or absolute form) of every free label for `task` (`her` or `his`)."""
    pattern, positives = _TASKS[task]
    mask = NUM_BUCKETS[task] - 1
    for text in texts:
        for match in pattern.finditer(text):
            start, end = match.span()
            context = features(words_before(text, start), words_after(text, end))
            yield [zlib.crc32(f.encode()) & mask for f in context], int(match.group().lower() in positives)


def train(
    buckets: np.ndarray, labels: np.ndarray, num_buckets: int, num_passes: int = 4, learning_rate: float = 0.2
) -> HashedModel:
    """Logistic regression by AdaGrad on mini-batches in a fixed order; `buckets` is [examples, features]."""
    weights = np.zeros(num_buckets)
    squares = np.full(num_buckets, 1e-2)
    share = float(np.clip(labels.mean(), 1e-6, 1 - 1e-6))
    bias = float(np.log(share / (1 - share)))
    order = np.random.default_rng(0)
    size = 256
    for _ in range(num_passes):
        shuffled = order.permutation(len(labels))
        for first in range(0, len(labels), size):
            rows = shuffled[first : first + size]
            active = buckets[rows]
            score = weights[active].sum(axis=1) + bias
            error = 1 / (1 + np.exp(-np.clip(score, -60, 60))) - labels[rows]
            flat = active.ravel()
            gradient = np.bincount(flat, np.repeat(error, active.shape[1]), minlength=0)
            touched = np.flatnonzero(gradient)
            step = gradient[touched]
            squares[touched] += step**2
            weights[touched] -= learning_rate * step / np.sqrt(squares[touched])
    return _rounded(weights, bias)


def _rounded(weights: np.ndarray, bias: float) -> HashedModel:
    scale = float(np.abs(weights).max()) / 127 or 1.0
    return HashedModel(np.rint(weights / scale).astype(np.int8).tobytes(), scale, bias)


def fit(texts: Iterable[str], out_dir: Path, num_passes: int = 4) -> dict[str, int]:
    """Train both models on `texts`, write her.bin and his.bin into `out_dir`; number of examples per task.

    Raises ValueError when the text holds no example of one of the readings.
    """
    found: dict[str, list[tuple[list[int], int]]] = {"her": [], "his": []}
    for text in texts:
        for task, rows in found.items():
            rows.extend(examples((text,), task))
    counts = {}
    out_dir.mkdir(parents=True, exist_ok=True)
    for task, rows in found.items():
        labels = np.array([label for _, label in rows], dtype=np.float64)
        if not len(labels) or labels.min() == labels.max():
            raise ValueError(f"the corpus holds too few free labels for {task!r}; give more running text")
        buckets = np.array([b for b, _ in rows], dtype=np.int64)
        save_model(train(buckets, labels, NUM_BUCKETS[task], num_passes), out_dir / f"{task}.bin")
        counts[task] = len(labels)
    return counts
