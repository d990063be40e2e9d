"""Log-probabilities of all secrets against a loop, greedy decoding against generation, exposure without planting."""

import math

import numpy as np
import pytest
import torch

from distill.config import CanaryConfig
from distill.data.canaries import canaries, secret
from distill.evaluation.scoring.scorer import Scorer
from distill.privacy.canary_audit import secret_ranks
from distill.privacy.canary_scores import all_secrets, greedy_finds, secret_logprobs
from distill.privacy.exposure import exposure, null_exposure, right_guesses

PROMPTS = ["On Monday she said that the code of her red box was", "On Friday he said that the code of his car was"]


@pytest.mark.parametrize(("architecture", "shares_prefixes"), [("gpt2", True), ("gpt2", False), ("llama", True)])
def test_every_secret_has_the_log_probability_of_a_loop(architecture, shares_prefixes, tiny_model, tokenizer):
    model = tiny_model(architecture, initializer_range=0.1)
    scorer = Scorer("m", model, tokenizer, tokenizer.bos_token_id, 512, shares_prefixes)
    secrets = all_secrets(scorer, PROMPTS[0], 2)
    for prompt in PROMPTS:
        found = secret_logprobs(scorer, prompt, 2, secrets)
        assert found.shape == (100,)
        prefix = [tokenizer.bos_token_id, *tokenizer(prompt)["input_ids"]]
        for number in (0, 7, 42, 99):
            ids = [tokenizer.bos_token_id, *tokenizer(prompt + secret(number, 2))["input_ids"]]
            with torch.no_grad():
                logprobs = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            expected = sum(float(logprobs[place - 1, ids[place]]) for place in range(len(prefix), len(ids)))
            assert found[number] == pytest.approx(expected, abs=1e-5)


def test_greedy_decoding_finds_what_generation_writes(tiny_model, tokenizer):
    model = tiny_model("gpt2")
    scorer = Scorer("m", model, tokenizer, tokenizer.bos_token_id, 512)
    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(PROMPTS[0])["input_ids"]]])
    written = model.generate(ids, max_new_tokens=3, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
    text = tokenizer.decode(written)
    if tokenizer(PROMPTS[0] + text)["input_ids"][-3:] != written.tolist():
        pytest.skip("what this model writes is not what the tokenizer makes of the text")
    assert greedy_finds(scorer, [(PROMPTS[0], text), (PROMPTS[0], " 1 2")]).tolist() == [True, False]


def test_secrets_that_nobody_planted_have_the_exposure_of_chance(tiny_model, tokenizer):
    config = CanaryConfig(count=30, digits=2)
    scorer = Scorer("m", tiny_model("gpt2", initializer_range=0.1), tokenizer, tokenizer.bos_token_id, 2048, True)
    ranks = secret_ranks(scorer, canaries(config, 0), config)
    for form in ("she", "he"):
        bits = [exposure(by_form[form], 100) for by_form in ranks]
        assert np.mean(bits) == pytest.approx(null_exposure(100), abs=2.5 * 1.4427 / math.sqrt(30))


def test_guesses_are_the_most_and_the_least_exposed():
    bits = np.array([5.0, 0.1, 4.0, 0.2, 3.0, 0.3])
    assert right_guesses(bits, np.array([1, 0, 1, 0, 1, 0]), 6) == 6
    assert right_guesses(bits, np.array([1, 0, 0, 1, 0, 1]), 2) == 2
    assert right_guesses(bits, np.array([1, 0, 0, 1, 0, 1]), 4) == 2
    assert right_guesses(bits, np.array([0, 1, 0, 1, 0, 1]), 6) == 0
