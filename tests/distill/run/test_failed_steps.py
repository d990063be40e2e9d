"""Steps that fail: which block causes it, and what a skipped step changes. Also signals, samples and throughput."""

import itertools
import json
import os
import signal
import threading

import pytest
import torch
import yaml
from accelerate import Accelerator
from transformers import PreTrainedModel

from distill import train
from distill.files import read_jsonl
from distill.loss import distiller
from distill.run import failed_steps, trainer
from distill.run.folder import read_metrics
from distill.run.interrupt import Stopped, StopRequest
from distill.run.throughput import flops_per_token, peak_flops_per_second, peak_memory_bytes

POISONED_STEP = 4


@pytest.fixture
def poison(monkeypatch):
    """Make the loss of one block NaN: with the default seed, the third that a run reads, at step 2."""
    real = distiller._last_hidden
    poisoned: list[torch.Tensor] = []

    def last_hidden(model: PreTrainedModel, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = real(model, input_ids)
        if model.training:
            if next(counter) == POISONED_STEP:
                poisoned.append(input_ids[1].clone())
            for row in range(len(input_ids)):
                if any(torch.equal(input_ids[row], bad) for bad in poisoned):
                    hidden = hidden.index_fill(0, torch.tensor([row]), float("nan"))
        return hidden

    counter = itertools.count()
    monkeypatch.setattr(distiller, "_last_hidden", last_hidden)
    return poisoned


@pytest.fixture
def plain(config_file, tmp_path):
    """The arguments of a run on one view, with two micro-batches per step."""
    return ["--config", str(config_file), "augment.mode=none", "student.dropout=0"]


def test_a_poisoned_block_stops_the_run_and_is_named(plain, poison, tmp_path):
    with pytest.raises(FloatingPointError, match=r"step 3: the loss is nan.*The last checkpoint is intact") as fault:
        train.main(plain)
    (_, named) = str(fault.value).split("not finite alone: ")
    assert named.startswith("block ") and "on process 0 (nan): " in named and named.count("block") == 1
    from datasets import Dataset

    (cache,) = (tmp_path / "cache").glob("*/train-00000.arrow")
    row = Dataset.from_file(str(cache))[int(named.split()[1])]
    assert poison[0][: len(row["input_ids"])].tolist() == row["input_ids"]
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["step_00000002"]


def test_a_poisoned_block_is_skipped_if_asked_and_counted(plain, poison, tmp_path, capsys):
    train.main([*plain, "train.on_nonfinite=skip"])
    assert "skipped: step 3: the loss is nan" in capsys.readouterr().out
    metrics = [line for line in read_metrics(tmp_path / "run") if "loss" in line]
    assert [line["step"] for line in metrics] == [1, 2, 4, 5, 6]
    assert [line["num_skipped"] for line in metrics] == [0, 0, 1, 1, 1]
    rates = [line["lr"] for line in metrics]
    assert rates[1] - rates[2] == pytest.approx(2 * (rates[2] - rates[3]))  # the learning rate advanced
    assert "6 optimizer steps (1 skipped)" in (tmp_path / "run" / "student" / "README.md").read_text()


def test_a_run_whose_steps_all_fail_ends(plain, tmp_path):
    arguments = [*plain, "train.on_nonfinite=skip", "optim.grad_norm_limit=1e-9", "train.max_steps=50"]
    with pytest.raises(FloatingPointError, match="11 steps in a row failed, the last is 11; lower optim.lr"):
        train.main(arguments)


def test_steps_that_the_scaler_skips_are_counted_and_too_many_in_a_row_end_the_run(plain, tmp_path, monkeypatch):
    real, num_steps = trainer.train_step, itertools.count(1)

    def overflowing(*arguments):
        return real(*arguments) | {"overflowed": next(num_steps) != 2}

    monkeypatch.setattr(trainer, "train_step", overflowing)
    monkeypatch.setattr(failed_steps, "MAX_CONSECUTIVE_OVERFLOWS", 6)
    arguments = [*plain, "train.max_steps=12", "train.eval_every=100", "train.save_every=3"]
    with pytest.raises(FloatingPointError, match=r"7 steps in a row, the last is 9, .*not finite .*bf16"):
        train.main(arguments)
    lines = [line for line in read_metrics(tmp_path / "run") if "loss" in line]
    assert [line["num_overflowed"] for line in lines[:4]] == [1, 1, 2, 3]
    monkeypatch.setattr(trainer, "train_step", real)
    train.main(arguments)
    assert read_metrics(tmp_path / "run")[-2]["num_overflowed"] == 5  # of 6 steps, up to the last checkpoint


def test_an_exploding_gradient_stops_the_run_with_the_blocks_it_read(plain, tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"step 1: .* the gradient norm .* no block fails alone; the step read"
    ):
        train.main([*plain, "optim.grad_norm_limit=1e-3"])


# -- signals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_ends_the_run_after_its_step_with_a_checkpoint_that_continues_it(
    number, code, config_file, tmp_path, monkeypatch
):
    train.main(["--config", str(config_file), f"run_dir={tmp_path / 'whole'}"])
    real, calls = trainer.train_step, itertools.count(1)

    def interrupted(*arguments):
        if next(calls) == 3:
            os.kill(os.getpid(), number)
        return real(*arguments)

    monkeypatch.setattr(trainer, "train_step", interrupted)
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=rf"stopped by {number.name} after step 3 of 6, with a checkpoint") as stopped:
        train.main(["--config", str(config_file)])
    assert stopped.value.exit_code == code
    assert signal.getsignal(number) is before
    note = yaml.safe_load((tmp_path / "run" / "stopped.json").read_text())
    assert (note["signal"], note["step"], note["max_steps"]) == (number.name, 3, 6)
    assert (tmp_path / "run" / "checkpoints" / "step_00000003").is_dir()
    train.main(["--config", str(config_file)])
    assert not (tmp_path / "run" / "stopped.json").exists()
    ours, theirs = (tmp_path / name / "student" / "model.safetensors" for name in ("run", "whole"))
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("interrupted", ["distill.data.blocks.write_blocks", "distill.run.cached_states._store_shard"])
def test_a_signal_before_the_first_step_ends_the_run_at_once_and_is_noted(
    interrupted, config_file, tmp_path, monkeypatch
):
    def signalled(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    arguments = ["--config", str(config_file), "teacher.targets=cached", "train.max_steps=1"]
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: None)  # or the signal would end the tests
    try:
        with monkeypatch.context() as patch:
            patch.setattr(interrupted, signalled)
            with pytest.raises(Stopped, match="stopped by SIGTERM outside of training; .*the same command") as stopped:
                train.main(arguments)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stopped.value.exit_code == 143
    assert json.loads((tmp_path / "run" / "stopped.json").read_text())["signal"] == "SIGTERM"
    train.main(arguments)
    assert (tmp_path / "run" / "student").exists() and not (tmp_path / "run" / "stopped.json").exists()


