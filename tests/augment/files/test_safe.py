"""Files are replaced whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from augment.files import safe
from augment.files.safe import write_text, writing, written_aside


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a", "erster Zug: naïve\n")
    assert (tmp_path / "a").read_bytes() == "erster Zug: naïve\n".encode()

    def full(_: Path) -> None:
        raise OSError("full")

    monkeypatch.setattr(safe, "sync", full)
    with pytest.raises(OSError, match="full"):
        write_text(tmp_path / "a", "second")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "erster Zug: naïve\n"


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("first")

    def write_half() -> None:
        with written_aside(tmp_path / "a", tmp_path / "b") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert (tmp_path / "a").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_file_is_on_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(safe, "sync", lambda path: synced.append((path.name, (tmp_path / "a").exists())))
    write_text(tmp_path / "a", "text")
    assert synced == [("a.partial", False), (tmp_path.name, True)]


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        (errno.ENOSPC, None, "rows cannot be written into /a/out (No space left on device); make room, or set --to to"),
        (errno.EDQUOT, "/a/out/x", "rows cannot be written into /a/out (Disk quota exceeded); make room, or set --to"),
        (errno.EROFS, "/a/out/x/y", "rows cannot be written into /a/out (Read-only file system); set --to to a place"),
        (errno.EACCES, "/a/out.part", "rows cannot be written into /a/out (Permission denied); set --to to a place"),
        (errno.EEXIST, "/a/out", "rows cannot be written into /a/out (File exists); set --to to a place that can be"),
        (errno.ENOTDIR, "/a", "rows cannot be written into /a/out (Not a directory); set --to to a place"),
        (errno.EACCES, "/a/in.txt", "[Errno 13] Permission denied: '/a/in.txt'"),  # that one is read
        (errno.ENOENT, "/a/out/x", "[Errno 2] No such file or directory: '/a/out/x'"),
    ],
)
def test_a_full_disk_or_a_closed_folder_is_named_with_its_setting(code: int, name: str | None, message: str) -> None:
    with pytest.raises(OSError, match=".") as fault, writing("rows", Path("/a/out"), "--to"):
        raise OSError(code, os.strerror(code), name)
    assert str(fault.value).startswith(message)
