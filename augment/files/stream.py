"""A file in, its counterfactual file out: streamed in constant memory, in order, on all cores, resumable.

The output grows under a temporary name beside a small progress file; when the last block is written it gets its own
name. After an interruption the same command continues behind the last block that is safely on disk. The bytes written
do not depend on the number of workers nor on interruptions.
"""

import gzip
import hashlib
import json
import os
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from augment.files.rows import Block, Counts, RowOptions, swap_json_lines, swap_text_lines

_FORMATS = ".txt, .txt.gz, .jsonl, .jsonl.gz or .parquet"
_BLOCK_BYTES = 1 << 19
Job = Callable[[list[bytes], RowOptions], Block]
_SAVE_EVERY = 8  # blocks between two notes of progress


@dataclass(frozen=True)
class FileReport:
    """What one run did; counts cover the whole file, interruptions included. `words_per_second` is of this run."""

    counts: Counts
    words_per_second: float
    malformed_path: Path | None


def swap_file(source: Path, target: Path, options: RowOptions, num_workers: int = 1) -> FileReport:
    """Swap a .txt, .jsonl (either may end in .gz) or .parquet file.

    Rows that cannot be read are listed with their line number in `<target>.malformed.jsonl`. Raises FileNotFoundError
    for a missing input, ValueError for a format that is unknown or differs between input and output.
    """
    kind = _kind(source)
    if not source.is_file():
        raise FileNotFoundError(f"input {str(source)!r} does not exist; give a {_FORMATS} file")
    if _kind(target) != kind:
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
        from augment.files.parquet import swap_parquet

        return swap_parquet(source, target, options, num_workers)
    with _named(source):
        return _swap_lines(source, target, options, num_workers, swap_text_lines if kind == ".txt" else swap_json_lines)


@contextmanager
def _named(source: Path) -> Iterator[None]:
    """Turn what gzip raises about a damaged file into one error that names it."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{source} is not a whole gzip file ({error}); fetch it again") from None


def _kind(path: Path) -> str:
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix
    if suffix not in (".txt", ".jsonl", ".parquet") or path.name.endswith(".parquet.gz"):
        raise ValueError(f"{path.name!r} is of an unknown format; use {_FORMATS}")
    return suffix


def identity(source: Path, options: RowOptions) -> str:
    """What must be the same for a run to be continued: the input's name, size and time, and the options."""
    stat = source.stat()
    about = (
        *(source.name, stat.st_size, stat.st_mtime_ns, options.text_field, options.pairs),
        *(options.min_confidence, options.spacy_model),
    )
    return hashlib.sha256(repr((about, options.lexicon.fingerprint)).encode()).hexdigest()


