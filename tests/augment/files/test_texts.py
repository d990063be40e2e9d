"""Reading texts: every fault gives one message with the place, the value and the remedy in the caller's words."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augment.__main__ import main
from augment.files.texts import SUFFIXES, format_of, read_texts, text_files


def test_every_suffix_has_a_format() -> None:
    assert {format_of(Path(f"x{suffix}")) for suffix in SUFFIXES} == {".txt", ".jsonl", ".parquet"}
    assert format_of(Path("dump.jsonl.txt")) == ".txt"
    for name in ("x.csv", "x.parquet.gz", "txt"):
        with pytest.raises(ValueError, match="is of an unknown kind; supported are .txt, .txt.gz, .jsonl"):
            format_of(Path(name))


def test_files_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    for name in ("b.txt", "a.jsonl", "part/c.txt.gz", "notes.md"):
        (tmp_path / name).write_text("")
    assert [path.name for path in text_files(tmp_path)] == ["a.jsonl", "b.txt", "c.txt.gz"]
    with pytest.raises(FileNotFoundError, match=r"none.txt does not exist; give a .txt, .* file or a folder of them"):
        text_files(tmp_path / "none.txt")


def test_a_link_to_nowhere_in_a_folder_is_refused_unless_it_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "a.txt").write_text("A whole text.\n")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / ".#a.txt").symlink_to("me@host.1234")  # an editor's lock
    assert len(text_files(tmp_path)) == 2
    for name in ("part/c.jsonl", "part/more"):
        (tmp_path / name).symlink_to("gone")
        with pytest.raises(FileNotFoundError, match=f"{name} is a link to gone, which does not exist; repair or"):
            text_files(tmp_path)
        (tmp_path / name).unlink()


def test_files_that_no_user_made_are_left_out(tmp_path: Path) -> None:
    hidden = (".ipynb_checkpoints/a.txt", ".cache/x/y.jsonl", "part/._b.txt", "__MACOSX/a.txt", "part/.git/lfs/c.txt")
    seen = ("a.txt", "_b.txt", "part/x.txt", "part/a.b/y.jsonl")
    for name in (*hidden, *seen):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x").symlink_to("gone")
    assert [str(path.relative_to(tmp_path)) for path in text_files(tmp_path)] == sorted(seen)
    assert len(text_files(tmp_path / "part" / ".git")) == 1  # unless they are asked for
    assert text_files(tmp_path / "part" / "._b.txt") == [tmp_path / "part" / "._b.txt"]


def test_folders_behind_links_are_read_once(tmp_path: Path) -> None:
    corpus, other = tmp_path / "corpus", tmp_path / "other"
    (corpus / "part").mkdir(parents=True)
    (other / "deep").mkdir(parents=True)
    for file in (corpus / "a.txt", corpus / "part" / "b.txt", other / "c.txt", other / "deep" / "d.txt"):
        file.write_text("")
    (corpus / "link").symlink_to(other)
    (corpus / "same").symlink_to(corpus / "part")
    (corpus / "part" / "up").symlink_to("..")  # a circle
    (other / "back").symlink_to(corpus)
    (corpus / "self").symlink_to(".")
    assert sorted(path.name for path in text_files(corpus)) == ["a.txt", "b.txt", "c.txt", "d.txt"]
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "link").symlink_to(other)
    assert [path.name for path in text_files(tmp_path / "only")] == ["a.txt", "b.txt", "c.txt", "d.txt"]
    (tmp_path / "door").symlink_to(other / "deep")
    assert [path.name for path in text_files(tmp_path / "door")] == ["d.txt"]


def test_a_text_file_holds_a_text_per_line_or_one_text(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_bytes("\ufeffFirst.\r\n\nThird.".encode())
    assert list(read_texts(file)) == ["First.", "", "Third."]
    assert list(read_texts(file, whole_files=True)) == ["First.\n\nThird."]


def test_carriage_returns_end_the_lines_of_a_file_without_line_feeds(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    for raw, texts in {
        b"One.\rTwo.\r\rFour.\r": ["One.", "Two.", "", "Four."],
        b"One.\rTwo.": ["One.", "Two."],
        b"One.\r\nTwo\rstill two.\r\n": ["One.", "Two\rstill two."],
        b"One.\nTwo\rstill two.": ["One.", "Two\rstill two."],
        b"One.": ["One."],
        b"": [],
    }.items():
        file.write_bytes(raw)
        assert list(read_texts(file)) == texts


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_end_where_any_system_ends_a_line_and_nowhere_else(tmp_path: Path, end: str) -> None:
    texts = ["One\u2028still\x85one.", "Two\r\nlines."]
    file = tmp_path / "x.jsonl"
    rows = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    file.write_bytes((end.join([*rows, "", rows[0]]) + end).encode())
    assert list(read_texts(file)) == [*texts, texts[0]]
    file.write_bytes((end.join([*rows, "{"]) + end).encode())
    with pytest.raises(ValueError, match=r"x.jsonl:3 is not JSON"):
        list(read_texts(file))


@pytest.mark.parametrize(
    ("raw", "remedy"),
    [
        ("Café".encode("utf-16"), "it is UTF-16; convert the file, e.g. iconv -f UTF-16 -t UTF-8"),
        ("\ufeffCafé".encode("utf-16-be"), "it is UTF-16; convert"),
        ("Café".encode("utf-32"), "it is UTF-32; convert the file, e.g. iconv -f UTF-32"),
        (gzip.compress(b"text", mtime=0), "it is gzipped; add .gz to its name"),
        (b"\x28\xb5\x2f\xfd\x04", "it is packed with zstd; unpack it"),
        (b"PK\x03\x04\xff", "it is a zip archive; unpack it"),
        ("Café".encode("latin-1"), "convert the file, e.g. iconv -f WINDOWS-1252 -t UTF-8"),
        ("“Café” – he’s late".encode("cp1252"), "convert the file, e.g. iconv -f WINDOWS-1252 -t UTF-8"),
    ],
)
def test_what_a_file_begins_with_says_how_to_convert_it(raw: bytes, remedy: str, tmp_path: Path) -> None:
    for name in ("x.txt", "x.jsonl"):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(ValueError, match=rf"{name}.* is not UTF-8 \(byte 0x.. at position \d+\); {remedy}"):
            list(read_texts(tmp_path / name))


def test_blank_lines_are_no_rows_and_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes('\ufeff{"body": "Zoë"}\n\n  \n{"body": "b"}'.encode())
    assert list(read_texts(file, "body")) == ["Zoë", "b"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b'{"text": \n', r"x.jsonl:2 is not JSON \(.* at column \d+\); repair or remove the row"),
        (b"[" * 100_000 + b"\n", r"x.jsonl:2 is JSON that cannot be read \(.*recursion.*\); repair"),
        (b'{"text": ' + b"1" * 5000 + b"}\n", r"x.jsonl:2 is JSON that cannot be read \(.*digits.*\); repair"),
        (b'{"body": "a"}\n', r"x.jsonl:2 has no field 'text' \(it has body\); set train.field or repair the row"),
        (b'["a"]\n', r"x.jsonl:2 has no field 'text' \(it has list\)"),
        (b'{"text": 3}\n', "x.jsonl:2 has 3 in field 'text', which is not text; repair or remove the row"),
        (b'{"text": "\\ud83d"}\n', r"x.jsonl:2 has half a character \(a lone surrogate\) in field 'text'; repair"),
        (b'{"text": "\xe9"}\n', r"x.jsonl:2 is not UTF-8 \(byte 0xe9 at position 10\); convert the file"),
        ("{}\n".encode("utf-16-le"), "x.jsonl:2 holds zero bytes, as UTF-16 text does; convert the file"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(row: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes(b'{"text": "a"}\n' + row)
    texts = read_texts(file, field_setting="train.field")
    assert next(texts) == "a"
    with pytest.raises(ValueError, match=message):
        next(texts)


def test_a_parquet_row_and_a_missing_column_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"] * 300 + [None]}), file)
    with pytest.raises(ValueError, match="x.parquet: row 301 has None in field 'text', which is not text"):
        list(read_texts(file))
    with pytest.raises(ValueError, match=r"x.parquet has no column 'body' \(it has text\); set --field"):
        list(read_texts(file, "body"))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_commands_name_a_row_without_text(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / f"in{suffix}"
    if suffix == ".jsonl":
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("He left.", None)))
    else:
        pq.write_table(pa.table({"text": ["He left.", None]}), source)
    assert main(["audit", str(source), "--out", str(tmp_path / "audit")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {source}") and "2 has None in field 'text'" in error


@pytest.mark.parametrize("name", ["cut.jsonl.gz", "no.jsonl.gz", "no.parquet"])
def test_commands_name_a_damaged_file(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / name
    source.write_bytes(gzip.compress(b'{"text": "He left."}\n' * 99)[:40] if name.startswith("cut") else b"nothing")
    for arguments in (
        ["swap", str(source), "--out", str(tmp_path / ("out" + "".join(source.suffixes)))],
        ["audit", str(source), "--out", str(tmp_path / "audit")],
    ):
        assert main(arguments) == 1
        error = capsys.readouterr().err
        assert name in error
        assert "is not a" in error
        assert ("; take .gz off its name" if name == "no.jsonl.gz" else "; get it again") in error
