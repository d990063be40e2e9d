"""Profession log-odds against a slow reference and on hand-made records; comparisons of two models."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.config import LogOddsConfig, StatisticsConfig
from distill.evaluation.measures import log_odds
from distill.evaluation.measures.prompts import NeutralPrompt, labour_shares, neutral_prompts
from distill.evaluation.statistics.measurement import compare, share_removed
from distill.files import parse_tsv

SETTINGS = StatisticsConfig()
OCCUPATIONS = {"nurse": -2.0, "pilot": 1.5, "baker": 0.1, "teacher": -1.0, "guard": 0.8}
PROMPTS = [
    NeutralPrompt(f"{name}/{number}", name, f"{template} {name} said that", odds)
    for name, odds in OCCUPATIONS.items()
    for number, template in enumerate(("The", "One day, the"))
]


def records_with(odds, reference=True):
    return [
        {"id": name, "cluster": name, "prompt": "", "logprob_he": value, "logprob_she": 0.0}
        | {"reference_log_odds": OCCUPATIONS[name] if reference else None}
        for name, value in odds.items()
    ]


def scaled(factor, shift=0.0):
    return records_with({name: factor * value + shift for name, value in OCCUPATIONS.items()})


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_log_odds_equal_a_slow_reference(tiny_scorer, slow_log_odds, by_name, architecture):
    scorer = tiny_scorer(architecture)
    records = log_odds.score(scorer, PROMPTS)
    slow = np.array([slow_log_odds(scorer, prompt.text) for prompt in PROMPTS])
    np.testing.assert_allclose([r["logprob_he"] - r["logprob_she"] for r in records], slow, atol=1e-5)

    measured = by_name(log_odds.summarise(records, "c", SETTINGS))
    means = slow.reshape(5, 2).mean(axis=1)
    fit = stats.linregress(list(OCCUPATIONS.values()), means)
    assert measured["log_odds/mean_abs"].value == pytest.approx(np.abs(slow).mean(), abs=1e-5)
    assert measured["log_odds/mean"].value == pytest.approx(slow.mean(), abs=1e-5)
    assert measured["log_odds/spread"].value == pytest.approx(means.std(ddof=1), abs=1e-5)
    assert measured["log_odds/slope_on_truth"].value == pytest.approx(fit.slope, abs=1e-5)
    assert measured["log_odds/correlation_with_truth"].value == pytest.approx(fit.rvalue, abs=1e-5)
    mean_abs = measured["log_odds/mean_abs"]
    assert mean_abs.num_items == 10
    assert mean_abs.low < mean_abs.value < mean_abs.high
    assert mean_abs.higher_is_better is False
    assert measured["log_odds/mean"].higher_is_better is None


def test_a_model_that_learned_the_truth_has_slope_and_correlation_one(values):
    learned = values(log_odds.summarise(records_with(OCCUPATIONS), "c", SETTINGS))
    assert learned["log_odds/slope_on_truth"] == pytest.approx(1.0)
    assert learned["log_odds/correlation_with_truth"] == pytest.approx(1.0)
    assert values(log_odds.summarise(scaled(0.5), "c", SETTINGS))["log_odds/slope_on_truth"] == pytest.approx(0.5)


def test_without_known_log_odds_there_is_no_slope(values):
    measured = values(log_odds.summarise(records_with(OCCUPATIONS, reference=False), "c", SETTINGS))
    assert set(measured) == {"log_odds/mean_abs", "log_odds/mean", "log_odds/spread", "log_odds/distance_from_shares"}


def test_the_distance_from_shares_takes_the_shares_of_the_list_and_else_the_built_in_ones(values):
    given = values(log_odds.summarise(scaled(0.0, shift=0.5), "c", SETTINGS))
    assert given["log_odds/distance_from_shares"] == pytest.approx(np.mean([2.5, 1.0, 0.4, 1.5, 0.3]))
    (measured,) = (
        estimate.measurement
        for estimate in log_odds.summarise(records_with(OCCUPATIONS, reference=False), "c", SETTINGS)
        if estimate.measurement.name == "log_odds/distance_from_shares"
    )
    known = {"nurse": 0.8958, "baker": 0.608, "teacher": 0.71}  # of US workers; a pilot and a guard are not in the list
    distances = [abs(OCCUPATIONS[name] - math.log((1 - share) / share)) for name, share in known.items()]
    assert measured.value == pytest.approx(np.mean(distances))
    assert measured.num_items == 3 and measured.convention.startswith("c|shares:")
    nobody = [record | {"cluster": "piper"} for record in records_with({"nurse": 1.0}, reference=False)]
    assert "log_odds/distance_from_shares" not in values(log_odds.summarise(nobody, "c", SETTINGS))


@pytest.mark.data
def test_the_built_in_shares_are_those_of_the_statistics(shared_data):
    file = shared_data / "bias" / "winogender" / "occupations-stats.tsv"
    published = {row["occupation"]: row["bls_pct_female"] for row in parse_tsv(file.read_text(encoding="utf-8"))}
    built_in = {prompt.occupation for prompt in neutral_prompts(LogOddsConfig(), None)}
    shares = labour_shares()
    assert set(shares) == built_in & set(published)
    assert shares == pytest.approx({name: float(published[name]) / 100 for name in shares}, abs=1e-9)


def test_share_removed_is_one_minus_the_ratio_and_paired():
    full, half = (log_odds.summarise(scaled(factor, shift=0.1), "c", SETTINGS)[0] for factor in (1.0, 0.5))
    removed = share_removed(half, full, SETTINGS)
    assert removed.value == pytest.approx(1 - half.measurement.value / full.measurement.value)
    assert removed.low < removed.value < removed.high
    quarter, whole = (log_odds.summarise(scaled(factor), "c", SETTINGS)[0] for factor in (0.25, 1.0))
    certain = share_removed(quarter, whole, SETTINGS)  # the same share in every occupation, so pairing leaves no doubt
    assert (certain.low, certain.high) == pytest.approx((0.75, 0.75))


def test_comparisons_refuse_other_items_and_other_conventions():
    mine = log_odds.summarise(records_with(OCCUPATIONS), "c", SETTINGS)[0]
    other = log_odds.summarise(records_with(OCCUPATIONS), "d", SETTINGS)[0]
    fewer = log_odds.summarise(records_with({"nurse": 1.0, "pilot": 2.0, "baker": 0.0}), "c", SETTINGS)[0]
    with pytest.raises(ValueError, match="not comparable, measured as 'c' and 'd'"):
        compare(mine, other, SETTINGS)
    with pytest.raises(ValueError, match="not scored on the same items"):
        compare(mine, fewer, SETTINGS)
    with pytest.raises(ValueError, match="not scored on the same items"):
        share_removed(mine, fewer, SETTINGS)


def test_records_are_plain_json(tiny_scorer):
    records = log_odds.score(tiny_scorer(), PROMPTS)
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert all(math.isfinite(record["logprob_he"]) for record in records)
