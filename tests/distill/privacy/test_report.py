"""The page and the sentences of an audit, from numbers that were made up."""

import pytest

from distill.privacy.report import (
    all_sentences,
    audit_sentences,
    audit_table,
    canary_sentences,
    promise_sentences,
    render_audit,
)


def triple(value, low=None, high=None):
    low, high = (value - 0.05 if low is None else low), (value + 0.05 if high is None else high)
    return {"value": value, "low": low, "high": high}


def score(value, p, fprs=("0.1",)):
    return {
        "num_members": 200,
        "num_others": 150,
        "auc": triple(value),
        "p": p,
        "tpr_at_fpr": {fpr: triple(value / 2) for fpr in fprs},
        "epsilon_at_least": 0.7,
        "curve": {"fpr": [0.0, 0.5, 1.0], "tpr": [0.0, value, 1.0]},
    }


@pytest.fixture
def content():
    return {
        "created": "2026-11-30T12:00:00+00:00",
        "version": "0",
        "run": "runs/<plain>",
        "delta": 1e-5,
        "confidence": 0.95,
        "seq_len": 64,
        "notes": ["A note."],
        "membership": {
            "num_members": 200,
            "num_others": 150,
            "split_is_random": True,
            "blind": {"auc": triple(0.5), "succeeds": False},
            "models": {
                "student": {"loss": score(0.7, 1e-4), "reference": score(0.6, 0.2)},
                "teacher": {"loss": score(0.56, 0.03)},
            },
        },
        "canaries": None,
        "promise": None,
    }


def test_what_gives_members_away_is_said_and_what_does_not_too(content):
    first, student, teacher = audit_sentences(content)
    assert first.endswith("words alone do not tell who is a member (AUC 0.500 [0.450, 0.550]), as it should be.")
    assert student.startswith("The student gives away members") and "70 of 100 pairs" in student
    assert teacher.startswith("The teacher gives away members")  # one score, p = .03
    content["membership"]["models"]["teacher"]["zlib"] = score(0.5, 0.5)
    assert "No score tells members of the teacher's" in audit_sentences(content)[2]  # two scores: .03 is not enough


def test_a_blind_attack_below_guessing_is_explained(content):
    content["membership"]["blind"]["auc"] = triple(0.4)
    assert audit_sentences(content)[0].endswith("near duplicates stand on both sides.")


def test_the_page_and_the_table_have_a_row_for_each_score(content, blank_plots):
    page = render_audit(content)
    assert page.count('<td class="text">') == 3 and "runs/&lt;plain&gt;" in page
    assert page.index("What this cannot say") < page.index("Who was in the training text?")
    assert "found at 10 % false" in page and "Can a secret be read back?" not in page
    assert audit_table(content).row_count == 3


def test_a_withheld_result_has_its_reason_and_no_numbers(content, blank_plots):
    content["membership"] |= {"models": {}, "blind": {"auc": triple(0.9), "succeeds": True}}
    assert [line[:8] for line in audit_sentences(content)] == ["Withheld"]
    assert "Who was in the training text?" not in render_audit(content)


def test_canaries_are_told_in_bits(content, blank_plots):
    bits = {"planted": triple(8.0), "null": triple(1.5), "other_form": triple(4.0), "other_form_null": triple(1.4)}
    found = {"num": 9, "of": 20}
    content["canaries"] = {
        **bits,
        "count": 40,
        "num_planted": 20,
        "repeats": 3,
        "digits": 4,
        "both_forms_read": False,
        "expected_null": 1.44,
        "highest_exposure": 13.29,
        "by_form": {"she": {"own": triple(8.1), "other": None}, "he": {"own": triple(7.9), "other": triple(3.9)}},
        "extracted": {"rank_1": {"planted": found}, "greedy": {"planted": found}},
        "num_guesses": 20,
        "num_right": 18,
        "epsilon_at_least": 1.2,
        "exposures": {"planted": [8.0, 8.1], "not planted": [1.5], "planted, other form": [4.0]},
    }
    sentences = canary_sentences(content["canaries"])
    assert "The student tells of what it read." in sentences[0] and "never read that form" in sentences[1]
    assert "9 of 20 planted canaries" in sentences[2] and "epsilon is at least 1.20" in sentences[-1]
    page = render_audit(content)
    assert "Can a secret be read back?" in page and page.count("planted as ") == 2
    content["canaries"] |= {"planted": triple(1.52), "both_forms_read": True}
    assert "do not clearly differ" in canary_sentences(content["canaries"])[0]
    assert canary_sentences(None) == []


def test_the_promise_comes_first_and_one_sentence_says_whether_it_is_broken(content):
    assert promise_sentences(None) == [] and all_sentences(content) == audit_sentences(content)
    noise = {"stated": 0.5, "measured": 0.501, "gap": 1.01, "noise_at_most": 0.523, "epsilon_at_least": 2.8}
    bounds = {
        "membership (loss)": {"at_least": 0.0, "promised": 4.0},
        "white-box canaries": {"at_least": 2.8, "promised": 3.0},
    }
    promise = {"epsilon": 4.0, "delta": 1e-5, "bounds": bounds, "noise": noise, "is_broken": False}
    content["promise"] = promise
    first, second, *others = all_sentences(content)
    assert others == audit_sentences(content)
    assert first == (
        "No bound is above the promise. Epsilon 4 at delta 1e-05 is promised, and epsilon is at least 2.8, by "
        "white-box canaries, where this training promised 3."
    )
    assert "stated as 0.5." in second and "measure 0.501, and a clip of 1.01 where" in second
    assert second.endswith("is at most 0.523.")
    bounds["membership (loss)"]["at_least"] = 4.5
    promise |= {"is_broken": True, "noise": noise | {"noise_at_most": None}}
    first, second = promise_sentences(promise)
    assert first.startswith("THE PROMISE IS BROKEN. Epsilon 4 at delta 1e-05 is promised, but epsilon is at least 4.5")
    assert second.endswith("noise per clip cannot be told.")
    (only,) = promise_sentences(promise | {"bounds": {}, "noise": None, "is_broken": False})
    assert only.endswith("is promised, and nothing in this audit could have shown that it is broken.")
