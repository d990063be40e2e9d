"""How blocks lie in Arrow files: their columns, writing them as a stream, and reading all shards of one side."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pyarrow as pa
from datasets import Dataset, concatenate_datasets

from distill.data.packing import PairedExample
from distill.files import sync

IDS, MASKS = ("input_ids", "cf_input_ids", "align"), ("scored", "cf_scored")
CHECKSUM = pa.field("checksum", pa.uint32())
SCHEMA = pa.schema([*((name, pa.list_(pa.int32())) for name in IDS), CHECKSUM])  # where all tokens are learned
MASKED_SCHEMA = pa.schema([*list(SCHEMA)[:-1], *((name, pa.list_(pa.bool_())) for name in MASKS), CHECKSUM])
BLOCKS_PER_RECORD_BATCH = 256


def write_blocks(path: Path, blocks: Iterable[PairedExample], is_masked: bool) -> dict[str, int]:
    """Stream blocks into an Arrow file; returns the numbers of blocks and of tokens in the original view.

    is_masked: whether the blocks say which tokens are learned. Then the number of scored predictions is returned too.
    """
    schema = MASKED_SCHEMA if is_masked else SCHEMA
    counts = {"num_blocks": 0, "num_tokens": 0} | ({"num_scored": 0} if is_masked else {})
    iterator = iter(blocks)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        while chunk := list(islice(iterator, BLOCKS_PER_RECORD_BATCH)):
            rows = [block._asdict() | {"checksum": block.checksum()} for block in chunk]
            columns = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            counts["num_blocks"] += len(chunk)
            counts["num_tokens"] += sum(len(block.input_ids) for block in chunk)
            if is_masked:
                counts["num_scored"] += sum(int(block.scored[1:].sum()) for block in chunk if block.scored is not None)
    sync(path)
    return counts


def read_shards(folder: Path, name: str, num_blocks: int) -> Dataset:
    """The blocks of all shards of one side, memory-mapped. Raises ValueError if there are not `num_blocks`."""
    shards = [Dataset.from_file(str(file)) for file in sorted(folder.glob(f"{name}-*.arrow"))]
    if sum(map(len, shards)) != num_blocks:  # if a shard is missing, block numbers mean other blocks
        raise ValueError(f"{name} has {sum(map(len, shards)):,} blocks instead of {num_blocks:,}")
    blocks = concatenate_datasets(shards)
    schema = MASKED_SCHEMA if MASKS[0] in blocks.column_names else SCHEMA
    blocks.data.cast(schema).validate(full=True)  # where each block begins and ends; reading it checks its own bytes
    return blocks.with_format("numpy")