@dataclass
class Progress:
    """How far a run is: `position` in the input (bytes after decompression; of a Parquet file, blocks), output bytes
    safely written, counts so far.
    """

    identity: str
    position: int
    output_bytes: int
    malformed_bytes: int
    counts: Counts

    @staticmethod
    def load(path: Path, wanted: str) -> "Progress":
        """The progress noted at `path` when it is of the same work, else a fresh start."""
        fresh = Progress(wanted, 0, 0, 0, Counts())
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            return Progress(**{**noted, "counts": Counts(**noted["counts"])}) if noted["identity"] == wanted else fresh
        except (OSError, ValueError, KeyError, TypeError):
            return fresh

    def save(self, path: Path) -> None:
        """Write under a temporary name, then rename."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(path)


def beside(target: Path, suffix: str) -> Path:
    """The file named like the target plus a suffix."""
    return target.with_name(target.name + suffix)


def _swap_lines(source: Path, target: Path, options: RowOptions, num_workers: int, job: Job) -> FileReport:
    part, note, bad = beside(target, ".part"), beside(target, ".progress"), beside(target, ".malformed.jsonl")
    if not part.is_file():
        note.unlink(missing_ok=True)
    progress = Progress.load(note, identity(source, options))
    begun, words_before = time.perf_counter(), progress.counts.num_words
    with (
        _reader(source) as read,
        truncated(part, progress.output_bytes) as out,
        truncated(bad, progress.malformed_bytes) as rejected,
        Bar(source, progress.counts) as bar,
    ):
        _skip(read, progress.position)
        for number, (size, block) in enumerate(
            in_order(_blocks(read), job, options, num_workers, target.suffix == ".gz"), start=1
        ):
            note_malformed(rejected, block, progress.counts.num_lines)
            out.write(block.lines[0])
            progress.counts.add(block.counts)
            progress.position += size
            bar.update(_position(read), progress.counts)
            if number % _SAVE_EVERY == 0:
                _save(progress, out, rejected, note)
        _save(progress, out, rejected, note)
    part.replace(target)
    note.unlink()
    if not progress.malformed_bytes:
        bad.unlink()
    seconds = max(time.perf_counter() - begun, 1e-9)
    rate = (progress.counts.num_words - words_before) / seconds
    return FileReport(progress.counts, rate, bad if progress.malformed_bytes else None)


def _save(progress: Progress, out: IO[bytes], rejected: IO[bytes], note: Path) -> None:
    for file in (out, rejected):
        sync(file)
    progress.output_bytes, progress.malformed_bytes = out.tell(), rejected.tell()
    progress.save(note)


def sync(file: IO[bytes]) -> None:
    """Bring what was written to the disk."""
    file.flush()
    os.fsync(file.fileno())


def note_malformed(rejected: IO[bytes], block: Block, lines_before: int) -> None:
    """One JSON line per malformed row: its number in the input (from 1) and the reason."""
    for number, reason in block.malformed:
        line = json.dumps({"line": lines_before + number + 1, "reason": reason}, ensure_ascii=False)
        rejected.write(line.encode("utf-8") + b"\n")


def read_texts(source: Path, text_field: str) -> Iterator[str]:
    """The texts of a file in order. Raises FileNotFoundError, or ValueError naming the line that cannot be read."""
    kind = _kind(source)
    if not source.is_file():
        raise FileNotFoundError(f"input {str(source)!r} does not exist; give a {_FORMATS} file")
    if kind == ".parquet":
        from augment.files.parquet import read_column

        yield from read_column(source, text_field)
        return
    with _named(source), _reader(source) as read:
        for number, raw in enumerate(read, start=1):
            if kind != ".txt" and not raw.strip():
                continue
            try:
                text = raw.decode("utf-8") if kind == ".txt" else json.loads(raw)[text_field]
                if not isinstance(text, str):
                    raise TypeError(f"it holds {text!r}")
            except (ValueError, KeyError, TypeError) as error:
                problem = f"{type(error).__name__}: {error}"
                raise ValueError(f"{source}, line {number}: no text in field {text_field!r} ({problem})") from None
            yield text


def _reader(source: Path) -> Any:
    return gzip.open(source, "rb") if source.suffix == ".gz" else open(source, "rb")


def truncated(path: Path, size: int) -> IO[bytes]:
    """A file of that many bytes, longer or not there before, open for writing at its end."""
    file = open(path, "r+b" if path.is_file() else "w+b")  # noqa: SIM115
    file.truncate(size)
    file.seek(size)
    return file


def _skip(read: IO[bytes], num_bytes: int) -> None:
    if isinstance(read, gzip.GzipFile):
        while num_bytes > 0:
            num_bytes -= len(read.read(min(num_bytes, 1 << 20))) or num_bytes
    else:
        read.seek(num_bytes)


def _position(read: IO[bytes]) -> int:
    """Bytes of the file on disk that were read, compressed or not."""
    return read.fileobj.tell() if isinstance(read, gzip.GzipFile) else read.tell()


def _blocks(read: IO[bytes]) -> Iterator[bytes]:
    while data := read.read(_BLOCK_BYTES):
        yield data + read.readline()


def swapped_block(data: bytes, options: RowOptions, job: Job, compress: bool) -> Block:
    """Run a job on the lines in `data`; the result's `lines` are one element: all output, compressed if asked."""
    block = job(BytesIO(data).readlines(), options)
    output = b"".join(block.lines)
    # One gzip member per block: a file cut behind a member is a valid file, so that a run can be continued.
    block.lines = [gzip.compress(output, 6, mtime=0) if compress and output else output]
    return block


def in_order(
    blocks: Iterator[bytes], job: Job, options: RowOptions, num_workers: int, compress: bool
) -> Iterator[tuple[int, Block]]:
    """Run `job` over blocks, at most two per worker under way, and give (input bytes, result) in input order."""
    if num_workers == 1:
        for data in blocks:
            yield len(data), swapped_block(data, options, job, compress)
        return
    with workers(num_workers, options) as pool:
        waiting: deque[tuple[int, Future[Block]]] = deque()
        for data in blocks:
            waiting.append((len(data), pool.submit(with_options, swapped_block, data, job, compress)))
            if len(waiting) >= 2 * num_workers:
                size, future = waiting.popleft()
                yield size, future.result()
        while waiting:
            size, future = waiting.popleft()
            yield size, future.result()


@contextmanager
def workers(num_workers: int, options: RowOptions) -> Iterator[Executor]:
    """A pool of fresh processes that hold the options, so that each builds its tables once. Raises OSError when one of
    them dies.
    """
    try:
        with ProcessPoolExecutor(num_workers, get_context("spawn"), initializer=_hold, initargs=(options,)) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise OSError(
            f"one of {num_workers} workers has died, most likely for want of memory; give the same command with fewer "
            "--workers: it goes on where it stopped"
        ) from error


_OPTIONS: list[RowOptions] = []  # one element, in worker processes only


def _hold(options: RowOptions) -> None:
    _OPTIONS.append(options)
    end_with_parent()


def end_with_parent() -> None:
    """In a worker: end when the parent is gone. Else, were that killed, it would wait for work for ever."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def with_options(job: Callable[..., Any], rows: Any, *arguments: Any) -> Any:
    """In a worker: run a job on rows with the options the worker was started with."""
    return job(rows, _OPTIONS[0], *arguments)


class Bar:
    """A progress bar over the bytes of a file, with words per second and share of rows changed; silent in a pipe."""

    def __init__(self, source: Path, counts: Counts) -> None:
        self._bar = tqdm(total=source.stat().st_size, unit="B", unit_scale=True, desc=source.name, disable=None)
        self._begun, self._words = time.perf_counter(), counts.num_words

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()

    def update(self, position: int, counts: Counts) -> None:
        """Show that `position` bytes of the file are read."""
        rate = (counts.num_words - self._words) / max(time.perf_counter() - self._begun, 1e-9)
        share = counts.num_changed / max(counts.num_rows, 1)
        self._bar.set_postfix_str(f"{rate:,.0f} words/s, {share:.1%} of rows changed", refresh=False)
        self._bar.update(position - self._bar.n)
