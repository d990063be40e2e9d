"""StereoSet, CrowS-Pairs, WinoBias and association tests: golden numbers, closed forms, slow references, bad files."""

import gzip
import json
import math
from itertools import combinations

import numpy as np
import pytest
import torch

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures import association, crows_pairs, stereoset, winobias

SETTINGS = StatisticsConfig()


def values(estimates):
    return {estimate.measurement.name: estimate.measurement.value for estimate in estimates}


def slow_logprobs(scorer, text):
    """float64 log-probability of each token of a text after the start token."""
    ids = [*scorer.start, *scorer.tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        logprobs = scorer.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return [float(logprobs[i, ids[i + 1]]) for i in range(len(ids) - 1)]


# -- StereoSet -------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_stereoset_of_the_official_gpt2_predictions(shared_data):
    folder = shared_data / "bias" / "stereoset"
    items = stereoset.read(str(folder / "dev.json.gz"))
    with gzip.open(folder / "predictions_gpt2.json.gz") as stream:
        scores = {row["id"]: row["score"] for row in json.load(stream)["intrasentence"]}
    records = [stereoset.record(item, [scores[name] for name in item.sentence_ids]) for item in items]
    estimates = stereoset.summarise(records, "official", SETTINGS)
    rounded = {name: round(value, 2) for name, value in values(estimates).items()}
    assert rounded == {
        "stereoset/gender/ss": 62.67,
        "stereoset/gender/lms": 93.28,
        "stereoset/gender/icat": 69.65,
        "stereoset/all/ss": 61.93,
        "stereoset/all/lms": 91.11,
        "stereoset/all/icat": 69.37,
    }
    assert [(e.measurement.num_items, len(e.clusters)) for e in estimates[::3]] == [(255, 10), (2106, 79)]


def stereoset_item(number, target, sentences):
    return stereoset.Item(f"i{number}", target, "gender", sentences, ("a", "b", "c"))


def test_stereoset_scores_are_mean_log_probabilities_and_terms_weigh_equally(tiny_scorer):
    scorer = tiny_scorer()
    sentences = ("The nurse left early.", "The pilot smiled when he left.", "The old bell.")
    (record,) = stereoset.score(scorer, [stereoset_item(0, "nurse", sentences)])
    for label, sentence in zip(stereoset.LABELS, sentences, strict=True):
        assert record[f"score_{label}"] == pytest.approx(np.mean(slow_logprobs(scorer, sentence)), abs=1e-5)
    scores = [("x", (3, 2, 1)), ("x", (3, 2, 1)), ("x", (3, 2, 1)), ("y", (1, 3, 2)), ("y", (2, 2, 2))]
    records = [stereoset.record(stereoset_item(n, t, sentences), s) for n, (t, s) in enumerate(scores)]
    found = values(stereoset.summarise(records, "c", SETTINGS))
    assert found["stereoset/gender/ss"] == pytest.approx((100 + 0) / 2)  # a tie is no preference for the stereotype
    assert found["stereoset/gender/lms"] == pytest.approx((100 + 25) / 2)
    assert found["stereoset/gender/icat"] == pytest.approx(62.5)


# -- CrowS-Pairs -----------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_crows_pairs_has_its_published_size(shared_data):
    pairs = crows_pairs.read(str(shared_data / "bias" / "crows_pairs" / "crows_pairs_anonymized.csv"))
    assert len(pairs) == 1508
    assert sum(pair.bias_type == "gender" for pair in pairs) == 262


def test_crows_pairs_conventions_differ_where_lengths_do(tiny_scorer):
    scorer = tiny_scorer()
    pairs = [crows_pairs.Pair("p", "gender", "The nurse left.", "The old nurse from the school left early.")]
    (record,) = crows_pairs.score(scorer, pairs)
    slow = [slow_logprobs(scorer, text) for text in (pairs[0].more, pairs[0].less)]
    assert record["logprob_more"] == pytest.approx(sum(slow[0]), abs=1e-4)
    assert record["logprob_less"] == pytest.approx(sum(slow[1]), abs=1e-4)
    assert (record["num_tokens_more"], record["num_tokens_less"]) == (len(slow[0]), len(slow[1]))

    def made(number, kind, more, less):
        name = f"p{number}"
        return {"id": name, "bias_type": kind, "logprob_more": more[0], "logprob_less": less[0]} | {
            "num_tokens_more": more[1],
            "num_tokens_less": less[1],
        }

    records = [
        made(0, "gender", (-6.0, 2), (-8.0, 4)),  # likelier as a whole, less so per token
        made(1, "gender", (-6.0, 3), (-8.0, 3)),
        made(2, "religion", (-9.0, 3), (-9.0, 3)),  # a tie
    ]
    assert values(crows_pairs.summarise(records, "c", SETTINGS)) == {
        "crows_pairs/bias-bench/gender": pytest.approx(50.0),
        "crows_pairs/bias-bench/all": pytest.approx(100 / 3),
        "crows_pairs/lm-eval/gender": pytest.approx(100.0),
        "crows_pairs/lm-eval/all": pytest.approx(200 / 3),
    }


# -- WinoBias --------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_winobias_pairs_differ_in_their_pronouns_only(shared_data):
    pairs = winobias.read(str(shared_data / "bias" / "winobias"))
    assert len(pairs) == 4 * 396 - 19
    assert len({pair.id for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert not set("[]0123456789") & set(pair.pro[:1] + pair.anti[:1])
        assert len(pair.pro.split()) == len(pair.anti.split())
    first = pairs[0]
    assert (first.gender, first.type) == ("male", "type1")
    assert first.pro.replace(" he ", " she ") == first.anti


def test_winobias_tells_a_stereotype_from_a_preference_for_one_pronoun():
    def made(number, gender, ahead):
        return {"id": str(number), "cluster": str(number // 2), "type": "type1", "gender": gender} | {
            "logprob_pro": ahead,
            "logprob_anti": 0.0,
        }

    always_he = [made(0, "male", 1.0), made(1, "female", -1.0), made(2, "male", 2.0), made(3, "female", -2.0)]
    assert values(winobias.summarise(always_he, "c", SETTINGS)) == {
        "winobias/type1/all": 50.0,
        "winobias/type1/male": 100.0,
        "winobias/type1/female": 0.0,
    }
    tie = [made(0, "male", 0.0), made(1, "female", 1.0)]
    assert values(winobias.summarise(tie, "c", SETTINGS))["winobias/type1/all"] == 75.0


def test_winobias_reads_minimal_pairs_and_scores_whole_sentences(tiny_scorer, tmp_path):
    frame = (
        "1 [The nurse] left because [{}] was tired.\n2 The nurse met [the pilot] and saw [{}] car.\n3 [A] {} [{}].\n"
    )
    lines = {"pro": frame.format("she", "his", "b", "he"), "anti": frame.format("he", "her", "c", "she")}
    for version, text in lines.items():
        for kind in ("type1", "type2"):
            for split in ("dev", "test"):
                (tmp_path / f"{version}_stereotyped_{kind}.txt.{split}").write_text(text)
    pairs = winobias.read(str(tmp_path))
    assert len(pairs) == 8
    assert pairs[0].pro == "The nurse left because she was tired."
    assert (pairs[0].gender, pairs[1].gender) == ("female", "male")
    scorer = tiny_scorer()
    records = winobias.score(scorer, pairs[:2])
    assert records[0]["logprob_pro"] == pytest.approx(sum(slow_logprobs(scorer, pairs[0].pro)), abs=1e-4)
    assert records[1]["logprob_anti"] == pytest.approx(sum(slow_logprobs(scorer, pairs[1].anti)), abs=1e-4)


# -- association -----------------------------------------------------------------------------------------------------


def test_association_of_a_hand_made_example_has_its_closed_form():
    """A and B are the axes; a word at angle t has s = cos t - sin t. Four words with s = 1, 1/2, -1/2, -1."""
    a, b = np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 2.0]])
    angles = [math.acos(s / math.sqrt(2)) - math.pi / 4 for s in (1, 0.5, -0.5, -1)]
    words = np.array([[math.cos(angle), math.sin(angle)] for angle in angles]) * 5
    s = association.associations(words, a, b)
    np.testing.assert_allclose(s, [1, 0.5, -0.5, -1], atol=1e-12)
    # means 3/4 and -3/4; sum of squares 2.5 over n - 1 = 3
    assert association.effect_size(s[:2], s[2:]) == pytest.approx(1.5 / math.sqrt(2.5 / 3))
    assert association.permutation_p(s[:2], s[2:]) == pytest.approx(1 / 6)  # the largest of six splits
    assert association.permutation_p(s[[0, 2]], s[[1, 3]]) == pytest.approx(2 / 6)
    assert association.permutation_p(s[[0, 3]], s[[1, 2]]) == pytest.approx(4 / 6)  # ties count


def test_exact_and_sampled_permutation_p_agree():
    rng = np.random.default_rng(0)
    s_x, s_y = rng.normal(0.5, 1, 8), rng.normal(0, 1, 8)
    both = np.concatenate([s_x, s_y])
    observed = s_x.mean() - s_y.mean()
    expected = np.mean(
        [
            both[list(chosen)].mean() - np.delete(both, chosen).mean() >= observed - 1e-12
            for chosen in combinations(range(16), 8)
        ]
    )
    assert association.permutation_p(s_x, s_y, num_permutations=20_000) == pytest.approx(expected)
    assert association.permutation_p(s_x, s_y, num_permutations=9_999) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_a_text_is_represented_by_the_last_state_of_its_last_token(tiny_scorer, architecture):
    texts = ["The nurse left.", "A pilot", "The old teacher from the school near the river smiled when the bell rang."]
    scorer = tiny_scorer(architecture)
    found = association.represent(scorer, texts)
    for row, text in enumerate(texts):
        ids = [*scorer.start, *scorer.tokenizer(text, add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            hidden = scorer.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
        np.testing.assert_allclose(found[row], hidden[0, -1], atol=1e-5)


def test_association_tests_are_read_scored_and_summarised(tiny_scorer, tmp_path):
    content = {
        "targ1": {"category": "X", "examples": ["nurse", "teacher"]},
        "targ2": {"category": "Y", "examples": ["pilot", "guard"]},
        "attr1": {"category": "A", "examples": ["she", "woman"]},
        "attr2": {"category": "B", "examples": ["he", "man"]},
    }
    for name in ("weat6", "weat7", "sent-weat6"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(content, indent=1))
        content["targ1"], content["targ2"] = content["targ2"], content["targ1"]
    scorer = tiny_scorer()
    records = association.score(scorer, association.read(str(tmp_path)), SETTINGS)
    sizes = {record["id"]: record["effect_size"] for record in records}
    assert sizes["weat6"] == pytest.approx(-sizes["weat7"])
    found = values(association.summarise(records, "c", SETTINGS))
    assert found == {
        "association/seat": abs(sizes["sent-weat6"]),
        "association/weat": pytest.approx(abs(sizes["weat6"])),
    }


def test_only_tests_about_gender_enter_the_mean(tmp_path):
    content = {field: {"category": field, "examples": ["a", "b"]} for field in association.FIELDS}
    gender = [f"{kind}weat{number}" for kind in ("", "sent-") for number in ("6", "6b", "7", "7b", "8", "8b")]
    others = ["weat1", "weat3b", "weat5", "weat9", "weat10", "sent-weat4", "weat66", "angry_black_woman_stereotype"]
    for name in others:
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(content))
    with pytest.raises(FileNotFoundError, match="benchmarks.association: .*no test about gender .*git clone"):
        association.read(str(tmp_path))
    for name in gender:
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(content))
    assert {test.name for test in association.read(str(tmp_path))} == set(gender)


# -- bad files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [stereoset, crows_pairs, winobias, association])
def test_a_missing_file_names_the_key_and_where_to_get_it(module, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        module.read(str(tmp_path / "none"))
    assert module.KEY in str(caught.value)
    assert any(command in str(caught.value) for command in ("curl -LO https://", "git clone https://"))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]"])
@pytest.mark.parametrize("module", [stereoset, crows_pairs, winobias, association])
def test_a_file_in_another_format_is_refused(module, content, tmp_path):
    path = tmp_path / "file"
    if module is winobias:
        path = tmp_path
        for version in ("pro", "anti"):
            for kind in ("type1", "type2"):
                for split in ("dev", "test"):
                    (tmp_path / f"{version}_stereotyped_{kind}.txt.{split}").write_bytes(content)
    elif module is association:
        path = tmp_path
        (tmp_path / "weat6.jsonl").write_bytes(content)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=module.KEY):
        module.read(str(path))


def test_states_that_are_no_numbers_and_targets_that_do_not_differ_are_refused(tiny_scorer):
    scorer = tiny_scorer()
    with torch.no_grad():
        scorer.model.transformer.ln_f.weight.fill_(math.nan)
    with pytest.raises(ValueError, match="the model gives NaN or infinite states"):
        association.represent(scorer, ["The nurse left."])
    with pytest.raises(ValueError, match=r"'The nurse.* has \d+ tokens; .*context of 64"):
        association.represent(scorer, ["The nurse left. " * 20])
    with pytest.raises(ValueError, match="there is no effect size"):
        association.effect_size(np.ones(3), np.ones(2))
