"""Cached targets: store the teacher's last hidden states on both views of every training block, once.

The teacher then reads the corpus once instead of once per epoch, and no step waits for its layers. The states are what
its output layer reads, so targets stay exact, and perturbation, strength, temperature and loss may still change.

    CACHE/states-KEY/shard_00000/original.npy          [blocks, T, H]
                                 counterfactual.npy    [blocks with a swap, T, H]
                                 has_swap.npy          [blocks]
    CACHE/states-KEY/heldout_64/shard_00000/...        the same of the first 64 held-out blocks

A shard is written under a temporary name and then renamed, so a shard with its final name is whole, and an interrupted
run continues with the next shard. KEY is a hash of blocks, teacher and precision: another model or corpus has another
folder.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from datasets import Dataset
from filelock import FileLock, Timeout
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from distill.config import RunConfig
from distill.data.batches import BlockStates, batches
from distill.files import sync, writing
from distill.loss.distiller import teacher_states
from distill.models.sizes import state_width
from distill.run.heldout import heldout_blocks
from distill.run.launch import on_main
from distill.run.setup import Setup

# Raise this number whenever the states of the same blocks and teacher, or their layout on disk, can change.
STATES_VERSION = 1
BLOCKS_PER_SHARD = 256
NO_WAIT, UNTIL_FREE = 0, -1  # timeouts of filelock
# NumPy has no bfloat16: its bits are stored as uint16
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class CachedStates(NamedTuple):
    """A folder of states: [seq_len, width] in `dtype` for each view of each training block."""

    path: Path
    seq_len: int
    width: int
    dtype: str

    def read(self, blocks: Sequence[int], pinned: bool = False) -> BlockStates:
        """The states of blocks; zeros for block -1. Raises OSError with one message if a file of a shard is damaged.

        pinned: read them into memory from which a GPU copies while the host goes on.
        """
        places = [(self._open(block // BLOCKS_PER_SHARD), block % BLOCKS_PER_SHARD) for block in blocks]
        with_swap = [(shard, row) for shard, row in places if shard is not None and shard.has_swap[row]]
        hidden, cf_hidden = (
            torch.empty(len(rows), self.seq_len, self.width, dtype=DTYPES[self.dtype], pin_memory=pinned)
            for rows in (places, with_swap)
        )
        for values, (shard, row) in zip(_as_stored(hidden), places, strict=True):
            values[:] = 0 if shard is None else shard.original[row]
        for values, (shard, row) in zip(_as_stored(cf_hidden), with_swap, strict=True):
            values[:] = shard.counterfactual[shard.has_swap[:row].sum()]
        return BlockStates(hidden, cf_hidden)

    def _open(self, number: int) -> _Shard | None:
        return None if number < 0 else _open_shard(self.shard(number))

    def shard(self, number: int) -> Path:
        """The folder of a shard."""
        return self.path / f"shard_{number:05d}"


class _Shard(NamedTuple):
    """The arrays of a shard: states memory-mapped, has_swap in memory."""

    original: np.ndarray
    counterfactual: np.ndarray
    has_swap: np.ndarray


def add_cached_states(setup: Setup) -> Setup:
    """Give the setup's blocks the teacher's states, if teacher.targets is `cached`. Call on all processes.

    setup must have its provenance. Raises OSError if the disk is too full.
    """
    teacher = setup.config.teacher
    if teacher is None or teacher.targets == "online":
        return setup
    pinned = setup.accelerator.device.type == "cuda"
    of_train, of_heldout = (functools.partial(folder.read, pinned=pinned) for folder in cache_states(setup))
    return setup._replace(blocks=setup.blocks._replace(states=of_train, heldout_states=of_heldout))


def cache_states(setup: Setup) -> tuple[CachedStates, CachedStates]:
    """The states of the training blocks and of the held-out blocks; those that are not stored yet are computed."""
    of_train, heldout = states_folder(setup), heldout_blocks(setup.blocks, setup.config)
    of_heldout = of_train._replace(path=of_train.path / f"heldout_{len(heldout)}")
    for folder, blocks in ((of_train, setup.blocks.train), (of_heldout, heldout)):
        _store_missing(folder, blocks, setup)
    assert setup.models.teacher is not None
    setup.models.teacher.to("cpu")  # only its output layer is needed from now on
    return of_train, of_heldout


def _store_missing(folder: CachedStates, blocks: Dataset, setup: Setup) -> None:
    """Store the shards that a folder lacks; each process does its share, with the teacher on its device."""
    accelerator, teacher = setup.accelerator, setup.models.teacher
    assert teacher is not None
    with writing("the teacher's states", folder.path, "data.cache_dir"):
        folder.path.mkdir(parents=True, exist_ok=True)
    num_blocks = len(blocks)
    missing = [number for number in range(-(-num_blocks // BLOCKS_PER_SHARD)) if not folder.shard(number).exists()]
    needed = size_bytes(min(len(missing) * BLOCKS_PER_SHARD, num_blocks), setup.config, teacher)
    on_main(accelerator, lambda: _check_space(folder.path, needed))
    if missing:
        accelerator.print(f"caching the teacher's states of {num_blocks:,} blocks in {folder.path}")
        teacher.to(accelerator.device)
    # Share the shards out by number, not by place in the list: while another run stores the same states, processes may
    # see different lists.
    mine = [number for number in missing if number % accelerator.num_processes == accelerator.process_index]
    quiet = not accelerator.is_main_process
    with tqdm(desc="caching the teacher's states", unit=" tokens", unit_scale=True, disable=quiet, leave=False) as bar:
        bar.total = len(mine) * BLOCKS_PER_SHARD * folder.seq_len
        for patience in (NO_WAIT, UNTIL_FREE):  # first the free shards, then those that another run was storing
            for number in mine:
                lock = FileLock(f"{folder.shard(number)}.lock", patience)
                named = writing("the teacher's states", folder.path, "data.cache_dir")
                with contextlib.suppress(Timeout), named, lock:
                    if not folder.shard(number).exists():
                        _store_shard(folder, number, blocks, setup, bar)
    accelerator.wait_for_everyone()


def states_folder(setup: Setup) -> CachedStates:
    """Where the states of the training blocks and this teacher belong, in data.cache_dir."""
    config, teacher = setup.config, setup.models.teacher
    assert config.teacher is not None and teacher is not None and config.provenance is not None
    identity = [
        setup.blocks.key,
        config.provenance["teacher"],
        config.teacher.gguf_file,
        config.teacher.dtype,
        setup.accelerator.mixed_precision,
        config.data.mask_documents,
        BLOCKS_PER_SHARD,
        STATES_VERSION,
    ]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
    path = Path(config.data.cache_dir) / f"states-{key}"
    return CachedStates(path, config.data.seq_len, state_width(teacher), config.teacher.dtype)


def size_bytes(num_blocks: int, config: RunConfig, teacher: PreTrainedModel) -> int:
    """The largest size of the states of `num_blocks` blocks: every block has a swap."""
    assert config.teacher is not None
    return 2 * num_blocks * config.data.seq_len * state_width(teacher) * DTYPES[config.teacher.dtype].itemsize


def _check_space(path: Path, needed: int) -> None:
    """Raise OSError unless `needed` bytes are free at `path`."""
    free = shutil.disk_usage(path).free
    if needed > free:
        raise OSError(
            f"the teacher's states need up to {needed / 1e9:.1f} GB, but {path} has {free / 1e9:.1f} GB free; set "
            "data.cache_dir to a larger disk, teacher.dtype to bfloat16, or teacher.targets to `online`"
        )


def _store_shard(folder: CachedStates, number: int, blocks: Dataset, setup: Setup, bar: tqdm) -> None:
    """Compute one shard, write it under a temporary name, then rename it."""
    arrays = _compute_shard(folder, number, blocks, setup, bar)
    final = folder.shard(number)
    aside = final.with_name(final.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir()
        for name, tensor in arrays.items():
            np.save(aside / f"{name}.npy", _as_stored(tensor))
            sync(aside / f"{name}.npy")
        sync(aside)
        aside.rename(final)
        sync(final.parent)
    except OSError as error:  # np.save only tells how many bytes it could not write
        shutil.rmtree(aside, ignore_errors=True)
        raise OSError(
            f"the teacher's states cannot be written into {final} ({error.strerror or error}; "
            f"{shutil.disk_usage(final.parent).free / 1e6:.0f} MB free); make room, or set data.cache_dir or "
            "teacher.targets=online; finished shards are kept"
        ) from error


@torch.inference_mode()
def _compute_shard(folder: CachedStates, number: int, blocks: Dataset, setup: Setup, bar: tqdm) -> dict[str, Tensor]:
    """The arrays of a shard, by their file names without the suffix."""
    accelerator, teacher = setup.accelerator, setup.models.teacher
    assert teacher is not None
    first, size = number * BLOCKS_PER_SHARD, setup.config.train.micro_batch_size
    indices = range(first, min(first + BLOCKS_PER_SHARD, len(blocks)))
    micro = [list(indices[start : start + size]) for start in range(0, len(indices), size)]
    originals, counterfactuals, has_swap = [], [], []
    for batch in batches(blocks, micro, folder.seq_len):
        swapped = batch.has_swap.nonzero().squeeze(1)
        with accelerator.autocast():
            table = teacher_states(teacher, batch.to(accelerator.device), swapped.to(accelerator.device))
        rows = table.to("cpu", DTYPES[folder.dtype]).view(-1, folder.seq_len, folder.width)
        originals.append(rows[: len(batch.input_ids)])
        counterfactuals.append(rows[len(batch.input_ids) :])
        has_swap.append(batch.has_swap)
        bar.update(batch.input_ids.numel())
    return {
        "original": torch.cat(originals),
        "counterfactual": torch.cat(counterfactuals),
        "has_swap": torch.cat(has_swap),
    }


@functools.lru_cache(maxsize=64)
def _open_shard(path: Path) -> _Shard:
    try:
        original, counterfactual = (np.load(path / f"{n}.npy", mmap_mode="r") for n in ("original", "counterfactual"))
        return _Shard(original, counterfactual, np.load(path / "has_swap.npy"))
    except (OSError, ValueError) as error:
        raise OSError(
            f"{path} is damaged ({' '.join(str(error).split())}); remove it, and the same command makes it again"
        ) from error


def _as_stored(tensor: Tensor) -> np.ndarray:
    """The values of a tensor in memory as NumPy stores them."""
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
