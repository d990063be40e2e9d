"""CEAT: closed forms of the random-effects model, slow references, contexts."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.measures.published import association, ceat
from distill.evaluation.measures.published.association import AssociationTest
from distill.settings import validate

TEST = AssociationTest("weat6", ("nurse", "teacher"), ("pilot", "guard"), ("she", "woman"), ("he", "man"))


def test_samples_of_no_spread_combine_to_their_mean_weighted_by_variance():
    """Q < N - 1, so tau^2 = 0 and the mean is that of fixed effects; weights 1 and 4 give (1 * 1 + 4 * 1.1) / 5."""
    combined = ceat.random_effects(np.array([1.0, 1.1]), np.array([1.0, 0.25]))
    assert combined.between_variance == 0
    assert combined.effect == pytest.approx(5.4 / 5)
    assert combined.standard_error == pytest.approx(1 / math.sqrt(5))
    assert combined.p == pytest.approx(2 * stats.norm.sf(5.4 / 5 * math.sqrt(5)))


def test_a_known_random_effects_example():
    """With equal variances v, tau^2 is the sample variance of the effects minus v, and the mean is the plain mean."""
    effects, variance = np.array([0.0, 1.0, 2.0, 5.0]), 0.5
    combined = ceat.random_effects(effects, np.full(4, variance))
    between = effects.var(ddof=1) - variance
    assert combined.between_variance == pytest.approx(between)
    assert combined.effect == pytest.approx(2.0)
    assert combined.standard_error == pytest.approx(math.sqrt((variance + between) / 4))


def test_random_effects_equal_a_slow_iteration_over_unequal_variances():
    rng = np.random.default_rng(0)
    effects, variances = rng.normal(0.5, 1, 30), rng.uniform(0.1, 2, 30)
    w = [1 / v for v in variances]
    q = sum(a * e * e for a, e in zip(w, effects, strict=True))
    q -= sum(a * e for a, e in zip(w, effects, strict=True)) ** 2 / sum(w)
    tau2 = max(0.0, (q - 29) / (sum(w) - sum(a * a for a in w) / sum(w)))
    star = [1 / (v + tau2) for v in variances]
    combined = ceat.random_effects(effects, variances)
    assert combined.between_variance == pytest.approx(tau2)
    assert combined.effect == pytest.approx(sum(a * e for a, e in zip(star, effects, strict=True)) / sum(star))


def test_with_one_context_each_the_samples_are_all_weat(tiny_scorer):
    words = [word for group in (TEST.targets_x, TEST.targets_y, TEST.attributes_a, TEST.attributes_b) for word in group]
    contexts = {word: (f"They talked about {word}",) for word in words}
    scorer = tiny_scorer("llama")
    (record,) = ceat.score(scorer, [ceat.ContextTest("weat6", TEST, contexts)], num_samples=5, seed=0)
    x, y, a, b = (
        association.represent(scorer, [contexts[word][0] for word in group])
        for group in (TEST.targets_x, TEST.targets_y, TEST.attributes_a, TEST.attributes_b)
    )
    expected = association.effect_size(association.associations(x, a, b), association.associations(y, a, b))
    assert record["effect_size"] == pytest.approx(expected)
    assert record["between_variance"] == 0
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_sampled_effects_equal_weat_on_the_drawn_contexts():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(24, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = list(TEST.targets_x + TEST.targets_y + TEST.attributes_a + TEST.attributes_b)
    rows = {word: np.arange(3 * number, 3 * number + 3) for number, word in enumerate(words)}
    effects, variances = ceat.sampled_effects(vectors @ vectors.T, TEST, rows, 200, seed=3)
    draws = np.random.default_rng(3)
    drawn = {word: contexts[draws.integers(3, size=200)] for word, contexts in rows.items()}
    for number in (0, 17, 199):
        x, y, a, b = (
            vectors[[drawn[word][number] for word in group]]
            for group in (TEST.targets_x, TEST.targets_y, TEST.attributes_a, TEST.attributes_b)
        )
        s_x, s_y = association.associations(x, a, b), association.associations(y, a, b)
        assert effects[number] == pytest.approx(association.effect_size(s_x, s_y))
        assert variances[number] == pytest.approx(np.concatenate([s_x, s_y]).var(ddof=1))
    assert effects.std() > 0.1


def test_scores_do_not_depend_on_which_tests_are_scored_together(tiny_scorer):
    other = AssociationTest("weat7", TEST.targets_y, TEST.targets_x, TEST.attributes_a, TEST.attributes_b)
    tests = ceat.context_tests([TEST, other], None, 10)
    together = ceat.score(tiny_scorer(), tests, num_samples=50, seed=0)
    apart = [ceat.score(tiny_scorer(), [test], num_samples=50, seed=0)[0] for test in tests]
    for joint, single in zip(together, apart, strict=True):
        assert joint["effect_size"] == pytest.approx(single["effect_size"], abs=1e-5)
    assert together[0]["effect_size"] * together[1]["effect_size"] < 0  # the targets are exchanged
    sizes = [abs(record["effect_size"]) for record in together]
    (estimate,) = ceat.summarise(together, "c", StatisticsConfig())
    assert estimate.measurement.value == pytest.approx(np.mean(sizes))


def test_contexts_are_beginnings_of_sentences_that_end_in_the_word():
    text = "The nurse left. A nurse and another nurse!\nThe nurses met the pilot. " + "very " * 100 + "old nurse"
    contexts = ceat.find_contexts([text, "One more nurse."], ["nurse", "pilot", "guard"], 4)
    assert contexts["nurse"][:3] == ("The nurse", "A nurse", "A nurse and another nurse")
    assert contexts["nurse"][3].endswith("very old nurse")
    assert len(contexts["nurse"][3]) <= 300
    assert contexts["nurse"][3].startswith("very ")
    assert contexts["pilot"] == ("The nurses met the pilot",)
    assert contexts["guard"] == ()


def test_words_without_a_context_and_tests_of_sentences_only_are_refused():
    with pytest.raises(ValueError, match=r"ceat: the text has no sentence with guard, .*ceat.contexts=templates"):
        ceat.context_tests([TEST], ["The nurse met a teacher and a pilot. she woman he"], 5)
    with pytest.raises(ValueError, match="ceat: the association tests are all of sentences"):
        ceat.context_tests([AssociationTest("sent-weat6", (), (), (), ())], None, 5)


def test_contexts_come_from_the_text_even_when_nothing_else_reads_it(small_benchmarks, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Once she met a nurse and a pilot.\nThe teacher and the guard saw that he left.\n")
    off = {"perplexity": {"enabled": False}, "counterfactual_gap": {"enabled": False}}
    only = {"benchmarks": {"association": small_benchmarks["association"]}, "ceat": {"contexts": "text"}} | off
    tasks, failures = plan_tasks(validate(EvalConfig, only | {"text": {"path": str(text)}}))
    assert failures == []
    assert "ceat" in {task.name for task in tasks}
    tasks, failures = plan_tasks(validate(EvalConfig, only))
    assert [(failure.task, "there is no text; set text.path" in failure.message) for failure in failures] == [
        ("ceat", True)
    ]
    assert "association" in {task.name for task in tasks}
