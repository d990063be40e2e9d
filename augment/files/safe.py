"""Write files that are complete or absent: under another name first, flushed to disk, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_text(path: Path, text: str) -> None:
    """Write a file as UTF-8, complete or not at all."""
    with written_aside(path) as file:
        file.write(text.encode("utf-8"))


@contextmanager
def written_aside(path: Path, aside: Path | None = None) -> Iterator[IO[bytes]]:
    """Open `aside` (default: the name with `.partial`) for writing; when the block ends without error, rename it."""
    aside = aside or path.with_name(path.name + ".partial")
    with open(aside, "wb") as file:
        yield file
    sync(aside)
    aside.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
