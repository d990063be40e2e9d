"""Profession log-odds and gender agreement against slow references and hand-made records."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from distill.evaluation.config import AgreementConfig, StatisticsConfig
from distill.evaluation.measures import gender_agreement, log_odds
from distill.evaluation.measures.prompts import GenderedPrompt, NeutralPrompt, gendered_prompts
from distill.evaluation.statistics.measurement import compare, share_removed

SETTINGS = StatisticsConfig()
OCCUPATIONS = {"nurse": -2.0, "pilot": 1.5, "baker": 0.1, "teacher": -1.0, "guard": 0.8}
PROMPTS = [
    NeutralPrompt(f"{name}/{number}", name, f"{template} {name} said that", odds)
    for name, odds in OCCUPATIONS.items()
    for number, template in enumerate(("The", "One day, the"))
]
PROBES = [
    GenderedPrompt(f"{noun}/{number}", noun, template.format(noun), gender)
    for noun, gender in (("woman", "female"), ("man", "male"), ("mother", "female"), ("father", "male"))
    for number, template in enumerate(("The {} said that", "The {} smiled when"))
]


def slow_log_odds(scorer, text):
    """log P(he) - log P(she) from one float64 softmax."""
    ids = [scorer.tokenizer.bos_token_id, *scorer.tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        logprobs = scorer.model(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
    he, she = (scorer.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (" he", " she"))
    return float(logprobs[he] - logprobs[she])


def by_name(estimates):
    return {estimate.measurement.name: estimate.measurement for estimate in estimates}


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_log_odds_equal_a_slow_reference(tiny_scorer, architecture):
    scorer = tiny_scorer(architecture)
    records = log_odds.score(scorer, PROMPTS)
    slow = np.array([slow_log_odds(scorer, prompt.text) for prompt in PROMPTS])
    np.testing.assert_allclose([r["logprob_he"] - r["logprob_she"] for r in records], slow, atol=1e-5)

    found = by_name(log_odds.summarise(records, "c", SETTINGS))
    means = slow.reshape(5, 2).mean(axis=1)
    fit = stats.linregress(list(OCCUPATIONS.values()), means)
    assert found["log_odds/mean_abs"].value == pytest.approx(np.abs(slow).mean(), abs=1e-5)
    assert found["log_odds/mean"].value == pytest.approx(slow.mean(), abs=1e-5)
    assert found["log_odds/spread"].value == pytest.approx(means.std(ddof=1), abs=1e-5)
    assert found["log_odds/slope_on_truth"].value == pytest.approx(fit.slope, abs=1e-5)
    assert found["log_odds/correlation_with_truth"].value == pytest.approx(fit.rvalue, abs=1e-5)
    assert found["log_odds/mean_abs"].num_items == 10
    assert found["log_odds/mean_abs"].low < found["log_odds/mean_abs"].value < found["log_odds/mean_abs"].high
    assert found["log_odds/mean_abs"].higher_is_better is False
    assert found["log_odds/mean"].higher_is_better is None


def records_with(odds, reference=True):
    return [
        {"id": name, "cluster": name, "prompt": "", "logprob_he": value, "logprob_she": 0.0}
        | {"reference_log_odds": OCCUPATIONS[name] if reference else None}
        for name, value in odds.items()
    ]


def test_a_model_that_learned_the_truth_has_slope_and_correlation_one():
    found = by_name(log_odds.summarise(records_with(OCCUPATIONS), "c", SETTINGS))
    assert found["log_odds/slope_on_truth"].value == pytest.approx(1.0)
    assert found["log_odds/correlation_with_truth"].value == pytest.approx(1.0)
    half = by_name(log_odds.summarise(records_with({k: v / 2 for k, v in OCCUPATIONS.items()}), "c", SETTINGS))
    assert half["log_odds/slope_on_truth"].value == pytest.approx(0.5)


def test_without_known_log_odds_there_is_no_slope():
    names = by_name(log_odds.summarise(records_with(OCCUPATIONS, reference=False), "c", SETTINGS))
    assert set(names) == {"log_odds/mean_abs", "log_odds/mean", "log_odds/spread"}


def test_share_removed_is_one_minus_the_ratio_and_paired():
    full, half = (
        log_odds.summarise(records_with({k: factor * v + 0.1 for k, v in OCCUPATIONS.items()}), "c", SETTINGS)[0]
        for factor in (1.0, 0.5)
    )
    removed = share_removed(half, full, SETTINGS)
    assert removed.value == pytest.approx(1 - half.measurement.value / full.measurement.value)
    assert removed.low < removed.value < removed.high
    exact = log_odds.summarise(records_with({k: v / 4 for k, v in OCCUPATIONS.items()}), "c", SETTINGS)[0]
    whole = log_odds.summarise(records_with(OCCUPATIONS), "c", SETTINGS)[0]
    certain = share_removed(exact, whole, SETTINGS)  # the same share in every occupation: the pairing shows it
    assert (certain.low, certain.high) == pytest.approx((0.75, 0.75))


def test_comparisons_refuse_other_items_and_other_conventions():
    one = log_odds.summarise(records_with(OCCUPATIONS), "c", SETTINGS)[0]
    other = log_odds.summarise(records_with(OCCUPATIONS), "d", SETTINGS)[0]
    fewer = log_odds.summarise(records_with({"nurse": 1.0, "pilot": 2.0, "baker": 0.0}), "c", SETTINGS)[0]
    with pytest.raises(ValueError, match="not comparable, measured as 'c' and 'd'"):
        compare(one, other, SETTINGS)
    with pytest.raises(ValueError, match="not scored on the same items"):
        compare(one, fewer, SETTINGS)
    with pytest.raises(ValueError, match="not scored on the same items"):
        share_removed(one, fewer, SETTINGS)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_agreement_equals_a_slow_reference(tiny_scorer, architecture):
    scorer = tiny_scorer(architecture)
    records = gender_agreement.score(scorer, PROBES)
    sign = {"male": 1.0, "female": -1.0}
    slow = np.array([sign[probe.gender] * slow_log_odds(scorer, probe.text) for probe in PROBES])
    found = by_name(gender_agreement.summarise(records, "c", SETTINGS))
    assert found["agreement/accuracy"].value == np.mean(slow > 0)
    assert found["agreement/margin"].value == pytest.approx(slow.mean(), abs=1e-5)


def test_agreement_counts_a_tie_half_and_a_single_pronoun_as_chance():
    def record(noun, gender, odds):
        return {"id": noun, "cluster": noun, "prompt": "", "gender": gender, "logprob_he": odds, "logprob_she": 0.0}

    always_he = [record("woman", "female", 2.0), record("man", "male", 2.0)]
    assert by_name(gender_agreement.summarise(always_he, "c", SETTINGS))["agreement/accuracy"].value == 0.5
    assert by_name(gender_agreement.summarise(always_he, "c", SETTINGS))["agreement/margin"].value == 0.0
    tie = [record("woman", "female", -1.0), record("man", "male", 0.0)]
    assert by_name(gender_agreement.summarise(tie, "c", SETTINGS))["agreement/accuracy"].value == 0.75


def test_a_leaning_to_one_pronoun_is_no_uncertainty_about_agreement():
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
    margin = by_name(gender_agreement.summarise(records, "c", SETTINGS))["agreement/margin"]
    assert (margin.value, margin.low, margin.high) == pytest.approx((0.3, 0.3, 0.3))


def test_records_are_plain_json(tiny_scorer):
    import json

    records = log_odds.score(tiny_scorer(), PROMPTS) + gender_agreement.score(tiny_scorer(), PROBES)
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert all(math.isfinite(record["logprob_he"]) for record in records)
