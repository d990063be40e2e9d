"""Bad models and bad data through eval.py: each is one message, and everything else is measured."""

import copy
import json
import math
import shutil

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from distill.evaluation.config import EvalConfig
from distill.evaluation.dry_run import dry_run
from distill.evaluation.measures import lambada, winogender
from distill.evaluation.measures.all_measures import DESCRIPTIONS
from distill.evaluation.scoring.model_specs import ModelSpec
from distill.evaluation.suite import evaluate
from distill.settings import validate

WORLD_WORDS = ("The nurse said that", "A pilot smiled when", "My neighbour is a baker, and")


@pytest.fixture
def save(tiny_model, tokenizer, tmp_path):
    """Saves a tiny model with its tokenizer and returns its spec."""

    def build(name, architecture="gpt2", **settings):
        folder = tmp_path / name
        tiny_model(architecture, **settings).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return ModelSpec(name, str(folder))

    return build


@pytest.fixture
def data(tmp_path):
    """Small files of every benchmark, by their configuration key."""
    crows = tmp_path / "crows.csv"
    pair = "The nurse said that she left early.,The nurse said that he left early.,gender"
    crows.write_text(f"sent_more,sent_less,bias_type\n{pair}\n")
    lambada = tmp_path / "lambada.jsonl"
    lambada.write_text('{"text": "The nurse said that she left"}\n{"text": "A pilot smiled when he left"}\n')
    professions, persons = tmp_path / "profession_prompt.json", tmp_path / "gender_prompt.json"
    professions.write_text(json.dumps({"nursing": {"Nurse": [f"{text} " for text in WORLD_WORDS]}}))
    persons.write_text(json.dumps({"American_actors": {"A": ["A pilot "]}, "American_actresses": {"B": ["A nurse "]}}))
    winogender, association = tmp_path / "winogender", tmp_path / "association"
    winogender.mkdir()
    sentences = [
        f"{occupation}.guard.0.{kind}.txt\tThe {occupation} told the guard that {word} left.\n"
        for occupation in ("nurse", "pilot", "baker")
        for kind, word in (("male", "he"), ("female", "she"), ("neutral", "they"))
    ]
    (winogender / "all_sentences.tsv").write_text("sentid\tsentence\n" + "".join(sentences))
    shares = "nurse\t90\npilot\t6\nbaker\t57\n"
    (winogender / "occupations-stats.tsv").write_text("occupation\tbls_pct_female\n" + shares)
    association.mkdir()
    groups = {"targ1": ["nurse", "teacher"], "targ2": ["pilot", "guard"], "attr1": ["she"], "attr2": ["he"]}
    for name in ("weat6", "sent-weat6"):
        test = {group: {"category": group, "examples": words} for group, words in groups.items()}
        (association / f"{name}.jsonl").write_text(json.dumps(test))
    paths = {"crows_pairs": crows, "lambada": lambada, "bold": professions, "bold_persons": persons}
    paths |= {"winogender": winogender, "association": association}
    return {key: str(path) for key, path in paths.items()}


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


LIKELIHOODS = {"log_odds", "agreement", "crows_pairs", "lambada", "winogender", "association", "ceat"}
EVERYTHING = LIKELIHOODS | {"bold", "bold_persons", "sentiment", "diversity", "fluency"}


def test_good_input_measures_everything_and_describes_it(save, data, tmp_path):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("he 1 0\nshe 0 1\nman 2 1\nwoman 1 2\n")
    more = {"continuations": {"word_vectors": str(vectors)}}
    failures, measured = run([save("good"), save("other", "llama")], data, **more)
    assert failures == {}
    assert measured["good"] <= set(DESCRIPTIONS)
    assert {f"bold/{kind}/mean_ratio" for kind in ("gender_max", "gender_wavg")} <= measured["good"]
    assert families(measured["good"]) == families(measured["other"]) == EVERYTHING


def test_a_checkpoint_without_tokenizer(save, data, tmp_path):
    bare = save("bare")
    for file in (tmp_path / "bare").glob("token*"):
        file.unlink()
    failures, measured = run([bare, save("good")], data)
    assert set(failures) == {("bare", None)}
    assert "tokenizer" in failures["bare", None]
    assert families(measured["good"]) == EVERYTHING


def test_nan_logits(save, data):
    spec = save("nan")
    model = AutoModelForCausalLM.from_pretrained(spec.path)
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(math.nan)
    model.save_pretrained(spec.path)
    failures, measured = run([spec, save("good")], data)
    assert list(failures) == [("nan", None)]  # every input gives them: the model is refused when it is loaded
    assert "NaN or infinite logits" in failures["nan", None]
    assert families(measured["good"]) == EVERYTHING


