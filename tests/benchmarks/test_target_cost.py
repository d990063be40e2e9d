"""What a target costs on LAMBADA, against the measure itself and against closed forms."""

import numpy as np
import pytest
import torch

from augment import swap
from benchmarks.target_cost import score
from distill.evaluation.measures.published import lambada
from distill.evaluation.scoring.scorer import Scorer

TEXTS = ("The nurse said that she was tired because of the long day", "The man said that he slept", "Rain fell all day")


@pytest.fixture
def scored(tiny_model, tokenizer):
    passages = [lambada.passage(str(number), text) for number, text in enumerate(TEXTS)]
    return score(tiny_model("gpt2"), tokenizer, passages)


def test_the_teacher_scores_as_in_the_evaluation(scored, tiny_model, tokenizer):
    scores, kinds = scored
    passages = [lambada.passage(str(number), text) for number, text in enumerate(TEXTS)]
    records = lambada.score(Scorer("teacher", tiny_model("gpt2"), tokenizer, None, 4096), passages)
    np.testing.assert_allclose(scores["teacher"].logprobs, [record["logprob"] for record in records], atol=1e-5)
    np.testing.assert_array_equal(scores["teacher"].is_greedy, [record["is_greedy"] for record in records])
    assert kinds == ["other"] * 3


def test_pairs_only_leaves_other_words_as_they_are_and_the_mean_mixes_both_views(scored, tiny_model, tokenizer):
    scores, _ = scored
    np.testing.assert_allclose(scores["geometric, pairs"].logprobs, scores["teacher"].logprobs, atol=1e-6)
    assert scores["mean"].logprobs[2] == pytest.approx(scores["teacher"].logprobs[2], abs=1e-5)  # it has no other view
    views = []
    for text in (TEXTS[1], swap(TEXTS[1]).counterfactual):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        logits = tiny_model("gpt2")(torch.tensor([ids])).logits[0].double()
        views.append(logits[len(tokenizer("The man said that he")["input_ids"]) - 1 : -1].log_softmax(-1))
    expected = (sum(views) / 2).log_softmax(-1).gather(-1, torch.tensor(ids[-len(views[0]) :])[:, None]).sum()
    assert scores["mean"].logprobs[1] == pytest.approx(expected.item(), abs=1e-4)
