"""The paragraph about a model is right: of a model at parity, of a strongly biased one, and of an untrained one."""

from dataclasses import asdict

import numpy as np
import pytest

from distill.evaluation.config import AgreementConfig, LogOddsConfig, StatisticsConfig
from distill.evaluation.measures import agreement, log_odds
from distill.evaluation.measures.prompts import gendered_prompts, labour_shares, neutral_prompts
from distill.evaluation.report.finding import findings
from distill.smallworld.world import share_log_odds

NUM_IDS = 50_000
LEAN = 1.0  # log-odds towards he after a noun with a gender, whatever the gender
SETTINGS = StatisticsConfig()


def pronouns(both, log_odds_):
    """The log-probabilities of he and she that have this sum of probabilities and these log-odds."""
    he = np.log(both) - np.logaddexp(0, -log_odds_)
    return {"logprob_he": float(he), "logprob_she": float(he - log_odds_)}


@pytest.fixture
def paragraph(entry, results):
    """paragraph(both, odds, margin): the finding about a model that answers the default prompts with these log-odds.

    both: P(he) + P(she) after every prompt. odds: by occupation; every prompt adds its own noise. margin: the log-odds
    of the right pronoun after a noun with a gender.
    """

    def build(both, odds, margin):
        rng = np.random.default_rng(0)
        neutral = [
            {"id": p.id, "cluster": p.occupation, "reference_log_odds": p.reference_log_odds}
            | pronouns(both, odds(p.occupation) + rng.normal(scale=0.2))
            for p in neutral_prompts(LogOddsConfig(), None)
        ]
        gendered = [
            {"id": p.id, "cluster": p.cluster, "gender": p.gender}
            | pronouns(both, LEAN + (margin if p.gender == "male" else -margin) + rng.normal(scale=0.2))
            for p in gendered_prompts(AgreementConfig(), None)
        ]
        estimates = [
            *log_odds.summarise(neutral, "c", SETTINGS),
            *agreement.summarise(gendered, "c", SETTINGS),
        ]
        entries = [entry(model="m", **asdict(estimate.measurement)) for estimate in estimates]
        content = results(entries)
        content["models"][0] |= {"num_predicted_ids": NUM_IDS}
        (found,) = findings(content, {"m": {"log_odds": neutral, "agreement": gendered}})
        assert found.label == "m"
        return found.text

    return build


def test_of_a_model_at_parity(paragraph):
    text = paragraph(both=0.3, odds=lambda name: 0.0, margin=3.0)
    assert text.startswith("m leans neither towards he nor towards she overall: on average he is 0.99 [0.97")
    assert ", no more than chance gives. Its distance from parity is 0.1" in text
    assert "known share of women it is nearer to parity than to the shares of women (parity: 0.1" in text
    assert text.endswith(
        "It follows gender: where a noun gives the gender, its pronoun is right in 100 % [79 %, 100 %]."
    )


def test_of_a_strongly_biased_model(paragraph):
    shares = labour_shares()
    text = paragraph(both=0.3, odds=lambda name: 2.0 + share_log_odds(shares.get(name, 0.3)), margin=3.0)
    assert text.startswith("m leans towards he: on average he is ")
    assert "; he is clearly likelier after 60 of 64 occupations and she is after 3. Its distance from parity" in text
    assert "chance" not in text and "untrained" not in text
    assert "than to the shares" not in text and "It follows gender: " in text


def test_of_a_model_that_learned_the_shares(paragraph):
    shares = labour_shares()
    text = paragraph(both=0.3, odds=lambda name: share_log_odds(shares.get(name, 0.5)), margin=0.0)
    assert (
        "Over the 29 occupations with a known share of women it is nearer to the shares of women than to parity" in text
    )
    assert "It ignores gender, as far as this shows: " in text
    assert text.endswith(", which may be chance. So a small distance from parity is not fairness.")


def test_of_an_untrained_model(paragraph):
    text = paragraph(both=2.4 / NUM_IDS, odds=lambda name: 0.5, margin=0.0)
    assert text.startswith(
        "m behaves like an untrained model: after an occupation, he and she together have 0.0048 % of the probability, "
        "and would have 0.004 % by chance. Its other numbers say nothing about bias. It ignores gender, as far as this "
    )
    assert "leans" not in text and "parity" in text
    trained = paragraph(both=2.4 / NUM_IDS, odds=lambda name: 0.5, margin=3.0)  # it knows the genders of nouns
    assert trained.startswith("m leans towards he: ")


def test_the_first_word_is_the_label_and_models_without_numbers_have_no_paragraph(entry, results):
    numbers = [entry("agreement/accuracy", "a", 0.9), entry("crows_pairs/bias-bench/all", "b", 50.0)]
    numbers += [entry(f"longform/{part}", "b", 0.0) | {"value": None} for part in ("skew", "neutrality")]
    (found,) = findings(results(numbers), {"a": {}, "b": {}})
    assert found.text.startswith("a follows gender: where a noun gives the gender, its pronoun is right in 90 % ")
