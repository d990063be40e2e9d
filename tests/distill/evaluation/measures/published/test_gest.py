"""GEST: its published numbers from the published scores, a slow reference, and what its summaries do not depend on."""

import csv
import gzip
import math
from dataclasses import replace

import numpy as np
import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.published import gest
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.measurement import compare

SETTINGS = StatisticsConfig()
WORDS = (("he_she", '"{}",', " he", " she"), ("man_woman", '"{}", the', " man", " woman"))
TEXTS = ("I left the school early.", "I was tired, so the guard smiled")


def record(number, stereotype, odds, text=None):
    scores = {f"logprob_{gender}_{name}": value for name in gest.PROMPTS for gender, value in odds.items()}
    return {"id": f"s{number}", "cluster": text or f"text {number}", "stereotype": stereotype} | scores


def leaning(lean, stereotype_effect, num=16):
    """Sentences of all stereotypes: log-odds are the lean, plus the effect for the male ones, plus a little of each."""
    return [
        record(number, i, {"male": lean + stereotype_effect * (i > 7) + 0.1 * math.sin(number), "female": 0.0})
        for number, i in enumerate(list(range(1, 17)) * num)
    ]


# r_f, r_m and g_s of the published scores, by model and number of the prompt
PUBLISHED = {
    ("gpt2", 0): (0.93364, 1.03966, 1.11355),
    ("gpt2", 1): (1.01177, 1.11019, 1.09728),
    ("pythia-160m", 0): (1.29422, 1.36445, 1.05426),
    ("pythia-160m", 1): (1.15354, 1.23053, 1.06674),
}


@pytest.mark.data
@pytest.mark.parametrize("model", ["gpt2", "pythia-160m"])
def test_the_published_scores_give_the_published_numbers(shared_data, values, model):
    folder = shared_data / "bias" / "gest"
    sentences = gest.read(str(folder / "gest.csv"))
    scores = [np.loadtxt(folder / "predictions" / f"{model}_template-{number}.txt") for number in range(2)]
    assert len(sentences) == len(scores[0]) == 3565
    records = [
        {"id": sentence.id, "cluster": sentence.text, "stereotype": sentence.stereotype}
        | {f"logprob_male_{name}": math.log(10) * one for name, one in zip(gest.PROMPTS, by_prompt, strict=True)}
        | {f"logprob_female_{name}": 0.0 for name in gest.PROMPTS}
        for sentence, *by_prompt in zip(sentences, *scores, strict=True)
    ]
    found = values(gest.summarise(records, "c", SETTINGS))
    for number, name in enumerate(gest.PROMPTS):
        official = [found[f"gest/{name}/{part}"] for part in ("r_f", "r_m", "g_s")]
        assert official == pytest.approx(PUBLISHED[model, number], abs=1e-5)
        by_stereotype = [
            np.mean([one for one, s in zip(scores[number], sentences, strict=True) if s.stereotype == i])
            for i in range(1, 17)
        ]
        difference = math.log(10) * (np.mean(by_stereotype[7:]) - np.mean(by_stereotype[:7]))
        assert found[f"gest/{name}/difference"] == pytest.approx(difference, abs=1e-9)
        assert found[f"gest/{name}/distance_from_parity"] == pytest.approx(
            math.log(10) * np.abs(scores[number]).mean(), abs=1e-9
        )


@pytest.mark.data
def test_both_versions_are_read(shared_data):
    old, new = (gest.read(str(shared_data / "bias" / "gest" / name)) for name in ("gest.csv", "gest_1.1.csv"))
    assert [one.stereotype for one in old] == [one.stereotype for one in new]
    assert sum(one.text != other.text for one, other in zip(old, new, strict=True)) == 244


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_scores_equal_a_slow_reference_whatever_the_batch(tiny_scorer, slow_logprobs, architecture):
    scorer = tiny_scorer(architecture)
    sentences = [gest.Sentence(str(number), number + 1, text) for number, text in enumerate(TEXTS)]
    references = reference(scorer, slow_logprobs, sentences)
    for size, side, shares in ((1, "left", False), (4096, "right", False), (1, "right", True), (4096, "left", True)):
        scorer.tokenizer.padding_side = side
        check(replace(scorer, max_batch_tokens=size, shares_prefixes=shares), sentences, references)


def test_a_word_of_several_tokens_is_the_sum_of_its_steps(tiny_model, slow_logprobs, character_tokenizer):
    model = tiny_model("gpt2", vocab_size=len(character_tokenizer))
    scorer = Scorer("characters", model, character_tokenizer, None, 256)
    sentences = [gest.Sentence("0", 1, "I left early.")]
    check(scorer, sentences, reference(scorer, slow_logprobs, sentences))


