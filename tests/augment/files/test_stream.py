"""Swapping files of lines: order, workers, malformed rows, options."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from texts_to_swap import OPTIONS, random_texts

from augment import load_lexicon, swap
from augment.__main__ import main
from augment.files import stream
from augment.files.rows import RowOptions
from augment.files.stream import swap_file


def write_jsonl(path: Path, texts: list[str]) -> None:
    lines = "".join(json.dumps({"id": i, "text": t}, ensure_ascii=False) + "\n" for i, t in enumerate(texts))
    data = lines.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_json_lines_in_order(tmp_path: Path, suffix: str) -> None:
    texts = random_texts(50)
    source, target = tmp_path / ("in" + suffix), tmp_path / ("out" + suffix)
    write_jsonl(source, texts)
    report = swap_file(source, target, OPTIONS)
    raw = gzip.decompress(target.read_bytes()) if suffix.endswith("gz") else target.read_bytes()
    got = [json.loads(line) for line in raw.decode().splitlines()]
    assert got == [{"id": i, "text": swap(t).counterfactual} for i, t in enumerate(texts)]
    assert report.counts.num_rows == 50
    assert report.malformed_path is None
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, target.name])


def test_text_keeps_line_ends_and_unchanged_bytes(tmp_path: Path) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes("\ufeffHe left.\r\n\r\nNothing.\rShe stayed.\nher".encode())
    swap_file(source, target, OPTIONS)
    assert target.read_bytes() == "\ufeffShe left.\r\n\r\nNothing.\rHe stayed.\nhim".encode()


def test_pairs_add_columns_that_replay(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_jsonl(source, random_texts(5))
    swap_file(source, target, RowOptions(load_lexicon(), pairs=True))
    for line in target.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = row["text"]
        for edit in reversed(row["edits"]):
            assert text[edit["start"] : edit["end"]] == edit["source"]
            text = text[: edit["start"]] + edit["target"] + text[edit["end"] :]
        assert text == row["counterfactual"]


def test_pairs_write_over_no_column_of_the_input(tmp_path: Path) -> None:
    options = RowOptions(load_lexicon(), pairs=True)
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": ["He left."], "edits": [1]}), source)
    with pytest.raises(ValueError, match=r"in.parquet has a column 'edits', which --pairs would add; rename it"):
        swap_file(source, tmp_path / "out.parquet", options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]
    lines, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines.write_text('{"text": "He left.", "counterfactual": "mine"}\n{"text": "He left."}\n')
    report = swap_file(lines, target, options)
    assert (report.counts.num_malformed, len(target.read_text().splitlines())) == (1, 1)
    assert "has a field 'counterfactual', which --pairs would add; rename it" in report.malformed_path.read_text()


@pytest.mark.parametrize("suffix", [".jsonl", pytest.param(".parquet", marks=pytest.mark.slow)])
def test_two_workers_write_the_same_bytes(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_BLOCK_BYTES", 2000)
    texts = random_texts(300)
    source = tmp_path / ("in" + suffix)
    if suffix == ".jsonl":
        write_jsonl(source, texts)
    else:
        pq.write_table(pa.table({"text": texts * 10}), source)
    one, two = tmp_path / ("one" + suffix), tmp_path / ("two" + suffix)
    swap_file(source, one, OPTIONS, num_workers=1)
    swap_file(source, two, OPTIONS, num_workers=2)
    assert one.read_bytes() == two.read_bytes()


def test_malformed_rows_are_listed_by_line(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    good = b'{"text": "He left."}\n'
    source.write_bytes(good + b"{broken\n" + b"\n" + b'{"other": 1}\n' + b'{"text": "\xff"}\n' + good + b"[1]\n")
    report = swap_file(source, target, OPTIONS)
    assert report.counts.num_malformed == 4
    assert report.malformed_path is not None
    listed = [json.loads(line) for line in report.malformed_path.read_text(encoding="utf-8").splitlines()]
    assert [row["line"] for row in listed] == [2, 4, 5, 7]
    assert "not JSON" in listed[0]["reason"]
    assert target.read_text(encoding="utf-8").count("She left.") == 2


def test_unsure_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_jsonl(source, ["He left.", "I saw her duck."])
    report = swap_file(source, target, RowOptions(load_lexicon(), min_confidence=0.9999))
    assert report.counts.num_unsure == 1
    assert len(target.read_text(encoding="utf-8").splitlines()) == 1


def test_escaped_lone_surrogate_survives(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "He \\ud800 left"}\n')
    swap_file(source, target, OPTIONS)
    assert json.loads(target.read_text())["text"] == "She \ud800 left"


def test_command_line_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["swap", "nowhere.jsonl", "--out", str(tmp_path / "o.jsonl")]) == 1
    assert capsys.readouterr().err.startswith("error: input 'nowhere.jsonl' does not exist")
    source = tmp_path / "in.jsonl"
    write_jsonl(source, ["He left."])
    for arguments, message in (
        (["--out", str(tmp_path / "o.txt")], "must have the format"),
        (["--out", str(source)], "is the input"),
        (["--out", str(tmp_path / "o.jsonl"), "--workers", "0"], "--workers is 0"),
        (["--out", str(tmp_path / "o.jsonl"), "--min-confidence", "7"], "--min-confidence is 7"),
        (["--out", str(tmp_path / "o.jsonl"), "--replace"], "--replace needs"),
    ):
        assert main(["swap", str(source), *arguments]) == 1
        assert message in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl"]


def test_output_folder_must_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl(tmp_path / "in.jsonl", ["He left."])
    assert main(["swap", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "absent" / "o.jsonl")]) == 1
    assert "does not exist; make it first" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".txt.gz"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_file_in_utf_16_is_refused(suffix: str, encoding: str, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    raw = '{"text": "He left."}\n'.encode(encoding)
    source.write_bytes(gzip.compress(raw) if suffix == ".txt.gz" else raw)
    with pytest.raises(ValueError, match=r"in\..* (?:holds zero bytes|is not UTF-8).*iconv -f UTF-(?:16|32)"):
        swap_file(source, target, OPTIONS)
    assert list(tmp_path.iterdir()) == [source]
