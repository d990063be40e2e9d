"""Streaming of files: formats, order, workers, resumption, malformed rows, atomic output."""

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augment import load_lexicon, swap
from augment.__main__ import main
from augment.files import parquet, stream
from augment.files.rows import RowOptions
from augment.files.stream import swap_file

OPTIONS = RowOptions(load_lexicon())
SENTENCES = [
    "He met her mother.",
    "The actress left.",
    "Nothing here.",
    "Ünïcode — “his” own",
    "She gave him his book.",
]


def rows(number: int) -> list[str]:
    rng = random.Random(0)
    return [" ".join(rng.choices(SENTENCES, k=3)) for _ in range(number)]


def write_jsonl(path: Path, texts: list[str]) -> None:
    lines = "".join(json.dumps({"id": i, "text": t}, ensure_ascii=False) + "\n" for i, t in enumerate(texts))
    data = lines.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_json_lines_in_order(tmp_path: Path, suffix: str) -> None:
    texts = rows(50)
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


def test_pairs_add_columns_that_replay(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_jsonl(source, rows(5))
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
    assert "field 'counterfactual', which --pairs would add, is there" in report.malformed_path.read_text()


def test_parts_that_someone_removed_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_two_workers_write_the_same_bytes(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_BLOCK_BYTES", 2000)
    texts = rows(300)
    source = tmp_path / ("in" + suffix)
    if suffix == ".jsonl":
        write_jsonl(source, texts)
    else:
        pq.write_table(pa.table({"text": texts * 10}), source)
    one, two = tmp_path / ("one" + suffix), tmp_path / ("two" + suffix)
    swap_file(source, one, OPTIONS, num_workers=1)
    swap_file(source, two, OPTIONS, num_workers=2)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_interrupted_run_continues_to_the_same_bytes(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_BLOCK_BYTES", 500)
    monkeypatch.setattr(stream, "_SAVE_EVERY", 2)
    source, whole, target = tmp_path / ("in" + suffix), tmp_path / ("whole" + suffix), tmp_path / ("out" + suffix)
    write_jsonl(source, rows(100))
    expected = swap_file(source, whole, OPTIONS)
    add, calls = stream.Counts.add, []

    def fails_later(self: stream.Counts, other: stream.Counts) -> None:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        add(self, other)

    monkeypatch.setattr(stream.Counts, "add", fails_later)
    with pytest.raises(KeyboardInterrupt):
        swap_file(source, target, OPTIONS)
    assert not target.exists()
    noted = json.loads((tmp_path / (target.name + ".progress")).read_text())
    assert noted["counts"]["num_rows"] > 0
    report = swap_file(source, target, OPTIONS)
    assert target.read_bytes() == whole.read_bytes()
    assert report.counts == expected.counts


def test_other_options_start_afresh(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_jsonl(source, rows(10))
    (tmp_path / "out.jsonl.part").write_text("left over from other work\n")
    (tmp_path / "out.jsonl.progress").write_text(
        json.dumps(
            {"identity": "other", "position": 5, "output_bytes": 5, "malformed_bytes": 0, "counts": {"num_rows": 1}}
        )
    )
    assert swap_file(source, target, OPTIONS).counts.num_rows == 10
    assert "left over" not in target.read_text(encoding="utf-8")


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


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_row_without_a_text_is_named_and_an_empty_line_is_none(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, good = tmp_path / f"in{suffix}", tmp_path / "good.jsonl"
    if suffix == ".jsonl":
        source.write_text('{"text": "He left."}\n{"text": null}\n')
    else:
        pq.write_table(pa.table({"text": ["He left.", None]}), source)
    assert main(["audit", str(source), "--out", str(tmp_path / "audit")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {source}") and "None" in error and "'text'" in error
    good.write_text('{"text": "He left."}\n\n{"text": "She left."}\n')
    assert list(stream.read_texts(good, "text")) == ["He left.", "She left."]


def test_a_worker_that_dies_is_one_message() -> None:
    with pytest.raises(OSError, match="one of 2 workers has died.*fewer --workers"), stream.workers(2, OPTIONS) as pool:
        pool.submit(os._exit, 1).result()


@pytest.mark.parametrize("name", ["cut.jsonl.gz", "no.jsonl.gz", "no.parquet"])
def test_damaged_inputs_are_named(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_output_folder_must_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl(tmp_path / "in.jsonl", ["He left."])
    assert main(["swap", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "absent" / "o.jsonl")]) == 1
    assert "does not exist; make it first" in capsys.readouterr().err


KILLED = """
import sys
from pathlib import Path
from augment import load_lexicon
from augment.files import parquet, stream
from augment.files.rows import RowOptions
stream._BLOCK_BYTES, stream._SAVE_EVERY, parquet._ROWS_PER_BLOCK = 20_000, 1, 200
if __name__ == "__main__":
    stream.swap_file(Path(sys.argv[1]), Path(sys.argv[2]), RowOptions(load_lexicon()), int(sys.argv[3]))
"""


def children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in listed.read_text().split()] if listed.is_file() else []


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(("suffix", "num_workers"), [(".txt", 1), (".jsonl.gz", 2), (".parquet", 1), (".parquet", 2)])
def test_killed_run_continues_to_the_same_bytes(
    tmp_path: Path, suffix: str, num_workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_BLOCK_BYTES", 20_000)
    monkeypatch.setattr(parquet, "_ROWS_PER_BLOCK", 200)
    source, whole, target = tmp_path / ("in" + suffix), tmp_path / ("whole" + suffix), tmp_path / ("out" + suffix)
    texts = rows(6_000)
    if suffix == ".txt":
        source.write_text("\n".join(texts) + "\n", encoding="utf-8")
    elif suffix == ".parquet":
        pq.write_table(pa.table({"id": list(range(len(texts))), "text": texts}), source)
    else:
        write_jsonl(source, texts)
    expected = swap_file(source, whole, OPTIONS)
    script = tmp_path / "child.py"
    script.write_text(KILLED, encoding="utf-8")
    root = str(Path(__file__).resolve().parents[3])
    arguments = [sys.executable, str(script), str(source), str(target), str(num_workers)]
    with subprocess.Popen(arguments, env={"PYTHONPATH": root}) as run:
        while not (tmp_path / (target.name + ".progress")).exists():
            assert run.poll() is None
            time.sleep(0.002)
        workers = children(run.pid)
        run.kill()
    assert not target.exists()
    noted = json.loads((tmp_path / (target.name + ".progress")).read_text())
    assert 0 < noted["counts"]["num_rows"] < len(texts)
    report = swap_file(source, target, OPTIONS)
    assert target.read_bytes() == whole.read_bytes()
    assert report.counts == expected.counts
    deadline = time.monotonic() + 20
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "workers outlived the run that was killed"
        time.sleep(0.05)
