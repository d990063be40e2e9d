"""Counterfactual role reversal: a text in, a `CounterfactualPair` with its edits out. Pure and deterministic.

One regular expression finds the candidate words; everything else is decided on those alone: code and names are left as
they are (guards.py, names.py, topics.py), pronouns are read from their context (pronouns.py), titles from what
follows (titles.py).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

from augment.lexicon import Lexicon, load_lexicon
from augment.rules import guards, names, topics
from augment.rules.case import recase
from augment.rules.context import QUOTES, sentence_span
from augment.rules.pronouns import her_is_object, his_is_absolute
from augment.rules.scan import CAPITALISED, FEMININE, MASCULINE, TOPIC, Candidate, Term, find_candidates, scanner
from augment.rules.titles import SPECIAL, generic_masculine

_OPPOSITE = {"m->f": "f->m", "f->m": "m->f"}
_DIRECTION = {MASCULINE: "m->f ", FEMININE: "f->m "}
_UNSURE_TITLE = 0.97  # confidence of a rule of titles.py; a plain lexicon swap has 1.0
_VOWELS = tuple("aeiou")
_VOWEL_SOUNDS = ("heir", "honour", "honor", "honest")  # words whose h is silent
_CONSONANT_SOUNDS = ("ewe", "uter")  # words that begin like "you"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters [start, end) of the original text, which read `source`, by `target`.

    `rule` names what decided; `confidence` is in [0, 1].
    """

    start: int
    end: int
    source: str
    target: str
    rule: str
    confidence: float


@dataclass(frozen=True)
class CounterfactualPair:
    """A text, its counterfactual, and the edits (ascending, disjoint) that lead from one to the other."""

    original: str
    counterfactual: str
    edits: tuple[Edit, ...]

    @cached_property
    def num_masculine_to_feminine(self) -> int:
        """Number of edits that replace a masculine word."""
        return sum(e.rule.startswith("m->f") for e in self.edits)

    @cached_property
    def num_feminine_to_masculine(self) -> int:
        """Number of edits that replace a feminine word."""
        return sum(e.rule.startswith("f->m") for e in self.edits)

    @property
    def confidence(self) -> float:
        """The least sure edit's confidence; 1.0 without edits."""
        return min((e.confidence for e in self.edits), default=1.0)

    def reverse(self) -> "CounterfactualPair":
        """The pair seen from the other side; its edits restore the original exactly, many-to-one terms included."""
        shift = 0
        back = []
        for e in self.edits:
            start = e.start + shift
            rule = _OPPOSITE.get(e.rule[:4], e.rule[:4]) + e.rule[4:]
            back.append(Edit(start, start + len(e.target), e.target, e.source, rule, e.confidence))
            shift += len(e.target) - len(e.source)
        return CounterfactualPair(self.counterfactual, self.original, tuple(back))


# Text, start and end of a "her" or "his" in; whether it is an object or absolute form out, None when it cannot say.
Reader = Callable[[str, int, int], bool | None]


def swap(text: str, lexicon: Lexicon | None = None, reader: Reader | None = None) -> CounterfactualPair:
    """The counterfactual of `text`: every binary-gender term replaced by its counterpart, everything else untouched.

    Without a lexicon the default tiers are used. The result depends on the text, the lexicon and the reader only. A
    `reader` (tagger.spacy_reader) decides her and his in place of the built-in rules and model.
    """
    tables = scanner(lexicon if lexicon is not None else load_lexicon())
    table = tables.table
    original = text
    if "_" in text:
        text = _EMPHASIS.sub(r" \1 ", text)  # of the same length: every offset stays
    candidates = find_candidates(text, tables)
    if not candidates:
        return CounterfactualPair(original, original, ())
    spans = guards.code_spans(text)
    edits: list[Edit] = []
    frozen: list[tuple[int, str]] = []
    spoken_of: list[tuple[int, str]] = []
    padded = text + "\n"  # a character behind every word and, read backwards, before the first
    for start, end, source in candidates:
        if spans and guards.inside(spans, start):
            continue
        candidate = table.get(source) or table[" ".join(source.split())]
        left, right = padded[start - 1], padded[end]
        touched = left not in guards.SAFE_BEFORE or right not in guards.SAFE_AFTER
        if touched and guards.odd_neighbour(text, start, end, spans):
            continue
        if right in QUOTES and left in QUOTES and guards.mentioned(text, start):
            continue
        if candidate.plain_rule == TOPIC:
            spoken_of.append((start, source))
            continue
        if candidate.plain_rule:
            if (left != " " or text[start - 2 : start] in _MENTIONS) and topics.gloss(text, start, end):
                continue
            edits.append(Edit(start, end, source, candidate.target, candidate.plain_rule, 1.0))
            continue
        if candidate.term.tier == "pronouns":
            edit = _decide_pronoun(text, start, end, source, candidate, reader)
        else:
            edit = _decide(text, start, end, source, candidate, frozen)
        if edit is not None:
            if edit.target[0] in "aeiouAEIOU" or source[0] in "aeiouAEIOU":
                _append_article(text, edit, edits)
            if candidate.term.use == "feminine" or candidate.term.target == "count":
                _append_coordinated(text, edit, candidate.term, edits)
            else:
                edits.append(edit)
    edits.sort(key=attrgetter("start"))  # "the heroine and her hero": the two nouns come before the pronoun
    if frozen:
        edits = _without_frozen(text, edits, frozen)
    if spoken_of:
        edits = _without_impersonal(text, edits, spoken_of)
    return CounterfactualPair(original, apply_edits(original, edits), tuple(edits))


