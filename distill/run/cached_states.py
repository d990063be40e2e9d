"""Offline targets: a teacher and the training blocks in; its last hidden states on both views, on disk, out.

The teacher then reads the corpus once instead of once in every epoch, and no step waits for its body. What is stored is
what its output layer reads, so that the targets are exact, and perturbation, strength, temperature and loss stay free.

    CACHE/states-KEY/shard_00000/original.npy          [blocks, T, H]
                                 counterfactual.npy    [blocks with a swap, T, H]
                                 has_swap.npy          [blocks]

A shard is written aside and renamed: one that is there is whole, and a run that was stopped goes on with the next one.
KEY is a hash of blocks, teacher and precision: another model or another corpus has another folder.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset
from filelock import FileLock, Timeout
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from distill.config import RunConfig
from distill.data.batches import BlockStates, batches
from distill.data.blocks import Blocks
from distill.files import sync
from distill.loss.distiller import teacher_states
from distill.run.launch import on_main

# Raise this number whenever the stored states can differ for the same blocks and teacher, or their layout on disk.
STATES_VERSION = 1
BLOCKS_PER_SHARD = 256
NO_WAIT, UNTIL_FREE = 0, -1  # timeouts of filelock
# NumPy has no bfloat16: its bits are stored
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class CachedStates(NamedTuple):
    """Where the states of the training blocks are: [T, H] of `dtype` for each view of each block."""

    path: Path
    seq_len: int
    width: int
    dtype: str

    def read(self, block: int) -> BlockStates:
        """The states of one block. Raises OSError with one message when a file of its shard is damaged."""
        number, row = divmod(block, BLOCKS_PER_SHARD)
        original, counterfactual, has_swap = _open_shard(self._shard(number))
        cf_row = int(has_swap[:row].sum())
        cf_hidden = self._tensor(counterfactual[cf_row]) if has_swap[row] else None
        return BlockStates(self._tensor(original[row]), cf_hidden)

    def _shard(self, number: int) -> Path:
        return self.path / f"shard_{number:05d}"

    def _tensor(self, stored: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.array(stored))
        return tensor.view(torch.bfloat16) if self.dtype == "bfloat16" else tensor


def cache_states(
    config: RunConfig, accelerator: Accelerator, blocks: Blocks, teacher: PreTrainedModel, fingerprint: str
) -> CachedStates:
    """The teacher's states on the training blocks, computed where they are not stored yet. Call on all processes.

    Each does its share of the shards. fingerprint: of the teacher's weights. Raises OSError when the disk is too full.
    """
    assert config.teacher is not None
    folder = states_folder(config, accelerator.mixed_precision, blocks, teacher, fingerprint)
    folder.path.mkdir(parents=True, exist_ok=True)
    num_shards = -(-len(blocks.train) // BLOCKS_PER_SHARD)
    missing = [number for number in range(num_shards) if not folder._shard(number).exists()]
    num_blocks = min(len(missing) * BLOCKS_PER_SHARD, len(blocks.train))
    needed = size_bytes(num_blocks, config.data.seq_len, teacher, config.teacher.dtype)
    on_main(accelerator, lambda: _check_space(folder.path, needed))
    if missing:
        teacher.to(accelerator.device)
    # by number: what is missing another process may see otherwise, while another run stores the same states
    mine = [number for number in missing if number % accelerator.num_processes == accelerator.process_index]
    quiet = not accelerator.is_main_process
    with tqdm(desc="caching the teacher's states", unit=" tokens", unit_scale=True, disable=quiet, leave=False) as bar:
        bar.total = len(mine) * BLOCKS_PER_SHARD * config.data.seq_len
        for patience in (NO_WAIT, UNTIL_FREE):  # what another run is storing is left to it: first do what is free
            for number in mine:
                with contextlib.suppress(Timeout), FileLock(f"{folder._shard(number)}.lock", patience):
                    if not folder._shard(number).exists():
                        _store_shard(folder, number, config, accelerator, blocks.train, teacher, bar)
    teacher.to("cpu")  # it has read the text
    accelerator.wait_for_everyone()
    return folder


def states_folder(
    config: RunConfig, mixed_precision: str, blocks: Blocks, teacher: PreTrainedModel, fingerprint: str
) -> CachedStates:
    """Where the states of these blocks and this teacher belong, in data.cache_dir."""
    assert config.teacher is not None
    identity = [
        blocks.key,
        fingerprint,
        config.teacher.gguf_file,
        config.teacher.dtype,
        mixed_precision,
        config.data.mask_documents,
        BLOCKS_PER_SHARD,
        STATES_VERSION,
    ]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
    width = teacher.get_output_embeddings().weight.shape[1]
    path = Path(config.data.cache_dir) / f"states-{key}"
    return CachedStates(path, config.data.seq_len, width, config.teacher.dtype)


def size_bytes(num_blocks: int, seq_len: int, teacher: PreTrainedModel, dtype: str) -> int:
    """The size of the states of so many blocks if all of them have a swap."""
    return 2 * num_blocks * seq_len * teacher.get_output_embeddings().weight.shape[1] * DTYPES[dtype].itemsize


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path).free
    if needed > free:
        raise OSError(
            f"the teacher's states need up to {needed / 1e9:.1f} GB, {path} has {free / 1e9:.1f} GB free; set "
            "data.cache_dir to a larger disk, teacher.dtype to bfloat16, or teacher.targets to `online`"
        )


@torch.inference_mode()
def _store_shard(
    folder: CachedStates,
    number: int,
    config: RunConfig,
    accelerator: Accelerator,
    blocks: Dataset,
    teacher: PreTrainedModel,
    bar: tqdm,
) -> None:
    """Compute one shard and write it under a temporary name, then rename it."""
    first = number * BLOCKS_PER_SHARD
    indices = range(first, min(first + BLOCKS_PER_SHARD, len(blocks)))
    size = config.train.micro_batch_size
    micro = [list(indices[start : start + size]) for start in range(0, len(indices), size)]
    originals, counterfactuals, has_swap = [], [], []
    for batch in batches(blocks, micro, folder.seq_len):
        swapped = batch.has_swap.nonzero().squeeze(1)
        device_batch = batch.to(accelerator.device)
        with accelerator.autocast():
            table = teacher_states(teacher, device_batch, swapped.to(accelerator.device))
        rows = table.to("cpu", DTYPES[folder.dtype]).view(-1, folder.seq_len, folder.width)
        originals.append(rows[: len(batch.input_ids)])
        counterfactuals.append(rows[len(batch.input_ids) :])
        has_swap.append(batch.has_swap)
        bar.update(batch.input_ids.numel())
    final = folder._shard(number)
    aside = final.with_name(final.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir()
        for name, parts in (("original", originals), ("counterfactual", counterfactuals), ("has_swap", has_swap)):
            whole = torch.cat(parts)
            stored = whole.view(torch.uint16) if whole.dtype == torch.bfloat16 else whole
            np.save(aside / f"{name}.npy", stored.numpy())
            sync(aside / f"{name}.npy")
        sync(aside)
        aside.rename(final)
        sync(final.parent)
    except OSError as error:  # np.save says only how many bytes it could not write
        shutil.rmtree(aside, ignore_errors=True)
        raise OSError(
            f"the teacher's states cannot be written into {final} ({error.strerror or error}; "
            f"{shutil.disk_usage(final.parent).free / 1e6:.0f} MB free); make room, or set data.cache_dir or "
            "teacher.targets=online; what is finished is kept"
        ) from error


@functools.lru_cache(maxsize=64)
def _open_shard(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of a shard: states memory-mapped, has_swap read."""
    try:
        original, counterfactual = (np.load(path / f"{n}.npy", mmap_mode="r") for n in ("original", "counterfactual"))
        return original, counterfactual, np.load(path / "has_swap.npy")
    except (OSError, ValueError) as error:
        raise OSError(f"{path} is damaged ({' '.join(str(error).split())}); remove it, it is made again") from error
