"""Reading text: a path or hub name in, documents (strings) out, one at a time, with a fingerprint of what was read.

Local .txt, .jsonl, .parquet (the first two also gzipped) and folders of these are read here, so that a malformed row is
reported by file and line; saved `datasets` folders and hub names are read by `datasets`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as parquet
from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

from distill.config import DataConfig

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
ROWS_PER_BATCH = 256  # of a parquet file, in memory at a time
SUFFIXES = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz", ".parquet")


def read_documents(config: DataConfig, heldout: bool = False) -> Iterator[str]:
    """The documents of config.path, or of config.heldout_path, in order, blank ones left out.

    Raises FileNotFoundError when nothing is there, and ValueError, naming file and line, for text that is not UTF-8, a
    row that is not JSON, a missing or non-text field, or a corpus without a single document.
    """
    path, split, keys = _place(config, heldout)
    num_documents = 0
    for text in _read(config, path, split, keys):
        if text.strip():
            num_documents += 1
            yield text
    if num_documents == 0:
        raise ValueError(f"corpus {path} is empty: it holds no document with text in it; check {keys}path")


def corpus_fingerprint(config: DataConfig, heldout: bool = False) -> str:
    """SHA-256 over the kind and content of every file of a local corpus, or the hub dataset's own fingerprint."""
    path, split, keys = _place(config, heldout)
    local = _local(path, keys)
    if local is None:
        return f"{path}/{config.subset}/{split}@{_hub_dataset(config, path, split)._fingerprint}"
    digest = hashlib.sha256(split.encode() if _is_saved_dataset(local) else b"")
    for file in _all_files(local) if _is_saved_dataset(local) else _files(local):
        digest.update(next((suffix for suffix in SUFFIXES if file.name.endswith(suffix)), file.name).encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def corpus_version(config: DataConfig, heldout: bool = False) -> str | None:
    """What differs when a file of a local corpus has been written since, found without reading it: SHA-256 over the
    files' names, sizes and times. None for a hub name.
    """
    path, split, keys = _place(config, heldout)
    local = _local(path, keys)
    if local is None:
        return None
    files = [(str(file.resolve()), file.stat()) for file in _all_files(local)]
    states = [(name, about.st_size, about.st_mtime_ns) for name, about in files]
    return hashlib.sha256(repr((split, states)).encode()).hexdigest()


def corpus_size_bytes(path: str) -> int | None:
    """Bytes on disk of a local corpus, or None for a hub name."""
    local = _local(path)
    return None if local is None else sum(file.stat().st_size for file in _all_files(local))


def _place(config: DataConfig, heldout: bool) -> tuple[str, str, str]:
    """Path and split of the corpus, or of the held-out one, and how the keys begin that set them."""
    if heldout and config.heldout_path is not None:
        return config.heldout_path, config.heldout_split or config.split, "data.heldout_"
    return config.path, config.split, "data."


def _is_saved_dataset(local: Path) -> bool:
    return local.is_dir() and any((local / name).exists() for name in ("dataset_info.json", "dataset_dict.json"))


def _local(path: str, keys: str = "data.") -> Path | None:
    """The local file or folder, or None for a hub name. Raises FileNotFoundError if it can only be a local path."""
    local = Path(path).expanduser()
    if local.exists():
        return local
    if path.startswith((".", "/", "~")) or path.endswith(SUFFIXES) or path.count("/") > 1:
        raise FileNotFoundError(f"corpus {path} does not exist; set {keys}path to a file, a folder or a hub name")
    return None


def _all_files(local: Path) -> list[Path]:
    return sorted(file for file in local.rglob("*") if file.is_file()) if local.is_dir() else [local]


def _read(config: DataConfig, path: str, split: str, keys: str) -> Iterator[str]:
    local = _local(path, keys)
    if local is None:
        yield from _column(_hub_dataset(config, path, split), config.text_field, path)
    elif _is_saved_dataset(local):
        dataset = load_from_disk(str(local))
        if isinstance(dataset, DatasetDict):
            if split not in dataset:
                raise ValueError(f"{path} has no split {split!r} (it has {', '.join(dataset)}); set {keys}split")
            dataset = dataset[split]
        yield from _column(dataset, config.text_field, path)
    else:
        for file in _files(local):
            yield from _read_file(file, config)


def _files(local: Path) -> list[Path]:
    """The corpus files of a folder, in the order of their names, or the file itself."""
    if local.is_dir():
        files = sorted(file for file in local.rglob("*") if file.is_file() and file.name.endswith(SUFFIXES))
        if not files:
            raise FileNotFoundError(f"corpus folder {local} holds no {', '.join(SUFFIXES)} file")
        return files
    if not local.name.endswith(SUFFIXES):
        raise ValueError(f"corpus file {local}: unknown kind; supported are {', '.join(SUFFIXES)}")
    return [local]


def _read_file(file: Path, config: DataConfig) -> Iterator[str]:
    if file.name.endswith(".parquet"):
        yield from _read_parquet(file, config.text_field)
        return
    opener: Any = gzip.open if file.name.endswith(".gz") else open
    try:
        with opener(file, "rb") as stream:
            if file.name.endswith((".jsonl", ".jsonl.gz")):
                yield from _read_jsonl(file, stream, config.text_field)
            elif config.txt_document == "file":
                yield _decode(stream.read(), str(file))
            else:
                for number, line in enumerate(stream, 1):
                    yield _decode(line, f"{file}:{number}").rstrip("\r\n")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is not a whole gzip file ({error}); copy it again") from error


def _read_jsonl(file: Path, stream: BinaryIO, field: str) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        where = f"{file}:{number}"
        if not line.strip():
            continue
        try:
            row = json.loads(_decode(line, where))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{where} is not JSON ({error.msg} at column {error.colno}); mend or remove the row"
            ) from None
        yield _text_of(row, field, where)