# Underscores around words, which mark emphasis in plain text; those inside names of code are left.
_EMPHASIS = re.compile(r"(?<!\w)_(?=[^\W_])([^_\n]{1,300}?)(?<=[^\s_])_(?!\w)")


def apply_edits(text: str, edits: "list[Edit] | tuple[Edit, ...]") -> str:
    """Replay ascending, disjoint edits on the text they were made for."""
    pieces = []
    position = 0
    for edit in edits:
        pieces.append(text[position : edit.start])
        pieces.append(edit.target)
        position = edit.end
    if not pieces:
        return text
    pieces.append(text[position:])
    return "".join(pieces)


def kept_reason(text: str, start: int, end: int, candidate: Candidate) -> str | None:
    """Why a recognised word other than a pronoun is left alone here; None when it is to be swapped."""
    term = candidate.term
    if term.use == "kept":
        return "name"
    if term.word in _ALWAYS_TITLES:
        return None
    if term.tier == "names":
        return names.surname(text, start)
    if text[start].isupper() and term.word.islower():
        reason = names.part_of_name(text, start, end, term)
        if reason:
            return reason
    reason = guards.idiom(text, start, end, term)
    if reason is None and term.word in guards.VERBS:
        reason = guards.verb(text, start, end, term)
    if reason is None and term.word in guards.PIECES:
        reason = guards.game_piece(text, start)
    if reason is None and term.word in guards.EXCLAIMED:
        reason = guards.interjection(text, start, end) or topics.mankind(text, start, end)
    if reason is None and term.word in ("masculine", "feminine"):
        reason = topics.grammatical(text, start, end)
    if reason is None and term.word in _SEXES:
        reason = topics.animal(text, start, end)
    if reason is None and text[start - 1 : start] in _GLOSSED_BEFORE:
        reason = topics.gloss(text, start, end)
    return reason


_MENTIONS = ("n ", "s ")  # how "pronoun" ends, which topics.gloss looks for
_SEXES = frozenset({"male", "female", "males", "females"})
_GLOSSED_BEFORE = frozenset("( \"'“‘")
_ALWAYS_TITLES = frozenset({"mr", "mrs", "ms", "miss"})


def _decide_pronoun(
    text: str, start: int, end: int, source: str, candidate: Candidate, reader: Reader | None
) -> Edit | None:
    """The edit for her, his, or a capitalised he or she (None inside a title such as "She Loves You")."""
    direction = _DIRECTION[candidate.term.gender]
    if source[0].isupper() and (names.in_title(text, start, end, source) or topics.reverent(text, start, end)):
        return None
    if source in CAPITALISED:
        return Edit(start, end, source, candidate.target, direction + "pronouns", 1.0)
    if text[start - 2 : start] in _MENTIONS and topics.gloss(text, start, end):
        return None
    is_her = candidate.term.word == "her"
    answer = reader(text, start, end) if reader is not None else None
    if answer is None:
        answer, confidence, rule = (her_is_object if is_her else his_is_absolute)(text, start, end)
    else:
        confidence, rule = _READER_CONFIDENCE, candidate.term.word + ": reader"
    target = ("him" if answer else "his") if is_her else ("hers" if answer else "her")
    return Edit(start, end, source, recase(source, target), direction + rule, confidence)


_READER_CONFIDENCE = 0.97  # a small tagger's accuracy on human-annotated text


def _decide(
    text: str, start: int, end: int, source: str, candidate: Candidate, frozen: list[tuple[int, str]]
) -> Edit | None:
    """The edit for one candidate, or None when it is left alone; names of one person are noted in `frozen`."""
    term, target, _ = candidate
    direction = _DIRECTION.get(term.gender, "")
    word = term.word
    reason = kept_reason(text, start, end, candidate)
    if reason:
        spoken_of = reason in ("name", "mankind") and word in guards.EXCLAIMED
        spoken_of = (spoken_of or reason in ("name without a determiner", "sex of an animal")) and names.opens_sentence(
            text, start, end
        )
        if term.gender != "-" and (spoken_of or term.use == "kept"):
            frozen.append((start, term.gender))
        return None
    special = SPECIAL.get(word)
    if special is not None:
        decision = special(text, start, end)
        if decision is None:
            return None
        other, end, rule = decision
        end, target = _possessive(text, end, source, recase(source, other))
        return Edit(start, end, text[start:end], target, direction + rule, _UNSURE_TITLE)
    if term.gender == MASCULINE and generic_masculine(text, start, word):
        return None
    end, target = _possessive(text, end, source, target)
    return Edit(start, end, text[start:end], target, direction + term.tier, 1.0)


