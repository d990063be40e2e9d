"""The datatrove block in a real local pipeline; skipped where datatrove is not installed."""

import gzip
import json
from pathlib import Path

import pytest

pytest.importorskip("datatrove", reason="needs `pip install datatrove`")


@pytest.mark.filterwarnings("ignore")
def test_local_pipeline(tmp_path: Path) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    from augment.files.datatrove_step import SwapGender

    (tmp_path / "in").mkdir()
    for name, text in (("a", "He left."), ("b", "Nothing.")):
        line = json.dumps({"text": text, "id": name})
        (tmp_path / "in" / f"{name}.jsonl").write_text(line + "\n", encoding="utf-8")
    steps = [
        JsonlReader(str(tmp_path / "in")),
        SwapGender(keep_original=True),
        JsonlWriter(str(tmp_path / "out"), output_filename="${rank}.jsonl.gz"),
    ]
    LocalPipelineExecutor(steps, tasks=2, workers=1, logging_dir=str(tmp_path / "logs")).run()
    rows = [
        json.loads(line)
        for path in (tmp_path / "out").glob("*.jsonl.gz")
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
    ]
    texts = {row["id"]: (row["metadata"]["original"], row["text"]) for row in rows}
    assert texts == {"a": ("He left.", "She left."), "b": ("Nothing.", "Nothing.")}
    with pytest.raises(ValueError, match="unknown lexicon tier"):
        SwapGender(tiers=["kin"])
