"""Read published benchmarks from local files or from the hub; every failure is one message with the remedy.

A setting names a benchmark by the path of its published file or folder, by `hub` (its usual hub data set), or by
`hub:owner/name` (a hub data set with the same columns). Only the last two use the network; a path never does, whether
or not it exists.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from augment.files.texts import decode, open_bytes, plain_line_ends
from distill.data.hub_datasets import load_hub_dataset
from distill.files import table_rows
from distill.hub import HubName

T = TypeVar("T")
HUB = "hub"
HUB_PREFIX = "hub:"


def hub_data_set(path: str, usual: str) -> str | None:
    """The hub data set that `path` names (`usual` for `hub`), or None for a local path."""
    if path == HUB:
        return usual
    return path.removeprefix(HUB_PREFIX) if path.startswith(HUB_PREFIX) else None


def read_hub(name: str, key: str, source: str, *, subset: str | None, split: str) -> list[dict[str, Any]]:
    """The rows of a hub data set. Raises FileNotFoundError or ConnectionError with the command that gets the files.

    key: the setting; source: that command.
    """
    what = f"{key}: the data set {name} could not be loaded from the hub"
    try:
        return list(load_hub_dataset(what, HubName.parse(name), subset, split))
    except OSError as error:
        raise type(error)(f"{error}. To have it as files: {source}; then set {key}=PATH") from error


def read_text(path: str | Path, key: str, source: str) -> str:
    """The UTF-8 text of a file, with `\\n` at the end of every line, whichever system wrote it.

    The file may be gzipped, also if `path` lacks the .gz. key: the setting that names the file; source: the command
    that gets it.

    Raises FileNotFoundError, or ValueError for a file that is empty or not text, with the remedy.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise ValueError(f"{key}: {file} is a folder; name the file in it. To get the file: {source}")
    packed = Path(f"{file}.gz")
    if packed.is_file() and not file.exists():
        file = packed
    if not file.is_file():
        raise FileNotFoundError(
            f"{key}: {file} does not exist. To get it: {source}; then set {key}=PATH ({HUB_PREFIX}OWNER/NAME names a "
            "data set of the hub)"
        )
    try:
        with open_bytes(file) as stream:
            lines = stream.read().removeprefix(codecs.BOM_UTF8).split(b"\n")
        text = "\n".join(_decoded(line, f"{file}:{number}") for number, line in enumerate(lines, 1))
    except ValueError as error:
        raise ValueError(f"{key}: {error}. To get it again: {source}") from error
    if not text.strip():
        raise ValueError(f"{key}: {file} is empty. To get it again: {source}")
    return plain_line_ends(text)


def read_json(path: str | Path, key: str, source: str) -> Any:
    """The content of a JSON file. Raises as `read_text`."""
    return _parsed(read_text(path, key, source), str(path), key, source)


def read_csv(
    path: str | Path, key: str, source: str, columns: tuple[str, ...], *, delimiter: str = ","
) -> list[dict[str, Any]]:
    """The rows of a CSV (or TSV) file with a header.

    Raises as `read_text`, and ValueError for a row that cannot be one (`table_rows`) and for a missing column.
    """
    text = read_text(path, key, source)
    try:
        rows = table_rows(io.StringIO(text), delimiter)
    except ValueError as error:
        raise fault(path, str(error), key, source) from error
    check_columns(rows, columns, path, key, source)
    return rows


def read_jsonl(path: str | Path, key: str, source: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of a file with one JSON object per line. Raises as `read_csv`, naming the line that is not JSON."""
    rows = []
    lines = read_text(path, key, source).split("\n")  # not splitlines: a text may hold U+2028
    for number, line in enumerate(lines, 1):
        if line.strip():
            rows.append(_parsed(line, f"{path}:{number}", key, source))
    check_columns(rows, columns, path, key, source)
    return rows


def check_columns(rows: list[Any], columns: tuple[str, ...], path: str | Path, key: str, source: str) -> None:
    """Raise ValueError unless there are rows and each has something in every column; a blank text is nothing."""
    for column in columns:
        values = [row.get(column) if isinstance(row, dict) else None for row in rows]
        if all(value is None for value in values):
            raise ValueError(f"{key}: {path} has no rows with the column {column!r}. To get it again: {source}")
        for number, value in enumerate(values, 1):
            if not isinstance(value, str | None):
                continue
            check_text(value, f"row {number} has nothing in the column {column!r}", path, key, source)


def check_distinct(rows: Sequence[Hashable], path: str | Path, key: str, source: str) -> None:
    """Raise ValueError for a row that stands there a second time: what it holds would count twice."""
    first: dict[Hashable, int] = {}
    for number, row in enumerate(rows, 1):
        if first.setdefault(row, number) < number:
            raise fault(path, f"row {number} is row {first[row]} again", key, source)


def check_text(text: str | None, complaint: str, path: str | Path, key: str, source: str) -> None:
    """Raise ValueError, with the complaint, unless there is a text that is not blank."""
    if text is None or not text.strip():
        raise fault(path, complaint, key, source)


def fault(place: str | Path, what: str, key: str, source: str) -> ValueError:
    """The error to raise for a part of a file that cannot be right. place: the file, and the row if it is known."""
    return ValueError(f"{key}: {place}: {what}; repair or remove it. To get the file again: {source}")


def checked(adapter: TypeAdapter[T], value: Any, place: str, key: str, source: str) -> T:
    """A value of a file as the type that it must have.

    place: the file, and the row if there are rows. Raises ValueError with the place, what is wrong and the remedy.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        at = f", at {where}" if where else ""
        raise ValueError(
            f"{key}: {place} is not in the published format{at}: {first['msg']}; repair or remove it. To get the file "
            f"again: {source}"
        ) from error


def _decoded(raw: bytes, place: str) -> str:
    """The text of a line. Raises ValueError with the place."""
    try:
        return decode(raw)
    except ValueError as error:
        raise ValueError(f"{place} {error}") from error


def _parsed(text: str, place: str, key: str, source: str) -> Any:
    """The value of a JSON text. Raises ValueError with the place and the remedy."""
    try:
        value = json.loads(text, object_pairs_hook=_object)
        json.dumps(value, ensure_ascii=False).encode()  # half a character (a lone surrogate) cannot be written
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits, and thousands of brackets
        raise ValueError(f"{key}: {place} is not JSON ({error}). To get it again: {source}") from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for a key that it has twice, of which Python would keep the second only."""
    content = dict(pairs)
    for name, _ in pairs if len(content) < len(pairs) else []:
        if [other for other, _ in pairs].count(name) > 1:
            raise ValueError(f"an object has the key {name!r} twice")
    return content
