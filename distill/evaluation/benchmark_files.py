"""Reading published benchmarks: a path in, its content out; a missing or malformed file is one clear message."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any


def read_text(path: str | Path, key: str, source: str) -> str:
    """The UTF-8 text of a file, gzipped or not. key: its configuration key; source: where it can be had.

    Raises FileNotFoundError or ValueError with the remedy.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"{key}: {file} does not exist; get it from {source} and set {key}=PATH")
    try:
        raw = file.read_bytes()
        return (gzip.decompress(raw) if file.name.endswith(".gz") else raw).decode("utf-8")
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"{key}: {file} is not readable text ({error}); get it again from {source}") from error


def read_json(path: str | Path, key: str, source: str) -> Any:
    """The content of a JSON file. Raises as `read_text`."""
    text = read_text(path, key, source)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{key}: {path} is not JSON ({error}); get it again from {source}") from error


def read_csv(path: str | Path, key: str, source: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file with a header. Raises as `read_text`, and ValueError when a column is missing."""
    rows = list(csv.DictReader(io.StringIO(read_text(path, key, source))))
    missing = [column for column in columns if not rows or rows[0].get(column) is None]
    if missing:
        raise ValueError(f"{key}: {path} has no rows with the column {missing[0]!r}; get it from {source}")
    return rows
