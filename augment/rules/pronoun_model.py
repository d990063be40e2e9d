"""A hashed linear model that reads a pronoun from the words around it.

It gives the probability of the first of two readings. Each bucket has a weight of one byte, in a zlib-compressed file.
Only the standard library is needed here; `fit_pronouns.py` trains the model.
"""

import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from math import exp
from pathlib import Path

from augment.lexicon import load_lexicon
from augment.rules.tables import word_lists, word_set
from augment.rules.tokens import PARAGRAPH
from augment.rules.verbs import VERB_FRAMES

MAGIC = b"EVH1"
ZERO = 128  # the byte that stands for weight zero
_ADJECTIVE_ENDINGS = word_set("al ic ous ful ive ble ent ant less ish ary")
_KINDS = {word: kind for kind, words in vars(word_lists("pronoun_model")).items() for word in words}
_KINDS |= {"": ".", PARAGRAPH: "."}


def _gender_blind() -> dict[str, str]:
    """Map feminine words onto their masculine counterparts, so that "his wife" teaches what "her husband" is."""
    pairs = load_lexicon().pairs
    return {**{p.feminine: p.masculine for p in reversed(pairs)}, "her": "his", "hers": "his", "him": "his"}


_ALIKE = _gender_blind()


@dataclass(frozen=True)
class HashedModel:
    """A feature's weight is `(weights[bucket] - 128) * scale`. The number of buckets is a power of two."""

    weights: bytes
    scale: float
    bias: float

    def probability(self, before: list[str], after: list[str]) -> float:
        """Probability of the first reading (her: object; his: absolute) from three words on either side."""
        weights, mask = self.weights, len(self.weights) - 1
        active = [weights[number & mask] for number in hashes(before, after)]
        score = self.bias + self.scale * (sum(active) - ZERO * len(active))
        return 1 / (1 + exp(-score)) if score > -500 else 0.0


def hashes(before: list[str], after: list[str]) -> list[int]:
    """The CRC-32 of every feature of a context; its last bits are the bucket."""
    return list(map(zlib.crc32, features(before, after).encode("utf-8", "surrogatepass").split(b"\0")))


def features(before: list[str], after: list[str]) -> str:
    """The features of a context, parted by null characters, for training and for use; `before` is nearest first."""
    p1, p2, p3 = before
    n1, n2, n3 = after
    alike = _ALIKE.get
    n1 = alike(n1, n1)
    n2 = alike(n2, n2)
    p1 = alike(p1, p1)
    p2 = alike(p2, p2)
    frame, verb = VERB_FRAMES.get(p1) or ("", p1)
    k1 = _kind(n1)
    k2 = _kind(n2)
    k3 = _kind(n3)
    s1 = n1[-3:]
    s2 = n2[-3:]
    return (
        f"a{n1}\0"
        f"b{n2}\0"
        f"c{p1}\0"
        f"d{p2}\0"
        f"e{n1} {n2}\0"
        f"f{verb} {n1}\0"
        f"g{s1}\0"
        f"h{verb} {s1}\0"
        f"i{n1} {s2}\0"
        f"j{s1} {s2}\0"
        f"k{verb} {s1} {s2}\0"
        f"l{p2} {p1}\0"
        f"m{n1[-2:]} {n2}\0"
        f"n{p1[-3:]} {s1}\0"
        f"o{verb} {k1} {k2}\0"
        f"p{verb} {k1} {n2}\0"
        f"q{s1} {n2} {n3}\0"
        f"r{p3} {p1} {s1}\0"
        f"s{frame} {s1}\0"
        f"t{frame} {n1}\0"
        f"u{frame} {s1} {n2}\0"
        f"v{frame} {k1} {k2} {k3}\0"
        f"w{verb} {k1} {k2} {k3}\0"
        f"x{_kind(p1)} {k1} {k2} {k3}\0"
        f"y{n1} {k2} {k3}"
    )


@lru_cache(maxsize=1 << 13)
def _kind(word: str) -> str:
    """A coarse class of a lower-case token: its closed class, a punctuation mark, or its ending."""
    known = _KINDS.get(word)
    if known is not None:
        return known
    if word[-2:] == "ly":
        return "ly"
    if word[-3:] == "ing":
        return "ing"
    if word[-2:] == "ed":
        return "ed"
    if word[-1] == "s":
        return "s"
    if word[-2:] in _ADJECTIVE_ENDINGS or word[-3:] in _ADJECTIVE_ENDINGS:
        return "adj"
    return "#" if word[0].isdigit() else "w"


@cache
def load_model(path: Path) -> HashedModel:
    """Read a model written by `save_model`. Raises FileNotFoundError, or ValueError for a file of another kind."""
    if not path.is_file():
        raise FileNotFoundError(
            f"weights file {str(path)!r} does not exist; make it with `python -m augment fit CORPUS --out FOLDER`"
        )
    raw = path.read_bytes()
    if not raw.startswith(MAGIC):
        raise ValueError(f"{path} is not a weights file; make it with `python -m augment fit CORPUS --out FOLDER`")
    head, packed = raw[len(MAGIC) :].split(b"\n", 1)
    scale, bias = (float(x) for x in head.split())
    return HashedModel(zlib.decompress(packed), scale, bias)
