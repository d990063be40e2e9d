"""`evenhand train`: the options that it gives accelerate's launcher, and the processes that this starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.commands import launch
from accelerate.commands.config import config_args
from launching import wait_for_steps

from distill import launcher

ROOT = Path(__file__).parents[2]
ACCELERATE = ROOT / "configs" / "accelerate"


@pytest.fixture
def launched(monkeypatch, tmp_path, config_file):
    """launched("--num_processes", "2", gpus=0): the options that accelerate's launcher gets."""
    monkeypatch.setattr(config_args, "default_config_file", str(tmp_path / "default_config.yaml"))

    def call(*words, gpus=0, bf16=True):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
        options = []
        monkeypatch.setattr(launch, "launch_command", options.append)
        assert launcher.main(["--config", str(config_file), *words]) == 0
        return options[0]

    return call


def test_settings_go_to_the_training_and_other_options_to_the_launcher(launched, config_file):
    words = ["train.max_steps=2", "--mixed-precision", "bf16", "--dry-run", "--main_process_port=0", "data.path=a b=c"]
    options = launched(*words)
    assert options.module and options.training_script == "distill.run"
    training = ["--config", str(config_file), "--dry-run", "train.max_steps=2", "data.path=a b=c"]
    assert options.training_script_args == training
    assert (options.mixed_precision, options.main_process_port) == ("bf16", 0)


def test_of_several_configurations_a_later_one_wins(launched, config_file, tmp_path):
    (tmp_path / "layers.yaml").write_text("student: {layers: [1, 2]}\n")
    options = launched("--config", str(tmp_path / "layers.yaml"))
    assert options.training_script_args == ["--config", str(config_file), "--config", str(tmp_path / "layers.yaml")]
    (tmp_path / "layers.yaml").write_text("student: {layer: [1, 2]}\n")
    with pytest.raises(ValueError, match=r"unknown config key student\.layer "):
        launched("--config", str(tmp_path / "layers.yaml"))


@pytest.mark.parametrize(
    ("words", "gpus", "name", "num_processes"),
    [
        ([], 0, "cpu", 1),
        (["--num_processes", "2"], 0, "cpu2", 2),
        (["--cpu"], 1, "cpu", 1),
        (["--cpu", "--num_processes", "2"], 1, "cpu2", 2),
        ([], 1, "one_gpu", 1),
        ([], 4, "ddp", 4),
        (["--num_processes", "1"], 4, "one_gpu", 1),
    ],
)
def test_the_hardware_is_chosen_if_the_user_does_not(words, gpus, name, num_processes, launched):
    options = launched(*words, gpus=gpus)
    assert Path(options.config_file) == ACCELERATE / f"{name}.yaml"
    assert options.num_processes == num_processes
    assert not options.cpu and options.mixed_precision is None  # the file says both


def test_a_gpu_without_bf16_computes_in_float32(launched):
    assert launched(gpus=1, bf16=False).mixed_precision == "no"
    assert launched("--mixed_precision", "fp16", gpus=1, bf16=False).mixed_precision == "fp16"


def test_what_the_user_chooses_is_left_alone(launched, tmp_path):
    options = launched("--config_file", "fsdp2", "--num_processes", "2", gpus=4)
    assert Path(options.config_file) == ACCELERATE / "fsdp2.yaml"
    assert options.num_processes == 2
    assert launched("--multi_gpu", gpus=4).config_file is None
    (tmp_path / "default_config.yaml").touch()
    assert launched(gpus=4).config_file is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "nope"], "config file nope does not exist; .* shipped name: federated, gpt2, in_place, lora,"),
        (["optim.rate=1"], "unknown config key optim.rate"),
        (["--num_proceses", "2"], "no.* option --num_proceses; did you mean --num_processes?"),
        (["--lr", "3"], "option --lr; settings are written key.sub=value, e.g. optim.lr=1e-4"),
        (["3e-4"], "unexpected word '3e-4'; settings are written key.sub=value"),
        (["--config_file", "nope"], "config file nope does not exist; .* shipped name: cpu, cpu2, ddp,"),
    ],
)
def test_bad_arguments_start_nothing(words, message, launched):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        launched(*words)


def test_a_key_that_stands_twice_in_accelerates_file_is_refused(launched, tmp_path):
    (tmp_path / "two.yaml").write_text("num_processes: 2\nmixed_precision: bf16\nnum_processes: 4\n")
    with pytest.raises(ValueError, match="two.yaml .* the key num_processes stands twice, in lines 1 and 3"):
        launched("--config_file", str(tmp_path / "two.yaml"))


def test_one_process_becomes_the_training(launched, monkeypatch, config_file):
    options = launched("train.max_steps=2")
    called = []
    monkeypatch.setattr(launch, "launch_command", launch_command)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.setattr(os, "execvpe", lambda *arguments: called.append(arguments))
    assert launcher._launch(options) == 0
    ((program, command, environment),) = called
    assert program == sys.executable
    assert command == [sys.executable, "-m", "distill.run", "--config", str(config_file), "train.max_steps=2"]
    assert environment["ACCELERATE_USE_CPU"] == "True"
    assert environment["ACCELERATE_MIXED_PRECISION"] == "no"
    assert environment["MALLOC_MMAP_MAX_"] == "0"
    assert environment["GOMP_SPINCOUNT"] == "7"  # the user's choice wins


launch_command = launch.launch_command


def start(*words, **environment):
    command = [sys.executable, "-m", "distill.cli", "train", *words]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_a_run_from_the_command_line(config_file, tmp_path):
    done = start("--config", str(config_file), "train.max_steps=2", HF_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"done: {tmp_path / 'run'}/student\n"
    assert "were not passed" not in done.stderr and "warn" not in done.stderr.lower()
    assert (tmp_path / "run" / "student" / "model.safetensors").is_file()


@pytest.mark.slow
def test_a_signal_reaches_the_training_and_its_exit_code_the_shell(config_file, tmp_path):
    words = ["--config", str(config_file), "train.max_steps=1000000", "train.save_every=1000000"]
    command = [sys.executable, "-m", "distill.cli", "train", *words]
    environment = os.environ | {"HF_HOME": str(tmp_path / "home")}
    log = tmp_path / "log"
    with log.open("w") as file, subprocess.Popen(command, env=environment, stderr=file) as process:
        try:
            wait_for_steps(tmp_path / "run", 1, process, log, seconds=600)
        finally:
            process.terminate()
    assert process.returncode == 143
    assert (tmp_path / "run" / "stopped.json").is_file()


@pytest.mark.slow
def test_several_processes_and_their_exit_code(config_file, tmp_path):
    words = ["--config", str(config_file), "--num_processes", "2", "train.max_steps=2", "train.micro_batch_size=2"]
    home = {"HF_HOME": str(tmp_path / "home")}
    done = start(*words, **home)
    assert done.returncode == 0, done.stderr
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["num_processes"] == 2
    done = start(*words, f"run_dir={tmp_path / 'other'}", "train.global_batch_size=6", **home)
    assert done.returncode == 1
    assert "error: " in done.stderr and "Traceback" not in done.stderr
