"""Swap a Parquet file block by block: in constant memory and resumable.

A worker writes every block of rows as a small file into `<target>.parts/`; at the end these parts are joined into the
target. After an interruption the finished parts are used. Only the text column becomes Python objects.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from augment.files.progress import REMEDY_FOR_DEAD_WORKERS, FileReport, Journal
from augment.files.rows import PAIR_COLUMNS, Block, RowOptions, edit_columns, swap_column
from augment.files.safe import written_aside
from augment.files.tables import open_parquet, record_batches
from augment.files.workers import in_order

_ROWS_PER_BLOCK = 2000
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


def swap_parquet(source: Path, target: Path, options: RowOptions, num_workers: int) -> FileReport:
    """Swap the text column of a Parquet file; `stream.swap_file` calls this.

    Raises ValueError if the column is absent, or if a column that `pairs` adds exists already.
    """
    with open_parquet(source, options.text_field, "--field") as table:
        schema, num_rows = table.schema_arrow, table.metadata.num_rows
    taken = [name for name in PAIR_COLUMNS if options.pairs and name in schema.names]
    if taken:
        raise ValueError(f"{source} has a column {taken[0]!r}, which --pairs would add; rename it or leave it out")
    parts = target.with_name(target.name + ".parts")
    size, num_blocks = source.stat().st_size, max(-(-num_rows // _ROWS_PER_BLOCK), 1)
    with Journal(source, target, options, resumable=parts.is_dir()) as journal:
        progress = journal.progress
        _check_parts(parts, progress.position)
        job = partial(swapped_part, options=options, parts=parts)
        with open_parquet(source, options.text_field, "--field") as table:
            numbered = _blocks(source, table, skip=progress.position)
            with closing(in_order(job, numbered, num_workers, REMEDY_FOR_DEAD_WORKERS)) as blocks:
                for block in blocks:
                    journal.add(block, 1, size * (progress.position + 1) // num_blocks)
                    journal.save()
        _join([_part(parts, number) for number in range(progress.position)], target, _schema(schema, options))
    shutil.rmtree(parts)
    return journal.report()


def _check_parts(parts: Path, num_finished: int) -> None:
    """Make the folder of parts, empty if none is finished. Raises FileNotFoundError if a finished part is gone."""
    if num_finished == 0:
        shutil.rmtree(parts, ignore_errors=True)
    for part in (_part(parts, number) for number in range(num_finished)):
        if not part.is_file():
            raise FileNotFoundError(f"{part} is gone; remove its folder and run the same command to start again")
    parts.mkdir(parents=True, exist_ok=True)


def _blocks(source: Path, table: Any, skip: int) -> Iterator[tuple[int, Any]]:
    """(number, rows) for every block from number `skip` on."""
    for number, (_, batch) in enumerate(record_batches(source, table, _ROWS_PER_BLOCK)):
        if number >= skip:
            yield number, batch


def swapped_part(numbered: tuple[int, Any], options: RowOptions, parts: Path) -> Block:
    """In a worker: swap the rows of a (number, batch) and write them to the part of that number."""
    number, batch = numbered
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
    part = _part(parts, number)
    # Each process has its own temporary name: a worker of a killed run may still be writing the same block.
    with written_aside(part, part.with_name(f"{part.name}.{os.getpid()}")) as file:
        pq.write_table(table, file)
    return block


def _schema(schema: pa.Schema, options: RowOptions) -> pa.Schema:
    if not options.pairs:
        return schema
    return schema.append(pa.field("counterfactual", pa.string())).append(pa.field("edits", pa.list_(_EDIT)))


def _part(parts: Path, number: int) -> Path:
    return parts / f"{number:08}.parquet"


def _join(parts: list[Path], target: Path, schema: pa.Schema) -> None:
    with (
        written_aside(target, target.with_name(target.name + ".part")) as file,
        pq.ParquetWriter(file, schema) as writer,
    ):
        for part in parts:
            writer.write_table(pq.read_table(part, schema=schema))
