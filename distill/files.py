"""Files: safe writes (the augmenter's), JSON lines, tab-separated rows, and the revision of this source tree."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

from augment.files.safe import sync, write_text, writing

__all__ = ["git_revision", "parse_tsv", "read_jsonl", "sync", "write_text", "writing"]


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
    """The rows of a tab-separated text with a header. Blank lines and those that start with # are left out."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t"))


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
