"""The curves of runs: every number in metrics.jsonl is drawn."""

import json
import struct
from pathlib import Path

import pytest

from distill.plots import load_curves, main, panels_of


def write_run(folder: Path, lines: list[dict]) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


LINES = [
    {"step": 0, "num_processes": 1, "device": "cpu"},
    {"step": 0, "heldout_nats_per_token": 7.5, "heldout_perplexity": 1800.0},
    {"step": 10, "loss": 5.0, "kd": 1.0, "ce": 4.0, "hidden": 0.0, "lr": 1e-3, "grad_norm": 2.0, "num_tokens": 90},
    {"step": 20, "loss": 4.0, "kd": 0.5, "ce": 3.5, "hidden": 0.0, "lr": 5e-4, "grad_norm": 1.0, "num_tokens": 95},
    {"step": 20, "kd_gendered": 0.7, "heldout_nats_per_token": 6.5},
]


def test_every_number_is_a_curve_and_known_ones_share_panels(tmp_path):
    curves = load_curves(write_run(tmp_path / "a", LINES))
    assert curves["loss"] == [(10, 5.0), (20, 4.0)]
    assert curves["heldout_nats_per_token"] == [(0, 7.5), (20, 6.5)]
    assert "hidden" not in curves  # all zero: it is not in use
    panels = panels_of({"a": curves, "b": {"mfu": [(1, 0.4)]}})
    assert panels["loss (nats per token)"] == ["loss", "kd", "ce"]
    assert panels["kd gendered"] == ["kd_gendered"]  # a key that plots.py does not know
    assert "share of the peak arithmetic (MFU)" in panels
    assert "tokens per second" not in panels


def test_two_runs_are_one_picture_and_one_page_that_needs_nothing_else(tmp_path, capsys):
    first, second = write_run(tmp_path / "x" / "run", LINES), write_run(tmp_path / "y" / "run", LINES[:3])
    sample = {"step": 20, "prompt": "The nurse", "continuation": " said <b>that</b>"}
    (first / "samples.jsonl").write_text(json.dumps(sample) + "\n")
    main([str(first), str(second), "--out", str(tmp_path / "out")])
    assert "plots.html" in capsys.readouterr().out
    image = (tmp_path / "out" / "plots.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", image[16:24])
    assert width > 1000 and height > 300
    page = (tmp_path / "out" / "plots.html").read_text()
    assert str(first) in page and str(second) in page  # the same name twice: told apart by path
    assert "4 (step 20)" in page and "5 (step 10)" in page
    assert " said &lt;b&gt;that&lt;/b&gt;" in page
    assert "http" not in page and page.count("data:image/png;base64,") == 1


def test_without_numbers_there_is_one_message(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder: it has no metrics.jsonl"):
        main([str(tmp_path)])
    with pytest.raises(ValueError, match="holds no numbers yet"):
        main([str(write_run(tmp_path / "a", LINES[:1]))])
