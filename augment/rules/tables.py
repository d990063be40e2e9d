"""The data of the rules: tab-separated files in `lexicons/rules`, read once."""

import unicodedata
from functools import cache

from augment.lexicon import RULES_DIR


def read_table(name: str) -> list[list[str]]:
    """The rows of a file without its header; lines that start with # are comments."""
    lines = (RULES_DIR / name).read_text(encoding="utf-8").splitlines()
    rows = [unicodedata.normalize("NFC", line).split("\t") for line in lines if line and not line.startswith("#")]
    return rows[1:]


def word_set(words: str) -> frozenset[str]:
    """The blank-separated words of a short list that stands in code."""
    return frozenset(words.split())


@cache
def word_lists(name: str) -> dict[str, frozenset[str]]:
    """The word lists of NAME.tsv by their names. A row is `list<TAB>words`; rows of the same list add up."""
    lists: dict[str, set[str]] = {}
    for list_name, words in read_table(f"{name}.tsv"):
        lists.setdefault(list_name, set()).update(words.split())
    return {list_name: frozenset(words) for list_name, words in lists.items()}
