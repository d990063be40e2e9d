"""Ways to run that change speed and memory but not the weights, apart from precision."""

import math
import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

from distill import train
from distill.config import RunConfig
from distill.hardware import computes_on_cpu
from distill.loss.matmul import exact_float32
from distill.run import launch
from distill.run.folder import read_metrics
from distill.run.launch import build_accelerator
from distill.settings import validate


@pytest.fixture
def fresh_state():
    """Reset accelerate, which remembers the first settings of a process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(run_dir / "student" / "model.safetensors")


def assert_same_weights(one: Path, other: Path, tolerance: float) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=tolerance)


def test_gradient_checkpointing_gives_the_same_bits_dropout_included(config_file, tmp_path, monkeypatch):
    num_calls: Counter[str] = Counter()
    real = GPT2MLP.forward

    def forward(self, *arguments, **keywords):
        num_calls[name] += self.training
        return real(self, *arguments, **keywords)

    monkeypatch.setattr(GPT2MLP, "forward", forward)
    arguments = ["--config", str(config_file), "train.max_steps=3"]
    for name, options in (("plain", []), ("run", ["train.gradient_checkpointing=true"])):
        train.main([*arguments, *options, f"run_dir={tmp_path / name}"])
    assert num_calls == {"plain": 3 * 2 * 2, "run": 2 * 3 * 2 * 2}  # steps, micro-batches, layers; and all of it again
    assert_same_weights(tmp_path / "run", tmp_path / "plain", 0.0)


def test_a_dry_run_measures_with_gradient_checkpointing(config_file, monkeypatch):
    num_calls, real = Counter(), GPT2MLP.forward

    def forward(self, *arguments, **keywords):
        num_calls["student"] += self.training
        return real(self, *arguments, **keywords)

    monkeypatch.setattr(GPT2MLP, "forward", forward)
    train.main(["--config", str(config_file), "train.gradient_checkpointing=true", "--dry-run"])
    assert num_calls["student"] == 2 * 3 * 2  # all of it twice: micro-steps, layers


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["AOT_EAGER", "INDUCTOR"])
def test_compiled_layers_give_the_same_run_and_a_plain_student(
    backend, config_file, tmp_path, monkeypatch, fresh_state
):
    arguments = ["--config", str(config_file), "student.dropout=0", "train.max_steps=4"]
    train.main([*arguments, f"run_dir={tmp_path / 'plain'}"])
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", backend)
    monkeypatch.setenv("ACCELERATE_DYNAMO_USE_REGIONAL_COMPILATION", "true")
    counters = torch._dynamo.utils.counters
    counters.clear()
    train.main([*arguments, "train.sample_prompts=[He]"])
    assert counters["stats"]["unique_graphs"] > 0
    assert_same_weights(tmp_path / "run", tmp_path / "plain", 1e-5)
    (tmp_path / "run" / "student").rename(tmp_path / "done")
    train.main(arguments)  # continues from its last checkpoint
    assert_same_weights(tmp_path / "run", tmp_path / "plain", 1e-5)


def test_bf16_trains_float32_weights(config_file, tmp_path, monkeypatch, fresh_state):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    train.main(["--config", str(config_file)])
    assert {weight.dtype for weight in weights(tmp_path / "run").values()} == {torch.float32}
    assert all(math.isfinite(line["loss"]) for line in read_metrics(tmp_path / "run") if "loss" in line)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    AcceleratorState._reset_state(reset_partial_state=True)
    (tmp_path / "run" / "student").rename(tmp_path / "done")
    with pytest.raises(ValueError, match="provenance.mixed_precision: 'bf16' there, 'no' now"):
        train.main(["--config", str(config_file)])


def run_config() -> RunConfig:
    settings = {"run_dir": "r", "data": {"path": "p"}, "teacher": {"path": "t"}, "student": {"layers": [0]}}
    return validate(RunConfig, settings | {"train": {"max_steps": 1}})


@pytest.mark.parametrize("name", ["DEEPSPEED", "MEGATRON_LM"])
def test_what_cannot_be_checkpointed_is_refused(name, monkeypatch):
    config = run_config()
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(ValueError, match=f"is configured for {name}, which is not supported; use .*fsdp2.yaml"):
        build_accelerator(config)
    monkeypatch.delenv(f"ACCELERATE_USE_{name}")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")  # accelerate would divide gradients by it
    with pytest.raises(ValueError, match="configured to accumulate 4 gradients; unset ACCELERATE_GRADIENT"):
        build_accelerator(config)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("FSDP_VERSION", "1", "for FSDP 1; set fsdp_version: 2"), ("FSDP_CPU_RAM_EFFICIENT_LOADING", "true", "unties a")],
)
def test_settings_of_fsdp_that_give_wrong_students_are_refused(name, value, message, monkeypatch, fresh_state):
    for key, given in (("ACCELERATE_USE_FSDP", "true"), ("FSDP_VERSION", "2"), (name, value)):
        monkeypatch.setenv(key, given)
    with pytest.raises(ValueError, match=message):
        build_accelerator(run_config())


@pytest.fixture
def precision():
    """Put the precision of float32 products back."""
    yield
    torch.set_float32_matmul_precision("highest")


def test_float32_products_are_no_tf32_whatever_accelerate_or_the_caller_chose(fresh_state, precision):
    torch.backends.cuda.matmul.allow_tf32 = True  # accelerate does, for a compiled model
    build_accelerator(run_config())
    assert not torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    with exact_float32():
        assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32  # the caller's setting is back
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.fp32_precision = "tf32"  # by torch's newer interface
    with exact_float32():
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"


@pytest.mark.slow
def test_float32_products_are_no_tf32_in_nvidias_images():
    """Their variable is read when torch is imported."""
    code = (
        "import torch; from distill.loss.matmul import use_exact_float32; products = torch.backends.cuda.matmul; "
        "before = products.allow_tf32; use_exact_float32(); print(before, products.allow_tf32)"
    )
    environment = os.environ | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


def test_processes_wait_for_each_other_for_hours(monkeypatch, fresh_state):
    given = []
    monkeypatch.setattr(launch, "InitProcessGroupKwargs", lambda **options: given.append(options["timeout"]))
    monkeypatch.setattr(
        launch, "Accelerator", lambda **options: given.append(options["kwargs_handlers"]) or mock.Mock()
    )
    monkeypatch.setattr(launch, "check_supported", lambda accelerator: None)
    build_accelerator(run_config())
    assert given == [timedelta(hours=2), [None]]


def test_apples_gpu_is_refused():
    accelerator = mock.Mock(gradient_accumulation_steps=1, mixed_precision="no", device=torch.device("mps"))
    with pytest.raises(ValueError, match=r"Apple's GPU \(mps\) is not supported.*--cpu"):
        launch.check_supported(accelerator)


def test_a_launcher_that_was_told_to_use_the_cpu_does(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert not computes_on_cpu()
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert computes_on_cpu()


def test_fp16_on_a_cpu_is_refused(monkeypatch, fresh_state):
    settings = {"run_dir": "r", "data": {"path": "p"}, "teacher": {"path": "t"}, "student": {"layers": [0]}}
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(ValueError, match="in float32 on a CPU, not in fp16; give --mixed_precision no, or bf16"):
        build_accelerator(validate(RunConfig, settings | {"train": {"max_steps": 1}}))
