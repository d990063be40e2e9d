"""A hashed linear model over the words around a pronoun: context in, probability of one of two readings out.

Weights are one signed byte per bucket in a zlib-compressed file. No dependency beyond the standard library here;
training lives in fit.py.
"""

import zlib
from dataclasses import dataclass
from functools import cache
from math import exp
from pathlib import Path

WEIGHTS_DIR = Path(__file__).parent / "weights"
_MAGIC = b"EVH1"


@dataclass(frozen=True)
class HashedModel:
    """`weights[bucket] * scale` is a feature's weight; the number of buckets is a power of two."""

    weights: bytes
    scale: float
    bias: float

    def probability(self, before: list[str], after: list[str]) -> float:
        """Probability of the first reading (her: object; his: absolute) from three words on either side."""
        weights, mask, crc = self.weights, len(self.weights) - 1, zlib.crc32
        total = 0
        for feature in features(before, after):
            weight = weights[crc(feature.encode()) & mask]
            total += weight - 256 if weight > 127 else weight
        score = self.bias + self.scale * total
        return 1 / (1 + exp(-score)) if score > -500 else 0.0


def features(before: list[str], after: list[str]) -> tuple[str, ...]:
    """Feature strings of a context; `before` is nearest first. The same function serves training and use."""
    p1, p2, p3 = before
    n1, n2, n3 = after
    s1 = n1[-3:]
    s2 = n2[-3:]
    return (
        f"a{n1}",
        f"b{n2}",
        f"c{p1}",
        f"d{p2}",
        f"e{n1} {n2}",
        f"f{p1} {n1}",
        f"g{s1}",
        f"h{p1} {s1}",
        f"i{n1} {s2}",
        f"j{s1} {s2}",
        f"k{p1} {s1} {s2}",
        f"l{p2} {p1}",
        f"m{n1[-2:]} {n2}",
        f"n{p1[-3:]} {s1}",
        f"o{n3}",
        f"p{p1} {n2}",
        f"q{s1} {n2} {n3}",
        f"r{p3} {p1} {s1}",
    )


def save_model(model: HashedModel, path: Path) -> None:
    """Write a model; the bytes depend on the weights only."""
    head = _MAGIC + f"{model.scale!r} {model.bias!r}\n".encode()
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(head + zlib.compress(model.weights, 9))
    temporary.replace(path)


@cache
def load_model(path: Path) -> HashedModel:
    """Read a model written by `save_model`. Raises FileNotFoundError, or ValueError for a file of another kind."""
    if not path.is_file():
        raise FileNotFoundError(
            f"weights file {str(path)!r} does not exist; make it with `python -m augment fit CORPUS`"
        )
    raw = path.read_bytes()
    if not raw.startswith(_MAGIC):
        raise ValueError(f"{path} is not a weights file; make it with `python -m augment fit CORPUS`")
    head, packed = raw[len(_MAGIC) :].split(b"\n", 1)
    scale, bias = (float(x) for x in head.split())
    return HashedModel(zlib.decompress(packed), scale, bias)
