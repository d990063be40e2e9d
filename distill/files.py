"""Files that are whole or not there: written aside, brought to the disk, renamed. Also: this source tree's revision."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, bring it to the disk, then rename it."""
    aside = path.with_name(path.name + ".partial")
    aside.write_text(text, encoding="utf-8")
    sync(aside)
    aside.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_jsonl(file: Path) -> list[dict[str, Any]]:
    """The lines of a file of a run; a last one that was cut off in writing is left out.

    Raises ValueError for a malformed line before it.
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


def git_revision() -> str | None:
    """The revision of the source tree this code runs from, `-dirty` with uncommitted changes; None outside of one."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():  # installed, perhaps below a repository of somebody else
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
