"""Runs whose text is a stream: nothing of it on disk, killed and resumed bit for bit, one process or two."""

import random
import time
from functools import partial
from pathlib import Path

import forked
import pytest
import torch
from launching import wait_for_steps
from safetensors.torch import load_file

from distill import train
from distill.data import stream as stream_module
from distill.privacy.members import read_run
from distill.run.folder import read_metrics
from distill.run.launch import leave


@pytest.fixture
def command(config_file, monkeypatch) -> list[str]:
    """A run that saves every fifth step, and whose windows of blocks are no whole number of steps."""
    monkeypatch.setattr(stream_module, "TOKENS_PER_WINDOW", 32 * 9)
    streaming = ["data.streaming=true", "data.max_documents=null", "data.heldout_fraction=0.1"]
    steps = ["train.max_steps=24", "train.save_every=5", "train.eval_every=100"]
    return ["--config", str(config_file), *streaming, *steps]


def assert_same_weights(run: Path, expected: Path) -> None:
    weights, others = (load_file(folder / "student" / "model.safetensors") for folder in (run, expected))
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in read_metrics(run) if "loss" in line]


def test_a_stream_that_is_killed_twice_ends_with_the_same_weights(command, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    train.main([*command, f"run_dir={whole}"])
    assert not list((tmp_path / "cache").rglob("train-*"))
    assert list((tmp_path / "cache").rglob("heldout-*.arrow"))
    assert "(read as a stream)" in (whole / "student" / "README.md").read_text()
    for number, num_steps in enumerate((7, 13)):
        log = tmp_path / f"log{number}"
        process = forked.start(partial(train.program, command), log)
        wait_for_steps(run, num_steps, process, log)
        process.kill()
        forked.wait(process, log)
        assert not (run / "student").exists()
    train.main(command)
    assert_same_weights(run, whole)
    assert losses(run) == losses(whole)
    with pytest.raises(ValueError, match=r"run has read its text as a stream \(data.streaming\), so it is not known"):
        read_run(run, None)
    with pytest.raises(ValueError, match="data.streaming: True there, False now"):
        train.main([*command, "data.streaming=false"])


def test_a_dry_run_says_how_many_cores_prepare_the_stream(command, tmp_path, capsys):
    train.main([*command, "--dry-run"])
    plan = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert "read as a stream, divided among 1 processes" in plan["documents"]
    assert "of at most 32 tokens, prepared while the run reads them, shuffled within 9;" in plan["blocks"]
    assert "blocks per second and core" in plan["preparation"] and "data.num_proc (1) to" in plan["preparation"]
    assert "24 optimizer steps of 8 sequences" in plan["steps"] and "epochs" not in plan["steps"]
    assert not (tmp_path / "run").exists()


def test_what_needs_the_whole_text_is_refused_before_anything_is_read(command, tmp_path):
    with pytest.raises(ValueError, match="data.max_documents cannot be combined with data.streaming: processes divide"):
        train.main([*command, "data.max_documents=5", "data.path=none.jsonl"])
    assert not (tmp_path / "run").exists() and not (tmp_path / "cache").exists()


def test_a_failed_step_names_the_block_of_the_stream(command):
    with pytest.raises(FloatingPointError, match=r"no block fails alone; the step read \[0, 1, 2, 3\] on process 0"):
        train.main([*command, "optim.grad_norm_limit=1e-9"])


@pytest.mark.slow
def test_a_stream_that_is_killed_twenty_times_ends_with_the_same_weights(command, tmp_path):
    longer = [*command, "train.max_steps=400"]
    train.main([*longer, f"run_dir={tmp_path / 'whole'}"])
    draw, killed = random.Random(0), 0
    for number in range(20):
        log = tmp_path / f"log{number}"
        process = forked.start(partial(train.program, longer), log)
        wait_for_steps(tmp_path / "run", min(15 * (number + 1), 390), process, log)
        time.sleep(draw.uniform(0, 0.3))
        killed += process.is_alive()
        process.kill()
        forked.wait(process, log)
    assert killed == 20 and not (tmp_path / "run" / "student").exists()
    train.main(longer)
    assert_same_weights(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_read_streams_of_their_own_and_resume_them(command, tmp_path):
    two = [*command, "train.micro_batch_size=2"]

    def program(run: Path) -> None:
        train.main([*two, f"run_dir={run}"])
        leave()

    def launch(run: Path) -> list[int]:
        return forked.launch("cpu2.yaml", program=partial(program, run), log=tmp_path / "log")

    assert launch(tmp_path / "whole") == [0, 0], (tmp_path / "log").read_text()
    first, *_, last = sorted((tmp_path / "whole" / "checkpoints").iterdir())
    states = [(last / f"stream_{rank}.json").read_text() for rank in (0, 1)]
    assert states[0] != states[1]
    (tmp_path / "whole" / "student").rename(tmp_path / "student")
    with pytest.raises(ValueError, match="is of 2 processes, but 1 would continue it, .*; launch 2 processes, as"):
        train.main([*two, f"run_dir={tmp_path / 'whole'}"])
    (tmp_path / "whole").rename(tmp_path / "run")
    forget = [path for path in (tmp_path / "run" / "checkpoints").iterdir() if path.name > first.name]
    for path in forget:
        path.rename(tmp_path / path.name)
    assert launch(tmp_path / "run") == [0, 0], (tmp_path / "log").read_text()
    resumed = load_file(tmp_path / "run" / "student" / "model.safetensors")
    expected = load_file(tmp_path / "student" / "model.safetensors")
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)
