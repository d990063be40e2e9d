"""How the time of a swap grows with the length of one line, for texts of many looks.

    python -m benchmarks.long_texts [--megabytes 0.5 1 2 4]

Prints a line of seconds for each kind of text: processor time, one length after the other. Ends with exit code 1 and
the kinds that took more than FACTOR times as long for a text twice as long; with the square of the length it is 4.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial

from augment import swap
from augment.audit import audit

FACTOR = 2.6  # room for caches that overflow and for other programs
PLAIN = "the ship sank and she drifted while my mother told the crew that his wife had seen her groom at the wedding "
KINDS = {
    "no mark": PLAIN,
    "headline": "Queen Of The Hill Meets An Old Man Of The Long Valley Road While Her Brother Sings A Song ",
    "no blank": PLAIN.replace(" ", ","),
    "slashes": PLAIN.replace(" ", "/"),
    "tags": '<li class="c"><b>her</b> aunt<a href="/w/s.html">he</a> Miss Ott</li>',
    "HTML without blanks": "<b>her</b><i>his</i>",
    "BBCode": "[b]He[/b]&his",
    "handles": "@she",
    "handles and hashtags": "@kim He #her ",
    "escapes": r"\u2019she\nHe*her*",
    "open brackets": "(her)(man(a b",
    "fences": "she ``` he ",
    "entities": "&amp;his&lt;of a long line of things that&lt;",
    "bare titles": "Miss Ott sang ",
    "offices": "Madam President sang ",
    "stables": "the groom said that it was late and that the road was long ",
    "ships": "ship ship ship ship she sank ",
    "counterparts": "a hero and a heroine of the long and winding road ",
    "kept names": "Batman lost most of the long list of things that were his ",
    "JSON": '{"her":"Ann","she":3},',
}
RUNS = {
    f"{word} and a run of {character!r}": (word, character)
    for word in ("Miss", "King", "Her", "his", "man")
    for character in (" ", "\t", "\n", "\xa0", ".", "-", "_", "A", "'")
}


def of_length(unit: str, length: int) -> str:
    """A unit again and again, at most `length` characters."""
    return unit * (length // len(unit))


def around_a_run(word: str, character: str, length: int) -> str:
    """A word before and after a run of one character."""
    return f"{word}{character * (length // 2)}x {word} {character * (length // 2)}Y"


def swap_text(text: Callable[[int], str], length: int) -> object:
    """The swap of a text of a length."""
    return swap(text(length))


def seconds(work: Callable[[], object]) -> float:
    """Processor time."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a line per kind, and say which kinds grow too fast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[0.5, 1, 2, 4])
    lengths = [round(megabytes * 1e6) for megabytes in sorted(parser.parse_args(arguments).megabytes)]
    texts: dict[str, Callable[[int], str]] = {name: partial(of_length, unit) for name, unit in KINDS.items()}
    texts |= {name: partial(around_a_run, word, character) for name, (word, character) in RUNS.items()}
    works: dict[str, Callable[[int], object]] = {name: partial(swap_text, text) for name, text in texts.items()}
    works["audit"] = lambda length: audit([of_length("the nurse said that he met her ", length)])
    too_slow = []
    for name, work in works.items():
        work(10_000)  # fills the caches
        taken = [seconds(partial(work, length)) for length in lengths]
        print(f"{name:32}", *(f"{value:8.2f}" for value in taken), flush=True)
        pairs = itertools.pairwise(zip(lengths, taken, strict=True))
        if any(late > FACTOR / 2 * early * (longer / shorter) + 0.05 for (shorter, early), (longer, late) in pairs):
            too_slow.append(name)
    if too_slow:
        print("These grow faster than the length:", ", ".join(too_slow))
    return bool(too_slow)


if __name__ == "__main__":
    raise SystemExit(main())
