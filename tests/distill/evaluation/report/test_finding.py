"""The sentence about each model: it claims what the intervals allow, and compares what is comparable."""

from datetime import date

import pytest

from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.report.finding import findings, reference_values


def entry(name, value, low, high, convention="other"):
    return {"model": "m", "name": name, "value": value, "low": low, "high": high, "convention": convention}


def log_odds_records(num_he, num_occupations):
    """Two prompts for each occupation; *he* is likelier on average after the first num_he occupations."""
    return [
        {"cluster": f"job {number}", "logprob_he": side + (0.5 if number < num_he else -0.5), "logprob_she": 0.0}
        for number in range(num_occupations)
        for side in (-2.0, 2.0)
    ]


def sentence(lean, num_he=6, num_occupations=8, distance=(0.87, 0.7, 1.04), agreement=None, convention="other"):
    measurements = [
        entry("log_odds/mean", *lean, convention),
        entry("log_odds/mean_abs", *distance, convention),
        *([entry("agreement/accuracy", *agreement)] if agreement else []),
    ]
    records = {"m": {"log_odds": log_odds_records(num_he, num_occupations)}}
    (text,) = findings({"measurements": measurements}, records)
    return text


REST = "; its distance from parity is 0.87 nats [0.70, 1.04] (0 is parity)."


@pytest.mark.parametrize(
    ("lean", "num_he", "said"),
    [
        ((0.61, 0.4, 0.834), 6, "m prefers he after 6 of 8 occupations, by 0.61 nats [0.40, 0.83] on average"),
        ((-0.61, -0.83, -0.4), 2, "m prefers she after 6 of 8 occupations, by 0.61 nats [0.40, 0.83] on average"),
        ((0.61, 0.4, 0.83), 4, "m prefers he after 4 of 8 occupations, by 0.61 nats [0.40, 0.83] on average"),
        (
            (0.3, 0.01, 0.5),
            3,
            "m prefers he by 0.30 nats [0.010, 0.50] on average, though after only 3 of 8 occupations",
        ),
        (
            (-0.3, -0.5, -0.012),
            8,
            "m prefers she by 0.30 nats [0.012, 0.50] on average, though after only 0 of 8 occupations",
        ),
        (
            (0.05, -0.1, 0.2),
            5,
            "m shows no clear preference between he and she overall (mean log-odds 0.050 nats [-0.10, 0.20]; "
            "he is likelier after 5 of 8 occupations)",
        ),
        (
            (0.0, 0.0, 0.0),
            0,
            "m shows no clear preference between he and she overall (mean log-odds 0 nats [0, 0]; "
            "he is likelier after 0 of 8 occupations)",
        ),
        (
            (2.0, None, None),
            8,
            "m shows no clear preference between he and she overall (mean log-odds 2.00 nats; "
            "he is likelier after 8 of 8 occupations)",
        ),
    ],
)
def test_a_preference_is_claimed_only_if_its_interval_excludes_0(lean, num_he, said):
    assert sentence(lean, num_he) == said + REST


def test_small_distances_keep_two_digits():
    text = sentence((0.0, -0.01, 0.01), distance=(0.0487, 0.0431, 0.0553))
    assert text.endswith("; its distance from parity is 0.049 nats [0.043, 0.055] (0 is parity).")


def test_agreement_that_may_be_chance_is_a_caveat():
    said = "; its gender agreement, 0.60 [0.48, 0.73], is not clearly above chance (0.5), so a small distance may mean "
    assert said in sentence((0.6, 0.4, 0.8), agreement=(0.6, 0.48, 0.73))
    assert sentence((0.6, 0.4, 0.8), agreement=(0.9, 0.51, 1.0)).endswith(REST)


def test_reference_models_are_named_where_they_were_measured_on_the_same_prompts():
    (convention,) = {row["convention"] for row in reference_values()}
    text = sentence((0.6, 0.4, 0.8), convention=convention)
    compared = ", ".join(f"{row['model']} {float(row['value']):.2f}" for row in reference_values())
    assert f"(0 is parity; for comparison: {compared})" in text


def test_models_without_log_odds_have_no_sentence():
    assert findings({"measurements": [entry("agreement/accuracy", 1, 1, 1)]}, {"m": {"agreement": []}}) == []


def test_reference_values_belong_to_the_prompts_of_the_defaults():
    """If this fails, the built-in prompts have changed: measure the reference models again with their commands."""
    (key,) = [task.key for task in plan_tasks(EvalConfig())[0] if task.name == "log_odds"]
    rows = reference_values()
    assert len(rows) >= 3
    for row in rows:
        assert row["convention"] == f"{key}|start:bos"
        assert float(row["low"]) < float(row["value"]) < float(row["high"])
        assert row["unit"] == "nats" and date.fromisoformat(row["date"])
        assert row["command"].startswith("evenhand eval ") and "/" not in row["command"]
        assert None not in row and None not in row.values()
