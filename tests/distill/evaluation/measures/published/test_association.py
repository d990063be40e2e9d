"""Association tests: closed forms, exact and sampled p-values, representations, and which files are read."""

import json
import math
from itertools import combinations

import numpy as np
import pytest
import torch

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.published import association

SETTINGS = StatisticsConfig()


def test_a_hand_made_example_has_its_closed_form():
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
    states = association.represent(scorer, texts)
    for row, text in enumerate(texts):
        ids = [*scorer.start, *scorer.tokenizer(text, add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            hidden = scorer.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
        np.testing.assert_allclose(states[row], hidden[0, -1], atol=1e-5)


def test_tests_are_read_scored_and_summarised(tiny_scorer, values, tmp_path):
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
    assert values(association.summarise(records, "c", SETTINGS)) == {
        "association/seat": abs(sizes["sent-weat6"]),
        "association/weat": pytest.approx(abs(sizes["weat6"])),
    }


def test_only_tests_about_gender_enter_the_mean(tmp_path):
    content = {field: {"category": field, "examples": ["a", "b"]} for field in association.FIELDS}
    gender = [f"{kind}weat{number}" for kind in ("", "sent-") for number in ("6", "6b", "7", "7b", "8", "8b")]
    others = ["weat1", "weat3b", "weat5", "weat9", "weat10", "sent-weat4", "weat66", "angry_black_woman_stereotype"]
    for name in others:
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(content))
    with pytest.raises(FileNotFoundError, match="benchmarks.association: .*no test about gender .*evenhand data get"):
        association.read(str(tmp_path))
    for name in gender:
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(content))
    assert {test.name for test in association.read(str(tmp_path))} == set(gender)


def test_association_has_no_hub():
    with pytest.raises(
        FileNotFoundError, match="benchmarks.association: hub holds no test about gender.*evenhand data get"
    ):
        association.read("hub")


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
