"""What a run logs: a resumed run stays one run for its trackers, and its metrics survive a restart."""

from pathlib import Path

import pytest
from accelerate import Accelerator

from distill.config import RunConfig
from distill.run.folder import read_metrics
from distill.run.tracking import RunLog, check_trackers, tracker_options
from distill.settings import validate


def config(run_dir: Path, trackers: list[str]) -> RunConfig:
    settings = {"run_dir": str(run_dir), "data": {"path": "p"}, "teacher": {"path": "t"}, "student": {"layers": [0]}}
    return validate(RunConfig, settings | {"train": {"max_steps": 1, "trackers": trackers}})


def test_a_resumed_run_stays_one_run_at_wandb(tmp_path):
    accelerator = Accelerator(cpu=True)
    assert tracker_options(accelerator, config(tmp_path, ["tensorboard"])) == {}
    first = tracker_options(accelerator, config(tmp_path, ["wandb"]))["wandb"]
    assert tracker_options(accelerator, config(tmp_path, ["wandb"]))["wandb"] == first
    assert first["resume"] == "allow" and len(first["id"]) == 32
    other = tracker_options(accelerator, config(tmp_path / "..", ["wandb"]))["wandb"]
    assert other["id"] != first["id"]


def test_a_tracker_that_is_not_installed_is_refused():
    with pytest.raises(ValueError, match="train.trackers: nothing is not installed"):
        check_trackers(["nothing"])


def test_lines_after_the_step_that_a_run_resumes_from_are_dropped(tmp_path):
    accelerator = Accelerator(cpu=True)
    with RunLog(accelerator, tmp_path, 0, 9) as log:
        for step in (1, 2, 3):
            log.log(step, {"loss": step})
            log.log_samples(step, [{"prompt": "He", "continuation": "é"}])
    with RunLog(accelerator, tmp_path, 2, 9) as log:
        log.log(3, {"loss": 30})
    assert [(line["step"], line["loss"]) for line in read_metrics(tmp_path)] == [(1, 1), (2, 2), (3, 30)]
    assert (tmp_path / "samples.jsonl").read_text().count("é") == 2


def test_a_full_disk_is_named_with_the_file_that_could_not_be_written(tmp_path):
    with RunLog(Accelerator(cpu=True), tmp_path, 0, 9) as log:
        log.samples_file = Path("/dev/full")
        with pytest.raises(OSError, match="/dev/full cannot be written .No space left.*; make room to continue"):
            log.log_samples(1, [{"prompt": "He", "continuation": "is"}])


def test_throughput_and_mfu_count_tokens_since_the_last_line(tmp_path):
    log = RunLog(Accelerator(cpu=True), tmp_path, 0, 9, flops_per_token=100.0)
    with log:
        log.peak = 1e6  # as if on a known device
        log.advance(500)
        log.log_step(1, {"loss": 1.0})
        log.log_step(2, {"loss": 1.0})
    first, second = read_metrics(tmp_path)
    assert first["mfu"] == pytest.approx(first["tokens_per_second"] * 100 / 1e6)
    assert second["tokens_per_second"] == 0
    assert first["memory_bytes"] > 1e6
