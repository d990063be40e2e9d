"""Cached targets: the same loss as online, every shard computed once, never those of another teacher or corpus."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from distill import train
from distill.config import RunConfig
from distill.data.batches import batches
from distill.loss.distiller import Distiller
from distill.models.identity import model_fingerprint
from distill.models.loading import load_teacher
from distill.run import cached_states as module
from distill.run.cached_states import CachedStates, cache_states, states_folder
from distill.run.folder import read_metrics
from distill.run.learner import place_teacher
from distill.run.setup import Setup, set_up
from distill.run.step import scored_batches
from distill.settings import apply_override, load_config, replace, to_dict, validate


def with_settings(setup: Setup, *overrides: str) -> Setup:
    """The setup of a run with other settings, and with the present fingerprint of its teacher's files."""
    settings = to_dict(setup.config)
    for override in overrides:
        apply_override(settings, override)
    config = validate(RunConfig, settings)
    fingerprint = model_fingerprint(config.teacher.path, setup.models.teacher)
    return setup._replace(config=replace(config, provenance={"teacher": fingerprint}))


@pytest.fixture
def setup(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """A run with several shards of blocks, the last one short."""
    monkeypatch.setattr(module, "BLOCKS_PER_SHARD", 6)
    setup = set_up(load_config(RunConfig, config_file, ["teacher.targets=cached", "data.max_documents=60"]))
    assert len(setup.blocks.train) % 6
    return with_settings(setup)


@pytest.mark.parametrize("mode", ["none", "augment"])
def test_the_loss_is_that_of_online_targets(mode, setup, tiny_model):
    setup = with_settings(setup, f"augment.mode={mode}")
    config, blocks, (states, _) = setup.config, setup.blocks, cache_states(setup)
    losses, gradients = [], []
    for read in (None, states.read):
        student = tiny_model(seed=3)
        distiller = Distiller(student, setup.objective, load_teacher(config.teacher))
        indices = [[0, 5, 6, -1], [len(blocks.train) - 1, 11, 12, 3], [-1] * 4]  # the last holds only padding
        for batch, positions in scored_batches(batches(blocks.train, indices, config.data.seq_len, read), config):
            assert (batch.teacher_hidden is None) == (read is None)
            assert batch.has_swap.any() or not batch.loss_mask.any()
            loss = distiller(batch, positions, torch.ones(())).loss
            loss.backward()
            losses.append(loss.item())
        gradients.append([parameter.grad for parameter in student.parameters()])
    assert losses[3:] == pytest.approx(losses[:3], rel=1e-5) and losses[2] == 0
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item())


def test_a_row_of_a_batch_has_its_own_states(setup):
    blocks, (states, _) = setup.blocks, cache_states(setup)
    indices = [*range(len(blocks.train)), -1]
    (batch,) = batches(blocks.train, [indices], setup.config.data.seq_len, states.read)
    assert 0 < batch.has_swap.sum() < len(blocks.train)
    for row, index in enumerate(indices):
        single = batch.row(row)
        for mine, expected in zip((single.teacher_hidden, single.cf_teacher_hidden), states.read([index]), strict=True):
            assert torch.equal(mine, expected)


@pytest.mark.parametrize("cached", [False, True])
def test_with_cached_states_the_device_holds_only_the_teachers_output_layer(cached, setup, tiny_model):
    teacher, accelerator = tiny_model("llama"), SimpleNamespace(device=torch.device("meta"), num_processes=1)
    states = (lambda _: None) if cached else None
    place_teacher(
        setup._replace(
            accelerator=accelerator,
            models=setup.models._replace(teacher=teacher),
            blocks=setup.blocks._replace(states=states),
        )
    )
    assert teacher.get_output_embeddings().weight.device.type == "meta"
    assert {p.device.type for p in teacher.base_model.parameters()} == {"cpu" if cached else "meta"}


