"""Read the data of the rules: tab-separated files in `lexicons/rules`. Turn many words into one pattern."""

import re
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


def trie_pattern(words: Iterable[str], blank: str = r"\s+") -> str:
    """A regular expression that matches the longest of `words` at a position; `blank` matches a blank in a word.

    It reads common beginnings once, and so is fast for hundreds of words.
    """
    root: dict[str, dict] = {}
    for word in words:
        node = root
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    return _trie_source(root, blank)


def _trie_source(node: dict[str, dict], blank: str) -> str:
    branches: dict[str, list[str]] = {}
    for character, child in sorted(node.items()):
        if character:
            branches.setdefault(_trie_source(child, blank), []).append(character)
    parts = []
    for ending, characters in branches.items():
        if characters == [" "]:
            head = blank
        elif len(characters) == 1:
            head = re.escape(characters[0])
        else:
            head = "[" + "".join(re.escape(c) for c in characters) + "]"
        parts.append(head + ending)
    if not parts:
        return ""
    optional = "" in node
    if len(parts) == 1 and not optional:
        return parts[0]
    return "(?:" + "|".join(parts) + ")" + ("?" if optional else "")
