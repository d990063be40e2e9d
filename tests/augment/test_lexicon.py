"""Lexicon: tiers, user files, validation, fingerprint."""

from pathlib import Path

import pytest

from augment import DEFAULT_TIERS, TIERS, load_lexicon
from augment.lexicon import TermPair, validate


def test_default_holds_the_pronouns_and_many_to_one_titles() -> None:
    pairs = {(p.masculine, p.feminine) for p in load_lexicon().pairs}
    expected = {
        ("he", "she"),
        ("him", "her"),
        ("his", "her"),
        ("his", "hers"),
        ("himself", "herself"),
        ("mr", "mrs"),
        ("mr", "ms"),
    }
    assert expected <= pairs


def test_shipped_tiers_are_valid_and_no_term_is_on_both_sides() -> None:
    lexicon = load_lexicon(TIERS)
    assert validate([*lexicon.pairs, *lexicon.conditional]) == []
    masculine = {p.masculine for p in lexicon.pairs}
    assert not masculine & {p.feminine for p in lexicon.pairs}


def test_pairs_hold_only_unconditional_terms() -> None:
    terms = {t for p in load_lexicon().pairs for t in (p.masculine, p.feminine)}
    assert not terms & {"host", "hostess", "count", "lord", "heir", "groom", "master"}


def test_epicene_words_are_in_no_tier() -> None:
    terms = {t for p in load_lexicon(TIERS).pairs for t in (p.masculine, p.feminine)}
    assert not terms & {"governor", "governess", "major", "mayor", "nurse", "midwife", "freshman", "human", "bachelor"}


def test_biology_is_off_by_default() -> None:
    assert "biology" not in DEFAULT_TIERS
    assert all(p.tier != "biology" for p in load_lexicon().pairs)


def test_fingerprint_follows_terms_and_tiers(tmp_path: Path) -> None:
    own = tmp_path / "own.tsv"
    own.write_text("wizard\twitch\n", encoding="utf-8")
    prints = {load_lexicon().fingerprint, load_lexicon(["pronouns"]).fingerprint, load_lexicon(path=own).fingerprint}
    assert len(prints) == 3
    assert load_lexicon().fingerprint == load_lexicon(list(DEFAULT_TIERS)).fingerprint


def test_user_file_extends_wins_or_replaces(tmp_path: Path) -> None:
    own = tmp_path / "own.tsv"
    own.write_text("masculine\tfeminine\nguy\tgirl\nwizard\twitch\n", encoding="utf-8")
    extended = {(p.masculine, p.feminine) for p in load_lexicon(path=own).pairs}
    assert ("guy", "girl") in extended
    assert ("guy", "gal") not in extended
    assert ("he", "she") in extended
    for end in ("\n", "\r\n", "\r"):  # U+2028 ends no line
        lines = ("masculine\tfeminine", "# one\u2028note", "guy\tgirl", "wizard\twitch\tpair\ta\u2028note", "")
        own.write_bytes(end.join(lines).encode())
        replaced = load_lexicon(path=own, extend=False)
        assert [(p.masculine, p.feminine) for p in replaced.pairs] == [("guy", "girl"), ("wizard", "witch")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("lonely\n", "line 1"),
        ("a\tb\tsometimes\n", "unknown use"),
        ("a\tb\na\tb\n", "occurs twice"),
        ("a\tb\nb\tc\n", "masculine and on the feminine"),
        ("Abe\tbea\nabe\tbeb\n", "also spelled"),
        ("x\tX\n", "paired with itself"),
    ],
)
def test_bad_user_files_name_the_problem(tmp_path: Path, content: str, message: str) -> None:
    own = tmp_path / "own.tsv"
    own.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_lexicon(path=own, extend=False)


def test_missing_file_and_unknown_tier() -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_lexicon(path="nowhere.tsv")
    with pytest.raises(ValueError, match="unknown lexicon tier 'kin'"):
        load_lexicon(["kin"])


def test_many_to_one_is_recorded() -> None:
    recorded = load_lexicon().many_to_one
    assert {"mr", "ms", "mrs", "her", "his", "hostess", "grandma"} <= recorded
    assert not {"he", "she", "himself", "man", "woman", "nephew"} & recorded


def test_validate_accepts_a_good_list() -> None:
    assert validate([TermPair("a", "b", "t"), TermPair("a", "c", "t")]) == []


def test_only_the_first_row_can_be_a_header(tmp_path: Path) -> None:
    own = tmp_path / "own.tsv"
    own.write_text("masculine\tfeminine\nwizard\twitch\nmasculine\tfeminine\n", encoding="utf-8")
    replaced = load_lexicon(path=own, extend=False)
    assert [(p.masculine, p.feminine) for p in replaced.pairs] == [("wizard", "witch"), ("masculine", "feminine")]
    assert ("masculine", "feminine") in {(p.masculine, p.feminine) for p in load_lexicon().pairs}
