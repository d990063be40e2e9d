"""Batches of packed blocks: padded tensors of both views, checked and loaded in the background."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as MapDataset

from augment.align import invert
from distill.data.block_files import IDS, MASKS
from distill.data.packing import PairedExample

T = TypeVar("T")
CPU = torch.device("cpu")


class BlockStates(NamedTuple):
    """The teacher's last hidden states on several blocks: hidden [B, T, H], and cf_hidden [C, T, H] on the
    counterfactuals of only those blocks whose views differ.
    """

    hidden: Tensor
    cf_hidden: Tensor


class PairedBatch(NamedTuple):
    """Both views of B rows, padded on the right to T tokens. `cf_` marks the counterfactual view.

    input_ids [B, T]. loss_mask [B, T]: true where the prediction made *at* a position, of the token after it, is
    scored. align [B, T]: the position in the other view whose prediction pairs with the one made here, or -1. has_swap
    [B]: whether the views differ. teacher_hidden [B, T, H] and, for the rows with a swap only, cf_teacher_hidden
    [C, T, H]: the teacher's last hidden states if they are cached, otherwise None.

    There is no attention mask: padding is on the right, where a causal model cannot see it. The batch is a NamedTuple
    because accelerate, DDP and FSDP can take such a tuple apart and put it together again.
    """

    input_ids: Tensor
    loss_mask: Tensor
    align: Tensor
    cf_input_ids: Tensor
    cf_loss_mask: Tensor
    cf_align: Tensor
    has_swap: Tensor
    teacher_hidden: Tensor | None = None
    cf_teacher_hidden: Tensor | None = None

    def exchanged(self) -> PairedBatch:
        """The batch with its two views exchanged, without the teacher's states."""
        return PairedBatch(*self[3:6], *self[:3], self.has_swap)

    def row(self, index: int) -> PairedBatch:
        """The batch that holds only this row."""
        return self.rows(index, index + 1)

    def rows(self, start: int, end: int) -> PairedBatch:
        """The batch that holds only the rows from `start` up to, without it, `end`."""
        some = PairedBatch(*(tensor[start:end] for tensor in self[:7]))
        if self.teacher_hidden is None or self.cf_teacher_hidden is None:
            return some
        cf_start, cf_end = (int(self.has_swap[:row].sum()) for row in (start, end))
        return some.with_states(BlockStates(self.teacher_hidden[start:end], self.cf_teacher_hidden[cf_start:cf_end]))

    def trimmed(self) -> PairedBatch:
        """The batch without the columns that are padding in every row, and without the teacher's states."""
        used = self.loss_mask | self.cf_loss_mask
        length = int(used.any(0).nonzero().max()) + 2 if bool(used.any()) else 1  # and the last token that is predicted
        return PairedBatch(*[*(tensor[:, :length] for tensor in self[:6]), self.has_swap])

    def with_states(self, states: BlockStates) -> PairedBatch:
        """The batch with the teacher's cached states."""
        return self._replace(teacher_hidden=states.hidden, cf_teacher_hidden=states.cf_hidden)

    def to(self, device: torch.device) -> PairedBatch:
        """The same batch on a device. The copies are asynchronous."""
        return PairedBatch(*(None if t is None else t.to(device, non_blocking=True) for t in self))  # type: ignore[arg-type]