def test_a_run_with_cached_targets_gives_the_student_of_online_ones(config_file, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCKS_PER_SHARD", 50)
    students = []
    for targets in ("online", "cached", "cached"):
        train.main(["--config", str(config_file), f"teacher.targets={targets}"])
        students.append(load_file(tmp_path / "run" / "student" / "model.safetensors"))
        losses = [line["loss"] for line in read_metrics(tmp_path / "run") if "loss" in line]
        shutil.rmtree(tmp_path / "run")
        assert len(losses) == 6
    assert len(list((tmp_path / "cache").glob("states-*"))) == 1
    for other in students[1:]:
        for name, tensor in students[0].items():
            torch.testing.assert_close(other[name], tensor, rtol=1e-4, atol=1e-6)


def test_an_interrupted_run_continues_with_the_next_shard(setup, monkeypatch):
    store, made = module._store_shard, []

    def counted(folder: CachedStates, number: int, *others: object) -> None:
        if number == 2 and 2 not in made:
            made.append(number)
            raise KeyboardInterrupt
        made.append(number)
        store(folder, number, *others)

    monkeypatch.setattr(module, "_store_shard", counted)
    with pytest.raises(KeyboardInterrupt):
        cache_states(setup)
    assert made == [0, 1, 2]
    states, _ = cache_states(setup)
    num_shards = -(-len(setup.blocks.train) // 6)
    assert made == [0, 1, 2, *range(2, num_shards), 0]  # the last one is of the held-out blocks
    cache_states(setup)
    assert len(made) == num_shards + 2
    assert states.read([len(setup.blocks.train) - 1]).hidden.shape == (1, 32, 16)


def test_shards_that_another_run_is_storing_come_last(setup, monkeypatch):
    store, made = module._store_shard, []
    folder = states_folder(setup)
    folder.path.mkdir(parents=True)
    of_another_run = FileLock(f"{folder.shard(0)}.lock")
    of_another_run.acquire()

    def recorded(folder: CachedStates, number: int, *others: object) -> None:
        of_another_run.release()  # the other run stops
        made.append(number)
        store(folder, number, *others)

    monkeypatch.setattr(module, "_store_shard", recorded)
    cache_states(setup)
    assert made[:-1] == [*range(1, -(-len(setup.blocks.train) // 6)), 0]


def test_a_shard_is_on_disk_before_it_gets_its_name(setup, monkeypatch):
    synced = []
    monkeypatch.setattr(module, "sync", lambda path: synced.append((path.name, path.exists())))
    cache_states(setup)
    files = [(f"{name}.npy", True) for name in ("original", "counterfactual", "has_swap")]
    folder = states_folder(setup).path
    assert synced[:5] == [*files, ("shard_00000.partial", True), (folder.name, True)]


def test_another_teacher_corpus_or_precision_has_other_states(setup, tiny_model):
    in_bf16 = setup._replace(accelerator=SimpleNamespace(mixed_precision="bf16"))
    setups = [setup, in_bf16, setup._replace(blocks=setup.blocks._replace(key="other"))]
    for override in ("teacher.dtype=bfloat16", "teacher.gguf_file=q4.gguf", "teacher.gguf_file=q8.gguf"):
        setups.append(with_settings(setup, override))
    tiny_model("gpt2", seed=9).save_pretrained(setup.config.teacher.path)
    setups.append(with_settings(setup))
    assert len({states_folder(other).path for other in setups}) == 7


def test_bfloat16_is_kept_bit_for_bit_at_half_the_size(setup):
    exact, half = (cache_states(one)[0] for one in (setup, with_settings(setup, "teacher.dtype=bfloat16")))
    every_block = range(-1, len(setup.blocks.train))
    for mine, theirs in zip(half.read(every_block), exact.read(every_block), strict=True):
        assert torch.equal(mine, theirs.to(torch.bfloat16)) and len(mine) > 10
    sizes = [sum(f.stat().st_size for f in states.path.rglob("original.npy")) for states in (exact, half)]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.1)


def test_a_full_disk_and_a_damaged_shard_are_one_message(setup, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(OSError, match=r"has 0.0 GB free; set data.cache_dir to a larger disk"):
            cache_states(setup)
    with monkeypatch.context() as patched:  # another program fills the disk while states are written
        patched.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError("2048 requested and 1024 written")))
        message = r"states cannot be written into .*shard_00000 \(2048 .*MB free\); make room, or set data.cache_dir"
        with pytest.raises(OSError, match=message):
            cache_states(setup)
        assert not list(tmp_path.rglob("*.partial"))
    states, _ = cache_states(setup)
    module._open_shard.cache_clear()
    file = states.path / "shard_00001" / "original.npy"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(OSError, match=r"shard_00001 is damaged .*; remove it, and the same command makes it again"):
        states.read([7])
