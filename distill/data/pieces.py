"""Which blocks belong to which document, where no block holds pieces of several (private training)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
from datasets import Dataset

from distill.data.packing import IntArray
from distill.files import sync


class Documents(NamedTuple):
    """N documents, cut into M blocks.

    starts [N + 1]: document d has the blocks from starts[d] up to, without it, starts[d + 1]. tokens [M + 1]: how many
    tokens of the original view all blocks before a block hold.
    """

    starts: IntArray
    tokens: IntArray

    @property
    def num_documents(self) -> int:
        """N."""
        return len(self.starts) - 1

    def pieces_at(self, documents: IntArray, places: npt.NDArray[np.float64]) -> IntArray:
        """A block of each of these documents: the one that holds the token at a place of its text, in [0, 1).

        With random places every token of a document is equally likely to be in it, so a short rest comes rarely.
        """
        first, end = self.tokens[self.starts[documents]], self.tokens[self.starts[documents + 1]]
        chosen = first + np.floor(places * (end - first)).astype(np.int64)
        return np.searchsorted(self.tokens, chosen, side="right") - 1


def write_num_pieces(shard: Path, num_pieces: Sequence[int]) -> None:
    """Write how many blocks each document of a shard has, beside it."""
    file = shard.with_suffix(".npy")
    np.save(file, np.array(num_pieces, dtype=np.int64))
    sync(file)


def read_documents_of(folder: Path, counts: dict[str, Any], blocks: Dataset) -> Documents:
    """The documents of the training blocks in a folder. Raises ValueError if they do not fit the blocks.

    counts: what info.json says of them.
    """
    num_pieces = np.concatenate([np.load(file) for file in sorted(folder.glob("train-*.npy"))])
    if (len(num_pieces), num_pieces.sum()) != (counts["num_documents"], len(blocks)) or num_pieces.min() < 1:
        raise ValueError(f"the documents have {num_pieces.sum():,} blocks, but there are {len(blocks):,}")
    num_tokens = pc.list_value_length(blocks.data.column("input_ids")).to_numpy()
    return Documents(_before(num_pieces), _before(num_tokens))


def _before(numbers: IntArray) -> IntArray:
    """The sum of the numbers before each, and of all."""
    return np.concatenate([[0], np.cumsum(numbers, dtype=np.int64)])
