"""Counterfactual role reversal: replace the gendered words of a text by their counterparts. Pure and deterministic.

`rules/scan.py` finds the candidate words; the other rules look at those alone. They leave code and names as they are
(`rules/guards.py`, `names.py`, `topics.py`), read pronouns from their context (`pronouns.py`), and read titles from the
words after them (`titles.py`).
"""

from collections.abc import Callable
from functools import cache

from augment.lexicon import Lexicon, load_lexicon
from augment.pair import CounterfactualPair, Edit, KeptTerm, apply_edits
from augment.rules import capitals, guards, line_ends, markup, reference, senses, titled_names, titles, topics
from augment.rules.agreement import append_edit, with_possessive
from augment.rules.case import recase
from augment.rules.context import QUOTES
from augment.rules.kept import kept_reason, pronouns_follow
from augment.rules.pronouns import her_is_object, his_is_absolute
from augment.rules.scan import FEMININE, MASCULINE, TOPIC, Candidate, Scanner, find_candidates, scanner
from augment.rules.senses import generic_masculine

__all__ = ["CounterfactualPair", "Edit", "KeptTerm", "Reader", "apply_edits", "kept_terms", "swap"]

# Reads the "her" or "his" at [start, end) of a text. True: "her" is an object, or "his" is absolute. None: cannot tell.
Reader = Callable[[str, int, int], bool | None]
_Kept = tuple[int, int, str, str]  # start, end, source, reason

# Words whose counterpart depends on the context, each with the function that decides.
_SPECIAL = titles.SPECIAL | senses.SPECIAL
_DIRECTION = {MASCULINE: "m->f ", FEMININE: "f->m "}
_TITLE_CONFIDENCE = 0.97  # of a rule of titles.py; a plain lexicon swap has 1.0
_READER_CONFIDENCE = 0.97  # a small tagger's accuracy on human-annotated text
_MENTIONS = ("n ", "s ")  # how "pronoun" ends, which topics.gloss looks for


def swap(text: str, lexicon: Lexicon | None = None, reader: Reader | None = None) -> CounterfactualPair:
    """The counterfactual of `text`: every binary-gender term replaced by its counterpart, everything else untouched.

    Without a lexicon the default tiers are used. The result depends on the text, the lexicon and the reader only. A
    `reader` (tagger.spacy_reader) decides her and his in place of the built-in rules and model.
    """
    edits, _ = _decide_all(text, lexicon, reader)
    return CounterfactualPair(text, apply_edits(text, edits), tuple(edits))


def kept_terms(text: str, lexicon: Lexicon | None = None, reader: Reader | None = None) -> tuple[KeptTerm, ...]:
    """The recognised words that `swap` leaves alone, each with the reason, in the order of the text."""
    _, kept = _decide_all(text, lexicon, reader)
    return tuple(KeptTerm(*term) for term in sorted(kept))


@cache
def _default_scanner() -> Scanner:
    return scanner(load_lexicon())


def _decide_all(text: str, lexicon: Lexicon | None, reader: Reader | None) -> tuple[list[Edit], list[_Kept]]:
    """The edits of a text in order, and the recognised words that a swap leaves alone."""
    tables = scanner(lexicon) if lexicon is not None else _default_scanner()
    table = tables.table
    original, text = text, markup.unmarked(text)
    edits: list[Edit] = []
    kept: list[_Kept] = []
    candidates = find_candidates(text, tables)
    if not candidates:
        return edits, kept
    spans = guards.code_spans(text)
    view = markup.sentence_view(text, spans) if spans or "@" in text or "#" in text else text
    kept_names: list[tuple[int, str]] = []  # start and gender of names whose pronouns stay
    named_topics: list[tuple[int, str]] = []  # start and word of ships and countries
    is_broken = line_ends.has_broken_words(text)
    padded = text + "\n"  # every word has a character after it, and the first one has padded[-1] before it
    for start, end, source in candidates:
        candidate = table.get(source) or table[" ".join(source.split())]
        plain_rule = candidate.plain_rule
        left, right = padded[start - 1], padded[end]
        decision: Edit | str | None = None
        if spans and guards.inside(spans, start):
            decision = "code"
        elif not (left == right == " "):
            if left not in guards.SAFE_BEFORE or right not in guards.SAFE_AFTER:
                decision = guards.odd_neighbour(text, start, end, spans)
            if decision is None and (right in QUOTES or left in QUOTES) and topics.mentioned(view, start, end):
                decision = "word spoken about"
        if is_broken and decision is None:
            decision = line_ends.rejoined(text, start, end, candidate, table)
        if plain_rule == TOPIC:
            if decision is None:
                named_topics.append((start, source))
            continue
        if decision is None and plain_rule:
            if left != " " or view[start - 2 : start] in _MENTIONS:
                decision = topics.gloss(view, start, end)
            if view[start - 3 : start] in guards.TORN_BEFORE or view[end : end + 3] in guards.TORN_AFTER:
                decision = decision or guards.torn(view, start, end)
            if decision is None:  # most candidates; he and she have neither article nor ending
                edits.append(Edit(start, end, source, candidate.target, plain_rule, 1.0))
                continue
        elif decision is None:
            decision = _decide(view, start, end, source, candidate, reader, kept_names)
        if isinstance(decision, str):
            kept.append((start, end, source, decision))
            if source in topics.SEXED:  # the Lord
                named_topics.append((start, source))
        else:
            append_edit(view, decision, candidate.term, edits, table)
    edits.sort()  # in "the heroine and her hero" the two nouns are edited before the pronoun
    if kept_names:
        edits = _without(
            reference.pronouns_of_kept_names(view, edits, kept_names), "refers to a kept name", edits, kept
        )
    if named_topics:
        impersonal = reference.pronouns_of_ships_and_countries(view, edits, named_topics)
        edits = _without(impersonal, "ship or country", edits, kept)
        edits = _without(reference.pronouns_of_animals_and_god(view, edits, named_topics), "animal or God", edits, kept)
    if view != original:  # a term of several words, or its possessive ending, may reach across mark-up
        edits = _without([e for e in edits if original[e.start : e.end] != e.source], "code", edits, kept)
    return edits, kept


