"""Bad models and bad data: each is one message, and everything else is still measured."""

import math
import shutil

import torch
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from distill.evaluation.config import EvalConfig
from distill.evaluation.dry_run import dry_run
from distill.evaluation.measures.published import lambada, winogender
from distill.evaluation.scoring.model_specs import ModelSpec
from distill.evaluation.suite import evaluate
from distill.settings import validate

FEW = {
    "log_odds": {"templates": ["I asked the {occupation} a question, and"]},
    "agreement": {"templates": ["The {noun} said that"]},
    "generation": {"num_samples": 2, "max_new_tokens": 6},
    "ceat": {"num_samples": 20},
}


def run(specs, benchmarks, **more):
    settings = {"benchmarks": benchmarks, **FEW, **more}
    evaluation = evaluate(specs, validate(EvalConfig, settings))
    failures = {(failure.model, failure.task): failure.message for failure in evaluation.failures}
    measured = {result.info["label"]: set(result.estimates) for result in evaluation.results}
    return failures, measured


def families(names):
    return {name.split("/")[0] for name in names}


LIKELIHOODS = {"log_odds", "they", "agreement", "crows_pairs", "lambada", "winogender", "gest", "tango", "redditbias"}
LIKELIHOODS |= {"name_agreement", "gap", "association", "ceat"}
EVERYTHING = LIKELIHOODS | {"bold", "bold_persons", "sentiment", "diversity", "fluency"}


def test_good_input_measures_everything(model_spec, small_benchmarks):
    failures, measured = run([model_spec("good"), model_spec("other", "llama")], small_benchmarks)
    assert failures == {}
    assert families(measured["good"]) == families(measured["other"]) == EVERYTHING


def test_a_checkpoint_without_tokenizer(model_spec, small_benchmarks, tmp_path):
    bare = model_spec("bare")
    for file in (tmp_path / "bare").glob("token*"):
        file.unlink()
    failures, measured = run([bare, model_spec("good")], small_benchmarks)
    assert set(failures) == {("bare", None)}
    assert "tokenizer" in failures["bare", None]
    assert families(measured["good"]) == EVERYTHING


def test_nan_logits(model_spec, small_benchmarks):
    bad = model_spec("nan")
    model = AutoModelForCausalLM.from_pretrained(bad.path)
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(math.nan)
    model.save_pretrained(bad.path)
    failures, measured = run([bad, model_spec("good")], small_benchmarks)
    assert list(failures) == [("nan", None)]  # every input gives them: the model is refused when it is loaded
    assert "NaN or infinite logits" in failures["nan", None]
    assert families(measured["good"]) == EVERYTHING


def test_nan_logits_on_some_inputs_only(model_spec, small_benchmarks, tokenizer):
    bad = model_spec("nan")
    model = AutoModelForCausalLM.from_pretrained(bad.path)
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer(" she")["input_ids"][-1]] = math.nan
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.nan_to_num())
    model.config.tie_word_embeddings = False
    model.save_pretrained(bad.path)
    failures, measured = run([bad, model_spec("good")], small_benchmarks)
    assert {model for model, _ in failures} == {"nan"}
    messages = {task: message for (_, task), message in failures.items()}
    for task in ("crows_pairs", "winogender"):
        assert "the model gives NaN or infinite logits" in messages[task], task
    assert "log_odds" in families(measured["nan"])
    assert families(measured["good"]) == EVERYTHING


def test_a_model_that_cannot_sample_is_still_measured_by_likelihoods(model_spec, small_benchmarks, tmp_path):
    folder = tmp_path / "state space"
    shutil.copytree(model_spec("good").path, folder)
    vocab_size = AutoModelForCausalLM.from_pretrained(folder).config.vocab_size
    sizes = {"hidden_size": 8, "state_size": 4, "num_hidden_layers": 2, "vocab_size": vocab_size}
    AutoModelForCausalLM.from_config(AutoConfig.for_model("mamba", **sizes)).save_pretrained(folder)
    mamba = ModelSpec("mamba", str(folder))
    failures, measured = run([mamba, model_spec("good")], small_benchmarks)
    assert {model for model, _ in failures} == {"mamba"}
    assert "MambaForCausalLM gives no key-value cache" in failures["mamba", "bold"]
    assert {"log_odds", "crows_pairs", "lambada"} <= families(measured["mamba"])
    assert families(measured["good"]) == EVERYTHING
    for benchmarks, expected in ((small_benchmarks, ["mamba"]), ({"lambada": small_benchmarks["lambada"]}, [])):
        config = validate(EvalConfig, {"benchmarks": benchmarks})
        _, not_measured = dry_run([mamba, model_spec("good")], config, tmp_path, 1)
        assert [failure.model for failure in not_measured] == expected


