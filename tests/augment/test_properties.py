"""Properties of swap on generated text: it never crashes, replays, keeps what it should, and undoes itself."""

import string
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from augment import apply_edits, load_lexicon, swap
from augment.rules.context import word_set
from augment.rules.scan import scanner, terms

LEXICON = load_lexicon()
TERMS = terms(LEXICON)
FORMS = sorted(scanner(LEXICON).table)
ONE_TO_ONE = sorted(t.word for t in TERMS if t.word not in LEXICON.many_to_one and t.word.islower())
WHOLE = [t for t in ONE_TO_ONE if t.isalpha()]
NEUTRAL = sorted(
    word_set(
        """the a table walked quickly under seven green houses and doctor engineer said that teacher lawyer went home
because of rain children people person parent cousin sibling monarch spouse nurse captain they we I you it"""
    )
)
PIECES = st.one_of(
    st.sampled_from(FORMS), st.sampled_from(NEUTRAL), st.text(max_size=4), st.sampled_from(" .,;:!?'’\"“”-_/@<>`\n\r\t")
)


def check(text: str) -> None:
    pair = swap(text)
    assert pair.original == text
    assert apply_edits(text, pair.edits) == pair.counterfactual
    position = 0
    for edit in pair.edits:
        assert position <= edit.start < edit.end
        assert text[edit.start : edit.end] == edit.source
        assert edit.source != edit.target
        assert 0.5 <= edit.confidence <= 1
        position = edit.end
    back = pair.reverse()
    assert apply_edits(back.original, back.edits) == text
    assert swap(text) == pair


@given(st.text())
@settings(max_examples=500, deadline=None)
def test_any_unicode_replays(text: str) -> None:
    check(text)


@given(st.lists(PIECES, max_size=12), st.sampled_from(["", " ", "  ", "\n"]))
@settings(max_examples=1000, deadline=None)
def test_terms_among_anything_replay(pieces: list[str], glue: str) -> None:
    check(glue.join(pieces))


@pytest.mark.slow
@given(st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, max_size=12).map(" ".join)))
@settings(max_examples=100_000, deadline=None)
def test_a_hundred_thousand_texts_replay(text: str) -> None:
    check(text)


@given(st.lists(st.sampled_from([*NEUTRAL, " ", ".", "\n\n", "—", "é"]), max_size=30))
@settings(max_examples=300, deadline=None)
def test_text_without_a_gendered_term_is_identical(words: list[str]) -> None:
    text = " ".join(words)
    assert swap(text).counterfactual == text


@given(st.lists(st.sampled_from(ONE_TO_ONE + NEUTRAL), max_size=12), st.sampled_from([str.lower, str.upper]))
@example(["cleaning ladies", "woman"], str.lower)  # no "ladies' man"
@example(["leading men", "man"], str.lower)
@example(["first gentlemen", "man"], str.upper)
@example(["guy"], str.upper)
@example(["lass"], str.upper)
@settings(max_examples=1000, deadline=None)
def test_one_to_one_terms_come_back(words: list[str], style: Callable[[str], str]) -> None:
    text = style(" ".join(words))
    assert swap(swap(text).counterfactual).counterfactual == text


@given(st.text(alphabet=string.ascii_letters + "éüñß", min_size=1), st.sampled_from(WHOLE))
@settings(max_examples=300, deadline=None)
def test_a_term_inside_a_longer_word_is_left_alone(letters: str, term: str) -> None:
    for word in (letters + term, term + letters):
        if word.lower() not in {f.lower() for f in FORMS}:
            assert swap(f"A {word} b").counterfactual == f"A {word} b"


def test_every_term_swaps_to_its_counterpart_in_a_plain_sentence() -> None:
    for term in TERMS:
        if term.use == "pair" and term.tier not in ("pronouns", "titles"):
            expected = f"We saw the {term.target} there."
            assert swap(f"We saw the {term.word} there.").counterfactual == expected
