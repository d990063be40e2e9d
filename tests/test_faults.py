"""Faults injected into the main job through its own command line: one message, a non-zero exit code, nothing lost."""

import json
import os
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import forked
import pytest
from launching import wait_for_steps

from distill import train
from distill.data import blocks as data
from distill.run.folder import read_metrics


@pytest.fixture
def endless(config_file) -> list[str]:
    """A run that lasts until something stops it, and writes no checkpoint before that."""
    return [
        "--config",
        str(config_file),
        "train.max_steps=1000000",
        "train.save_every=1000000",
        "train.eval_every=1000000",
    ]


def test_sigterm_is_a_checkpoint_and_exit_code_143_and_nobody_else_may_write_before(endless, tmp_path):
    log = tmp_path / "log"
    process = forked.start(partial(train.program, endless), log)
    wait_for_steps(tmp_path / "run", 3, process, log)
    with pytest.raises(OSError, match=f"run_dir .* is in use by process {process.pid} on "):
        train.main(endless)
    os.kill(process.pid, signal.SIGTERM)
    assert forked.wait(process, log) == 143, log.read_text()
    last = log.read_text().splitlines()[-1]
    assert last.startswith("stopped by SIGTERM after step ") and last.endswith("the same command continues the run")
    step = json.loads((tmp_path / "run" / "stopped.json").read_text())["step"]
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == [f"step_{step:08d}"]


def test_a_flipped_bit_in_the_newest_checkpoint_costs_only_the_steps_after_the_one_before(
    config_file, tmp_path, capsys
):
    train.main(["--config", str(config_file)])
    before = (tmp_path / "run" / "student" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "run" / "student")
    file = tmp_path / "run" / "checkpoints" / "step_00000006" / "state" / "__0_0.distcp"
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 3] ^= 64
    file.write_bytes(raw)
    capsys.readouterr()
    train.main(["--config", str(config_file)])
    printed = capsys.readouterr().out
    assert "step_00000006 is damaged (state/__0_0.distcp has another checksum than when it was written)" in printed
    assert "from step 4 of 6" in printed
    assert (tmp_path / "run" / "student" / "model.safetensors").read_bytes() == before
    assert [line["step"] for line in read_metrics(tmp_path / "run") if "loss" in line] == [1, 2, 3, 4, 5, 6]


def test_a_full_disk_is_one_line_and_the_run_continues_when_there_is_room(config_file, tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    arguments = ["--config", str(config_file), "train.max_steps=4"]
    try:
        train.main([*arguments, f"run_dir={tmp_path / 'whole'}"])
        filler = disk / "filler"
        filler.write_bytes(b"x" * (shutil.disk_usage(disk).free - 1_400_000))  # room for one checkpoint, not for two
        assert train.program([*arguments, f"run_dir={disk / 'run'}"]) == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("error: checkpoint ") and "step_00000004 cannot be written" in last, last
        assert last.endswith("it continues from step_00000002")
        filler.unlink()
        train.main([*arguments, f"run_dir={disk / 'run'}"])
        ours, theirs = (run / "student" / "model.safetensors" for run in (disk / "run", tmp_path / "whole"))
        assert ours.read_bytes() == theirs.read_bytes()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_data_that_is_removed_or_changed_between_two_runs_is_refused(config_file, tmp_path, small_world):
    corpus = tmp_path / "corpus.jsonl"
    shutil.copy(small_world / "train.jsonl", corpus)
    arguments = ["--config", str(config_file), f"data.path={corpus}"]
    train.main(arguments)
    shutil.rmtree(tmp_path / "run" / "student")
    text = corpus.read_text()
    corpus.unlink()
    with pytest.raises(FileNotFoundError, match=r"corpus .*corpus.jsonl does not exist; set data.path"):
        train.main(arguments)
    corpus.write_text(text[: text.rindex("\n", 0, -1) + 1])  # one document less
    with pytest.raises(ValueError, match=r"(?s)holds a run with other settings:.*provenance.data.corpus: "):
        train.main(arguments)
    corpus.write_text(text)
    train.main(arguments)


def test_a_tokenizer_that_has_changed_between_two_runs_is_refused(config_file, tmp_path):
    train.main(["--config", str(config_file)])
    shutil.rmtree(tmp_path / "run" / "student")
    file = tmp_path / "teacher" / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:-1]
    file.write_text(json.dumps(tokenizer))
    with pytest.raises(ValueError, match=r"(?s)other settings:.*provenance.tokenizer: '"):
        train.main(["--config", str(config_file)])


def test_a_student_configuration_that_has_changed_between_two_runs_is_refused(config_file, tmp_path):
    file = tmp_path / "student.json"
    settings = {"model_type": "gpt2", "n_embd": 16, "n_head": 2, "n_layer": 1, "n_positions": 64}
    arguments = ["--config", str(config_file), f"student={{config: {file}}}", "train.max_steps=1"]
    file.write_text(json.dumps(settings))
    train.main(arguments)
    shutil.rmtree(tmp_path / "run" / "student")
    file.write_text(json.dumps(settings | {"activation_function": "relu"}))  # the weights keep their shapes
    with pytest.raises(ValueError, match=r"(?s)other settings:.*provenance.student.activation_function: None there"):
        train.main(arguments)
    file.write_text(json.dumps(settings))
    train.main(arguments)


def test_a_corrupt_row_is_named_by_file_and_line(config_file, tmp_path, small_world):
    corpus = tmp_path / "corpus.jsonl"
    lines = (small_world / "train.jsonl").read_text().splitlines()
    lines[41] = lines[41][:-5]
    corpus.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"corpus.jsonl:42 is not JSON \(.*\); repair or remove the row"):
        train.main(["--config", str(config_file), f"data.path={corpus}"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["train-00000.arrow", "info.json"])
def test_a_damaged_cache_says_which_folder_to_remove(name, config_file, tmp_path):
    train.main(["--config", str(config_file), "--dry-run"])
    (file,) = (tmp_path / "cache").glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ValueError, match=rf"the cached blocks in {file.parent} cannot be read .*; remove that folder"):
        train.main(["--config", str(config_file)])


def test_a_cache_that_has_lost_a_shard_says_which_folder_to_remove(config_file, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "CHARACTERS_PER_SHARD", 20_000)
    train.main(["--config", str(config_file), "--dry-run"])
    (shard,) = (tmp_path / "cache").glob("*/train-00001.arrow")
    shard.unlink()
    with pytest.raises(ValueError, match=r"cannot be read \(train has \d+ blocks instead of \d+\); remove that folder"):
        train.main(["--config", str(config_file)])


def test_a_log_on_a_full_disk_is_one_message(config_file, tmp_path, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full on this system")
    from distill.run import tracking

    real = Path.open

    def full(path: Path, mode: str = "r", **options: object):
        return real(Path("/dev/full") if (path.name, mode) == ("metrics.jsonl", "a") else path, mode, **options)

    monkeypatch.setattr(tracking.Path, "open", full)
    with pytest.raises(OSError, match=r"cannot be written \(No space left on device\)"):
        train.main(["--config", str(config_file)])
