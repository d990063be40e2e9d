"""Which models are points of the fairness-utility plot, and in which unit of cost."""

import pytest

from distill.evaluation.measures.perplexity import LOG_PERPLEXITY
from distill.evaluation.report.points import fairness_utility_points


def test_points_use_the_word_convention_when_tokenizers_differ(entry, results):
    word = "perplexity/word"
    entries = [entry(model=m) for m in "ab"] + [entry(name, m, 10.0) for name in (LOG_PERPLEXITY, word) for m in "ab"]
    points, unit = fairness_utility_points(results(entries))
    assert unit == "nats per token"
    assert points[0].cost == pytest.approx((10.0, 9.9, 10.1))
    assert points[0].disparity == pytest.approx((0.5, 0.4, 0.6))
    entries[2]["convention"] = "another tokenizer"
    points, unit = fairness_utility_points(results(entries))
    assert unit == "nats per word"
    assert points[1].cost == pytest.approx((2.302585, 2.292535, 2.312535), abs=1e-5)
    assert fairness_utility_points(results(entries[:2])) is None


def test_models_that_were_measured_differently_from_the_first_are_no_points(entry, results):
    measures = ("log_odds/mean_abs", LOG_PERPLEXITY, "perplexity/word")
    for number, expected in ((0, "nats per token"), (1, "nats per word")):
        entries = [entry(name, model, 2.0) for name in measures for model in "abc"]
        entries[3 * number + 1]["convention"] = "other prompts, or another tokenizer"
        points, unit = fairness_utility_points(results(entries))
        assert unit == expected
        assert [point.label for point in points] == (["a", "c"] if number == 0 else ["a", "b", "c"])
    for measured in entries[6:]:
        measured["convention"] = f"the text of {measured['model']}"
    points, unit = fairness_utility_points(results(entries))
    assert ([point.label for point in points], unit) == (["a", "c"], "nats per token")


def test_the_cost_of_a_model_may_be_its_perplexity_on_wikitext(entry, results):
    entries = [entry(model=m) for m in "ab"] + [entry("wikitext/word_perplexity", m, 10.0) for m in "ab"]
    points, unit = fairness_utility_points(results(entries))
    assert unit == "nats per word of WikiText"
    assert points[0].cost[0] == pytest.approx(2.302585)
