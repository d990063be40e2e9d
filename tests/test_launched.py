"""What accelerate's own launcher and its processes do on the CPU: signals, refusals, error lines."""

import contextlib
import io
import json
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import forked
import pytest
from launching import ROOT, clean_environment, launch, launch_command, read_text, wait_for_steps

from distill import train


@pytest.mark.slow
def test_sigterm_to_the_launcher_saves_on_all_processes(config_file, tmp_path):
    long = ["--config", str(config_file), "train.max_steps=100000", "train.log_every=1"]
    long += ["train.eval_every=100000", "train.save_every=100000", f"run_dir={tmp_path / 'run'}"]
    command = launch_command("cpu2.yaml", str(ROOT / "train.py"), *long)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stdout=log, stderr=log)
    wait_for_steps(tmp_path / "run", 1, process, tmp_path / "log")
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=300)
    assert "stopped by SIGTERM after step" in (tmp_path / "log").read_text()
    step = json.loads((tmp_path / "run" / "stopped.json").read_text())["step"]
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == [f"step_{step:08d}"]


def test_a_refusal_is_one_line_of_each_process_and_nothing_hangs(config_file, tmp_path):
    refused = refuse(tmp_path)
    program = partial(train.program, ["--config", str(config_file)])
    assert forked.launch("cpu2.yaml", program=program, log=tmp_path / "log") == [1, 1]
    for name, start in (("log", "error: "), ("log.1", "error (process 1): ")):
        (line,) = [line for line in read_text(tmp_path / name).splitlines() if "error" in line]
        assert line == start + refused


@pytest.mark.slow
def test_a_refusal_through_the_launcher(config_file, tmp_path):
    refused = refuse(tmp_path)
    done = launch("cpu2.yaml", str(ROOT / "train.py"), "--config", str(config_file))
    assert done.returncode != 0
    assert f"error: {refused}" in done.stderr.splitlines()
    assert "Gloo" not in done.stderr and "gloo" not in done.stderr


def refuse(tmp_path: Path) -> str:
    """Put a file of the user's into the run folder. Returns the message that a run there gives."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    return f"run_dir {tmp_path / 'run'} is not empty and holds no run (no config.yaml); choose another folder"


def test_an_error_is_one_write_so_that_processes_do_not_write_into_each_others_lines(tmp_path, monkeypatch):
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # a datagram for every write
    with reader:
        with writer, io.TextIOWrapper(writer.makefile("wb", buffering=0), write_through=True) as unbuffered:
            monkeypatch.setattr(sys, "stderr", unbuffered)  # with which sys.exit needs two writes
            assert train.program(["--config", str(tmp_path / "missing.yaml")]) == 1
        written = reader.recv(65536)
        reader.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            assert reader.recv(65536) == b""
    assert b"missing.yaml" in written
    assert written.startswith(b"error: ") and written.endswith(b"\n")
