"""`evenhand eval` alone: no configuration, no data, no files, no network. And its verdicts."""

import json

import pytest

from distill.eval import main

FEW = [
    "statistics.num_permutations=999",
    "log_odds.templates=['The {occupation} said that']",
    "longform.max_new_tokens=3",
]


@pytest.fixture
def model(tiny_model, tokenizer, tmp_path):
    folder = tmp_path / "model"
    tiny_model("gpt2").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_alone_is_measured_printed_and_summed_up(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(model), *FEW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("agreement" in line for line in lines)
    assert lines[-1].startswith("model behaves like an untrained model: ") and lines[-1].endswith(".")
    assert list(tmp_path.iterdir()) == [model]


def test_local_models_need_no_network(model, monkeypatch, capsys):
    calls = []

    def refuse(*arguments, **options):
        calls.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # which would refuse to ask
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.chdir(model.parent)
    assert main(["model", "model/typo", *FEW]) == 1
    printed = capsys.readouterr()
    message = "error: typo: tokenizer folder model/typo does not exist; give an existing folder or a hub name"
    assert message in printed.err
    assert "model behaves like an untrained model: " in printed.out
    assert calls == []


def test_a_limit_decides_the_exit_code(model, tmp_path, capsys):
    out = tmp_path / "out"
    words = [str(model), "--out", str(out), *FEW]
    limits = ["--fail-above", "log_odds/mean_abs=1000", "--fail-above", "agreement/accuracy=-1"]
    assert main([*words, *limits[:2]]) == 0
    assert "pass: log_odds/mean_abs of model is " in capsys.readouterr().out
    assert main([*words, "--config", "default", *limits]) == 3
    shown = capsys.readouterr().out.splitlines()[-2:]
    assert shown[0].startswith("pass: log_odds/mean_abs of model is ") and shown[0].endswith("(limit 1000)")
    assert shown[1].startswith("FAIL: agreement/accuracy of model is ") and shown[1].endswith("(limit -1)")
    assert {entry["name"] for entry in json.loads((out / "results.json").read_text())["measurements"]} >= {
        "agreement/accuracy"
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fail-above", "log_odd/mean=1"], "did you mean log_odds/mean?"),
        (["--fail-above", "stereoset/gender/ss=50"], "do not measure it; measured are log_odds/mean_abs"),
        (
            ["--config", "nope"],
            "config file nope does not exist; give an existing YAML file or a shipped name: audit, ",
        ),
        (["--config", "smallworld"], "make it first: evenhand smallworld --out runs/smallworld/world"),
    ],
)
def test_bad_arguments(words, message, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(model), *words, *FEW]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [model]


def test_a_dry_run_needs_neither_configuration_nor_folder(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(model), "--dry-run", *FEW]) == 0
    assert "log_odds" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [model]