def collate(examples: Sequence[PairedExample | None], seq_len: int) -> PairedBatch:
    """One batch with every row padded to `seq_len`. None gives a row of padding in which nothing is scored."""
    shape = (len(examples), seq_len)
    ids, cf_ids = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    align, cf_align = torch.full(shape, -1), torch.full(shape, -1)
    loss_mask, cf_loss_mask = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    has_swap = torch.zeros(len(examples), dtype=torch.bool)
    for row, example in enumerate(examples):
        if example is None:
            continue
        num, cf_num = len(example.input_ids), len(example.cf_input_ids)
        ids[row, :num] = torch.from_numpy(example.input_ids)
        cf_ids[row, :cf_num] = torch.from_numpy(example.cf_input_ids)
        align[row, :num] = torch.from_numpy(example.align)
        cf_align[row, :cf_num] = torch.from_numpy(invert(example.align, cf_num))
        loss_mask[row, : num - 1] = True if example.scored is None else torch.from_numpy(example.scored[1:])
        cf_loss_mask[row, : cf_num - 1] = True if example.cf_scored is None else torch.from_numpy(example.cf_scored[1:])
        has_swap[row] = not np.array_equal(example.input_ids, example.cf_input_ids)
    return PairedBatch(ids, loss_mask, align, cf_ids, cf_loss_mask, cf_align, has_swap)


def batches(
    blocks: Dataset,
    indices: Iterable[list[int]],
    seq_len: int,
    states: Callable[[Sequence[int]], BlockStates] | None = None,
    device: torch.device = CPU,
) -> DataLoader:
    """Load one PairedBatch per list of block indices; index -1 gives a row of padding.

    states: reads the cached states of blocks. device: where the batches will go; the memory of those for a GPU is
    pinned. Iterating raises OSError, naming the file, if a block is damaged.
    """
    return DataLoader(
        _Batches(blocks, seq_len, states),
        batch_sampler=indices,
        collate_fn=lambda batch: batch,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # starting an epoch must not change the random state that dropout draws from
    )


def batches_in_order(
    examples: Iterable[PairedExample], size: int, seq_len: int, device: torch.device = CPU
) -> Iterator[PairedBatch]:
    """One PairedBatch per `size` blocks, in their order. device: as in `batches`."""
    iterator = iter(examples)
    while rows := list(islice(iterator, size)):
        batch = collate(rows, seq_len)
        yield PairedBatch(*(tensor.pin_memory() for tensor in batch[:7])) if device.type == "cuda" else batch


def prefetched(items: Iterator[T], num_ahead: int, device: torch.device = CPU) -> Iterator[T]:
    """Yield the items in order, while a background thread prepares up to `num_ahead` of them for a device.

    Loading then overlaps with the GPU's work.
    """
    start = partial(torch.cuda.set_device, device) if device.type == "cuda" else None
    with ThreadPoolExecutor(1, initializer=start) as thread:  # the thread pins memory, by default for the first GPU
        pending: deque[Future[T | None]] = deque(thread.submit(next, items, None) for _ in range(num_ahead))
        while (item := pending.popleft().result()) is not None:
            pending.append(thread.submit(next, items, None))
            yield item


class _Batches(MapDataset):
    """Batches by the indices of their blocks, with the teacher's cached states if any."""

    def __init__(self, blocks: Dataset, seq_len: int, states: Callable[[Sequence[int]], BlockStates] | None) -> None:
        self.blocks = blocks
        self.seq_len = seq_len
        self.states = states

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitems__(self, indices: Sequence[int]) -> PairedBatch:
        """All blocks of a batch at once; the loader prefers this to __getitem__."""
        batch = collate([self._example(index) for index in indices], self.seq_len)
        return batch if self.states is None else batch.with_states(self.states(indices))

    def _example(self, index: int) -> PairedExample | None:
        if index < 0:
            return None
        row = self.blocks[index]
        own, other, align = (np.asarray(row[name], dtype=np.int64) for name in IDS)
        masks = [np.array(row[name], dtype=np.bool_) for name in MASKS if name in row]
        example = PairedExample(own, other, align, *masks)
        if example.checksum() != row["checksum"]:
            raise OSError(_damage(self.blocks, index))
        return example


def _damage(blocks: Dataset, index: int) -> str:
    """What to say of a block whose bytes have changed on the disk."""
    for file in (Path(entry["filename"]) for entry in blocks.cache_files):
        num_blocks = len(Dataset.from_file(str(file)))
        if index < num_blocks:
            break
        index -= num_blocks
    return f"{file} is damaged (block {index}); remove the folder {file.parent}, and the same command makes it again"