def test_nan_logits_on_some_inputs_only(save, data, tokenizer):
    spec = save("nan")
    model = AutoModelForCausalLM.from_pretrained(spec.path)
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer(" she")["input_ids"][-1]] = math.nan
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.nan_to_num())
    model.config.tie_word_embeddings = False
    model.save_pretrained(spec.path)
    failures, measured = run([spec, save("good")], data)
    assert {model for model, _ in failures} == {"nan"}
    told = {task: message for (_, task), message in failures.items()}
    for task in ("crows_pairs", "winogender"):
        assert "the model gives NaN or infinite logits" in told[task], task
    assert "log_odds" in families(measured["nan"])
    assert families(measured["good"]) == EVERYTHING


def test_a_model_that_cannot_sample_is_measured_otherwise(save, data, tmp_path):
    folder = tmp_path / "state space"
    shutil.copytree(save("good").path, folder)
    vocab_size = AutoModelForCausalLM.from_pretrained(folder).config.vocab_size
    sizes = {"hidden_size": 8, "state_size": 4, "num_hidden_layers": 2, "vocab_size": vocab_size}
    AutoModelForCausalLM.from_config(AutoConfig.for_model("mamba", **sizes)).save_pretrained(folder)
    spec = ModelSpec("mamba", str(folder))
    failures, measured = run([spec, save("good")], data)
    assert {model for model, _ in failures} == {"mamba"}
    assert "MambaForCausalLM gives no key-value cache" in failures["mamba", "bold"]
    assert {"log_odds", "crows_pairs", "lambada"} <= families(measured["mamba"])
    assert families(measured["good"]) == EVERYTHING
    for benchmarks, expected in ((data, ["mamba"]), ({"lambada": data["lambada"]}, [])):
        _, told = dry_run([spec, save("good")], validate(EvalConfig, {"benchmarks": benchmarks}), tmp_path, 1)
        assert [failure.model for failure in told] == expected


def test_an_error_of_any_type_leaves_the_others(save, data, monkeypatch):
    def broken(path, *_):
        raise AttributeError(f"no such thing in {path}")

    def untold(*_):
        raise KeyError

    monkeypatch.setattr(lambada, "score", untold)
    monkeypatch.setattr(winogender, "read", broken)
    monkeypatch.setattr(
        "distill.models.loading.check_head", lambda model, path: broken(path) if "bad" in path else None
    )
    bad = save("bad")
    failures, measured = run([save("good"), bad], data)
    assert failures == {
        (None, "winogender"): f"AttributeError: no such thing in {data['winogender']}",
        ("bad", None): f"AttributeError: no such thing in {bad.path}",
        ("good", "lambada"): "KeyError",
    }
    assert families(measured["good"]) == EVERYTHING - {"lambada", "winogender"}


def test_a_model_shorter_than_a_prompt(save, data):
    failures, measured = run([save("short", n_positions=6), save("good")], data)
    assert {model for model, _ in failures} == {"short"}
    told = {task: message for (_, task), message in failures.items()}
    assert "longer than the model's context of 6" in told["log_odds"]
    assert "longer than the model's context of 6" in told["crows_pairs"]
    assert "must leave room in the model's context of 6" in told["bold"]
    assert "at most the model's context of 6" in told["ceat"]
    assert "computed from the records of bold, which failed" in told["sentiment"]
    assert "lambada" in families(measured["short"])  # there the context is cut, as its convention has it
    assert families(measured["good"]) == EVERYTHING


def test_continuations_that_are_all_empty(save, data, tokenizer):
    spec = save("silent")
    model = AutoModelForCausalLM.from_pretrained(spec.path)
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(0.0)
        model.transformer.ln_f.bias.fill_(1.0)
        weight = torch.zeros_like(model.lm_head.weight)
        weight[tokenizer.eos_token_id] = 5.0  # every state predicts the end
        model.lm_head.weight.copy_(weight)
    model.save_pretrained(spec.path)
    failures, measured = run([spec, save("good")], data)
    assert {model for model, _ in failures} == {"silent"}
    told = {task: message for (_, task), message in failures.items()}
    assert set(told) == {"bold", "bold_persons", "fluency", "association", "ceat"}
    assert "there is no effect size" in told["ceat"] == told["association"]
    assert "all continuations of 3 prompts are empty" in told["bold"]
    assert "diversity/empty" in measured["silent"]
    assert {"log_odds", "crows_pairs", "lambada"} <= families(measured["silent"])
    assert families(measured["good"]) == EVERYTHING


def test_a_tokenizer_without_the_pronouns(save, data, tiny_model, tmp_path):
    letters = {letter: number for number, letter in enumerate("abcd \u0120")}
    backend = Tokenizer(models.BPE(letters, []))  # any other character has no token
    PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(tmp_path / "speechless")
    tiny_model("gpt2").save_pretrained(tmp_path / "speechless")
    failures, measured = run([ModelSpec("speechless", str(tmp_path / "speechless")), save("good")], data)
    assert list(failures) == [("speechless", None)]
    assert "gives no token for ' he'" in failures["speechless", None]
    assert families(measured["good"]) == EVERYTHING


