"""Scores against transformers, one row at a time in float64; and that batches and padding do not change them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from distill.evaluation.scoring.logprobs import Row, batches, next_token_logprobs, score_rows
from distill.evaluation.scoring.scorer import Scorer, start_token
from distill.evaluation.scoring.texts import continuation_logprobs, num_continuation_tokens, text_logprobs

PROMPTS = [
    "The nurse said that",
    "My neighbour is a pilot, and",
    "The old teacher from the school near the river smiled when",
]
ARCHITECTURES = ["gpt2", "llama"]


def reference(model, ids, position, target):
    """log P(target | ids[: position + 1]) in float64 from a forward pass over exactly that prefix."""
    with torch.no_grad():
        logits = model(torch.tensor([ids[: position + 1]])).logits[0, -1].double()
    return float(logits.log_softmax(-1)[target])


def random_rows(num_rows, vocabulary, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(num_rows):
        ids = rng.integers(vocabulary, size=rng.integers(1, 30)).tolist()
        positions = rng.integers(len(ids), size=rng.integers(0, 6)).tolist()
        rows.append(Row(ids, positions, rng.integers(vocabulary, size=len(positions)).tolist()))
    return rows


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "gemma2", pytest.param("granite", marks=pytest.mark.slow)])
def test_score_rows_equals_one_forward_pass_per_target(tiny_scorer, architecture):
    scorer = tiny_scorer(architecture)
    rows = random_rows(25, len(scorer.tokenizer))
    for row, scores in zip(rows, score_rows(scorer, rows), strict=True):
        expected = [
            reference(scorer.model, row.input_ids, p, t) for p, t in zip(row.positions, row.targets, strict=True)
        ]
        np.testing.assert_allclose(scores, expected, atol=1e-5, rtol=2e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_do_not_depend_on_batch_size_order_or_duplicates(tiny_scorer, architecture, monkeypatch):
    rows = random_rows(30, 500, seed=1)
    alone = score_rows(tiny_scorer(architecture, max_batch_tokens=1), rows)
    together = score_rows(tiny_scorer(architecture, max_batch_tokens=100_000), [*rows[::-1], *rows])
    for index, expected in enumerate(alone):
        np.testing.assert_allclose(together[len(rows) + index], expected, atol=1e-5, rtol=2e-6)
        np.testing.assert_array_equal(together[len(rows) - 1 - index], together[len(rows) + index])
    monkeypatch.setattr("distill.evaluation.scoring.logprobs.MAX_LOGITS", 3000)  # a few positions at a time
    for chunked, expected in zip(score_rows(tiny_scorer(architecture), rows), alone, strict=True):
        np.testing.assert_allclose(chunked, expected, atol=1e-5, rtol=2e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_continuations_are_conditioned_on_the_start_token(tiny_scorer, architecture):
    scorer = tiny_scorer(architecture)
    found = continuation_logprobs(scorer, PROMPTS, [" he", " she"])
    for row, prompt in enumerate(PROMPTS):
        for column, pronoun in enumerate((" he", " she")):
            ids = [scorer.tokenizer.bos_token_id, *scorer.tokenizer(prompt, add_special_tokens=False)["input_ids"]]
            (target,) = scorer.tokenizer(pronoun, add_special_tokens=False)["input_ids"]
            expected = reference(scorer.model, ids, len(ids) - 1, target)
            assert found[row, column] == pytest.approx(expected, abs=1e-5)
    bare = continuation_logprobs(tiny_scorer(architecture, bos=False), PROMPTS, [" he"])
    assert abs(bare[0, 0] - found[0, 0]) > 1e-3


def test_a_continuation_of_several_tokens_is_the_sum_of_its_steps(tiny_model, character_tokenizer):
    model = tiny_model("gpt2", vocab_size=len(character_tokenizer))
    scorer = Scorer("characters", model, character_tokenizer, start_token(character_tokenizer), 256)
    assert scorer.start == []
    assert num_continuation_tokens(scorer, "The nurse said that", " she") == 4
    found = continuation_logprobs(scorer, ["The nurse said that"], [" she", " he"])
    for column, pronoun in enumerate((" she", " he")):
        ids = character_tokenizer("The nurse said that")["input_ids"]
        total = 0.0
        for token in character_tokenizer(pronoun)["input_ids"]:
            total += reference(model, ids, len(ids) - 1, token)
            ids = [*ids, token]
        assert found[0, column] == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_do_not_depend_on_the_side_the_tokenizer_pads_on(tiny_scorer, architecture):
    texts = [*PROMPTS, "The nurse said that she was tired because the ward was full."]
    found = {}
    for side in ("left", "right"):
        scorer = tiny_scorer(architecture, max_batch_tokens=4096)
        scorer.tokenizer.padding_side = side
        found[side] = text_logprobs(scorer, texts)
    for one, other in zip(found["left"], found["right"], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.data
def test_a_prefix_space_tokenizer_gives_pronouns_as_in_running_text(shared_data):
    """Encoded alone, " she" is two tokens in a SentencePiece-style tokenizer; in a sentence it is one."""
    from distill.models.loading import load_causal_lm, load_tokenizer

    folder = str(shared_data / "models" / "stories260k")
    tokenizer = load_tokenizer(folder)
    scorer = Scorer("stories", load_causal_lm(folder), tokenizer, start_token(tokenizer), 256)
    assert num_continuation_tokens(scorer, "The woman said that", " she") == 1
    found = continuation_logprobs(scorer, ["The woman said that"], [" she", " he"])
    assert found[0, 0] > found[0, 1]


def test_batches_respect_the_budget_and_lose_nothing():
    lengths = [3, 9, 1, 40, 7, 7, 2, 9]
    found = list(batches(lengths, 20))
    assert sorted(index for batch in found for index in batch) == list(range(8))
    for batch in found:
        longest = max(lengths[index] for index in batch)
        assert longest * len(batch) <= 20 or len(batch) == 1
    assert found[0] == [3]
    assert list(batches([], 20)) == []


def test_log_probabilities_are_float32_and_normalised_for_a_bfloat16_model(tiny_scorer):
    scorer = tiny_scorer()
    scorer.model.bfloat16()
    hidden = torch.randn(4, 16, dtype=torch.bfloat16)
    with torch.no_grad():
        logprobs = next_token_logprobs(scorer, hidden)
    assert logprobs.dtype == torch.float32
    np.testing.assert_allclose(logprobs.double().exp().sum(-1), 1.0, atol=1e-5, rtol=2e-6)


def test_start_token_is_the_named_one_then_bos_then_eos_then_none(tokenizer, character_tokenizer, tiny_scorer):
    assert start_token(tokenizer) == tokenizer.bos_token_id
    assert start_token(character_tokenizer) is None
    assert start_token(character_tokenizer, "x") == character_tokenizer.convert_tokens_to_ids("x")
    character_tokenizer.eos_token = "."
    assert start_token(character_tokenizer) == character_tokenizer.eos_token_id
    with pytest.raises(ValueError, match="scoring.start_token '<s>' is not a token"):
        start_token(character_tokenizer, "<s>")
    word = tokenizer(" said", add_special_tokens=False)["input_ids"]
    assert [start_token(tokenizer, " said")] == word  # a text that is one token, which has another name
    with pytest.raises(ValueError, match="scoring.start_token ' said that' is not a token"):
        start_token(tokenizer, " said that")
    assert tiny_scorer().start_convention == "start:bos"
    assert tiny_scorer(bos=False).start_convention == "start:none"
    assert replace(tiny_scorer(), start_id=5).start_convention.startswith("start:")
    assert replace(tiny_scorer(), start_id=5).start_convention != "start:bos"


def test_bad_prompts_and_models_are_refused(tiny_scorer):
    scorer = tiny_scorer()
    with pytest.raises(ValueError, match="ends in a space"):
        continuation_logprobs(scorer, ["The nurse "], [" he"])
    with pytest.raises(ValueError, match=r"longer than the model's context of 64"):
        continuation_logprobs(scorer, ["The nurse said that " * 40 + "then"], [" he"])
    with pytest.raises(ValueError, match="nothing stands before"):
        continuation_logprobs(tiny_scorer(bos=False), [""], ["He"])
    with pytest.raises(ValueError, match="gives no token"):
        continuation_logprobs(scorer, ["The nurse"], [""])
    with pytest.raises(ValueError, match="gives no token for the text ''; take it out"):
        text_logprobs(scorer, ["The nurse", ""])
    with pytest.raises(ValueError, match="set this benchmark to null for this model, or score a copy"):
        text_logprobs(scorer, ["The nurse said that " * 40])
    with torch.no_grad():
        scorer.model.get_input_embeddings().weight[5] = math.nan
    with pytest.raises(ValueError, match="gpt2-0: the model gives NaN"):
        score_rows(scorer, [Row([5, 6], [1], [7])])
