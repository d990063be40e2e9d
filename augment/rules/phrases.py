"""Fixed phrases whose gendered word speaks of nobody's gender: mother tongue, man-hours, queen mother.

`lexicons/rules/idioms.tsv` marks the gendered word of each phrase: `<mother> tongue`, `queen <mother>`. A swap
leaves the word alone in the phrase and in its mirror image, where each gendered word is the counterpart: `king
<father>`. Otherwise "king father" would become "queen mother", which a second swap would leave alone.
"""

import re
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import NamedTuple

from augment.lexicon import TIERS, load_lexicon
from augment.rules.scan import swappable_terms
from augment.rules.tables import read_table

# How the text before a word ends in a phrase (lower case), what must come before the word, and what after it.
_Around = tuple[tuple[str, ...], re.Pattern[str], re.Pattern[str]]


class Phrases(NamedTuple):
    """The fixed phrases of one word.

    after: matches what follows the word in a phrase that begins with it. around: the other phrases. first: the words
    that can follow in `after`, and endings: all endings in `around`, both in lower case; these fast tests settle most
    words.
    """

    after: re.Pattern[str]
    first: frozenset[str]
    endings: tuple[str, ...]
    around: tuple[_Around, ...]


@cache
def fixed_phrases(word: str, counterpart: str) -> Phrases | None:
    """The phrases of a word as written, and the mirror images of those of its counterpart; None if there are none."""
    both = [
        phrases[marked] for phrases, marked in ((_written(), word), (_mirrored(), counterpart)) if marked in phrases
    ]
    if not both:
        return None
    after, first, endings, around = zip(*both, strict=True)
    return Phrases(
        _regex("|".join(pattern.pattern for pattern in after)),
        frozenset().union(*first),
        tuple(sorted({*chain(*endings)})),
        tuple(chain(*around)),
    )


@cache
def _written() -> dict[str, Phrases]:
    """The phrases as written, by the dictionary form of their marked word."""
    return _compile(lambda word: (word,))


@cache
def _mirrored() -> dict[str, Phrases]:
    """The mirror images of the phrases, by the marked word of the original: look up a word's counterpart here."""
    partners = _partners()
    return _compile(lambda word: partners.get(word, (word,)))


@cache
def _partners() -> dict[str, tuple[str, ...]]:
    """Every counterpart of each shipped term that can be swapped. Given names are left out: no phrase holds one."""
    lexicon = load_lexicon([tier for tier in TIERS if tier != "names"])
    partners: dict[str, dict[str, None]] = {term.word: {} for term in swappable_terms(lexicon)}
    for pair in lexicon.rows:
        for word, other in ((pair.masculine, pair.feminine), (pair.feminine, pair.masculine)):
            if word in partners:
                partners[word][other] = None
    return {word: tuple(others) for word, others in partners.items()}


def _compile(spellings: Callable[[str], tuple[str, ...]]) -> dict[str, Phrases]:
    """Compile all phrases; an unmarked word matches any of its `spellings`."""
    after: dict[str, list[str]] = {}
    around: dict[str, list[_Around]] = {}
    first: dict[str, set[str]] = {}
    for (phrase,) in read_table("idioms.tsv"):
        left, marked = phrase.split("<")
        word, right = marked.split(">")
        end = _pattern(right, spellings) + _end(right)
        if left:
            last = re.findall(r"\w+|\S", left.rstrip(" -"))[-1]
            endings = tuple({form for each in spellings(last) for form in (each.lower(), each.replace("'", "’"))})
            before = _regex(_start(left, spellings) + _pattern(left, spellings) + r"\Z")
            around.setdefault(word, []).append((endings, before, _regex(end)))
        else:
            after.setdefault(word, []).append(end)
            following = re.findall(r"\w+|\W", right)  # the parts of `_pattern`
            begins = next(spellings(part) for part in following if part.isalnum())
            first.setdefault(word, set()).update(re.findall(r"\w+", each)[0].lower() for each in begins)
    return {
        word: Phrases(
            _regex("|".join(after.get(word, ["(?!)"]))),
            frozenset(first.get(word, ())),
            tuple({ending for endings, _, _ in around.get(word, ()) for ending in endings}),
            tuple(around.get(word, ())),
        )
        for word in after.keys() | around.keys()
    }


def _regex(source: str) -> re.Pattern[str]:
    return re.compile(source, re.IGNORECASE)


def _pattern(phrase: str, spellings: Callable[[str], tuple[str, ...]]) -> str:
    """A phrase as a pattern: a blank also matches a hyphen or a line break, a hyphen only itself."""
    parts = []
    for part in re.findall(r"\w+|\W", phrase):
        words = [re.escape(word) for word in spellings(part)]
        parts.append(r"(?:\s+|-)" if part == " " else words[0] if len(words) == 1 else f"(?:{'|'.join(words)})")
    return "".join(parts).replace("'", "['’]")


def _start(left: str, spellings: Callable[[str], tuple[str, ...]]) -> str:
    """A pattern that fails inside a longer term: "cleaning ladies man" does not count as "ladies man"."""
    first = spellings(left.split()[0].rstrip("'"))
    longer = sorted(term.rsplit(" ", 1)[0] for term in _partners() if " " in term and term.rsplit(" ", 1)[1] in first)
    return r"(?<!\w)" + "".join(rf"(?<!{re.escape(beginning)}\s)" for beginning in longer)


def _end(right: str) -> str:
    """A pattern that fails before more of the last word: "queen mother-in-law" does not count as "queen mother"."""
    return r"(?!\w|-\w)" if right.rpartition(" ")[2] in _partners() else r"(?!\w)"