def _read_parquet(file: Path, field: str) -> Iterator[str]:
    try:
        table = parquet.ParquetFile(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is not a readable parquet file: {error}") from error
    if field not in table.schema_arrow.names:
        raise ValueError(
            f"{file} has no column {field!r} (it has {', '.join(table.schema_arrow.names)}); set data.text_field"
        )
    number = 0
    batches = table.iter_batches(ROWS_PER_BATCH, columns=[field])
    while (texts := _texts_of(batches, f"{file}: rows from {number + 1} on")) is not None:
        for text in texts:
            number += 1
            yield _text_of({field: text}, field, f"{file}: row {number}")


def _texts_of(batches: Iterator[pa.RecordBatch], where: str) -> list[Any] | None:
    """The column of the next batch; None after the last one."""
    try:
        batch = next(batches, None)
        return None if batch is None else batch.column(0).to_pylist()
    except (OSError, ValueError) as error:  # a damaged page; a string that is not UTF-8
        kind = OSError if isinstance(error, OSError) else ValueError
        reason = " ".join(str(error).split())
        raise kind(f"{where} cannot be read ({reason}); mend the file, or get it again") from error


def _column(dataset: Dataset, field: str, path: str) -> Iterator[str]:
    if field not in dataset.column_names:
        raise ValueError(
            f"{path} has no column {field!r} (it has {', '.join(dataset.column_names)}); set data.text_field"
        )
    for number, row in enumerate(dataset.select_columns([field]), 1):
        yield _text_of(row, field, f"{path}: row {number}")


def _hub_dataset(config: DataConfig, path: str, split: str) -> Dataset:
    try:
        return load_dataset(path, config.subset, split=split)
    except Exception as error:
        # datasets raises a different type for each way a hub name can fail; the user needs one message
        raise FileNotFoundError(
            f"corpus {path} is neither a local path nor a dataset that could be loaded from the hub: "
            f"{' '.join(str(error).split())}"
        ) from error


def _text_of(row: Any, field: str, where: str) -> str:
    if not isinstance(row, dict) or field not in row:
        fields = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise ValueError(f"{where} has no field {field!r} (it has {fields}); set data.text_field or mend the row")
    if not isinstance(row[field], str):
        raise ValueError(f"{where}: field {field!r} is {row[field]!r}, not text; mend or remove the row")
    if LONE_SURROGATE.search(row[field]):
        raise ValueError(f"{where}: field {field!r} holds half a character (a lone surrogate); mend or remove the row")
    return row[field]


def _decode(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")  # a byte-order mark is no text
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise ValueError(
            f"{where} is not UTF-8 (byte 0x{byte:02x} at position {error.start}); convert the file, "
            "e.g. iconv -f LATIN1 -t UTF-8"
        ) from None