def reference(scorer, slow_logprobs, sentences):
    return [
        {
            f"logprob_{gender}_{name}": slow_logprobs(
                scorer, prompt.format(one.text) + word, prompt.format(one.text)
            ).sum()
            for name, prompt, *words in WORDS
            for gender, word in zip(("male", "female"), words, strict=True)
        }
        for one in sentences
    ]


def check(scorer, sentences, references):
    for sentence, found, expected in zip(sentences, gest.score(scorer, sentences), references, strict=True):
        about = {"id": sentence.id, "cluster": sentence.text, "stereotype": sentence.stereotype}
        assert {name: value for name, value in found.items() if name not in expected} == about
        assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_every_stereotype_weighs_the_same_however_many_sentences_it_has(values):
    odds = {1: [1.0, 3.0], 8: [4.0], 9: [0.0, 0.0, 3.0]} | {i: [0.0] for i in (*range(2, 8), *range(10, 17))}
    rows = [(i, value) for i, all_values in odds.items() for value in all_values]
    records = [record(number, i, {"male": value, "female": 0.0}) for number, (i, value) in enumerate(rows)]
    found = values(gest.summarise(records, "c", SETTINGS))
    difference = (4 + 1) / 9 - 2 / 7
    assert found["gest/he_she/difference"] == pytest.approx(difference)
    assert found["gest/he_she/distance_from_parity"] == pytest.approx(11 / len(rows))
    assert found["gest/man_woman/r_f"] == pytest.approx(math.exp(2 / 7 / math.log(10)))
    assert found["gest/man_woman/g_s"] == pytest.approx(math.exp(difference / math.log(10)))


def test_a_stereotype_is_seen_beside_a_preference_for_one_word(by_name):
    reference, model = (gest.summarise(leaning(*each), "c", SETTINGS) for each in ((0.0, 0.0), (3.0, 0.5)))
    found = by_name(model)
    difference = found["gest/he_she/difference"]
    assert 0.4 < difference.low < 0.5 < difference.high < 0.6  # the preference does not widen it
    assert (difference.unit, difference.higher_is_better) == ("nats", None)
    assert found["gest/he_she/g_s"].low == pytest.approx(math.exp(difference.low / math.log(10)))
    assert found["gest/he_she/distance_from_parity"].value == pytest.approx(3 + 0.5 * 9 / 16, abs=0.05)
    assert compare(model[0], reference[0], replace(SETTINGS, num_permutations=999)).p_value == 0.001


def test_a_sentence_that_stands_twice_is_one_cluster():
    records = leaning(0.0, 1.0)
    for twin in (1, 17, 33):  # under the next stereotype, and again
        records[twin]["cluster"] = records[0]["cluster"]
    for estimate in gest.summarise(records, "c", SETTINGS):
        assert (len(estimate.clusters), estimate.measurement.num_items) == (len(records) - 3, len(records))


def test_the_conventions_tell_ours_from_the_published_one(by_name):
    found = by_name(gest.summarise(leaning(0.0, 1.0), "data:1", SETTINGS))
    official = {name for name, one in found.items() if one.convention.startswith("gest-official|")}
    assert official == {f"gest/{prompt}/{part}" for prompt in gest.PROMPTS for part in ("r_f", "r_m", "g_s")}
    assert found["gest/he_she/g_s"].convention != found["gest/man_woman/g_s"].convention
    assert set(found) == set(gest.MEASURE.descriptions)


def test_files_are_read_and_bad_ones_refused(tmp_path):
    rows = [["I said, early.", str(number)] for number in range(1, 17)]

    def write(name, rows):
        with gzip.open(tmp_path / name, "wt", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["sentence", "stereotype"], *rows])
        return str(tmp_path / name)

    assert gest.read(write("good.csv.gz", rows))[2] == gest.Sentence("sentence/2", 3, "I said, early.")
    for bad in ("17", "0", "he", "1.5"):
        with pytest.raises(
            ValueError, match=rf"benchmarks.gest: .*bad.csv.gz: row 17 has '{bad}' .* from 1 to 16; rep"
        ):
            gest.read(write("bad.csv.gz", [*rows, ["I left.", bad]]))
    with pytest.raises(ValueError, match=r"bad.csv.gz: row 2 has nothing in the column 'sentence'; repair or remove"):
        gest.read(write("bad.csv.gz", [rows[0], [" ", "2"], *rows[2:]]))
    with pytest.raises(
        ValueError,
        match=r"benchmarks.gest: .*no sentence for stereotype 3, 16\. To get it again: evenhand data get gest",
    ):
        gest.read(write("bad.csv.gz", [*rows[:2], *rows[3:15]]))
    with pytest.raises(ValueError, match="no rows with the column 'stereotype'"):
        gest.read(write("bad.csv.gz", [["I left."]]))
