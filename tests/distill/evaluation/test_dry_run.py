"""What a dry run shows."""

from pathlib import Path

from rich.console import Console

from distill.evaluation.config import EvalConfig
from distill.evaluation.dry_run import dry_run
from distill.evaluation.scoring.model_specs import ModelSpec
from distill.settings import load_config
from eval import main

NO_GAP = "counterfactual_gap.enabled=false"  # slow to prepare, and compared like the others
CONFIG = Path(__file__).parents[3] / "configs" / "eval" / "smallworld.yaml"


def test_a_dry_run_shows_sizes_and_time_and_writes_nothing(small_world, save, tmp_path, capsys):
    out = tmp_path / "out"
    words = [f"good={save('good')}", "--config", str(CONFIG), f"world={small_world}", "--out", str(out), "--dry-run"]
    words += [f"text.path={small_world / 'heldout.jsonl'}", "benchmarks.stereoset=none.json"]
    assert main([*words, f"bad={tmp_path / 'none'}"]) == 1
    shown = capsys.readouterr()
    assert not out.exists()
    lines = {line.split()[0]: line.split() for line in shown.out.splitlines() if line.strip()}
    assert lines["log_odds"][1] == "480"
    assert lines["perplexity"][1] == "40"
    assert lines["good"][4] == "0%"
    assert lines["good"][5].startswith("0:0")
    errors = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert [line.split(":")[1].strip() for line in errors] == ["stereoset", "bad"]


def test_a_dry_run_counts_records_on_disk_as_done(evaluated, save, small_world, tmp_path):
    model = save("a")
    folder = evaluated("out", f"a={model}")
    settings = [f"world={small_world}", f"text.path={small_world / 'heldout.jsonl'}", "text.max_documents=12", NO_GAP]
    config = load_config(EvalConfig, CONFIG, settings)
    tables, failures = dry_run([ModelSpec("a", str(model))], config, folder, 1)
    assert failures == []
    console = Console(width=100, record=True)
    console.print(tables[1])
    assert "100%" in console.export_text()


def test_a_dry_run_prepares_the_tasks(small_world, save, tmp_path, capsys):
    text, out = tmp_path / "text.txt", tmp_path / "out"
    text.write_text("A pilot smiled when she left.\n" + "It was cold.\n" * 9)  # one document with a counterfactual
    words = [f"a={save('a')}", "--config", str(CONFIG.with_name("default.yaml")), "--out", str(out)]
    words += [f"text.path={text}", "log_odds.enabled=false", "agreement.enabled=false"]
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--dry-run"]) == 0
    assert " 100% " in capsys.readouterr().out
    assert main([*words, "--dry-run", "perplexity.window=128"]) == 1
    shown = capsys.readouterr()
    assert "error: a, perplexity: a: perplexity.window = 128, but the model's context is 64 tokens" in shown.err
    assert " 100% " in shown.out  # of what can be measured