def _append_coordinated(text: str, edit: Edit, term: Term, edits: list[Edit]) -> None:
    """Append an edit and that of its masculine counterpart beside it: "hero and heroine" -> "heroine and hero".

    The counterpart alone is left as it is, because it is said of everybody (`use` is `feminine`).
    """
    before = _JOINED_BEFORE.search(text, max(0, edit.start - 40), edit.start)
    after = _JOINED_AFTER.match(text, edit.end)
    for match, comes_first in ((before, True), (after, False)):
        if match is None or match.group(1).lower() != term.target or match.group(1).istitle():
            continue
        start, end = match.span(1)
        if comes_first and any(one.start < end and start < one.end for one in edits[-2:]):
            continue
        other = Edit(
            start, end, match.group(1), recase(match.group(1), term.word), "m->f joined with its counterpart", 1.0
        )
        edits += [other, edit] if comes_first else [edit, other]
        return
    edits.append(edit)


_JOINED_BEFORE = re.compile(r"(?<![\w-])([A-Za-z]+),? (?:and|or|nor|&|to) (?:the |an? |his |her |their )?\Z")
_JOINED_AFTER = re.compile(r",? (?:and|or|nor|&|to) (?:the |an? |his |her |their )?([A-Za-z]+)(?![\w-])")


def _possessive(text: str, end: int, source: str, target: str) -> tuple[int, str]:
    """Give a plural possessive its form: ladies' -> gentlemen's, gentlemen's -> ladies'."""
    mark = text[end : end + 1]
    if mark not in ("'", "’") or not mark:
        return end, target
    plural_in_n = source[-2:].lower() == "en" and target[-1:] in "sS"
    if plural_in_n and text[end + 1 : end + 2] in ("s", "S") and not text[end + 2 : end + 3].isalnum():
        return end + 2, target + mark
    if source[-1:] in "sS" and target[-1:] not in "sS" and _OWNER.match(text, end):
        return end + 1, target + mark + ("S" if target.isupper() else "s")
    return end, target


_OWNER = re.compile(r"['’](?![sS]\b) ?[\w-]")


def _append_article(text: str, edit: Edit, edits: list[Edit]) -> None:
    """Before `edit` is appended: turn a/an into an/a when the new word starts with another kind of sound."""
    if _starts_with_vowel(edit.source) == _starts_with_vowel(edit.target):
        return
    match = _ARTICLE.search(text, max(0, edit.start - 8), edit.start)
    if match is None or (edits and edits[-1].end > match.start()):
        return
    old = match.group(1)
    new = "an" if _starts_with_vowel(edit.target) else "a"
    if old.lower() == new:
        return
    new = new.upper() if old.isupper() and edit.source.isupper() else new.capitalize() if old[0] == "A" else new
    edits.append(Edit(match.start(1), match.end(1), old, new, "article", 1.0))


_ARTICLE = re.compile(r"(?<!\w)(an?)\s+\Z", re.IGNORECASE)


def _starts_with_vowel(word: str) -> bool:
    lower = word.lower()
    return lower.startswith(_VOWEL_SOUNDS) or (lower.startswith(_VOWELS) and not lower.startswith(_CONSONANT_SOUNDS))


def _without_frozen(text: str, edits: list[Edit], frozen: list[tuple[int, str]]) -> list[Edit]:
    """Drop the pronoun edits that share a sentence with a kept person's name of their gender."""
    zones = [(*sentence_span(text, start), gender) for start, gender in frozen]
    return [e for e in edits if not any(a <= e.start < b and _is_pronoun(e.source, g) for a, b, g in zones)]


def _without_impersonal(text: str, edits: list[Edit], spoken_of: list[tuple[int, str]]) -> list[Edit]:
    """Drop the feminine pronouns that mean a ship or a country, and those that follow them in the same sentence."""
    persons = [e.start for e in edits if e.rule[0] == FEMININE and not _is_pronoun(e.source, FEMININE)]
    ship = topics.about_a_ship(text, spoken_of)
    kept = []
    since = -1  # end of the last pronoun that was dropped
    for e in edits:
        if e.rule[0] == FEMININE and _is_pronoun(e.source, FEMININE):
            same = since >= 0 and "." not in text[since : e.start] and not any(since <= p < e.start for p in persons)
            alone = ship and not any(e.start - 200 < p < e.start for p in persons)
            if same or alone or topics.impersonal(text, spoken_of, e.start, e.source, persons):
                since = e.end
                continue
        kept.append(e)
    return kept


def _is_pronoun(source: str, gender: str) -> bool:
    return source.lower() in _PRONOUNS[gender]


_PRONOUNS = {
    MASCULINE: frozenset({"he", "him", "his", "himself"}),
    FEMININE: frozenset({"she", "her", "hers", "herself"}),
}
