"""Files: safe writes (the augmenter's), JSON lines, rows of tables, and the revision of this source tree."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from augment.files.safe import sync, write_text, writing

__all__ = ["git_revision", "parse_tsv", "read_jsonl", "sync", "table_rows", "write_text", "writing"]


def read_jsonl(file: Path) -> list[dict[str, Any]]:
    """Read the rows of a JSON-lines file. A last line without a line break was not written completely; it is left out.

    Raises ValueError for any other malformed line.
    """
    *lines, _ = file.read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{file}:{number} is not JSON ({error.msg}); remove that line to continue the run"
            ) from None
    return rows


def parse_tsv(text: str) -> list[dict[str, str]]:
    """The rows of a tab-separated text with a header. Blank lines and those that start with # are left out.

    Raises as `table_rows`.
    """
    return table_rows([line for line in text.split("\n") if line.strip() and not line.startswith("#")], "\t")


def table_rows(lines: Iterable[str], delimiter: str) -> list[dict[str, str]]:
    """The rows of a table, the first line of which is its header. A cell that is missing at the end of a row is None.

    Raises ValueError, naming the row, for more cells than columns, and for what would be read as fewer rows or cells: a
    quotation mark that does not close, or after which the cell goes on.
    """
    rows: list[dict[str, str]] = []
    try:
        for row in csv.DictReader(lines, delimiter=delimiter, strict=True):
            rows.append(row)
            if None in row:
                raise ValueError(
                    f"row {len(rows)} has more cells than columns (one that holds {delimiter!r} needs quotation marks)"
                )
    except csv.Error as error:
        raise ValueError(f"row {len(rows) + 1} is no row of a table ({error})") from error
    return rows


def git_revision() -> str | None:
    """The git revision of the source tree that this code runs from, or None if it is installed without one.

    Uncommitted changes add `-dirty`.
    """
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():  # do not search upwards: that may be somebody else's repository
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
