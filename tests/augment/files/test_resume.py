"""A run that is interrupted or killed resumes, and the output is the same byte for byte."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from texts_to_swap import OPTIONS, random_texts

from augment.files import parquet, stream
from augment.files.progress import FileReport
from augment.files.rows import Counts
from augment.files.stream import swap_file

ROOT = Path(__file__).resolve().parents[3]


def write_texts(path: Path, number: int) -> None:
    """Write `number` random texts into a file, in the format that its suffix names."""
    texts = random_texts(number)
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"id": list(range(number)), "text": texts}), path)
        return
    lines = texts if path.suffix == ".txt" else [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def swapped_at_once(folder: Path, suffix: str, number: int) -> tuple[Path, Path, Path, FileReport]:
    """A file of texts, its counterfactual made in one go, a path for another counterfactual, and the report."""
    source, whole, target = (folder / (name + suffix) for name in ("in", "whole", "out"))
    write_texts(source, number)
    return source, whole, target, swap_file(source, whole, OPTIONS)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_interrupted_run_continues_to_the_same_bytes(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_BLOCK_BYTES", 500)
    monkeypatch.setattr(stream, "_SAVE_EVERY", 2)
    source, whole, target, expected = swapped_at_once(tmp_path, suffix, 100)
    add, calls = Counts.add, []

    def fails_later(self: Counts, other: Counts) -> None:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        add(self, other)

    monkeypatch.setattr(Counts, "add", fails_later)
    with pytest.raises(KeyboardInterrupt):
        swap_file(source, target, OPTIONS)
    assert not target.exists()
    noted = json.loads((tmp_path / (target.name + ".progress")).read_text())
    assert noted["counts"]["num_rows"] > 0
    report = swap_file(source, target, OPTIONS)
    assert target.read_bytes() == whole.read_bytes()
    assert report.counts == expected.counts


def test_other_options_start_afresh_and_say_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_texts(source, 10)
    (tmp_path / "out.jsonl.part").write_text("left over from other work\n")
    (tmp_path / "out.jsonl.progress").write_text(
        json.dumps(
            {"identity": "other", "position": 5, "output_bytes": 5, "malformed_bytes": 0, "counts": {"num_rows": 1}}
        )
    )
    assert swap_file(source, target, OPTIONS).counts.num_rows == 10
    assert f"{target}: begun with other rules, options or input; beginning again\n" in capsys.readouterr().err
    assert "left over" not in target.read_text(encoding="utf-8")


# Swaps a file in tiny blocks and kills itself after the third note of progress, in the middle of the work.
KILLED = """
import multiprocessing, os, signal, sys
from pathlib import Path
from augment import load_lexicon
from augment.files import parquet, progress, stream
from augment.files.rows import RowOptions

stream._BLOCK_BYTES, stream._SAVE_EVERY, parquet._ROWS_PER_BLOCK = 20_000, 1, 200
save, saved = progress.Journal.save, []

def save_and_die(self, out=None):
    save(self, out)
    saved.append(1)
    if len(saved) == 3:
        print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

progress.Journal.save = save_and_die
if __name__ == "__main__":
    stream.swap_file(Path(sys.argv[1]), Path(sys.argv[2]), RowOptions(load_lexicon()), int(sys.argv[3]))
"""


def is_alive(process: int) -> bool:
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
    source, whole, target, expected = swapped_at_once(tmp_path, suffix, 3_000)
    script = tmp_path / "child.py"
    script.write_text(KILLED, encoding="utf-8")
    arguments = [sys.executable, str(script), str(source), str(target), str(num_workers)]
    run = subprocess.run(arguments, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not target.exists()
    noted = json.loads((tmp_path / (target.name + ".progress")).read_text())
    assert 0 < noted["counts"]["num_rows"] < 3_000
    report = swap_file(source, target, OPTIONS)
    assert target.read_bytes() == whole.read_bytes()
    assert report.counts == expected.counts
    workers = [int(process) for process in run.stdout.split()]
    assert len(workers) == (num_workers if num_workers > 1 else 0)
    deadline = time.monotonic() + 300
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "workers outlived the run that was killed"
        time.sleep(0.05)
