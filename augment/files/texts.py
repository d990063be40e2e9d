"""Read text files: the one reader of the project, and the one place that knows formats and suffixes.

A .txt file holds a text per line (or is one text), a .jsonl file an object per line, a .parquet file a text per row.
The first two may be gzipped. Every error names the file and the line or row, and says what to do. A caller gives the
name of the setting that its users know (`data.text_field`, `--field`), so that the remedy can name it.
"""

import gzip
import json
import re
import reprlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from augment.files.lfs import check_is_no_pointer
from augment.files.tables import columns_among, open_parquet, open_table, parquet_rows, placed_row

T = TypeVar("T")
SUFFIXES = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz", ".parquet")
_TO_UTF8 = "convert the file, e.g. iconv -f {} -t UTF-8"
_BEGINNING = 4096  # bytes that tell the kind of a file
# What a file begins with that is often met in place of UTF-8 text, and the remedy.
_OTHER_KINDS = {
    b"\xff\xfe\0\0": "it is UTF-32; " + _TO_UTF8.format("UTF-32"),
    b"\0\0\xfe\xff": "it is UTF-32; " + _TO_UTF8.format("UTF-32"),
    b"\xff\xfe": "it is UTF-16; " + _TO_UTF8.format("UTF-16"),
    b"\xfe\xff": "it is UTF-16; " + _TO_UTF8.format("UTF-16"),
    b"\x1f\x8b": "it is gzipped; add .gz to its name",
    b"\x28\xb5\x2f\xfd": "it is packed with zstd; unpack it",
    b"BZh": "it is packed with bzip2; unpack it",
    b"\xfd7zXZ": "it is packed with xz; unpack it",
    b"PK\x03\x04": "it is a zip archive; unpack it",
    b"PAR1": "it is a Parquet file; add .parquet to its name",
}
_HIDDEN = (".", "__")  # how the names of files begin that no user made
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPAIR = "repair or remove the row"
_ZERO_BYTES = f"holds zero bytes, as UTF-16 text does; {_TO_UTF8.format('UTF-16')}"


def format_of(path: Path) -> str:
    """`.txt`, `.jsonl` or `.parquet`. Raises ValueError for a name with another suffix."""
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return suffix.removesuffix(".gz")
    raise ValueError(f"{path} is of an unknown kind; supported are {', '.join(SUFFIXES)}")


