"""Read the data of the rules: tab-separated files in `lexicons/rules`."""

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from augment.lexicon import RULES_DIR


def read_table(name: str) -> list[list[str]]:
    """The rows of a file, without its header and its comments (lines that start with #)."""
    lines = (RULES_DIR / name).read_text(encoding="utf-8").splitlines()
    rows = [unicodedata.normalize("NFC", line).split("\t") for line in lines if line and not line.startswith("#")]
    return rows[1:]


def word_set(words: str) -> frozenset[str]:
    """The blank-separated words of a list that is short enough to stand in code."""
    return frozenset(words.split())


class WordLists:
    """Named word lists, each an attribute: `lists.giving`."""

    def __init__(self, lists: Mapping[str, Iterable[str]]) -> None:
        for name, words in lists.items():
            setattr(self, name, frozenset(words))

    if TYPE_CHECKING:  # at run time a method of this name would make every look-up slower

        def __getattr__(self, name: str) -> frozenset[str]: ...


@cache
def word_lists(name: str) -> WordLists:
    """The word lists of NAME.tsv. A row is `list<TAB>words`; a list may have several rows."""
    lists: dict[str, set[str]] = {}
    for list_name, words in read_table(f"{name}.tsv"):
        lists.setdefault(list_name, set()).update(words.split())
    return WordLists(lists)
