"""Write files that are complete or absent: under another name first, flushed to disk, then renamed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG)


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


@contextmanager
def writing(what: str, place: Path, setting: str, note: str = "") -> Iterator[None]:
    """Within this context, an OSError about a full disk or a place that cannot be written names place and setting.

    what: for the message, in the plural. place: the folder or file. setting: what chooses it. note: added to the
    message. Errors about files elsewhere, such as one that is read, pass as they are.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            remedy = f"make room, or set {setting} to a place on another disk"
        elif error.errno in _CLOSED and _is_about(error, place.absolute()):
            remedy = f"set {setting} to a place that can be written"
        else:
            raise
        raise OSError(f"{what} cannot be written into {place} ({error.strerror}); {remedy}{note}") from error


def _is_about(error: OSError, place: Path) -> bool:
    """Whether an error names the place, a file in or beside it (b.txt.part), or a folder above it."""
    if not isinstance(error.filename, str):
        return False
    named = Path(error.filename).absolute()
    return str(named).startswith(str(place)) or place.is_relative_to(named)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
