"""Private runs through the command line: crashes cost nothing, the secret stays, and what is stated is true."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import forked
import pytest
import torch
import yaml
from launching import FSDP, wait_for_steps
from safetensors.torch import load_file

from distill import train
from distill.export_checkpoint import export_checkpoint
from distill.run import trainer
from distill.run.folder import read_metrics
from distill.run.launch import leave

SECRET = "5e" * 32
PRIVATE = ["privacy.epsilon=1", "optim.max_grad_norm=0", "student.dropout=0", "data.max_documents=120"]


@pytest.fixture
def command(config_file) -> list[str]:
    return ["--config", str(config_file), *PRIVATE]


@pytest.fixture
def known_secret(monkeypatch) -> None:
    """Two runs with the same secret, to compare them; no user can choose one."""
    monkeypatch.setattr(trainer, "new_secret", lambda: SECRET)


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(run_dir / "student" / "model.safetensors")


def statement(run_dir: Path) -> dict:
    return json.loads((run_dir / "privacy.json").read_text())


def secret_of(run_dir: Path) -> str:
    newest = sorted((run_dir / "checkpoints").iterdir())[-1]
    return torch.load(newest / "run.pt", weights_only=True)["state"]["secret"]


def test_a_private_run_states_what_it_promises_and_keeps_its_secret(command, tmp_path, capsys):
    train.main([*command, "--dry-run"])
    plan = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    num_documents = int(plan["documents"].split()[0])
    delta = num_documents**-1.1
    assert f"6 optimizer steps of 4 documents on average ({24 / num_documents:.2f} passes)" in plan["steps"]
    assert plan["privacy"].strip() == f"epsilon 1 at delta {delta:.2g} for one document"
    assert plan["noise"].strip().startswith("multiplier ") and "of the clip 1;" in plan["noise"]
    assert plan["epsilon"].strip().endswith(" after 6 steps") and plan["epsilon"].count("after") == 6
    assert "assumed not to have" in plan["ancestors"]
    assert not (tmp_path / "run").exists()

    train.main(command)
    run = tmp_path / "run"
    stated = statement(run)
    assert (stated["epsilon"], stated["total"]["epsilon"], stated["spent"]["steps"]) == (1, 1, 6)
    assert 0.99 < stated["spent"]["epsilon"] <= 1
    assert (stated["documents_per_step"], stated["steps"], stated["documents"]) == (4, 6, num_documents)
    assert (stated["sample_rate"], stated["delta"]) == (4 / num_documents, delta)
    assert "document" in stated["unit"] and any("metrics.jsonl" in line for line in stated["not_covered"])
    assert json.loads((run / "student" / "privacy.json").read_text()) == stated
    metrics = [line for line in read_metrics(run) if "loss" in line]
    assert len(metrics) == 6
    assert all(
        {"num_records", "clipped", "num_nonfinite", "kd", "lr", "noise", "canary_gap"} <= line.keys()
        for line in metrics
    )
    assert len({line["num_records"] for line in metrics}) > 1

    card = (run / "student" / "README.md").read_text()
    for shown in ("## Privacy", f"epsilon 1 at delta {delta:.2g}", f"{stated['noise_multiplier']:.4f}", "Not covered:"):
        assert shown in card
    corpus = yaml.safe_load((run / "config.yaml").read_text())["provenance"]["data"]
    for exact in (corpus["corpus"], f"{corpus['train']['num_words']}", "num_edits", "scored tokens"):
        assert exact not in card  # whoever knows all documents but one would learn of that one

    secret = secret_of(run)
    assert len(secret) == 64
    assert {file.stat().st_mode & 0o077 for file in run.rglob("run.pt")} == {0}  # for its owner alone
    for file in (path for path in run.rglob("*") if path.is_file() and "checkpoints" not in path.parts):
        content = file.read_bytes()
        assert secret.encode() not in content and bytes.fromhex(secret) not in content, file
    for file in (path for path in (tmp_path / "cache").rglob("*") if path.is_file()):
        assert secret.encode() not in file.read_bytes(), file
    output = capsys.readouterr()
    assert secret not in output.out + output.err


def test_without_noise_nothing_is_promised_and_everything_says_so(command, tmp_path, capsys, monkeypatch):
    """The same steps to compare with. It needs no accountant, and cannot be the teacher of a private run."""
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    without = [*command, "privacy.epsilon=.inf", "train.max_steps=2"]
    train.main([*without, "--dry-run"])
    plan = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert plan["privacy"].strip().startswith("nothing is promised") and "epsilon" not in plan
    assert plan["noise"].strip() == "none; the clip is 1"
    train.main(without)
    run = tmp_path / "run"
    stated = statement(run)
    nothing = {"epsilon": None, "delta": None}
    assert stated["promise"].startswith("nothing is promised") and stated["total"] == nothing
    assert (stated["epsilon"], stated["delta"]) == (None, None)
    assert (stated["noise_multiplier"], stated["spent"]) == (0, {"steps": 2, "epsilon": None})
    assert (stated["max_record_norm"], stated["steps"], stated["documents_per_step"]) == (1, 2, 4)
    assert json.loads((run / "student" / "privacy.json").read_text()) == stated
    card = (run / "student" / "README.md").read_text()
    assert "## Privacy\n\nNothing is promised (privacy.epsilon is infinite)" in card
    assert "differential privacy" not in card
    steps = [line for line in read_metrics(run) if "loss" in line]
    assert [line["noise"] for line in steps] == [0, 0]
    assert [line["canary_gap"] for line in steps] == pytest.approx([1, 1])
    export_checkpoint(run, "step_00000002", tmp_path / "exported")
    assert "Nothing is promised" in (tmp_path / "exported" / "README.md").read_text()
    monkeypatch.undo()
    with pytest.raises(ValueError, match="without a privacy budget, so it may pass on any document of it"):
        train.main([*command, f"teacher.path={run / 'student'}", "student.layers=[0]", f"run_dir={tmp_path / 'next'}"])


def test_two_private_runs_of_the_same_seed_differ(command, tmp_path):
    for name in ("one", "other"):
        train.main([*command, "train.max_steps=1", f"run_dir={tmp_path / name}"])
    assert secret_of(tmp_path / "one") != secret_of(tmp_path / "other")
    one, other = weights(tmp_path / "one"), weights(tmp_path / "other")
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_crash_costs_no_budget_and_the_run_continues_bit_for_bit(command, tmp_path, monkeypatch, known_secret):
    train.main([*command, f"run_dir={tmp_path / 'whole'}"])
    step, calls = trainer.private_step, []

    def failing(*arguments, **keywords):
        calls.append(1)
        if len(calls) in (2, 7):  # in step 2, before its checkpoint, and in step 5, after that of step 4
            raise KeyboardInterrupt
        return step(*arguments, **keywords)

    monkeypatch.setattr(trainer, "private_step", failing)
    for expected in (0, 4):
        with pytest.raises(KeyboardInterrupt):
            train.main(command)
        assert statement(tmp_path / "run")["spent"]["steps"] == expected
        monkeypatch.setattr(trainer, "new_secret", lambda: pytest.fail("a second secret"))
    train.main(command)
    assert secret_of(tmp_path / "run") == SECRET
    expected = weights(tmp_path / "whole")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path / "run").items())
    assert statement(tmp_path / "run")["spent"] == statement(tmp_path / "whole")["spent"]
    ours, theirs = ([line["loss"] for line in read_metrics(tmp_path / n) if "loss" in line] for n in ("run", "whole"))
    assert ours == theirs


@pytest.mark.slow
def test_a_killed_private_run_continues_to_the_same_weights(command, tmp_path, known_secret):
    overrides = ["train.max_steps=24", "train.save_every=5", "train.eval_every=100"]
    train.main([*command, *overrides, f"run_dir={tmp_path / 'whole'}"])
    log = tmp_path / "log"
    process = forked.start(partial(train.program, [*command, *overrides]), log)
    wait_for_steps(tmp_path / "run", 8, process, log)
    process.kill()
    forked.wait(process, log)
    assert not (tmp_path / "run" / "student").exists()
    train.main([*command, *overrides])
    expected = weights(tmp_path / "whole")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path / "run").items())


def test_a_run_with_other_noise_or_another_promise_is_not_continued(command, tmp_path, monkeypatch):
    train.main(command)
    shutil.rmtree(tmp_path / "run" / "student")
    with pytest.raises(ValueError, match="privacy.epsilon: 1.0 there, 2.0 now"):
        train.main([*command, "privacy.epsilon=2"])
    monkeypatch.setattr("distill.run.private.plan.noise_for", lambda *_: 0.1)
    with pytest.raises(ValueError, match=r"was begun with the noise multiplier .*, but dp-acc.* now gives 0.1"):
        train.main(command)


@pytest.mark.parametrize(
    "settings",
    [
        ["teacher.targets=cached"],
        pytest.param(["train.micro_batch_size=2"], marks=pytest.mark.slow),
        pytest.param(["train.gradient_checkpointing=true"], marks=pytest.mark.slow),
    ],
)
def test_how_the_teacher_is_read_changes_nothing(settings, command, tmp_path, known_secret):
    train.main([*command, f"run_dir={tmp_path / 'plain'}"])
    train.main([*command, *settings])
    expected = weights(tmp_path / "plain")
    for name, tensor in weights(tmp_path / "run").items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=2e-5)


def test_steps_in_which_nothing_is_drawn_are_steps_of_noise(command, tmp_path):
    pairs = ["train.global_batch_size=2", "train.micro_batch_size=2", "teacher.targets=cached", "train.max_steps=12"]
    train.main([*command, *pairs])
    drawn = [line["num_records"] for line in read_metrics(tmp_path / "run") if "loss" in line]
    assert len(drawn) == 12 and 0 in drawn
    assert all(line["grad_norm"] > 0 for line in read_metrics(tmp_path / "run") if "loss" in line)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lora", "plain", "substitute"])
def test_other_students_are_private_too(kind, command, tmp_path, small_world):
    llama = "{model_type: llama, hidden_size: 16, intermediate_size: 32, num_attention_heads: 2, num_hidden_layers: 1}"
    settings = {
        "lora": ["student={layers: all, lora: {rank: 2}}", "loss.hidden_weight=0.1"],
        "plain": [
            *("teacher=null", "loss={kd_weight: 0, ce_weight: 1}", "perturb.operation=none", "augment.mode=none"),
            *(f"data.tokenizer={small_world / 'tokenizer'}", f"student={{config: {llama}}}"),
        ],
        "substitute": ["augment.mode=substitute", "augment.fraction=0.5", "perturb.operation=max"],
    }
    train.main([*command, *settings[kind], "train.max_steps=3"])
    stated, run = statement(tmp_path / "run"), tmp_path / "run"
    assert stated["spent"]["steps"] == 3 and stated["spent"]["epsilon"] <= 1
    assert stated["views"] == (2 if kind == "lora" else 1)
    assert stated["documents_per_step"] == (4 if kind == "lora" else 8)
    assert (stated["ancestors"] == []) == (kind == "plain")
    assert (run / "adapter").exists() == (kind == "lora")
    secret = secret_of(run).encode()
    files = [path for path in run.rglob("*") if path.is_file() and "checkpoints" not in path.parts]
    assert not any(secret in file.read_bytes() for file in files)


def test_a_checkpoint_is_exported_with_the_promise_of_its_run(command, tmp_path):
    train.main(command)
    export_checkpoint(tmp_path / "run", "step_00000004", tmp_path / "exported")
    assert json.loads((tmp_path / "exported" / "privacy.json").read_text()) == statement(tmp_path / "run")
    assert "## Privacy" in (tmp_path / "exported" / "README.md").read_text()
    secret = secret_of(tmp_path / "run")
    assert not any(secret.encode() in file.read_bytes() for file in (tmp_path / "exported").iterdir())


# -- several processes -----------------------------------------------------------------------------------------------


def in_two_processes(accelerate: tuple[str, ...], arguments: list[str], log: Path) -> list[int]:
    def program() -> int:
        code = train.program(arguments)
        leave()
        return code

    return forked.launch(*accelerate, program=program, log=log)


def test_two_processes_clip_before_they_reduce_and_add_the_noise_once(command, tmp_path, known_secret):
    train.main([*command, f"run_dir={tmp_path / 'alone'}"])
    codes = in_two_processes(("cpu2.yaml",), [*command, f"run_dir={tmp_path / 'two'}"], tmp_path / "log")
    assert codes == [0, 0], (tmp_path / "log").read_text()
    ours, theirs = ([line for line in read_metrics(tmp_path / n) if "loss" in line] for n in ("two", "alone"))
    assert read_metrics(tmp_path / "two")[0]["num_processes"] == 2
    for key in ("num_records", "num_tokens", "clipped"):
        assert [line[key] for line in ours] == [line[key] for line in theirs]
    for key in ("grad_norm", "noise", "canary_gap"):
        assert [line[key] for line in ours] == pytest.approx([line[key] for line in theirs], rel=1e-5)
    expected = weights(tmp_path / "alone")
    for name, tensor in weights(tmp_path / "two").items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=2e-5)
    assert statement(tmp_path / "two")["spent"] == statement(tmp_path / "alone")["spent"]


@pytest.mark.slow
def test_sharding_is_refused_on_all_processes(command, tmp_path):
    codes = in_two_processes(FSDP, command, tmp_path / "log")
    assert codes == [1, 1]
    assert "privacy cannot be combined with FSDP" in (tmp_path / "log").read_text()
    assert not (tmp_path / "run").exists()