def text_files(path: Path) -> list[Path]:
    """The file itself, or the text files of a folder and its subfolders, in the order of their names.

    Raises FileNotFoundError when none exists, and ValueError for a file of an unknown kind; otherwise as `files_below`.
    """
    if path.is_dir():
        files = [file for file in files_below(path) if file.name.endswith(SUFFIXES)]
        if not files:
            raise FileNotFoundError(f"folder {path} holds no {', '.join(SUFFIXES)} file")
        return files
    format_of(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a {', '.join(SUFFIXES)} file or a folder of them")
    return [path]


def files_below(folder: Path) -> list[Path]:
    """The files of a folder and its subfolders, of any kind, in the order of their names.

    Names that begin with a dot or with two underscores are left out, as `datasets` does: such files and folders are
    made by programs (.ipynb_checkpoints, .cache, ._part-0.jsonl, __MACOSX). Links are followed, and a folder that two
    ways lead to is entered once. Raises FileNotFoundError for a link to nowhere, and OSError for a folder that cannot
    be read.
    """
    files, folders, entered = [], [folder], {folder.resolve()}
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.name.startswith(_HIDDEN):
                continue
            if path.is_dir():
                if path.resolve() not in entered:
                    entered.add(path.resolve())
                    folders.append(path)
            elif path.is_file():
                files.append(path)
            elif path.is_symlink():
                raise FileNotFoundError(
                    f"{path} is a link to {path.readlink()}, which does not exist; repair or remove it"
                )
    return sorted(files)


def read_texts(
    path: Path, text_field: str = "text", *, whole_files: bool = False, field_setting: str = "--field"
) -> Iterator[str]:
    """The texts of a file or folder in order. A .txt file is a text per line; with `whole_files` it is one text.

    Whether the lines of a file end as on Windows or as on Unix makes no difference.

    Raises ValueError or OSError naming the line that cannot be read: text that is not UTF-8, a row that is not JSON, a
    missing or non-text field, a damaged file.
    """
    of_row = partial(encodable_text_of, text_field=text_field, field_setting=field_setting)
    for file in text_files(path):
        if format_of(file) == ".parquet":
            with open_parquet(file, text_field, field_setting) as table:
                yield from (text for _, text in parquet_rows(file, table, [text_field], of_row))
            continue
        with open_bytes(file) as stream:
            if format_of(file) == ".jsonl":
                yield from (text for _, text in _jsonl_rows(file, stream, of_row))
            elif whole_files:
                yield plain_line_ends(_placed(file, stream.read()))
            else:
                for number, line in enumerate(_lines(stream), 1):
                    yield _placed(f"{file}:{number}", line).rstrip("\r\n")


def read_rows(
    path: Path, of_row: Callable[[Any], T], columns: Sequence[str], columns_setting: str
) -> Iterator[tuple[str, T]]:
    """`of_row` of every row of the .jsonl and .parquet files of a file or folder, each with its place.

    columns: those of a Parquet file that are read, as far as it has them; columns_setting chooses them. Raises
    ValueError or OSError as `read_texts`, and ValueError for a .txt file. A ValueError of `of_row` is raised again with
    the place before it.
    """
    for file in text_files(path):
        if format_of(file) == ".txt":
            raise ValueError(f"{file} is plain text, which has no rows; give .jsonl or .parquet files only")
        if format_of(file) == ".parquet":
            with open_table(file) as table:
                present = columns_among(file, table.schema_arrow.names, columns, columns_setting)
                yield from parquet_rows(file, table, present, of_row)
            continue
        with open_bytes(file) as stream:
            yield from _jsonl_rows(file, stream, of_row)


def plain_line_ends(text: str) -> str:
    """The text of a file with `\\n` for every end of a line, also where another system wrote `\\r\\n` or `\\r`."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@contextmanager
def open_bytes(file: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, a .gz file decompressed. Raises ValueError, naming the file, when that is damaged or a
    Git LFS pointer.
    """
    check_is_no_pointer(file)
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else open(file, "rb") as stream:
            yield cast(BinaryIO, stream)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        remedy = "take .gz off its name" if "Not a gzipped" in str(error) else "get it again"
        raise ValueError(f"{file} is not a whole gzip file ({error}); {remedy}") from error


# -- rows ------------------------------------------------------------------------------------------------------------
# Their ValueErrors give reason and remedy; the caller adds the place: "is not JSON (...); repair or remove the row".


def decode(raw: bytes) -> str:
    """The text of UTF-8 bytes."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{raw[error.start]:02x} at position {error.start}"
        raise ValueError(f"is not UTF-8 ({byte}); {_other_kind(raw) or _TO_UTF8.format('WINDOWS-1252')}") from None
    if "\0" in text:
        raise ValueError(_ZERO_BYTES)
    return text


def _other_kind(raw: bytes) -> str:
    """What to do with a file that begins with these bytes and is of another kind than UTF-8 text; "" if it is not."""
    return next((remedy for start, remedy in _OTHER_KINDS.items() if raw.startswith(start)), "")


def check_beginning(file: Path) -> None:
    """Raise ValueError, naming the file, if it begins as UTF-16 text does: its lines would end in the wrong places."""
    with open_bytes(file) as stream:
        beginning = stream.read(_BEGINNING)
    remedy = "" if beginning.isascii() else _other_kind(beginning)
    if remedy or b"\0" in beginning:
        raise ValueError(f"{file} is not UTF-8; {remedy}" if remedy else f"{file} {_ZERO_BYTES}")


def parse_row(raw: bytes) -> Any:
    """The value of one JSON line."""
    line = decode(raw).removeprefix("\ufeff")
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg} at column {error.colno}); {_REPAIR}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
        raise ValueError(f"is JSON that cannot be read ({error}); {_REPAIR}") from None


def text_of(row: Any, text_field: str, field_setting: str) -> str:
    """The text in a field of a row."""
    if not isinstance(row, dict) or text_field not in row:
        fields = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise ValueError(f"has no field {text_field!r} (it has {fields}); set {field_setting} or repair the row")
    text = row[text_field]
    if not isinstance(text, str):
        raise ValueError(f"has {reprlib.repr(text)} in field {text_field!r}, which is not text; {_REPAIR}")
    return text


def encodable_text_of(row: Any, text_field: str, field_setting: str) -> str:
    """The text in a field of a row, which must be possible to write as UTF-8."""
    text = text_of(row, text_field, field_setting)
    if _LONE_SURROGATE.search(text):
        raise ValueError(f"has half a character (a lone surrogate) in field {text_field!r}; {_REPAIR}")
    return text


# -- files -----------------------------------------------------------------------------------------------------------


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. If it has no line feed, a carriage return ends each line, as on old Macs."""
    first = stream.readline()
    if first.endswith(b"\n"):
        yield first
    elif first:
        yield from first.rstrip(b"\r").split(b"\r")
    yield from stream


def _placed(where: object, raw: bytes) -> str:
    """Decoded text without a byte-order mark; an error begins with `where`."""
    try:
        return decode(raw).removeprefix("\ufeff")
    except ValueError as error:
        raise ValueError(f"{where} {error}") from None


def _jsonl_rows(file: Path, stream: BinaryIO, of_row: Callable[[Any], T]) -> Iterator[tuple[str, T]]:
    for number, line in enumerate(_lines(stream), 1):
        if line.strip():
            place = f"{file}:{number}"
            yield place, placed_row(place, placed_row(place, line, parse_row), of_row)
