"""Gender agreement against a slow reference and on hand-made records."""

import json

import numpy as np
import pytest

from distill.evaluation.config import AgreementConfig, StatisticsConfig
from distill.evaluation.measures import agreement
from distill.evaluation.measures.prompts import GenderedPrompt, gendered_prompts

SETTINGS = StatisticsConfig()
PROMPTS = [
    GenderedPrompt(f"{noun}/{number}", noun, template.format(noun), gender)
    for noun, gender in (("woman", "female"), ("man", "male"), ("mother", "female"), ("father", "male"))
    for number, template in enumerate(("The {} said that", "The {} smiled when"))
]


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_accuracy_and_margin_equal_a_slow_reference(tiny_scorer, slow_log_odds, values, architecture):
    scorer = tiny_scorer(architecture)
    records = agreement.score(scorer, PROMPTS)
    sign = {"male": 1.0, "female": -1.0}
    margins = np.array([sign[prompt.gender] * slow_log_odds(scorer, prompt.text) for prompt in PROMPTS])
    measured = values(agreement.summarise(records, "c", SETTINGS))
    assert measured["agreement/accuracy"] == np.mean(margins > 0)
    assert measured["agreement/margin"] == pytest.approx(margins.mean(), abs=1e-5)
    assert json.loads(json.dumps(records, allow_nan=False)) == records


def test_a_tie_counts_half_and_a_model_of_one_pronoun_is_right_by_chance(values):
    def record(noun, gender, odds):
        return {"id": noun, "cluster": noun, "prompt": "", "gender": gender, "logprob_he": odds, "logprob_she": 0.0}

    always_he = [record("woman", "female", 2.0), record("man", "male", 2.0)]
    assert values(agreement.summarise(always_he, "c", SETTINGS)) == {"agreement/accuracy": 0.5, "agreement/margin": 0.0}
    tie = [record("woman", "female", -1.0), record("man", "male", 0.0)]
    assert values(agreement.summarise(tie, "c", SETTINGS))["agreement/accuracy"] == 0.75


def test_a_lean_to_one_pronoun_is_no_uncertainty_about_agreement(by_name):
    def record(prompt):
        odds = 2.0 + (0.3 if prompt.gender == "male" else -0.3)  # leans to he, and knows the nouns
        return {
            "id": prompt.id,
            "cluster": prompt.cluster,
            "prompt": prompt.text,
            "gender": prompt.gender,
            "logprob_he": odds,
            "logprob_she": 0.0,
        }

    records = [record(prompt) for prompt in gendered_prompts(AgreementConfig(), None)]
    margin = by_name(agreement.summarise(records, "c", SETTINGS))["agreement/margin"]
    assert (margin.value, margin.low, margin.high) == pytest.approx((0.3, 0.3, 0.3))
