"""Audit: counts by hand, intervals against the closed form, the files it writes."""

import json
from pathlib import Path

import pytest

from augment.__main__ import main
from augment.audit import audit, summary, wilson_interval

TEXTS = ["He met the nurse and her brother.", "The engineer lost his hat.", "Nothing.", "The Beach Boys sang."]


def test_counts() -> None:
    result = audit(TEXTS)
    assert (result.num_texts, result.num_masculine, result.num_feminine) == (4, 3, 1)
    assert result.terms == {"he": 1, "her": 1, "brother": 1, "his": 1}
    assert result.occupations == {"nurse": [2, 1], "engineer": [1, 0]}
    assert result.substituted_occupations == {"nurse": [1, 2], "engineer": [0, 1]}


def test_summary_of_three_corpora() -> None:
    figures = summary(audit(TEXTS))
    words = sum(len(t.split()) for t in TEXTS)
    assert figures["num_words"] == words
    assert figures["original"]["masculine_per_1000_words"] == pytest.approx(3000 / words)
    assert figures["substituted"]["feminine_per_1000_words"] == pytest.approx(3000 / words)
    assert figures["augmented"]["feminine_share"] == 0.5
    assert figures["augmented"]["masculine_per_1000_words"] == pytest.approx(2000 / words)


def test_words_that_stay_keep_the_union_from_one_half() -> None:
    texts = ["Thanks, man, she left.", "Come on, guys, ask the engineer.", "Queen Street is long, man."]
    result = audit(texts)
    assert (result.num_masculine, result.num_feminine, result.num_kept) == (0, 1, [3, 0])
    figures = summary(result)
    assert figures["original"]["feminine_share"] == 1 / 4
    assert figures["substituted"]["feminine_share"] == 0
    assert figures["augmented"]["feminine_share"] == 1 / 8
    assert figures["occupations"]["engineer"]["augmented"]["masculine"] == 2


def test_occupations_before_and_after() -> None:
    engineer = summary(audit(TEXTS))["occupations"]["engineer"]
    assert (engineer["original"]["masculine"], engineer["original"]["feminine"]) == (1, 0)
    assert engineer["substituted"]["feminine_share"] == 1.0
    assert engineer["augmented"]["feminine_share"] == 0.5
    assert engineer["augmented"]["feminine_share_interval"] == wilson_interval(1, 2)


def test_each_text_is_measured_with_its_own_distances() -> None:
    # "he" is 120 characters after the occupation; "best man" -> "maid of honour" moves its counterpart out of reach.
    result = audit(["An engineer " + "x" * 88 + " and the best man said he"])
    assert result.occupations == {"engineer": [2, 0]}
    assert result.substituted_occupations == {"engineer": [0, 1]}


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (50, 100), (10, 10)])
def test_the_interval_ends_at_the_shares_that_the_count_just_fails_to_reject(successes: int, trials: int) -> None:
    for share in wilson_interval(successes, trials):
        deviation = abs(successes - trials * share) / max((trials * share * (1 - share)) ** 0.5, 1e-12)
        assert deviation == pytest.approx(1.959964, abs=1e-5) or successes / trials == share in (0, 1)


def test_without_trials_the_interval_excludes_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_command_writes_json_and_html(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS), encoding="utf-8")
    assert main(["audit", str(corpus), "--out", str(tmp_path / "out"), "--max-rows", "2"]) == 0
    assert "feminine share 0.250" in capsys.readouterr().out
    figures = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    assert figures["num_texts"] == 2
    page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "engineer" in page
    assert page.count("<svg") == 3 + 2 * len(figures["occupations"])
    assert set(figures["occupations"]["nurse"]) == {"original", "substituted", "augmented"}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["audit.html", "audit.json"]


def test_unreadable_corpus_is_named_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "c.jsonl"
    corpus.write_text('{"text": "a"}\n{"body": "b"}\n', encoding="utf-8")
    assert main(["audit", str(corpus), "--out", str(tmp_path / "out")]) == 1
    assert "c.jsonl:2 has no field 'text' (it has body)" in capsys.readouterr().err
