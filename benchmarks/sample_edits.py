"""Print a random sample of the edits that `swap` makes in a corpus, each with its context, for a person to judge.

    python -m benchmarks.sample_edits CORPUS.jsonl.gz --number 200 --seed 1

Every edit of the corpus is drawn with the same probability (reservoir sampling, Vitter 1985). The same corpus, seed and
rules give the same sample.
"""

import argparse
import random
from collections.abc import Iterable
from pathlib import Path

from augment import Edit, swap
from augment.files.texts import read_texts


def sample_edits(texts: Iterable[str], number: int, seed: int) -> list[tuple[str, Edit]]:
    """Draw `number` edits uniformly from all edits of `texts`, each with its text."""
    draw, num_seen = random.Random(seed), 0
    kept: list[tuple[str, Edit]] = []
    for text in texts:
        for edit in swap(text).edits:
            num_seen += 1
            if len(kept) < number:
                kept.append((text, edit))
            elif (place := draw.randrange(num_seen)) < number:
                kept[place] = (text, edit)
    return kept


def in_context(text: str, edit: Edit, before: int = 90, after: int = 60) -> str:
    """An edit between the characters before and after it, on one line."""
    left, right = text[max(0, edit.start - before) : edit.start], text[edit.end : edit.end + after]
    return f"{left}[{edit.source} -> {edit.target}]{right}".replace("\n", " / ")


def main() -> None:
    """Print the sample."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--field", default="text")
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sample = sample_edits(read_texts(options.corpus, options.field), options.number, options.seed)
    for place, (text, edit) in enumerate(sample, start=1):
        print(f"{place:>4}  {in_context(text, edit)}")


if __name__ == "__main__":
    main()
