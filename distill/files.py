"""Write and read the files of a run; the revision of this source tree. The safe write is the augmenter's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from augment.files.safe import sync, write_text

__all__ = ["git_revision", "read_jsonl", "sync", "write_text"]


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
