"""Cached targets: the same loss as online, any part made once, never those of another teacher or corpus."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from filelock import FileLock
from safetensors.torch import load_file
from transformers import PreTrainedModel

from augment.lexicon import load_lexicon
from distill import train
from distill.config import RunConfig
from distill.data.batches import batches
from distill.data.blocks import Blocks, prepare_blocks
from distill.loss.distiller import Distiller
from distill.loss.targets import gender_classes
from distill.models.loading import load_teacher, load_tokenizer, model_fingerprint
from distill.run import cached_states as module
from distill.run.cached_states import CachedStates, cache_states, states_folder
from distill.run.folder import read_metrics
from distill.run.step import forward_pairs, positions_of
from distill.run.trainer import place_teacher
from distill.settings import load_config


def fingerprint(config: RunConfig, teacher: PreTrainedModel) -> str:
    """The hash of the teacher's files as they are now."""
    return model_fingerprint(config.teacher.path, teacher)


@pytest.fixture
def config(config_file: Path) -> RunConfig:
    return load_config(RunConfig, config_file, ["teacher.targets=cached", "data.max_documents=60"])


@pytest.fixture
def parts(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> tuple[Accelerator, Blocks, PreTrainedModel]:
    """An accelerator, several shards of blocks, the last one short, and the teacher."""
    monkeypatch.setattr(module, "BLOCKS_PER_SHARD", 6)
    tokenizer = load_tokenizer(config.teacher.path)
    blocks = prepare_blocks(config.data, config.augment, load_lexicon(), tokenizer, 0)
    assert len(blocks.train) % 6
    return Accelerator(cpu=True), blocks, load_teacher(config.teacher)


@pytest.mark.parametrize("mode", ["none", "augment"])
def test_the_loss_is_that_of_online_targets(mode, config, config_file, parts, tiny_model):
    accelerator, blocks, teacher = parts
    config = load_config(RunConfig, config_file, ["data.max_documents=60", f"augment.mode={mode}"])
    states = cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
    classes = gender_classes(load_tokenizer(config.teacher.path), load_lexicon())
    losses, gradients = [], []
    for read in (None, states.read):
        student = tiny_model(seed=3)
        distiller = Distiller(student, config.loss, config.perturb, teacher.get_output_embeddings(), classes)
        indices = [[0, 5, 6, -1], [len(blocks.train) - 1, 11, 12, 3], [-1] * 4]  # the last is padding alone
        for batch in batches(blocks.train, indices, config.data.seq_len, read):
            assert (batch.teacher_hidden is None) == (read is None)
            assert batch.has_swap.any() or not batch.loss_mask.any()
            terms = forward_pairs(distiller, teacher, batch, positions_of(batch, teacher, config), torch.ones(()))
            terms.loss.backward()
            losses.append(terms.loss.item())
        gradients.append([parameter.grad for parameter in student.parameters()])
    assert losses[3:] == pytest.approx(losses[:3], rel=1e-5) and losses[2] == 0
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize("reads", [True, False])
def test_of_a_teacher_whose_states_are_cached_the_device_holds_the_output_layer_alone(reads, config, tiny_model):
    teacher, device = tiny_model("llama"), torch.device("meta")
    accelerator = SimpleNamespace(device=device, num_processes=1)
    head = place_teacher(config, accelerator, teacher, reads)
    assert head is teacher.get_output_embeddings() and head.weight.device == device
    assert {p.device.type for p in teacher.base_model.parameters()} == {"meta" if reads else "cpu"}


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


def test_what_was_stopped_goes_on_where_it_was(config, parts, monkeypatch):
    accelerator, blocks, teacher = parts
    store, made = module._store_shard, []

    def counted(folder: CachedStates, number: int, *rest: object) -> None:
        if number == 2 and 2 not in made:
            made.append(number)
            raise KeyboardInterrupt
        made.append(number)
        store(folder, number, *rest)

    monkeypatch.setattr(module, "_store_shard", counted)
    with pytest.raises(KeyboardInterrupt):
        cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
    assert made == [0, 1, 2]
    states = cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
    num_shards = -(-len(blocks.train) // 6)
    assert made == [0, 1, 2, *range(2, num_shards)]
    cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
    assert len(made) == num_shards + 1
    assert states.read(len(blocks.train) - 1).hidden.shape == (32, 16)


def test_what_another_run_is_storing_comes_last(config, parts, monkeypatch):
    accelerator, blocks, teacher = parts
    store, made = module._store_shard, []
    folder = states_folder(config, "no", blocks, teacher, fingerprint(config, teacher))
    folder.path.mkdir(parents=True)
    of_another_run = FileLock(f"{folder._shard(0)}.lock")
    of_another_run.acquire()

    def recorded(folder: CachedStates, number: int, *rest: object) -> None:
        of_another_run.release()  # it has been stopped
        made.append(number)
        store(folder, number, *rest)

    monkeypatch.setattr(module, "_store_shard", recorded)
    cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
    assert made == [*range(1, -(-len(blocks.train) // 6)), 0]


def test_a_shard_is_on_the_disk_before_it_has_its_name(config, parts, monkeypatch):
    accelerator, blocks, teacher = parts
    synced = []
    monkeypatch.setattr(module, "sync", lambda path: synced.append((path.name, path.exists())))
    cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
    files = [(f"{name}.npy", True) for name in ("original", "counterfactual", "has_swap")]
    folder = states_folder(config, "no", blocks, teacher, fingerprint(config, teacher)).path
    assert synced[:5] == [*files, ("shard_00000.partial", True), (folder.name, True)]


def test_another_teacher_corpus_or_precision_has_other_states(config, config_file, parts, tiny_model):
    _, blocks, teacher = parts
    paths = [
        states_folder(config, "no", blocks, teacher, fingerprint(config, teacher)).path,
        states_folder(config, "bf16", blocks, teacher, fingerprint(config, teacher)).path,
    ]
    other = blocks._replace(key="other")
    paths.append(states_folder(config, "no", other, teacher, fingerprint(config, teacher)).path)
    half = load_config(RunConfig, config_file, ["teacher.dtype=bfloat16"])
    paths.append(states_folder(half, "no", blocks, teacher, fingerprint(half, teacher)).path)
    for file in ("q4.gguf", "q8.gguf"):
        rounded = load_config(RunConfig, config_file, [f"teacher.gguf_file={file}"])
        paths.append(states_folder(rounded, "no", blocks, teacher, fingerprint(config, teacher)).path)
    tiny_model("gpt2", seed=9).save_pretrained(config.teacher.path)
    paths.append(states_folder(config, "no", blocks, teacher, fingerprint(config, teacher)).path)
    assert len(set(paths)) == 7


def test_bfloat16_is_kept_bit_for_bit_at_half_the_size(config, config_file, parts):
    accelerator, blocks, teacher = parts
    exact = cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
    half_config = load_config(RunConfig, config_file, ["teacher.dtype=bfloat16", "data.max_documents=60"])
    half = cache_states(half_config, accelerator, blocks, teacher, fingerprint(half_config, teacher))
    for block in (0, len(blocks.train) - 1):
        assert torch.equal(half.read(block).hidden, exact.read(block).hidden.to(torch.bfloat16))
    sizes = [sum(f.stat().st_size for f in states.path.rglob("original.npy")) for states in (exact, half)]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.1)


def test_a_full_disk_and_a_damaged_shard_are_one_message(config, parts, tmp_path, monkeypatch):
    accelerator, blocks, teacher = parts
    usage = type("Usage", (), {"free": 1000})
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(OSError, match=r"has 0.0 GB free; set data.cache_dir to a larger disk"):
            cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
    with monkeypatch.context() as patched:  # another program fills the disk while states are written
        patched.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError("2048 requested and 1024 written")))
        message = r"states cannot be written into .*shard_00000 \(2048 .*MB free\); make room, or set data.cache_dir"
        with pytest.raises(OSError, match=message):
            cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
        assert not list(tmp_path.rglob("*.partial"))
    states = cache_states(config, accelerator, blocks, teacher, fingerprint(config, teacher))
    module._open_shard.cache_clear()
    file = states.path / "shard_00001" / "original.npy"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(OSError, match=r"shard_00001 is damaged .*; remove it, it is made again"):
        states.read(7)