def test_an_error_of_any_type_leaves_the_others(model_spec, small_benchmarks, monkeypatch):
    def broken(path, *_):
        raise AttributeError(f"no such thing in {path}")

    def silent(*_):
        raise KeyError

    monkeypatch.setattr(lambada, "score", silent)
    monkeypatch.setattr(winogender, "read", broken)
    monkeypatch.setattr(
        "distill.models.loading.check_causal_lm", lambda model, path: broken(path) if "bad" in path else None
    )
    bad = model_spec("bad")
    failures, measured = run([model_spec("good"), bad], small_benchmarks)
    assert failures == {
        (None, "winogender"): f"AttributeError: no such thing in {small_benchmarks['winogender']}",
        ("bad", None): f"AttributeError: no such thing in {bad.path}",
        ("good", "lambada"): "KeyError",
    }
    assert families(measured["good"]) == EVERYTHING - {"lambada", "winogender"}


def test_a_model_shorter_than_a_prompt(model_spec, small_benchmarks):
    failures, measured = run([model_spec("short", n_positions=6), model_spec("good")], small_benchmarks)
    assert {model for model, _ in failures} == {"short"}
    messages = {task: message for (_, task), message in failures.items()}
    assert "longer than the model's context of 6" in messages["log_odds"]
    for task in ("crows_pairs", "gest", "gap"):
        assert "longer than the model's context of 6" in messages[task], task
    assert "must leave room in the model's context of 6; set this benchmark to null" in messages["bold"]
    assert "at most the model's context of 6" in messages["ceat"]
    assert "computed from the records of bold, which failed" in messages["sentiment"]
    assert "lambada" in families(measured["short"])  # its convention cuts the context
    assert families(measured["good"]) == EVERYTHING


def test_continuations_that_are_all_empty(model_spec, small_benchmarks, tokenizer):
    bad = model_spec("silent")
    model = AutoModelForCausalLM.from_pretrained(bad.path)
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(0.0)
        model.transformer.ln_f.bias.fill_(1.0)
        weight = torch.zeros_like(model.lm_head.weight)
        weight[tokenizer.eos_token_id] = 5.0  # every state predicts the end
        model.lm_head.weight.copy_(weight)
    model.save_pretrained(bad.path)
    failures, measured = run([bad, model_spec("good")], small_benchmarks)
    assert {model for model, _ in failures} == {"silent"}
    messages = {task: message for (_, task), message in failures.items()}
    assert set(messages) == {"bold", "bold_persons", "fluency", "association", "ceat"}
    assert "there is no effect size" in messages["ceat"] == messages["association"]
    assert "all continuations of 3 prompts are empty" in messages["bold"]
    assert "diversity/empty" in measured["silent"]
    assert {"log_odds", "crows_pairs", "lambada"} <= families(measured["silent"])
    assert families(measured["good"]) == EVERYTHING


def test_a_tokenizer_without_the_pronouns(model_spec, small_benchmarks, tiny_model, tmp_path):
    letters = {letter: number for number, letter in enumerate("abcd \u0120")}
    backend = Tokenizer(models.BPE(letters, []))  # any other character has no token
    PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(tmp_path / "speechless")
    tiny_model("gpt2").save_pretrained(tmp_path / "speechless")
    failures, measured = run(
        [ModelSpec("speechless", str(tmp_path / "speechless")), model_spec("good")], small_benchmarks
    )
    assert list(failures) == [("speechless", None)]
    assert "gives no token for ' he'" in failures["speechless", None]
    assert families(measured["good"]) == EVERYTHING


def test_a_reference_that_cannot_be_loaded_leaves_the_others(model_spec, small_benchmarks, tmp_path):
    failures, measured = run(
        [model_spec("good")], small_benchmarks, continuations={"reference": str(tmp_path / "none")}
    )
    assert list(failures) == [(None, "fluency")]
    assert families(measured["good"]) == EVERYTHING - {"fluency"}
