"""Swapping Parquet files: schemas, other columns, rows that are left out, parts."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from texts_to_swap import OPTIONS, SENTENCES

from augment import load_lexicon, swap
from augment.files import parquet
from augment.files.rows import RowOptions
from augment.files.stream import swap_file


def rows(number: int) -> list[str]:
    return [SENTENCES[i % len(SENTENCES)] for i in range(number)]


def test_parquet_keeps_schema_and_other_columns(tmp_path: Path) -> None:
    texts = rows(30)
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"id": list(range(30)), "text": texts}), source)
    swap_file(source, target, OPTIONS)
    table = pq.read_table(target)
    assert table.schema == pq.read_schema(source)
    assert table.column("id").to_pylist() == list(range(30))
    assert table.column("text").to_pylist() == [swap(t).counterfactual for t in texts]


def test_parquet_pairs_leave_out_rows_and_keep_types(tmp_path: Path) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = pa.table(
        {
            "when": pa.array([1, 2, 3], pa.timestamp("us")),
            "text": pa.array(["He left.", None, "I saw her duck."], pa.large_string()),
            "tags": pa.array([["a"], [], ["b", "c"]]),
        }
    )
    pq.write_table(table, source)
    report = swap_file(source, target, RowOptions(load_lexicon(), pairs=True, min_confidence=0.9999))
    assert (report.counts.num_malformed, report.counts.num_unsure) == (1, 1)
    got = pq.read_table(target)
    assert got.schema.names == ["when", "text", "tags", "counterfactual", "edits"]
    assert got.schema.field("when").type == pa.timestamp("us")
    assert got.column("counterfactual").to_pylist() == ["She left."]
    assert got.column("edits").to_pylist()[0][0]["target"] == "She"
    swap_file(source, target, OPTIONS)
    plain = pq.read_table(target)
    assert plain.schema == pq.read_schema(source)
    assert plain.column("text").to_pylist() == ["She left.", "I saw him duck."]


def test_a_part_that_someone_removed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROWS_PER_BLOCK", 10)
    source, whole, target = tmp_path / "in.parquet", tmp_path / "whole.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"text": rows(40)}), source)
    swap_file(source, whole, OPTIONS)

    def interrupt() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(parquet, "_join", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                swap_file(source, target, OPTIONS)

    interrupt()
    (tmp_path / "out.parquet.parts" / "00000001.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"00000001.parquet is gone; remove its folder"):
        swap_file(source, target, OPTIONS)
    assert not target.exists()
    shutil.rmtree(tmp_path / "out.parquet.parts")
    swap_file(source, target, OPTIONS)
    assert target.read_bytes() == whole.read_bytes()
