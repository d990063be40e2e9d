"""Random texts for tests of swapping files, and the options of such a swap."""

import random

from augment import load_lexicon
from augment.files.rows import RowOptions

OPTIONS = RowOptions(load_lexicon())
SENTENCES = [
    "He met her mother.",
    "The actress left.",
    "Nothing here.",
    "Ünïcode — “his” own",
    "She gave him his book.",
]


def random_texts(number: int) -> list[str]:
    """`number` texts of three sentences; the same ones in every call."""
    rng = random.Random(0)
    return [" ".join(rng.choices(SENTENCES, k=3)) for _ in range(number)]
