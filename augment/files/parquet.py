"""The Parquet side of stream.py: row groups in, swapped row groups out, in constant memory and resumable.

A worker turns every block of rows into a small finished file in `<target>.parts/`; at the end they are joined, block by
block, into the target. After an interruption the finished blocks are kept. Only the text column becomes Python objects.
"""

import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from augment.files.rows import PAIR_COLUMNS, Block, RowOptions, edit_columns, swap_column
from augment.files.stream import (
    Bar,
    FileReport,
    Progress,
    beside,
    identity,
    note_malformed,
    sync,
    truncated,
    with_options,
    workers,
)

_ROWS_PER_BLOCK = 2000


def swap_parquet(source: Path, target: Path, options: RowOptions, num_workers: int) -> FileReport:
    """Swap the text column of a Parquet file; see stream.swap_file. Raises ValueError when the column is absent, or one
    that `pairs` adds is there.
    """
    schema = _read_schema(source)
    if options.text_field not in schema.names:
        raise ValueError(f"{source} has no column {options.text_field!r}; its columns are {', '.join(schema.names)}")
    there = [name for name in PAIR_COLUMNS if options.pairs and name in schema.names]
    if there:
        raise ValueError(f"{source} has a column {there[0]!r}, which --pairs would add; rename it or leave it out")
    parts, note, bad = beside(target, ".parts"), beside(target, ".progress"), beside(target, ".malformed.jsonl")
    if not parts.is_dir():
        note.unlink(missing_ok=True)
    progress = Progress.load(note, identity(source, options))
    if progress.position == 0:
        shutil.rmtree(parts, ignore_errors=True)
    for part in (_part(parts, number) for number in range(progress.position)):
        if not part.is_file():
            raise FileNotFoundError(f"{part} is gone; remove its folder and give the same command to start again")
    parts.mkdir(parents=True, exist_ok=True)
    begun, words_before = time.perf_counter(), progress.counts.num_words
    with truncated(bad, progress.malformed_bytes) as rejected, Bar(source, progress.counts) as bar:
        size = source.stat().st_size
        num_blocks = -(-pq.read_metadata(source).num_rows // _ROWS_PER_BLOCK)
        for number, block in _in_order(source, options, num_workers, progress.position, parts):
            note_malformed(rejected, block, progress.counts.num_lines)
            sync(rejected)
            progress.counts.add(block.counts)
            progress.position, progress.malformed_bytes = number + 1, rejected.tell()
            progress.save(note)
            bar.update(size * (number + 1) // max(num_blocks, 1), progress.counts)
    _join([_part(parts, number) for number in range(progress.position)], target, _schema(schema, options))
    note.unlink(missing_ok=True)
    shutil.rmtree(parts)
    if not progress.malformed_bytes:
        bad.unlink()
    rate = (progress.counts.num_words - words_before) / max(time.perf_counter() - begun, 1e-9)
    return FileReport(progress.counts, rate, bad if progress.malformed_bytes else None)


def _read_schema(source: Path) -> pa.Schema:
    try:
        return pq.read_schema(source)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{source} is not a Parquet file ({error})") from None


def read_column(source: Path, text_field: str) -> Iterator[str]:
    """The texts of one column. Raises ValueError when it is absent or holds something else."""
    _read_schema(source)
    with pq.ParquetFile(source) as file:
        if text_field not in file.schema_arrow.names:
            names = ", ".join(file.schema_arrow.names)
            raise ValueError(f"{source} has no column {text_field!r}; its columns are {names}")
        for batch in file.iter_batches(_ROWS_PER_BLOCK, columns=[text_field]):
            for text in batch.column(0).to_pylist():
                if not isinstance(text, str):
                    raise ValueError(f"{source}: column {text_field!r} holds {text!r}; give a column of texts")
                yield text


_EDIT = pa.struct(
    {
        "start": pa.int64(),
        "end": pa.int64(),
        "source": pa.string(),
        "target": pa.string(),
        "rule": pa.string(),
        "confidence": pa.float64(),
    }
)


def _schema(schema: pa.Schema, options: RowOptions) -> pa.Schema:
    if not options.pairs:
        return schema
    return schema.append(pa.field("counterfactual", pa.string())).append(pa.field("edits", pa.list_(_EDIT)))


def swapped_part(batch: pa.RecordBatch, options: RowOptions, part: Path) -> Block:
    """In a worker: swap the rows of a batch and write them to `part` under a temporary name first."""
    table = pa.Table.from_batches([batch])
    place = table.schema.get_field_index(options.text_field)
    kept, pairs, block = swap_column(table.column(place).to_pylist(), options)
    if len(kept) < table.num_rows:
        table = table.take(pa.array(kept, type=pa.int64()))
    if options.pairs:
        added = [edit_columns(pair) for pair in pairs]
        table = table.append_column("counterfactual", pa.array([row["counterfactual"] for row in added], pa.string()))
        table = table.append_column("edits", pa.array([row["edits"] for row in added], pa.list_(_EDIT)))
    else:
        field = table.schema.field(place)
        table = table.set_column(place, field, pa.array([pair.counterfactual for pair in pairs], field.type))
    # A name of its own: a worker of a killed run may still be writing the same block.
    unfinished = part.with_name(f"{part.name}.{os.getpid()}")
    with open(unfinished, "wb") as file:
        pq.write_table(table, file)
        sync(file)
    unfinished.replace(part)
    return block


def _in_order(
    source: Path, options: RowOptions, num_workers: int, skip: int, parts: Path
) -> Iterator[tuple[int, Block]]:
    """(block number, its totals) in input order, for every block from `skip` on; the rows are in `parts`."""
    with pq.ParquetFile(source) as file:
        batches = ((n, b) for n, b in enumerate(file.iter_batches(_ROWS_PER_BLOCK)) if n >= skip)
        if num_workers == 1:
            for number, batch in batches:
                yield number, swapped_part(batch, options, _part(parts, number))
            return
        with workers(num_workers, options) as pool:
            waiting: deque[tuple[int, Future[Block]]] = deque()
            for number, batch in batches:
                waiting.append((number, pool.submit(with_options, swapped_part, batch, _part(parts, number))))
                if len(waiting) >= 2 * num_workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()


def _part(parts: Path, number: int) -> Path:
    return parts / f"{number:08}.parquet"


def _join(parts: list[Path], target: Path, schema: pa.Schema) -> None:
    joined = beside(target, ".part")
    with open(joined, "wb") as file:
        with pq.ParquetWriter(file, schema) as writer:
            for part in parts:
                writer.write_table(pq.read_table(part, schema=schema))
        sync(file)
    joined.replace(target)
