"""Fluency against a slow reference; another model as rater; continuations that do not fit or are empty."""

import copy
import math
import shutil

import pytest

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measures.continuations import fluency
from distill.evaluation.scoring.model_specs import ModelSpec
from distill.evaluation.suite import evaluate
from distill.settings import validate

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


@pytest.fixture
def rated(small_benchmarks):
    """rated(specs, reference, prompts=("bold",), **settings): the results of models whose continuations are rated."""

    def run(specs, reference, prompts=("bold",), **settings):
        settings |= {name: {"enabled": False} for name in ("log_odds", "agreement")}
        settings |= {"generation": {"num_samples": 2, "max_new_tokens": 6}}
        settings |= {"benchmarks": {name: small_benchmarks[name] for name in prompts}}
        settings |= {"continuations": {"reference": str(reference), "sentiment": False, "diversity": False}}
        evaluation = evaluate(specs, validate(EvalConfig, settings))
        assert evaluation.failures == []
        return {result.info["label"]: result for result in evaluation.results}

    return run


def fluency_of(result):
    return result.estimates["fluency/perplexity"].measurement


def test_another_model_rates_the_continuations(model_spec, rated, tmp_path):
    rater = model_spec("rater", "llama", seed=3)
    twin = ModelSpec("twin", str(shutil.copytree(rater.path, tmp_path / "twin")))
    results = rated([model_spec("good"), rater, twin], rater.path, prompts=("bold", "bold_persons"))
    perplexity = {label: fluency_of(result) for label, result in results.items()}
    (convention,) = {measurement.convention for measurement in perplexity.values()}
    assert convention.startswith("reference:")
    assert perplexity["twin"].value == pytest.approx(perplexity["rater"].value)
    assert perplexity["good"].value > perplexity["rater"].value  # its own text suits it


def test_two_raters_in_run_folders_are_told_apart(model_spec, rated, tmp_path):
    conventions = set()
    for seed in (3, 4):
        student = model_spec(f"rater{seed}", "llama", seed=seed)
        shutil.copytree(student.path, tmp_path / f"run{seed}" / "student")
        result = rated([model_spec("good")], tmp_path / f"run{seed}")["good"]
        conventions.add(fluency_of(result).convention)
    assert len(conventions) == 2


def test_a_rater_under_another_start_token_is_told_apart(model_spec, rated, tokenizer):
    rater = model_spec("rater", "llama", seed=3)
    tokenizer = copy.deepcopy(tokenizer)
    own, other = tokenizer.bos_token, "\u0120she"
    tokenizer.bos_token = tokenizer.eos_token = other
    tokenizer.save_pretrained(rater.path)
    first, second = (  # one start token for the model that samples, two for the one that rates
        rated([model_spec("good")], rater.path, scoring={"start_token": start})["good"] for start in (None, own)
    )
    assert first.tasks["bold"].key == second.tasks["bold"].key
    assert first.tasks["fluency"].key != second.tasks["fluency"].key
    assert fluency_of(first).value != fluency_of(second).value
    assert fluency_of(first).convention != fluency_of(second).convention