@pytest.mark.parametrize("key", ["crows_pairs", "lambada", "bold", "bold_persons"])
@pytest.mark.parametrize(("content", "message"), [("", "is empty"), ('{"a": 1}', "."), (None, "does not exist")])
def test_a_bad_file_leaves_the_others(save, data, tmp_path, key, content, message):
    bad = tmp_path / "bad.json"
    if content is not None:
        bad.write_text(content)
    paths = data | {key: str(bad)}
    off = {"log_odds": {"enabled": False}, "agreement": {"enabled": False}, "continuations": {"fluency": False}}
    failures, measured = run([save("good")], paths, **off)
    assert list(failures) == [(None, key)]
    assert failures[None, key].startswith(f"benchmarks.{key}: ")
    assert message in failures[None, key]
    assert any(command in failures[None, key] for command in ("curl ", "hf download "))
    assert families(measured["good"]) == EVERYTHING - {key, "fluency", "log_odds", "agreement"}


def test_a_reference_that_cannot_be_loaded_leaves_the_others(save, data, tmp_path):
    failures, measured = run([save("good")], data, continuations={"reference": str(tmp_path / "none")})
    assert list(failures) == [(None, "fluency")]
    assert families(measured["good"]) == EVERYTHING - {"fluency"}


def test_another_model_rates_the_continuations(save, data, tmp_path):
    rater = save("rater", "llama", seed=3)
    settings = {"log_odds": {"enabled": False}, "agreement": {"enabled": False}}
    config = validate(
        EvalConfig,
        {"benchmarks": data, "generation": {"num_samples": 2, "max_new_tokens": 6}, **settings}
        | {"continuations": {"reference": rater.path}},
    )
    shutil.copytree(rater.path, tmp_path / "twin")
    evaluation = evaluate(
        [save("good"), ModelSpec("rater", rater.path), ModelSpec("twin", str(tmp_path / "twin"))], config
    )
    assert evaluation.failures == []
    perplexities = {result.info["label"]: result.estimates["fluency/perplexity"] for result in evaluation.results}
    conventions = {estimate.measurement.convention for estimate in perplexities.values()}
    assert len(conventions) == 1
    assert conventions.pop().startswith("reference:")
    assert perplexities["twin"].measurement.value == pytest.approx(perplexities["rater"].measurement.value)
    assert perplexities["good"].measurement.value > perplexities["rater"].measurement.value  # its own text suits it


def test_two_raters_in_run_folders_are_told_apart(save, data, tmp_path):
    conventions = set()
    for seed in (3, 4):
        shutil.copytree(save(f"rater{seed}", "llama", seed=seed).path, tmp_path / f"run{seed}" / "student")
        off = {"log_odds": {"enabled": False}, "agreement": {"enabled": False}, "generation": FEW["generation"]}
        rated = {"reference": str(tmp_path / f"run{seed}"), "sentiment": False, "diversity": False}
        settings = {"benchmarks": {"bold": data["bold"]}, **off, "continuations": rated}
        (result,) = evaluate([save("good")], validate(EvalConfig, settings)).results
        conventions.add(result.estimates["fluency/perplexity"].measurement.convention)
    assert len(conventions) == 2


def test_a_rater_under_another_start_token_is_told_apart(save, data, tokenizer, tmp_path):
    rater = save("rater", "llama", seed=3)
    tokenizer = copy.deepcopy(tokenizer)
    own, other = tokenizer.bos_token, "\u0120she"
    tokenizer.bos_token = tokenizer.eos_token = other
    tokenizer.save_pretrained(rater.path)
    found = []
    for start in (None, own):  # one token for the model that samples, two for the one that rates
        off = {"log_odds": {"enabled": False}, "agreement": {"enabled": False}, "generation": FEW["generation"]}
        rated = {"reference": rater.path, "sentiment": False, "diversity": False}
        settings = {"benchmarks": {"bold": data["bold"]}, **off, "continuations": rated}
        settings["scoring"] = {"start_token": start}
        (result,) = evaluate([save("good")], validate(EvalConfig, settings)).results
        found.append(result)
    assert found[0].tasks["bold"].key == found[1].tasks["bold"].key
    assert found[0].tasks["fluency"].key != found[1].tasks["fluency"].key
    one, two = (result.estimates["fluency/perplexity"].measurement for result in found)
    assert one.value != two.value
    assert one.convention != two.convention


def test_contexts_come_from_the_text_even_when_nothing_else_reads_it(save, data, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Once she met a nurse and a pilot.\nThe teacher and the guard saw that he left.\n")
    only = {"association": data["association"]}
    off = {"perplexity": {"enabled": False}, "counterfactual_gap": {"enabled": False}}
    ceat = {"ceat": {"contexts": "text", "num_samples": 5}}
    failures, measured = run([save("good")], only, **off, **ceat, text={"path": str(text)})
    assert failures == {}
    assert "ceat/mean_abs" in measured["good"]
    failures, measured = run([save("good")], only, **off, **ceat)
    assert "there is no text; set text.path" in failures[None, "ceat"]
    assert "association" in families(measured["good"])
