"""Target and student log-odds of a run, against closed forms of single documents."""

import json

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from augment import swap
from benchmarks import margin
from distill.config import RunConfig
from distill.settings import load_config


@pytest.fixture
def run(config_file, tiny_model, tokenizer, small_world, tmp_path):
    """The folder of a finished run: settings with held-out text, and a student that differs from its teacher."""
    settings = yaml.safe_load(config_file.read_text())
    documents = [
        {"text": text} for text in ("The man said that he slept.", "Rain fell.", "The nun said that she slept.")
    ]
    (tmp_path / "heldout.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    settings["data"] |= {"heldout_path": str(tmp_path / "heldout.jsonl")}
    folder = tmp_path / "arm" / "seed0"
    tiny_model("gpt2", seed=1).save_pretrained(folder / "student")
    tokenizer.save_pretrained(folder / "student")
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder


def log_odds_of(folder, tokenizer, text):
    """The log-odds of he against she after every prefix of a text [n], in float64."""
    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
    he, she = (tokenizer(word)["input_ids"][-1] for word in (" he", " she"))
    logits = AutoModelForCausalLM.from_pretrained(folder)(ids).logits[0].double()
    return (logits[:, he] - logits[:, she]).detach()


@pytest.mark.parametrize(
    ("operation", "gain"), [("none", 1), ("equivariant", 1), ("equivariant_geometric", 1), ("equivariant_geometric", 2)]
)
def test_values_are_those_of_the_closed_forms(run, tokenizer, tmp_path, monkeypatch, operation, gain):
    monkeypatch.setattr(margin, "MIN_MASS", 0)
    monkeypatch.setattr(margin, "MIN_LOG_ODDS", 1e-6)
    config = load_config(RunConfig, run / "config.yaml", [f"perturb.operation={operation}", f"perturb.gain={gain}"])
    (teacher, target, student), left_open = margin.log_odds(run, config, num_documents=2)  # the second has no gender
    text = "The man said that he slept."
    settled = slice(2, None)  # before "man" the views are one text, and their target is at parity
    own = log_odds_of(tmp_path / "teacher", tokenizer, text)[settled]
    carried = -log_odds_of(tmp_path / "teacher", tokenizer, swap(text).counterfactual)[settled]
    geometric = gain * (own + carried) / 2
    assert len(teacher) == len(own)
    if operation == "equivariant_geometric":
        assert torch.allclose((target / teacher).abs(), (geometric / own).abs(), atol=1e-4)
    if operation == "none":
        assert torch.allclose(target, teacher, atol=1e-5)
    if operation == "equivariant":  # signed towards the pronoun that this target prefers
        assert (target >= 0).all()
        assert (target <= torch.maximum(own.abs(), carried.abs()) + 1e-5).all()
    towards = torch.sign(own) * torch.sign(teacher)
    assert torch.allclose(student * towards, log_odds_of(run / "student", tokenizer, text)[settled], atol=1e-4)
    for folder, values in zip((tmp_path / "teacher", run / "student"), left_open, strict=True):
        assert torch.allclose(values, log_odds_of(folder, tokenizer, text)[:2], atol=1e-4)


@pytest.mark.parametrize("temperature", [1, 3])
def test_the_arithmetic_target_is_that_of_the_runs_temperature(run, tokenizer, tmp_path, monkeypatch, temperature):
    monkeypatch.setattr(margin, "MIN_MASS", 0)
    monkeypatch.setattr(margin, "MIN_LOG_ODDS", 1e-6)
    config = load_config(RunConfig, run / "config.yaml", [f"loss.temperature={temperature}"])
    (_, target, _), _ = margin.log_odds(run, config, num_documents=1)
    he, she = (tokenizer(word)["input_ids"][-1] for word in (" he", " she"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "teacher").double()
    views = []
    for text in ("The man said that he slept.", swap("The man said that he slept.").counterfactual):
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
        views.append((model(ids).logits[0, 2:].detach() / temperature).softmax(-1))
    own, other = views
    odds = (own[:, he] + other[:, she]) / (own[:, she] + other[:, he])
    assert torch.allclose(target, temperature * odds.log().abs(), atol=1e-5)


def test_table_has_a_line_per_run_and_leaves_out_places_that_settle_nothing(run, monkeypatch, capsys):
    monkeypatch.setattr(margin, "MIN_MASS", 0)
    assert margin.main([str(run)]) == 0
    header, _, line = capsys.readouterr().out.splitlines()
    assert header.count("|") == line.count("|")
    assert line.startswith("| arm | equivariant | 1 | ")
    some = margin.log_odds(run, load_config(RunConfig, run / "config.yaml"), 3)
    monkeypatch.setattr(margin, "MIN_LOG_ODDS", 0)
    every = margin.log_odds(run, load_config(RunConfig, run / "config.yaml"), 3)
    assert some.open.shape[1] > 0 and every.open.shape[1] == 0
    assert some.settled.shape[1] + some.open.shape[1] == every.settled.shape[1]


def test_a_run_without_held_out_text_is_refused(run, capsys):
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["data"].pop("heldout_path")
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    assert margin.main([str(run)]) == 2
    assert "no data.heldout_path" in capsys.readouterr().err