def test_outside_of_the_main_thread_no_handler_is_set():
    received = []

    def enter() -> None:
        with StopRequest() as stop:
            received.append(stop.agreed(Accelerator(cpu=True)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert received == [0]


# -- what is seen ----------------------------------------------------------------------------------------------------


def test_samples_are_written_at_every_evaluation_and_leave_the_run_as_it_is(config_file, tmp_path):
    train.main(["--config", str(config_file), f"run_dir={tmp_path / 'without'}"])
    prompts = ["The nurse said that", "He " * 25 + "left"]  # the second leaves less than 40 of 64 positions
    train.main(["--config", str(config_file), f"train.sample_prompts={prompts}"])
    rows = read_jsonl(tmp_path / "run" / "samples.jsonl")
    assert [(row["step"], row["prompt"]) for row in rows] == [
        (step, prompt) for step in (0, 2, 4, 6) for prompt in prompts
    ]
    assert all(row["continuation"] for row in rows)
    ours, theirs = (tmp_path / name / "student" / "model.safetensors" for name in ("run", "without"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_flops_count_the_head_once(tiny_model):
    tied, untied = tiny_model("gpt2"), tiny_model("llama")
    every = sum(parameter.numel() for parameter in untied.parameters())
    embeddings = untied.get_input_embeddings().weight.numel()
    assert flops_per_token(untied, None) == 6 * (every - embeddings)
    ours = 6 * sum(p.numel() for p in tied.parameters())
    assert flops_per_token(tied, untied) == ours + 2 * (every - embeddings)
    assert flops_per_token(tied, untied, cached=True) == ours + 2 * embeddings  # the output layer is as large


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40", 181e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA A10G", 70e12),
        ("NVIDIA RTX A1000", None),
    ],
)
def test_the_peak_is_that_of_the_device_and_not_of_one_whose_name_begins_alike(name, peak, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops_per_second(torch.device("cuda")) == peak


def test_a_gpu_that_is_too_small_is_one_line_that_says_what_to_lower(config_file, monkeypatch):
    def fit(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    monkeypatch.setattr(train, "fit", fit)
    with pytest.raises(MemoryError, match=r"\(CUDA out of .* 2 GiB.\); lower train.micro_batch_size \(4\)") as fault:
        train.main(["--config", str(config_file)])
    assert "\n" not in str(fault.value)


def test_a_cpu_has_memory_but_no_known_peak():
    assert peak_flops_per_second(torch.device("cpu")) is None
    assert 10e6 < peak_memory_bytes(torch.device("cpu")) < 1e12
