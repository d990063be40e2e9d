"""Recognise Git LFS pointers: the short texts that a clone without Git LFS has in place of large files."""

from pathlib import Path

_START, _MAX_BYTES = b"version https://git-lfs.github.com/spec/", 1024  # the specification says both


def is_pointer(file: Path) -> bool:
    """Whether a file is a Git LFS pointer. False for what is no file."""
    if not file.is_file() or file.stat().st_size > _MAX_BYTES:
        return False
    content = file.read_bytes()
    return content.startswith(_START) and b"\noid " in content


def check_is_no_pointer(file: Path, setting: str = "") -> None:
    """Raise ValueError for a Git LFS pointer. setting: what the message begins with, if a setting names the file."""
    if is_pointer(file):
        raise ValueError(
            f"{setting}{': ' * bool(setting)}{file} is a Git LFS pointer, not the file itself; get the file: "
            f"git lfs pull (in {file.parent})"
        )
