"""Fluency against a slow reference; continuations that do not fit or are empty."""

import math

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations import fluency

SETTINGS = StatisticsConfig()


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_perplexity_equals_a_slow_reference(tiny_scorer, sampled, slow_logprobs, architecture):
    scorer = tiny_scorer(architecture)
    sources = [sampled("a", "x", [" said that she left", "", " smiled"]), sampled("b", "x", [" was tired."])]
    texts = (" said that she left", " smiled", " was tired.")
    slow = [slow_logprobs(scorer, "The nurse" + text, "The nurse") for text in texts]
    cost, num_tokens = -sum(scores.sum() for scores in slow), sum(map(len, slow))
    (perplexity,) = fluency.summarise(fluency.score(scorer, sources), "c", SETTINGS)
    assert perplexity.measurement.value == pytest.approx(math.exp(cost / num_tokens), rel=1e-5)
    assert perplexity.measurement.num_items == num_tokens
    assert perplexity.clusters == ("a", "b")


def test_a_continuation_beyond_the_reference_is_one_message(tiny_scorer, sampled):
    with pytest.raises(ValueError, match=r"than the model's context of 64 .*generation.max_new_tokens"):
        fluency.score(tiny_scorer(), [sampled("a", "x", [" left" * 80])])
    with pytest.raises(ValueError, match="all continuations are empty"):
        fluency.summarise([{"id": "a", "logprob": 0.0, "num_tokens": 0}], "c", SETTINGS)
