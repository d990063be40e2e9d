"""The corpus of the study."""

import gzip
import json

from benchmarks import study_corpus


def test_works_are_held_out_whole(tmp_path, capsys):
    rows = [{"book": f"b{n // 3}", "text": f"Book {n // 3}, part {n}. " + "word " * 200} for n in range(300)]
    with gzip.open(tmp_path / "novels.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    words = [f"{tmp_path}/novels.jsonl.gz:book", "--out", str(tmp_path / "corpus")]
    assert study_corpus.main(words) == 0
    parts = [
        [json.loads(line)["text"] for line in (tmp_path / "corpus" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("train", "heldout")
    ]
    works = [{text.split(",")[0] for text in part} for part in parts]
    assert works[0] and works[1] and not works[0] & works[1]
    whole = "\n".join(text for part in parts for text in part)
    assert sorted(whole.split("\n")) == sorted(row["text"].strip() for row in rows)
    assert study_corpus.main(words) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert study_corpus.main([f"{tmp_path}/none.gz:book", "--out", str(tmp_path / "other")]) == 1
    (tmp_path / "cut.gz").write_bytes((tmp_path / "novels.jsonl.gz").read_bytes()[:-9])
    assert study_corpus.main([f"{tmp_path}/cut.gz:book", "--out", str(tmp_path / "other")]) == 1
    assert "cut.gz ends too early" in capsys.readouterr().err
