"""The run folder: one process writes to it, and says clearly when it cannot."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
from functools import partial
from pathlib import Path

import forked
import pytest

from distill.config import RunConfig
from distill.run.folder import check_settings, leave_note, open_run
from distill.settings import dump_yaml, load_yaml, to_dict, validate

ORIGIN = {"data": {"corpus": "abc"}}


def config(run_dir: Path, **settings: object) -> RunConfig:
    base = {
        "run_dir": str(run_dir),
        "data": {"path": "unused"},
        "teacher": {"path": "unused"},
        "student": {"layers": [0]},
        "train": {"max_steps": 1},
        "provenance": ORIGIN,
    }
    return validate(RunConfig, base | settings)


def _hold(run_dir: Path, pipe) -> None:
    with open_run(config(run_dir)):
        pipe.send(os.getpid())
        pipe.recv()


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds tmp_path / run."""
    ours, theirs = multiprocessing.Pipe()
    process = forked.start(partial(_hold, tmp_path / "run", theirs), tmp_path / "log")
    ours.recv()
    yield process
    process.kill()
    process.join()


def test_a_second_process_is_refused_until_the_first_is_gone_however_it_went(other_process, tmp_path):
    run = config(tmp_path / "run")
    here = f"in use by process {other_process.pid} on {socket.gethostname()}; wait for that run or stop it"
    with pytest.raises(OSError, match=here), open_run(run):
        pass
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    os.kill(other_process.pid, signal.SIGKILL)
    other_process.join()
    assert (tmp_path / "run" / ".lock.json").exists()  # it had no time to clean up, which does not matter
    with open_run(run):
        assert json.loads((tmp_path / "run" / ".lock.json").read_text())["pid"] == os.getpid()
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before
    assert not (tmp_path / "run" / ".lock.json").exists()


def test_the_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(KeyError), open_run(config(tmp_path / "run")):
        raise KeyError
    with open_run(config(tmp_path / "run")):
        pass


def test_settings_that_only_watch_a_run_may_change_and_others_may_not(tmp_path):
    with open_run(config(tmp_path)):
        (tmp_path / "checkpoints" / "step_00000001").mkdir(parents=True)
    free = {"max_steps": 1, "save_every": 3, "on_nonfinite": "skip", "gradient_checkpointing": True}
    with open_run(config(tmp_path, train=free, optim={"grad_norm_limit": 9})):
        pass
    with (
        pytest.raises(ValueError, match="train.max_steps: 1 there, 2 now"),
        open_run(config(tmp_path, train={"max_steps": 2})),
    ):
        pass
    with (
        pytest.raises(ValueError, match="provenance.data.corpus: 'abc' there, 'abd' now"),
        open_run(config(tmp_path, provenance={"data": {"corpus": "abd"}})),
    ):
        pass


def test_a_run_without_a_checkpoint_begins_again_with_other_settings(tmp_path, capsys):
    """For example after the first step ran out of memory."""
    with open_run(config(tmp_path)):
        (tmp_path / "checkpoints" / "step_00000001.partial").mkdir(parents=True)
        (tmp_path / "wandb_id").write_text("1")
    with open_run(config(tmp_path)):
        assert (tmp_path / "wandb_id").exists()
    assert capsys.readouterr().out == ""
    other = {"data": {"corpus": "abd"}}
    half = config(tmp_path, teacher={"path": "unused", "dtype": "bfloat16"}, provenance=other)
    check_settings(half)
    with open_run(half):
        written = load_yaml(tmp_path / "config.yaml")
    assert (written["teacher"]["dtype"], written["provenance"]) == ("bfloat16", other)
    assert not (tmp_path / "wandb_id").exists()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith("has no checkpoint; it begins again with other settings:")
    assert printed[1:] == [
        "  provenance.data.corpus: 'abc' there, 'abd' now",
        "  teacher.dtype: 'float32' there, 'bfloat16' now",
    ]
    (tmp_path / "student").mkdir()
    with (
        pytest.raises(ValueError, match="teacher.dtype: 'bfloat16' there"),
        open_run(config(tmp_path, provenance=other)),
    ):
        pass


@pytest.mark.parametrize("of_user", [False, True])
def test_a_config_file_that_no_run_has_written_is_not_overwritten(of_user, tmp_path):
    mine = dump_yaml(to_dict(config(tmp_path, provenance=None))) if of_user else "thesis: mine\n"
    (tmp_path / "config.yaml").write_text(mine)
    with (
        pytest.raises(ValueError, match="was not written by a run|is not the configuration of a run"),
        open_run(config(tmp_path)),
    ):
        pass
    assert (tmp_path / "config.yaml").read_text() == mine


def test_what_an_interrupted_start_left_is_no_foreign_folder(tmp_path):
    for name in (".lock", ".lock.json.partial", "config.yaml.partial", "stopped.json"):
        (tmp_path / name).write_text("")
    with open_run(config(tmp_path)):
        assert (tmp_path / "config.yaml").exists()


def test_a_file_of_somebody_else_is_never_joined_by_a_run(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="is not empty and holds no run"), open_run(config(tmp_path)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_settings_are_compared_by_the_holder_of_the_lock_only(other_process, tmp_path):
    other = config(tmp_path / "run", train={"max_steps": 2})
    with pytest.raises(OSError, match="in use by process"), open_run(other):
        pass


def test_a_note_of_a_stop_is_not_left_in_a_folder_that_another_process_holds(other_process, tmp_path):
    leave_note(tmp_path / "run", "{}")
    assert not (tmp_path / "run" / "stopped.json").exists()
    leave_note(tmp_path / "new", "{}")
    assert (tmp_path / "new" / "stopped.json").read_text() == "{}"


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match=r"run_dir .*run cannot be written \(.*\); choose a folder that can"),
        open_run(config(tmp_path / "file" / "run")),
    ):
        pass


def test_a_read_only_folder_is_one_message(tmp_path):
    """Uses a read-only file system, because permissions do not stop a superuser."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    try:
        with open_run(config(disk / "run")):
            pass
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for folder in (disk / "run", disk / "new"):
            with (
                pytest.raises(OSError, match=r"run_dir .* cannot be written \(.*Read-only"),
                open_run(config(folder)),
            ):
                pass
    finally:
        subprocess.run(["umount", disk], check=True)
