"""WinoBias: its published pairs, a slow reference, and a stereotype told from a preference for one pronoun."""

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.published import winobias

SETTINGS = StatisticsConfig()


@pytest.mark.data
def test_the_published_pairs_differ_in_their_pronouns_only(shared_data):
    pairs = winobias.read(str(shared_data / "bias" / "winobias"))
    assert len(pairs) == 4 * 396 - 19
    assert len({pair.id for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert not set("[]0123456789") & set(pair.pro[:1] + pair.anti[:1])
        assert len(pair.pro.split()) == len(pair.anti.split())
    first = pairs[0]
    assert (first.gender, first.type) == ("male", "type1")
    assert first.pro.replace(" he ", " she ") == first.anti


def test_a_stereotype_is_told_from_a_preference_for_one_pronoun(values):
    def record(number, gender, ahead):
        return {"id": str(number), "cluster": str(number // 2), "type": "type1", "gender": gender} | {
            "logprob_pro": ahead,
            "logprob_anti": 0.0,
        }

    always_he = [record(0, "male", 1.0), record(1, "female", -1.0), record(2, "male", 2.0), record(3, "female", -2.0)]
    assert values(winobias.summarise(always_he, "c", SETTINGS)) == {
        "winobias/type1/all": 50.0,
        "winobias/type1/male": 100.0,
        "winobias/type1/female": 0.0,
    }
    tie = [record(0, "male", 0.0), record(1, "female", 1.0)]
    assert values(winobias.summarise(tie, "c", SETTINGS))["winobias/type1/all"] == 75.0


def test_minimal_pairs_are_read_and_whole_sentences_scored(tiny_scorer, slow_logprobs, tmp_path):
    lines = (
        "1 [The nurse] left because [{}] was tired.\n2 The nurse met [the pilot] and saw [{}] car.\n3 [A] {} [{}].\n"
    )
    contents = {"pro": lines.format("she", "his", "b", "he"), "anti": lines.format("he", "her", "c", "she")}
    for version, text in contents.items():
        for kind in ("type1", "type2"):
            for split in ("dev", "test"):
                (tmp_path / f"{version}_stereotyped_{kind}.txt.{split}").write_text(text)
    pairs = winobias.read(str(tmp_path))
    assert len(pairs) == 8
    assert pairs[0].pro == "The nurse left because she was tired."
    assert (pairs[0].gender, pairs[1].gender) == ("female", "male")
    scorer = tiny_scorer()
    records = winobias.score(scorer, pairs[:2])
    assert records[0]["logprob_pro"] == pytest.approx(slow_logprobs(scorer, pairs[0].pro).sum(), abs=1e-4)
    assert records[1]["logprob_anti"] == pytest.approx(slow_logprobs(scorer, pairs[1].anti).sum(), abs=1e-4)
