"""Checkpoints: what is read is what was written; a damaged or unwritable checkpoint harms nothing else."""

import copy
import errno
import io
import json
import math
import os
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from distill.run import checkpoint as module
from distill.run.checkpoint import checkpoints, load_newest_checkpoint, save_checkpoint
from distill.run.learner import Learner, TrainState
from distill.run.manifest import damage


def build_learner(accelerator: Accelerator, seed: int = 0, width: int = 8) -> Learner:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.Dropout(0.5), torch.nn.Linear(width, 3))
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=0.1))
    return Learner(model, optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9), TrainState())


def advance(learner: Learner, num_steps: int) -> None:
    for _ in range(num_steps):
        learner.model(torch.randn(4, 8)).square().sum().backward()
        learner.optimizer.step()
        learner.optimizer.zero_grad()
        learner.scheduler.step()
        learner.state.step += 1


def same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


@pytest.fixture
def run(accelerator, tmp_path) -> Learner:
    """A learner after four steps, with checkpoints at steps 2 and 4."""
    learner = build_learner(accelerator)
    for _ in range(2):
        advance(learner, 2)
        save_checkpoint(accelerator, tmp_path, learner, keep=2)
    return learner


def names(run_dir: Path) -> list[str]:
    return sorted(path.name for path in (run_dir / "checkpoints").iterdir())


