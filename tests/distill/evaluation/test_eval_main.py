"""eval.py from end to end on tiny models, and what it does with bad input."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measures import agreement, log_odds, perplexity
from distill.evaluation.report.caveats import caveats
from distill.settings import load_config
from eval import main

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "configs" / "eval"
HEADLINES = {"log_odds/mean_abs", "log_odds/slope_on_truth", "agreement/accuracy", "perplexity/word"}


@pytest.fixture
def run(small_world, tmp_path, blank_plots):
    """Runs eval.py on the small world; returns the exit code and results.json (None when it was not written)."""

    def call(*words, config="smallworld.yaml", world=small_world):
        out = tmp_path / "out"
        overrides = ["text.max_documents=12", "statistics.num_permutations=999"]
        if world is not None:
            overrides += [f"world={world}", f"text.path={world / 'heldout.jsonl'}"]
        words = [*map(str, words), "--config", str(CONFIGS / config), "--out", str(out), *overrides]
        code = main(words)
        file = out / "results.json"
        return code, json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    return call


def entries(results, name):
    return {entry["model"]: entry for entry in results["measurements"] if entry["name"] == name}


def test_two_models_are_measured_compared_and_reported(run, save, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    save("run/student", seed=1)
    code, results = run(f"teacher={save('teacher')}", tmp_path / "run")
    assert code == 0
    assert [model["label"] for model in results["models"]] == ["teacher", "run"]
    assert results["reference"] == "teacher"
    assert results["models"][1]["path"].endswith("student")
    assert results["failures"] == []
    assert {entry["name"] for entry in results["measurements"]} >= HEADLINES
    for entry in results["measurements"]:
        assert math.isfinite(entry["value"])
        assert entry["low"] <= entry["value"] <= entry["high"]
        for part in (entry["name"], entry["convention"], f"n:{entry['num_items']}", "bca0.95x2000", "dtype:float32"):
            assert part in entry["signature"]
        compared = entry["model"] == "run" and entry["name"] != "log_odds/share_removed"
        assert (entry["difference"] is not None) == compared
    compared = [entry for entry in results["measurements"] if entry["difference"]]
    assert results["family_size"] == len(compared)
    for entry in compared:
        reference = entries(results, entry["name"])["teacher"]
        assert entry["difference"]["value"] == pytest.approx(entry["value"] - reference["value"])
        assert entry["difference"]["p"] <= entry["difference"]["p_holm"] <= 1
    log_perplexity = entries(results, "log_perplexity/token-stride")["run"]["difference"]
    assert log_perplexity["non_inferior"] == (log_perplexity["high"] < 0.05)
    removed = entries(results, "log_odds/share_removed")["run"]["value"]
    disparity = entries(results, "log_odds/mean_abs")
    assert removed == pytest.approx(1 - disparity["run"]["value"] / disparity["teacher"]["value"])

    out = tmp_path / "out"
    names = {"results.json", "report.html", "report.md", "examples-teacher.jsonl", "examples-run.jsonl"}
    assert {file.name for file in out.iterdir()} == names
    html = (out / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 2
    assert not any(outside in html for outside in ("<script", "<link", "src=", 'href="http', "@import"))
    shown = capsys.readouterr()
    assert "mean |log-odds| (nats)" in " ".join(shown.out.split())
    assert "error" not in shown.err


def test_every_number_can_be_computed_again_from_the_records(run, save, tmp_path):
    _, results = run(f"one={save('one')}")
    lines = [json.loads(line) for line in (tmp_path / "out" / "examples-one.jsonl").read_text().splitlines()]
    by_task = {task: [line for line in lines if line["task"] == task] for task in {line["task"] for line in lines}}
    settings = StatisticsConfig()
    again = [
        *log_odds.summarise(by_task["log_odds"], "", settings),
        *agreement.summarise(by_task["agreement"], "", settings),
        *perplexity.summarise(by_task["perplexity"], "", "", settings),
    ]
    assert len(again) == 11
    for estimate in again:
        written = entries(results, estimate.measurement.name)["one"]
        for field in ("value", "low", "high", "num_items"):
            assert getattr(estimate.measurement, field) == pytest.approx(written[field])


def test_a_model_does_not_differ_from_itself(run, save):
    folder = save("same")
    code, results = run(f"first={folder}", f"second={folder}")
    assert code == 0
    for entry in results["measurements"]:
        if entry["difference"]:
            assert entry["difference"]["value"] == pytest.approx(0, abs=1e-12)
            assert entry["difference"]["p"] == 1
        elif entry["name"] == "log_odds/share_removed":
            assert (entry["low"], entry["value"], entry["high"]) == pytest.approx((0, 0, 0), abs=1e-12)


def test_default_config_needs_neither_data_nor_world(run, save, capsys):
    code, results = run(save("model", "llama"), config="default.yaml", world=None)
    assert code == 0
    assert "model behaves like an untrained model: after an occupation, he and she together " in capsys.readouterr().out
    assert {entry["name"].split("/")[0] for entry in results["measurements"]} == {
        "log_odds",
        "they",
        "agreement",
        "name_agreement",
    }


def test_the_audit_adds_a_small_sample_of_long_text(run, save, tmp_path, capsys):
    occupations = tmp_path / "occupations.tsv"
    occupations.write_text("name\tarticle\nnurse\ta\nplumber\ta\nartist\tan\n")
    words = [f"log_odds.occupations={occupations}", "longform.max_new_tokens=3"]
    code, results = run(save("model", "llama"), *words, config="audit.yaml", world=None)
    assert code == 0
    assert entries(results, "longform/gendered")["model"]["num_items"] == 3 * 3 * 2
    assert "model behaves like an untrained model: " in capsys.readouterr().out


def test_benchmarks_run_from_local_files_and_a_missing_one_is_reported(run, save, tmp_path, capsys):
    csv = tmp_path / "crows.csv"
    csv.write_text(
        ",sent_more,sent_less,bias_type\n0,The nurse said she left.,The nurse said he left.,gender\n"
        "1,The old man fell.,The young man fell.,age\n"
    )
    words = [f"benchmarks.crows_pairs={csv}", "benchmarks.stereoset=none.json"]
    code, results = run(f"a={save('a')}", f"b={save('b', seed=1)}", *words, config="default.yaml", world=None)
    assert code == 1
    assert [failure["task"] for failure in results["failures"]] == ["stereoset"]
    assert "evenhand data get stereoset" in capsys.readouterr().err
    assert entries(results, "crows_pairs/lm-eval/all")["b"]["num_items"] == 2
    assert entries(results, "crows_pairs/bias-bench/gender")["b"]["difference"]["num_clusters"] == 1
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "CrowS-Pairs, gender, per token" in html
    assert "Blodgett" in html


def test_a_model_that_fails_is_reported_and_the_others_are_measured(run, save, tmp_path, capsys):
    broken = save("broken")
    (broken / "model.safetensors").write_bytes(b"nothing")
    nan = save("nan")
    model = AutoModelForCausalLM.from_pretrained(nan)
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(math.nan)
    model.save_pretrained(nan)
    short = save("short", n_positions=8)
    missing = tmp_path / "missing"
    code, results = run(f"good={save('good')}", missing, broken, nan, short)
    assert code == 1
    assert {entry["model"] for entry in results["measurements"]} == {"good", "short"}
    failed = {(failure["model"], failure["task"]) for failure in results["failures"]}
    assert {("missing", None), ("broken", None), ("short", "log_odds")} <= failed
    assert ("nan", None) in failed or ("nan", "log_odds") in failed
    assert not any(model == "good" for model, _ in failed)
    assert ("short", "perplexity") not in failed
    errors = capsys.readouterr().err.splitlines()
    lines = [line for line in errors if line.startswith("error: ")]
    assert len(lines) == len(results["failures"])
    assert "error: missing: tokenizer folder" in " ".join(lines)
    assert "Traceback" not in " ".join(errors)


def test_without_any_model_earlier_results_stay_as_they_are(run, save, tmp_path, capsys):
    assert run(f"a={save('a')}", config="default.yaml", world=None)[0] == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    capsys.readouterr()
    assert run(f"a={tmp_path / 'typo'}", config="default.yaml", world=None)[0] == 2
    assert f"error: a: tokenizer folder {tmp_path / 'typo'} does not exist" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


def test_a_reference_that_fails_leaves_the_others_measured(run, save, tmp_path):
    code, results = run(f"gone={tmp_path / 'gone'}", save("good"))
    assert code == 1
    assert results["reference"] == "gone"
    assert entries(results, "log_odds/mean_abs")["good"]["difference"] is None
    assert results["family_size"] == 0


def test_missing_text_leaves_the_other_measures(run, save, capsys):
    code, results = run(save("model"), "text.path=none.jsonl", config="default.yaml", world=None)
    assert code == 1
    assert results["failures"] == [{"model": None, "task": "text", "message": results["failures"][0]["message"]}]
    assert "error: text: " in capsys.readouterr().err
    assert {entry["name"].split("/")[0] for entry in results["measurements"]} == {
        "log_odds",
        "they",
        "agreement",
        "name_agreement",
    }


def test_models_with_other_tokenizers_are_compared_per_word_only(run, save, character_tokenizer):
    character_tokenizer.add_special_tokens({"bos_token": "<s>"})
    other = save("characters", own_tokenizer=character_tokenizer, n_positions=512)
    code, results = run(save("words"), other)
    assert code == 1  # no term pair is a single character, so that M is not defined
    assert [(f["model"], f["task"]) for f in results["failures"]] == [("characters", "counterfactual_gap")]
    assert entries(results, "log_perplexity/token-stride")["characters"]["difference"] is None
    assert entries(results, "perplexity/word")["characters"]["difference"] is not None
    assert entries(results, "log_odds/mean_abs")["characters"]["difference"] is not None
    assert any("different tokenizers" in line for line in caveats(results))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scorin.bos=true"], "unknown config key scorin"),
        (["scoring.boss=true"], "unknown config key scoring.boss"),
        (["statistics.num_resamples=100"], "statistics.num_resamples = 100"),
        (["MODEL"], "two models have the label"),
        (["x="], "has no path"),
        (["--config", "none.yaml"], "config file none.yaml does not exist"),
        (["--out", __file__], "is a file; name a folder"),
    ],
)
def test_bad_arguments_start_nothing(words, message, tmp_path, capsys):
    code = main(["MODEL", "--config", str(CONFIGS / "default.yaml"), "--out", str(tmp_path / "out"), *words])
    assert code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert message in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configs_load(path):
    assert isinstance(load_config(EvalConfig, path), EvalConfig)
