"""Read a corpus: a file, a folder of files, a saved `datasets` folder, or the name of a dataset on the hub.

Files are read by `augment.files.texts`, so that a malformed row is reported by file and line. Saved folders and hub
names are read by `datasets`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset, DatasetDict, IterableDataset, load_from_disk
from datasets.iterable_dataset import ExamplesIterable
from filelock import FileLock

from augment.files.lfs import check_is_no_pointer
from augment.files.tables import check_column, columns_among, placed_row
from augment.files.texts import (
    SUFFIXES,
    encodable_text_of,
    files_below,
    format_of,
    read_rows,
    read_texts,
    text_files,
)
from distill.config import DataConfig
from distill.data.documents import Document, fields_of, row_reader, with_place
from distill.data.hub_datasets import commit_of, hub_rows, load_hub_dataset, stream_hub_dataset
from distill.files import write_text
from distill.hub import COMMIT, HubName, hub_name
from distill.settings import replace


class SettingNames(NamedTuple):
    """The names, for error messages, of the settings that choose a corpus; `split` is None if no setting chooses it."""

    path: str
    split: str | None
    text_field: str


class RowStream(NamedTuple):
    """The rows of a corpus as `datasets` streams them: it divides them among processes, and resumes them.

    read: iterates over `rows`, or over a part of them. document_of: the document of a row.
    """

    rows: IterableDataset
    read: Callable[[Iterable[dict[str, Any]]], Iterator[dict[str, Any]]]
    document_of: Callable[[dict[str, Any]], Document]


_DOCUMENT = "document"  # the only column of the rows that are streamed from files
TRAIN_SETTINGS = SettingNames("data.path", "data.split", "data.text_field")
_PACKED = (".gz", ".zst", ".bz2", ".xz")
LABEL_SETTING = "federated.clients.field"
HELDOUT_SETTINGS = SettingNames("data.heldout_path", "data.heldout_split", "data.text_field")


def read_documents(config: DataConfig, heldout: bool = False, names: SettingNames | None = None) -> Iterator[str]:
    """The text of each document that `read_corpus` gives."""
    return map(str, read_corpus(config, heldout, names))


def read_corpus(config: DataConfig, heldout: bool = False, names: SettingNames | None = None) -> Iterator[Document]:
    """The documents of config.path, or of config.heldout_path, in order, without blank texts.

    names: how error messages call the settings, for a caller whose users set something other than `data`. Raises
    FileNotFoundError if the corpus does not exist, and ValueError, naming file and line, for text that is not UTF-8, a
    row that is not JSON, a missing or non-text field, a row that is no conversation, or a corpus without a document.
    """
    path, split, usual_names = _place(config, heldout)
    names = names or usual_names
    num_documents = 0
    for document in _read(config, path, split, names):
        if str(document).strip():
            num_documents += 1
            yield document
    if num_documents == 0:
        raise ValueError(f"corpus {path} is empty: it holds no document with text in it; check {names.path}")


def row_stream(config: DataConfig, heldout: bool = False) -> RowStream:
    """The rows of config.path, or of config.heldout_path, blank ones included. Reading them raises as `read_corpus`."""
    path, split, names = _place(config, heldout)
    local = _local(path, names)
    if local is None:
        what, hub = _hub(path)
        rows, read = stream_hub_dataset(what, hub, config.subset, split), partial(hub_rows, what, hub)
        column_names = rows.column_names or list(next(read(rows), {}))
        columns, of_row = _columns(column_names, path, config, names)
        return RowStream(rows.select_columns(columns), read, partial(_placed_document, path, of_row))
    if _is_saved_dataset(local):
        table = _saved_dataset(local, path, split, names)
        columns, of_row = _columns(table.column_names, path, config, names)
        rows = table.select_columns(columns).to_iterable_dataset()
        return RowStream(rows, iter, partial(_placed_document, path, of_row))
    of_files = partial(_rows_of_files, config=config, split=split, names=names)
    # not IterableDataset.from_generator: it needs a cache that can be written, and leaves lock files there
    rows = IterableDataset(ExamplesIterable(of_files, {"files": [str(file) for file in _files(local)]}))
    return RowStream(rows, iter, itemgetter(_DOCUMENT))


def _rows_of_files(
    files: list[str], config: DataConfig, split: str, names: SettingNames
) -> Iterator[tuple[str, dict[str, Document]]]:
    """A row for each document, with a key that `datasets` asks for."""
    for file in files:
        for document in _read(config, file, split, names):
            yield file, {_DOCUMENT: document}


def read_labelled_documents(config: DataConfig, label_field: str) -> Iterator[tuple[str, str]]:
    """The documents of config.path, each with the text in another field of its row, such as the author.

    Raises what `read_documents` raises, and ValueError for files without fields.
    """
    path, split, names = _place(config, heldout=False)
    local = _local(path, names)
    if local is not None and not _is_saved_dataset(local) and any(format_of(f) == ".txt" for f in _files(local)):
        raise ValueError(f"{path} is text without fields, so it has no {label_field}; give {names.path} rows (.jsonl)")
    labels = _read(replace(config, text_field=label_field), path, split, names._replace(text_field=LABEL_SETTING))
    for text, label in zip(map(str, _read(config, path, split, names)), map(str, labels), strict=True):
        if text.strip():
            yield text, label


def corpus_fingerprint(config: DataConfig, heldout: bool = False) -> str:
    """SHA-256 over the kind and content of every file of a local corpus, or the commit of a data set of the hub."""
    path, split, names = _place(config, heldout)
    local = _local(path, names)
    if local is None:
        return _hub_fingerprint(config, path, split)
    digest = hashlib.sha256(split.encode() if _is_saved_dataset(local) else b"")
    for file in _files(local):
        digest.update(next((suffix for suffix in SUFFIXES if file.name.endswith(suffix)), file.name).encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def stored_fingerprint(config: DataConfig, heldout: bool = False) -> str:
    """The fingerprint of a corpus.

    One process reads a local corpus to compute it. cache_dir keeps the result until a file of the corpus changes.
    """
    version = corpus_version(config, heldout)
    if version is None:
        return corpus_fingerprint(config, heldout)
    file = Path(config.cache_dir) / f"corpus_{version[:32]}"
    if not file.exists():
        with FileLock(f"{file}.lock"):
            if not file.exists():
                write_text(file, corpus_fingerprint(config, heldout))
    return file.read_text(encoding="utf-8")


def check_heldout(config: DataConfig, corpus: str, heldout: str | None) -> None:
    """Raise ValueError if the fingerprints of the corpus and of the held-out corpus are the same."""
    if corpus == heldout:
        raise ValueError(
            f"data.heldout_path {config.heldout_path} holds the text of data.path {config.path}; name other text, or "
            "set it to null, so that a part of data.path is held out"
        )


def corpus_version(config: DataConfig, heldout: bool = False) -> str | None:
    """SHA-256 over the names, sizes and times of a local corpus's files; None for a hub name.

    It changes when a file is written, and computing it reads no file.
    """
    path, split, names = _place(config, heldout)
    local = _local(path, names)
    if local is None:
        return None
    files = [(str(file.resolve()), file.stat()) for file in _files(local)]
    states = [(name, about.st_size, about.st_mtime_ns) for name, about in files]
    return hashlib.sha256(repr((split, states)).encode()).hexdigest()


def describe_files(path: str) -> str:
    """What is read of a local corpus: "2 .jsonl, 1 .txt, 0.3 MB on disk; not read: 1 .csv"; empty for a hub name."""
    local = _local(path, TRAIN_SETTINGS)
    if local is None:
        return ""
    files = _files(local)
    size = f"{sum(file.stat().st_size for file in files) / 1e6:,.1f} MB on disk"
    if not local.is_dir() or _is_saved_dataset(local):
        return size
    others = _kinds(set(files_below(local)) - set(files))
    return f"{_kinds(files)}, {size}" + (f"; not read: {others}" if others else "")


def _place(config: DataConfig, heldout: bool) -> tuple[str, str, SettingNames]:
    """Path and split of the corpus, or of the held-out corpus if that has its own, and the names of their settings."""
    if heldout and config.heldout_path is not None:
        return config.heldout_path, config.heldout_split or config.split, HELDOUT_SETTINGS
    return config.path, config.split, TRAIN_SETTINGS


def _is_saved_dataset(local: Path) -> bool:
    return local.is_dir() and any((local / name).exists() for name in ("dataset_info.json", "dataset_dict.json"))


def _local(path: str, names: SettingNames) -> Path | None:
    """The local file or folder, or None for a hub name. Raises FileNotFoundError if it can only be a local path."""
    local = Path(path).expanduser()
    if local.exists():
        return local
    if path.endswith(SUFFIXES) or hub_name(path) is None:
        raise FileNotFoundError(f"corpus {path} does not exist; set {names.path} to a file, a folder or a hub name")
    return None


def _files(local: Path) -> list[Path]:
    """The files that hold a corpus: all of a saved dataset, the text files of another folder, or the file itself."""
    return files_below(local) if _is_saved_dataset(local) else text_files(local)


def _kinds(files: Iterable[Path]) -> str:
    """How many files there are of each kind: "3 .jsonl, 1 .txt"."""
    counts = Counter(
        "".join(file.suffixes[-2:]) if file.suffix in _PACKED else file.suffix or "without suffix" for file in files
    )
    return ", ".join(f"{number:,} {kind}" for kind, number in sorted(counts.items()))


def _read(config: DataConfig, path: str, split: str, names: SettingNames) -> Iterator[Document]:
    local = _local(path, names)
    if local is None and config.streaming:
        stream = row_stream(config, heldout=names is HELDOUT_SETTINGS)
        yield from map(stream.document_of, stream.read(stream.rows))
    elif local is None or _is_saved_dataset(local):
        if local is None:
            table = load_hub_dataset(*_hub(path), config.subset, split)
        else:
            table = _saved_dataset(local, path, split, names)
        yield from _table_documents(table, path, config, names)
    elif config.format == "text":
        whole_files = config.txt_document == "file"
        yield from read_texts(local, config.text_field, whole_files=whole_files, field_setting=names.text_field)
    else:
        for place, document in read_rows(local, row_reader(config.format), fields_of(config.format), "data.format"):
            yield with_place(document, place)


def _saved_dataset(local: Path, path: str, split: str, names: SettingNames) -> Dataset:
    for file in _files(local):
        check_is_no_pointer(file)
    dataset = load_from_disk(str(local))
    if not isinstance(dataset, DatasetDict):
        return dataset
    if split not in dataset:
        remedy = f"set {names.split}" if names.split else f"set {names.path} to the folder of one of them"
        raise ValueError(f"{path} has no split {split!r} (it has {', '.join(dataset)}); {remedy}")
    return dataset[split]


def _table_documents(table: Dataset, path: str, config: DataConfig, names: SettingNames) -> Iterator[Document]:
    columns, of_row = _columns(table.column_names, path, config, names)
    for number, row in enumerate(table.select_columns(columns), 1):
        yield _placed_document(f"{path}: row {number}", of_row, row)


def _columns(
    present: list[str], path: str, config: DataConfig, names: SettingNames
) -> tuple[list[str], Callable[[Any], Document]]:
    """Which of the columns of a table are read, and what makes a document of a row."""
    if config.format == "text":
        check_column(path, present, config.text_field, names.text_field)
        of_row = partial(encodable_text_of, text_field=config.text_field, field_setting=names.text_field)
        return [config.text_field], of_row
    return columns_among(path, present, fields_of(config.format), "data.format"), row_reader(config.format)


def _placed_document(place: str, of_row: Callable[[Any], Document], row: dict[str, Any]) -> Document:
    return with_place(placed_row(place, row, of_row), place)


def _hub(path: str) -> tuple[str, HubName]:
    """How an error of a corpus on the hub begins, and its name."""
    hub = hub_name(path)
    assert hub is not None  # `_local` has looked
    return f"corpus {path} is neither a local path nor a dataset that could be loaded from the hub", hub


def _hub_fingerprint(config: DataConfig, path: str, split: str) -> str:
    """The data set with its commit, or with what `datasets` calls its fingerprint. A commit in `path` needs no look."""
    what, hub = _hub(path)
    commit = hub.revision
    if commit is None or not COMMIT.fullmatch(commit):
        dataset = load_hub_dataset(what, hub, config.subset, split)
        commit = commit_of(dataset) or dataset._fingerprint
    return f"{hub.name}/{config.subset}/{split}@{commit}"
