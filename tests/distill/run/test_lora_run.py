"""Runs with LoRA: their checkpoints hold the adapter, and they resume, split and shard like others."""

import shutil
from functools import partial
from pathlib import Path

import forked
import pytest
import torch
import torch.distributed.checkpoint as distributed_checkpoint
from accelerate.state import AcceleratorState
from launching import FSDP, wait_for_steps
from safetensors.torch import load_file

from distill import train
from distill.export_checkpoint import export_checkpoint
from distill.run.folder import read_metrics
from distill.run.launch import leave

LORA = ["student={layers: all, lora: {rank: 2, alpha: 4}}", "optim.lr=1e-2"]


@pytest.fixture
def lora(config_file) -> list[str]:
    """The arguments of a run of six steps that trains an adapter."""
    return ["--config", str(config_file), *LORA]


def weights(run: Path) -> dict[str, torch.Tensor]:
    """What a run has written: its adapter, and its merged student."""
    adapter, student = (
        load_file(run / "adapter/adapter_model.safetensors"),
        load_file(run / "student/model.safetensors"),
    )
    return {f"adapter {name}": weight for name, weight in adapter.items()} | student


def assert_same(run: Path, expected_run: Path, tolerance: float = 0.0) -> None:
    """The same adapter and the same merged student."""
    ours, theirs = weights(run), weights(expected_run)
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=tolerance)


def test_a_run_saves_only_its_adapter_and_resumes_bit_for_bit(lora, tmp_path):
    run = tmp_path / "run"
    settings = ["student.lora.dropout=0.2", "train.max_steps=2", "train.save_every=1", "train.eval_every=100"]
    arguments = [*lora, *settings, "data.max_documents=20", "data.heldout_fraction=0.1"]
    train.main(arguments)
    losses = [line["kd"] for line in read_metrics(run) if "kd" in line]
    assert losses[0] < losses[1]  # the student starts as its teacher
    state = run / "checkpoints" / "step_00000001" / "state"
    names = distributed_checkpoint.FileSystemReader(state).read_metadata().state_dict_metadata
    assert all(".lora_" in name or "param_groups" in name for name in names)
    shutil.copytree(run, tmp_path / "whole")
    for folder in ("student", "checkpoints/step_00000002"):
        shutil.rmtree(run / folder)  # adapter/ stays, as if the export had been interrupted
    train.main(arguments)
    assert_same(run, tmp_path / "whole")
    export_checkpoint(run, "step_00000002", tmp_path / "exported")
    merged, exported = (load_file(folder / "model.safetensors") for folder in (run / "student", tmp_path / "exported"))
    assert all(torch.equal(weight, exported[name]) for name, weight in merged.items())


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_weights(lora, tmp_path):
    arguments = [*lora, "student.lora.dropout=0.2", "train.max_steps=30", "train.save_every=5", "train.eval_every=100"]
    train.main([*arguments, f"run_dir={tmp_path / 'whole'}"])
    process = forked.start(partial(train.program, arguments), tmp_path / "log")
    wait_for_steps(tmp_path / "run", 8, process, tmp_path / "log")
    process.kill()
    forked.wait(process, tmp_path / "log")
    assert not (tmp_path / "run" / "student").exists()
    train.main(arguments)
    assert_same(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("accelerate", [pytest.param(("cpu2.yaml",), id="ddp"), pytest.param(FSDP, id="fsdp2")])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_two_processes_equal_one_and_continue_its_run(accelerate, dtype, lora, tmp_path):
    arguments = [*lora, f"teacher.dtype={dtype}", "train.sample_prompts=[He]"]
    train.main([*arguments, f"run_dir={tmp_path / 'alone'}"])
    shutil.copytree(tmp_path / "alone", tmp_path / "continued")
    shutil.rmtree(tmp_path / "continued" / "student")
    shutil.rmtree(tmp_path / "continued" / "checkpoints" / "step_00000006")

    def program() -> None:
        for name in ("two", "continued"):
            train.main([*arguments, f"run_dir={tmp_path / name}"])
        leave()

    codes = forked.launch(*accelerate, program=program, log=tmp_path / "log")
    assert codes == [0, 0], (tmp_path / "log").read_text() + (tmp_path / "log.1").read_text()
    for name in ("two", "continued"):
        assert_same(tmp_path / name, tmp_path / "alone", 1e-6 if dtype == "float32" else 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [(["train.gradient_checkpointing=true"], 0), (["train.micro_batch_size=2"], 1e-6), (["teacher.targets=cached"], 0)],
)
def test_how_a_run_is_executed_changes_nothing(settings, tolerance, lora, tmp_path):
    train.main([*lora, f"run_dir={tmp_path / 'plain'}", "data.mask_documents=true"])
    train.main([*lora, *settings, "data.mask_documents=true"])
    assert_same(tmp_path / "run", tmp_path / "plain", tolerance)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.slow
def test_compiled_layers_give_the_same_run(lora, tmp_path, monkeypatch):
    train.main([*lora, f"run_dir={tmp_path / 'plain'}"])
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "AOT_EAGER")
    monkeypatch.setenv("ACCELERATE_DYNAMO_USE_REGIONAL_COMPILATION", "true")
    train.main(lora)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert_same(tmp_path / "run", tmp_path / "plain", 1e-5)
