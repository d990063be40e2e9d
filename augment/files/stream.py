"""Swap a whole file: streamed in constant memory, in order, on all cores, resumable.

Until it is complete, the output has a temporary name, and a small file beside it notes the progress. After an
interruption the same command resumes after the last block that is safely on disk. The bytes of the output depend
neither on the number of workers nor on interruptions.
"""

import gzip
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from augment.files.progress import REMEDY_FOR_DEAD_WORKERS, FileReport, Journal, open_truncated
from augment.files.rows import Block, RowOptions, swap_json_lines, swap_text_lines
from augment.files.texts import SUFFIXES, check_beginning, format_of, open_bytes
from augment.files.workers import in_order

_BLOCK_BYTES = 1 << 19
_SAVE_EVERY = 8  # blocks between two notes of progress


def swap_file(source: Path, target: Path, options: RowOptions, num_workers: int = 1) -> FileReport:
    """Swap a .txt, .jsonl (either may end in .gz) or .parquet file.

    Rows that cannot be read are listed with their line number in `<target>.malformed.jsonl`. Raises FileNotFoundError
    for a missing input, ValueError for a format that is unknown or differs between input and output.
    """
    kind = format_of(source)
    if not source.is_file():
        raise FileNotFoundError(f"input {str(source)!r} does not exist; give a {', '.join(SUFFIXES)} file")
    if format_of(target) != kind:
        raise ValueError(f"output {target.name!r} must have the format of the input ({kind}); rename it")
    if source.resolve() == target.resolve():
        raise ValueError(f"output {str(target)!r} is the input; give another name")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder of the output {str(target)!r} does not exist; make it first")
    if num_workers < 1:
        raise ValueError(f"--workers is {num_workers}; give 1 or more")
    if kind == ".txt" and options.pairs:
        raise ValueError("a .txt file has no columns for pairs; use .jsonl or .parquet, or leave out --pairs")
    if kind == ".parquet":
        from augment.files.parquet import swap_parquet  # pyarrow is slow to import

        return swap_parquet(source, target, options, num_workers)
    return _swap_lines(source, target, options, num_workers)


def _swap_lines(source: Path, target: Path, options: RowOptions, num_workers: int) -> FileReport:
    check_beginning(source)
    job = partial(
        swapped_block,
        options=options,
        swap_lines=swap_text_lines if format_of(source) == ".txt" else swap_json_lines,
        compress=target.suffix == ".gz",
    )
    part = target.with_name(target.name + ".part")
    with Journal(source, target, options, resumable=part.is_file()) as journal:
        with open_bytes(source) as stream, open_truncated(part, journal.progress.output_bytes) as out:
            _skip(stream, journal.progress.position)
            with closing(in_order(job, _blocks(stream), num_workers, REMEDY_FOR_DEAD_WORKERS)) as blocks:
                for number, (size, block) in enumerate(blocks, start=1):
                    out.write(block.lines[0])
                    journal.add(block, size, _bytes_read(stream))
                    if number % _SAVE_EVERY == 0:
                        journal.save(out)
            journal.save(out)
        part.replace(target)
    return journal.report()


def swapped_block(
    data: bytes, options: RowOptions, swap_lines: Callable[[list[bytes], RowOptions], Block], compress: bool
) -> tuple[int, Block]:
    """The size of `data` in bytes, and its swapped block, whose `lines` hold the whole output as one element."""
    block = swap_lines(BytesIO(data).readlines(), options)
    output = b"".join(block.lines)
    # One gzip member per block: a file that ends after any member is valid, so a run can resume there.
    block.lines = [gzip.compress(output, 6, mtime=0) if compress and output else output]
    return len(data), block


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The input in pieces of about _BLOCK_BYTES, each of whole lines."""
    while data := stream.read(_BLOCK_BYTES):
        yield data + stream.readline()


def _skip(stream: BinaryIO, num_bytes: int) -> None:
    """Go forward by so many decompressed bytes."""
    if not isinstance(stream, gzip.GzipFile):
        stream.seek(num_bytes)
        return
    while num_bytes > 0:
        num_bytes -= len(stream.read(min(num_bytes, 1 << 20))) or num_bytes


def _bytes_read(stream: BinaryIO) -> int:
    """How many bytes of the file on disk have been read, compressed or not."""
    return int(stream.fileobj.tell() if isinstance(stream, gzip.GzipFile) else stream.tell())
