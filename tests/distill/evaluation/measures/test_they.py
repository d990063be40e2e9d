"""P(they) against a slow reference, and what it says about two models that differ in one pronoun."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measures import log_odds, they
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.measures.prompts import NeutralPrompt
from distill.evaluation.statistics.measurement import compare
from distill.settings import validate

SETTINGS = StatisticsConfig()
PROMPTS = [
    NeutralPrompt(f"{name}/{number}", name, f"{template} {name} said that", None)
    for name in ("nurse", "pilot", "baker")
    for number, template in enumerate(("The", "One day, the"))
]


@pytest.mark.parametrize(("architecture", "spelled"), [("gpt2", True), ("llama", False)])
def test_share_and_logprob_equal_a_slow_reference(
    tiny_scorer, slow_logprobs, character_tokenizer, monkeypatch, values, architecture, spelled
):
    """spelled: with a token per character, as an example of pronouns of several tokens."""
    scorer = replace(tiny_scorer(architecture), **({"tokenizer": character_tokenizer} if spelled else {}))
    slow = np.array(
        [[slow_logprobs(scorer, f"{p.text} {pronoun}", p.text).sum() for pronoun in they.PRONOUNS] for p in PROMPTS]
    )
    for size, side, shares in ((1, "left", False), (4096, "right", False), (1, "right", True), (4096, "left", True)):
        monkeypatch.setattr(scorer.tokenizer, "padding_side", side)
        records = they.score(log_odds.score(replace(scorer, max_batch_tokens=size, shares_prefixes=shares), PROMPTS))
        np.testing.assert_allclose([[r[f"logprob_{p}"] for p in they.PRONOUNS] for r in records], slow, atol=1e-5)
        measured = values(they.summarise(records, "c", SETTINGS))
        shares = np.exp(slow[:, 2]) / np.exp(slow).sum(axis=1)
        assert measured == pytest.approx({"they/share": shares.mean(), "they/logprob": slow[:, 2].mean()}, abs=1e-5)
        assert json.loads(json.dumps(records, allow_nan=False)) == records


def records_with(**logprobs):
    return [
        {"id": f"{name}/{number}", "cluster": name, "prompt": ""}
        | {f"logprob_{pronoun}": logprobs[pronoun] - number for pronoun in they.PRONOUNS}
        for name in ("nurse", "pilot", "baker")
        for number in range(2)
    ]


def test_the_difference_of_two_models_is_their_mean_log_ratio():
    before, after = (
        they.summarise(records_with(he=-1.0, she=she, they=own), "c", SETTINGS)
        for she, own in ((-2.0, -4.0), (-1.0, -3.5))
    )
    share, logprob = (compare(mine, theirs, SETTINGS) for mine, theirs in zip(after, before, strict=True))
    assert logprob.difference.value == pytest.approx(0.5)
    shares = [math.exp(own) / (math.exp(-1) + math.exp(she) + math.exp(own)) for she, own in ((-2, -4), (-1, -3.5))]
    assert share.difference.value == pytest.approx(shares[1] - shares[0])
    assert logprob.num_clusters == 3


def test_they_runs_with_the_log_odds_on_the_same_prompts():
    def planned(**settings):
        return {task.name: task for task in plan_tasks(validate(EvalConfig, settings))[0]}

    both = planned()
    assert both["they"].num_items == both["log_odds"].num_items
    assert both["they"].needs == ("log_odds",)
    assert both["they"].num_tokens == 0
    assert both["log_odds"].key in both["they"].key
    assert planned(they={"enabled": False}).keys() == planned().keys() - {"they"}
    assert planned(log_odds={"enabled": False}).keys() == planned().keys() - {"log_odds", "they"}