def _without(dropped: list[Edit], reason: str, edits: list[Edit], kept: list[_Kept]) -> list[Edit]:
    """The edits that are not in `dropped`; appends the dropped ones, with the reason, to `kept`."""
    if not dropped:
        return edits
    kept += [(e.start, e.end, e.source, reason) for e in dropped]
    starts = {e.start for e in dropped}
    return [e for e in edits if e.start not in starts]


def _decide(
    text: str,
    start: int,
    end: int,
    source: str,
    candidate: Candidate,
    reader: Reader | None,
    kept_names: list[tuple[int, str]],
) -> Edit | str:
    """The edit of a candidate, or the reason to leave it alone. Adds (start, gender) of a kept name to `kept_names`."""
    term = candidate.term
    if term.tier == "pronouns":
        return _decide_pronoun(text, start, end, source, candidate, reader)
    reason = kept_reason(text, start, end, candidate)
    if reason:
        if pronouns_follow(text, start, end, candidate, reason):
            kept_names.append((start, term.gender))
        return reason
    return _decide_noun(text, start, end, source, candidate)


def _decide_pronoun(
    text: str, start: int, end: int, source: str, candidate: Candidate, reader: Reader | None
) -> Edit | str:
    """The edit of her, his, or a capitalised he or she, or the reason to leave it alone ("She Loves You")."""
    direction = _DIRECTION[candidate.term.gender]
    if source[0].isupper():
        reason = capitals.pronoun_in_name(text, start, end, source) or topics.reverent(text, start, end)
        if reason and not capitals.headline(text, start):
            return reason
        if text[end + 1 : end + 2].isupper() and titled_names.in_title_with_person(text, start, end):
            return "name of a work"
    if candidate.term.word not in ("her", "his"):
        return Edit(start, end, source, candidate.target, direction + "pronouns", 1.0)
    if text[start - 2 : start] in _MENTIONS:
        reason = topics.gloss(text, start, end)
        if reason:
            return reason
    is_her = candidate.term.word == "her"
    if is_her and topics.of_a_machine(text, start, end):
        return "fixed phrase"
    answer = reader(text, start, end) if reader is not None else None
    if answer is None:
        answer, confidence, rule = (her_is_object if is_her else his_is_absolute)(text, start, end)
    else:
        confidence, rule = _READER_CONFIDENCE, candidate.term.word + ": reader"
    target = ("him" if answer else "his") if is_her else ("hers" if answer else "her")
    return Edit(start, end, source, recase(source, target), direction + rule, confidence)


def _decide_noun(text: str, start: int, end: int, source: str, candidate: Candidate) -> Edit | str:
    """The edit of a word that no guard keeps, or the reason to leave it alone in this context."""
    term, target = candidate.term, candidate.target
    direction = _DIRECTION.get(term.gender, "")
    rule, confidence = term.tier, 1.0
    special = _SPECIAL.get(term.word)
    if special is not None:
        decision = special(text, start, end)
        if decision is None:
            return "no title or person here"
        other, end, rule = decision
        target, confidence = recase(source, other), _TITLE_CONFIDENCE
    elif term.gender == MASCULINE and generic_masculine(text, start, term.word):
        return "said of a woman"
    end, target = with_possessive(text, end, source, target)
    return Edit(start, end, text[start:end], target, direction + rule, confidence)
