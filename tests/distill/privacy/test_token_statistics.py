"""Statistics of tokens against a loop over single positions."""

import numpy as np
import pytest
import torch

from distill.evaluation.scoring.logprobs import Row
from distill.evaluation.scoring.scorer import Scorer
from distill.privacy.token_statistics import text_row, token_statistics

TEXTS = ("The nurse said that she was tired.", "He ran.")


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("max_batch_tokens", [1, 2048])
def test_statistics_equal_those_of_a_loop(architecture, max_batch_tokens, tiny_model, tokenizer):
    model = tiny_model(architecture)
    scorer = Scorer("m", model, tokenizer, tokenizer.bos_token_id, max_batch_tokens)
    lines = [scorer.start + ids for ids in scorer.encode(TEXTS)["input_ids"]]
    found = token_statistics(scorer, [text_row(line) for line in lines])
    for line, own in zip(lines, found, strict=True):
        for place in range(1, len(line)):
            with torch.no_grad():
                logprobs = model(torch.tensor([line[:place]])).logits[0, -1].double().log_softmax(-1).numpy()
            mean = float((np.exp(logprobs) * logprobs).sum())
            deviation = float(np.sqrt((np.exp(logprobs) * logprobs**2).sum() - mean**2))
            expected = [logprobs[line[place]], mean, deviation, float(logprobs.argmax() == line[place])]
            np.testing.assert_allclose([part[place - 1] for part in own], expected, atol=1e-5)


def test_only_the_positions_of_a_row_are_scored(tiny_model, tokenizer):
    scorer = Scorer("m", tiny_model("gpt2"), tokenizer, tokenizer.bos_token_id, 2048)
    (line,) = (scorer.start + ids for ids in scorer.encode(TEXTS[:1])["input_ids"])
    whole, end = token_statistics(scorer, [text_row(line), Row(line[:-1], [len(line) - 2], line[-1:])])
    np.testing.assert_allclose(np.array(end), np.array(whole)[:, -1:], atol=1e-6)
