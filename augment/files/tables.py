"""Read Parquet files row by row. Every error names the file and the row, and says what to do."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from augment.files.lfs import check_is_no_pointer

T = TypeVar("T")
_ROWS_PER_BATCH = 256  # in memory at a time


def open_parquet(file: Path, text_field: str, field_setting: str) -> Any:
    """A `pyarrow.parquet.ParquetFile` with the column. Raises ValueError for another file or without the column."""
    table = open_table(file)
    check_column(file, table.schema_arrow.names, text_field, field_setting)
    return table


def open_table(file: Path) -> Any:
    """A `pyarrow.parquet.ParquetFile`. Raises ValueError for another file."""
    from pyarrow import parquet  # slow to import

    check_is_no_pointer(file)
    try:
        return parquet.ParquetFile(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is not a readable Parquet file ({error}); get it again") from error


def check_column(where: object, names: Iterable[str], text_field: str, field_setting: str) -> None:
    """Raise ValueError unless the column of the text is among the names of a table's columns."""
    if text_field not in names:
        raise ValueError(f"{where} has no column {text_field!r} (it has {', '.join(names)}); set {field_setting}")


def columns_among(where: object, names: Sequence[str], wanted: Sequence[str], setting: str) -> list[str]:
    """The wanted columns that a table has. Raises ValueError if it has none of them; `setting` says what is wanted."""
    present = [name for name in names if name in wanted]
    if not present:
        raise ValueError(f"{where} has no column {' or '.join(wanted)} (it has {', '.join(names)}); set {setting}")
    return present


def record_batches(
    file: Path, table: Any, num_rows: int, columns: list[str] | None = None
) -> Iterator[tuple[int, Any]]:
    """Read an open Parquet file `num_rows` rows at a time; yields (number of the first row, from 1; record batch)."""
    first_row = 1
    batches = table.iter_batches(num_rows, columns=columns)
    while True:
        with _readable(file, first_row):
            batch = next(batches, None)
        if batch is None:
            return
        yield first_row, batch
        first_row += batch.num_rows


@contextmanager
def _readable(file: Path, first_row: int) -> Iterator[None]:
    """Within this context, pyarrow's errors (a damaged page, a string that is not UTF-8) name the file and the rows."""
    try:
        yield
    except (OSError, ValueError) as error:
        kind = OSError if isinstance(error, OSError) else ValueError
        reason = " ".join(str(error).split())
        raise kind(
            f"{file}: rows from {first_row} on cannot be read ({reason}); repair the file, or get it again"
        ) from error


def parquet_rows(file: Path, table: Any, columns: list[str], of_row: Callable[[Any], T]) -> Iterator[tuple[str, T]]:
    """`of_row` of every row of an open Parquet file, a dictionary of these columns, each with its place."""
    for first_row, batch in record_batches(file, table, _ROWS_PER_BATCH, columns):
        with _readable(file, first_row):
            rows = batch.to_pylist()
        for number, row in enumerate(rows, first_row):
            place = f"{file}: row {number}"
            yield place, placed_row(place, row, of_row)


def placed_row(place: str, row: Any, of_row: Callable[[Any], T]) -> T:
    """`of_row(row)`. A ValueError is raised again with the place before it."""
    try:
        return of_row(row)
    except ValueError as error:
        raise ValueError(f"{place} {error}") from None