def test_a_resumed_run_takes_the_same_steps_as_an_uninterrupted_one(run, accelerator, tmp_path):
    states = random.getstate(), np.random.get_state()[1].tolist()
    drawn = random.random(), np.random.rand(3).tolist()
    advance(run, 3)
    resumed = build_learner(accelerator, seed=1)
    random.seed(1)
    np.random.seed(1)
    assert load_newest_checkpoint(accelerator, tmp_path, resumed, seed=0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert (random.random(), np.random.rand(3).tolist()) == drawn
    assert resumed.state == TrainState(step=4)
    advance(resumed, 3)
    assert same_weights(resumed.model, run.model)
    assert resumed.scheduler.get_last_lr() == run.scheduler.get_last_lr()


def test_without_a_checkpoint_there_is_nothing_to_load(accelerator, tmp_path):
    assert not load_newest_checkpoint(accelerator, tmp_path, build_learner(accelerator), seed=0)


FILES = ["state/__0_0.distcp", "state/.metadata", "run.pt", "random_0.pt", "manifest.json"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fault", ["truncated", "flipped", "removed"])
def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_it_used(
    fault, name, run, accelerator, tmp_path, capsys
):
    file = tmp_path / "checkpoints" / "step_00000004" / name
    raw = bytearray(file.read_bytes())
    if fault == "truncated":
        file.write_bytes(raw[:-7])
    elif fault == "flipped":
        raw[len(raw) // 2] ^= 1
        file.write_bytes(raw)
    else:
        file.unlink()
    resumed = build_learner(accelerator, seed=1)
    assert load_newest_checkpoint(accelerator, tmp_path, resumed, seed=0)
    assert resumed.state.step == 2
    printed = capsys.readouterr().out
    assert f"step_00000004 is damaged ({name} " in printed
    assert "trying the checkpoint before it" in printed
    assert names(tmp_path) == ["step_00000002", "step_00000004.damaged"]
    advance(resumed, 2)
    save_checkpoint(accelerator, tmp_path, resumed, keep=2)  # to the same name, and what was damaged is gone
    assert names(tmp_path) == ["step_00000002", "step_00000004"]
    assert damage(tmp_path / "checkpoints" / "step_00000004") == []


def test_when_all_are_damaged_no_launch_silently_starts_the_run_again(run, accelerator, tmp_path):
    for checkpoint in checkpoints(tmp_path):
        (checkpoint / "run.pt").unlink()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"no checkpoint of .* is whole; remove its folder checkpoints to start"):
            load_newest_checkpoint(accelerator, tmp_path, build_learner(accelerator), seed=0)
        assert names(tmp_path) == ["step_00000002", "step_00000004"]


def test_only_checkpoints_that_were_set_aside_are_no_reason_to_start_again(run, accelerator, tmp_path):
    (tmp_path / "checkpoints" / "step_00000004" / "run.pt").unlink()
    assert load_newest_checkpoint(accelerator, tmp_path, build_learner(accelerator), seed=0)
    shutil.rmtree(tmp_path / "checkpoints" / "step_00000002")
    assert names(tmp_path) == ["step_00000004.damaged"]
    with pytest.raises(ValueError, match=r"no checkpoint of .* is whole"):
        load_newest_checkpoint(accelerator, tmp_path, build_learner(accelerator), seed=0)


@pytest.mark.parametrize("name", ["run.pt", "manifest.json"])
def test_a_disk_that_cannot_be_read_stops_the_run_and_changes_nothing(name, run, accelerator, tmp_path, monkeypatch):
    real = io.open

    def failing(file, *arguments, **keywords):
        if str(file).endswith(f"step_00000004/{name}"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(file))
        return real(file, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", failing)  # what Path.open calls
        with pytest.raises(OSError, match=r"step_0+4 cannot be read \(.*Input/output error.*; nothing was changed"):
            load_newest_checkpoint(accelerator, tmp_path, build_learner(accelerator), seed=0)
    assert names(tmp_path) == ["step_00000002", "step_00000004"]
    resumed = build_learner(accelerator, seed=1)
    assert load_newest_checkpoint(accelerator, tmp_path, resumed, seed=0)
    assert resumed.state.step == 4


def test_a_whole_checkpoint_of_another_model_is_refused(run, accelerator, tmp_path):
    with pytest.raises(ValueError, match=r"step_00000004 does not fit this run \(.*versions"):
        load_newest_checkpoint(accelerator, tmp_path, build_learner(accelerator, width=9), seed=0)


def test_the_newest_and_the_best_are_kept(accelerator, tmp_path):
    learner = build_learner(accelerator)
    for loss in (math.nan, 1.0, None, 2.0, None):
        advance(learner, 1)
        learner.state.heldout_nats_per_token = loss
        save_checkpoint(accelerator, tmp_path, learner, keep=2)
    assert names(tmp_path) == ["step_00000002", "step_00000004", "step_00000005"]


def test_an_old_checkpoint_that_someone_still_reads_is_removed_later(run, accelerator, tmp_path, monkeypatch, capsys):
    def busy(path):
        raise OSError(errno.ENOTEMPTY, "Directory not empty", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "rmtree", busy)
        advance(run, 2)
        save_checkpoint(accelerator, tmp_path, run, keep=1)
    assert [path.name for path in checkpoints(tmp_path)] == ["step_00000006"]
    assert capsys.readouterr().out.count("is no longer needed, but cannot be removed yet ([Errno") == 2
    advance(run, 2)
    save_checkpoint(accelerator, tmp_path, run, keep=1)
    assert names(tmp_path) == ["step_00000008"]


def test_random_states_start_anew_on_another_number_of_processes(run, accelerator, tmp_path):
    checkpoint = tmp_path / "checkpoints" / "step_00000004"
    content = torch.load(checkpoint / "run.pt", weights_only=True)
    torch.save(content | {"num_processes": 2}, checkpoint / "run.pt")
    draws = []
    for _ in range(2):
        learner = build_learner(accelerator, seed=1)
        shutil.copytree(checkpoint, tmp_path / "copy", dirs_exist_ok=True)
        module._read(accelerator, checkpoint, learner, seed=0)
        draws.append(torch.rand(2).tolist())
    assert draws[0] == draws[1]  # of the seed and the step
    module._read(accelerator, checkpoint, learner, seed=1)
    assert torch.rand(2).tolist() != draws[0]


def test_a_checkpoint_of_a_gpu_continues_on_a_cpu(run, accelerator, tmp_path):
    file = tmp_path / "checkpoints" / "step_00000004" / "random_0.pt"
    states = torch.load(file, weights_only=True)
    torch.save(states | {"device": torch.zeros(16, dtype=torch.uint8)}, file)
    learner = build_learner(accelerator, seed=1)
    module._read(accelerator, file.parent, learner, seed=0)
    assert learner.state.step == 4
    assert torch.equal(torch.get_rng_state(), states["torch"])


# -- a disk that is full ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    ["checkpoint.sync", "checkpoint.torch.save", "checkpoint.distributed_checkpoint.save", "manifest.write_text"],
)
def test_a_full_disk_is_one_message_and_the_last_checkpoint_stays(where, run, accelerator, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    weights = copy.deepcopy(run.model.state_dict())
    with monkeypatch.context() as patch:
        patch.setattr(f"distill.run.{where}", full)
        run.state.step = 6
        with pytest.raises(OSError, match=r"step_00000006 cannot be written .*No space left .*continues from step_0+4"):
            save_checkpoint(accelerator, tmp_path, run, keep=2)
    assert names(tmp_path) == ["step_00000002", "step_00000004"]  # no half-written folder is left to fill the disk
    resumed = build_learner(accelerator, seed=1)
    assert load_newest_checkpoint(accelerator, tmp_path, resumed, seed=0)
    assert all(torch.equal(value, weights[name]) for name, value in resumed.model.state_dict().items())


def test_a_real_disk_that_is_full(accelerator, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    try:
        learner = build_learner(accelerator, width=30_000)
        advance(learner, 1)
        with pytest.raises(OSError, match=r"step_00000001 cannot be written .*MB free\); .*continues from the start"):
            save_checkpoint(accelerator, disk, learner, keep=2)
        assert list((disk / "checkpoints").iterdir()) == []
        learner = build_learner(accelerator, width=1000)
        advance(learner, 1)
        save_checkpoint(accelerator, disk, learner, keep=2)
        (disk / "filler").write_bytes(b"x" * (shutil.disk_usage(disk).free - 100_000))
        advance(learner, 1)
        with pytest.raises(OSError, match=r"step_00000002 cannot be written .*it continues from step_00000001"):
            save_checkpoint(accelerator, disk, learner, keep=2)
        assert damage(disk / "checkpoints" / "step_00000001") == []
        assert names(disk) == ["step_00000001"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_the_manifest_names_every_file(run, tmp_path):
    folder = tmp_path / "checkpoints" / "step_00000004"
    manifest = json.loads((folder / "manifest.json").read_text())
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {entry["name"] for entry in manifest["files"]} == present - {"manifest.json"}
    assert manifest["step"] == 4
