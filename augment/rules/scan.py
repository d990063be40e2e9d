"""Find the candidate words of a text, which the other rules then look at.

Most words are not candidates, so they must cost almost no time: `find_candidates` blanks the marks, splits the
text, and looks the words up in a set. Only forms of several words (mother-in-law, best man, Lady Macbeth) need a
regular expression, a character trie of all such forms.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from augment.lexicon import Lexicon
from augment.rules.case import styled_forms
from augment.rules.tables import read_table, trie_pattern
from augment.rules.topics import LANDS, SEXED, SHIPS

MASCULINE, FEMININE = "m", "f"
CAPITALISED = frozenset({"He", "She", "Him", "Himself", "Herself"})
TOPIC = "topic"
_SMALL_WORD = re.compile(r"(?<=[ -])[a-z]+")
_PLAIN_RULES = {MASCULINE: "m->f pronouns", FEMININE: "f->m pronouns"}


@dataclass(frozen=True, slots=True)  # its attributes are read in a third of the time that those of a NamedTuple take
class Term:
    """A recognised word: its dictionary form, its default counterpart, gender (m or f), tier and use."""

    word: str
    target: str
    gender: str
    tier: str
    use: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One surface form: its term and the counterpart in the same letter case. A kept name has no target.

    `plain_rule` is set for pronouns with a single counterpart, whose context does not matter. It is `TOPIC` for words
    that are not swapped but name a ship, a country, an animal or God.
    """

    term: Term
    target: str
    plain_rule: str = ""


class Scanner(NamedTuple):
    """What `find_candidates` needs.

    table: what each surface form is. heads: the first word of every form. longer: for the first word of a form of
    several words, what matches the forms that begin with it.
    """

    table: dict[str, Candidate]
    heads: frozenset[str]
    longer: "_FormsByHead"


class _FormsByHead(dict[str, re.Pattern[str]]):
    """For each first word the pattern of the forms that begin with it, compiled when a text first needs it."""

    def __init__(self, forms: dict[str, list[str]]) -> None:
        super().__init__()
        self.forms = forms

    def __missing__(self, head: str) -> re.Pattern[str]:
        self[head] = re.compile(trie_pattern(self.forms[head]) + r"(?!\w)")
        return self[head]


@cache
def scanner(lexicon: Lexicon) -> Scanner:
    """The scanner of a lexicon, built once."""
    table: dict[str, Candidate] = {}
    for term in swappable_terms(lexicon):
        plain = _PLAIN_RULES[term.gender] if term.tier == "pronouns" and term.word not in ("her", "his") else ""
        for form, other in styled_forms(term.word, term.target).items():
            if term.tier == "names" and form.islower():
                continue  # grace, mark, amber
            # A capitalised pronoun can belong to a title or mean God, and one in capitals be an acronym.
            alone = form in CAPITALISED or (form.isupper() and len(form) < 5)
            table.setdefault(form, Candidate(term, other, "" if alone else plain))
    for name, gender in kept_names():
        kept = Candidate(Term(name.lower(), "", gender, "name", "kept"), "")
        large = _SMALL_WORD.sub(lambda word: word.group().capitalize(), name)  # King Of Pop
        for form in {name, large, name.upper(), name.replace(". ", ".")}:  # Mr.Robot
            table.setdefault(form, kept)
            table.setdefault(form.replace("'", "’"), kept)
    for name in (*SHIPS, *LANDS, *SEXED):
        table.setdefault(name, Candidate(Term(name, "", "-", TOPIC, TOPIC), "", TOPIC))
    by_head: dict[str, list[str]] = {}
    for form in table:
        by_head.setdefault(form.translate(BLANKS).split()[0], []).append(form)
    longer = {head: forms for head, forms in by_head.items() if forms != [head]}
    return Scanner(table, frozenset(by_head), _FormsByHead(longer))


class _Blanks(dict[int, str]):
    """Maps every character that is not part of a word to a blank; remembers each character that it has mapped."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = character if character.isalnum() or character == "_" else " "
        return self[code]


BLANKS = _Blanks()
_ASCII_BLANKS = "".join([BLANKS[code] for code in range(256)]).encode("latin-1")


def _blanked(text: str) -> str:
    """The text with a blank for every mark. Lines of ASCII characters alone are translated much faster, as bytes."""
    if text.isascii():
        return text.encode().translate(_ASCII_BLANKS).decode()
    return " ".join([_blanked(line) for line in text.split("\n")]) if "\n" in text else text.translate(BLANKS)


def find_candidates(text: str, tables: Scanner) -> list[tuple[int, int, str]]:
    """(start, end, surface form) of every candidate, ascending and disjoint."""
    blanked = f" {_blanked(text)} "
    heads, longer, has_longer = tables.heads, tables.longer, tables.longer.forms
    candidates = []
    place = last = 0
    for word in filter(heads.__contains__, blanked.split()):
        # `blanked` begins with one more blank, so the index of the blank before a word is the word's index in the text.
        start = blanked.find(f" {word} ", place)
        place = start + 1 + len(word)
        if word not in has_longer:
            if start >= last:
                candidates.append((start, place - 1, word))
        elif start >= last:
            whole = longer[word].match(text, start)
            if whole:
                form = whole.group()
                if _ends_in_a_term(form, text, whole.end(), tables):  # only its first word counts, if that is a form
                    form = word if word in tables.table else ""
                if form:
                    last = start + len(form)
                    candidates.append((start, last, form))
    return candidates


def _ends_in_a_term(form: str, text: str, end: int, tables: Scanner) -> bool:
    """Whether a kept name's last word begins a longer term: MOTHER HEN DO (a mother's hen do), Big Brother-in-law."""
    last = form.replace("-", " ").split()[-1]
    if last == form or last not in tables.longer.forms or tables.table[" ".join(form.split())].term.use != "kept":
        return False
    term = tables.longer[last].match(text, end - len(last))
    return term is not None and term.end() > end


def swappable_terms(lexicon: Lexicon) -> list[Term]:
    """Every term that can be swapped, once, with its default counterpart (from its first row)."""
    terms: dict[str, Term] = {}
    for pair in lexicon.rows:
        if pair.use != "feminine":
            terms.setdefault(pair.masculine, Term(pair.masculine, pair.feminine, MASCULINE, pair.tier, pair.use))
        terms.setdefault(pair.feminine, Term(pair.feminine, pair.masculine, FEMININE, pair.tier, pair.use))
    return list(terms.values())


@cache
def kept_names() -> tuple[tuple[str, str], ...]:
    """Names that a swap leaves alone, each with the gender of the person it names; "-" if it names no single person."""
    rows = read_table("kept_names.tsv")
    return tuple((row[0], row[1]) for row in rows)
