"""The corpus of the study."""

import gzip
import json

import pytest

from study import corpus as study_corpus


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
    assert "cut.gz is not a whole gzip file" in capsys.readouterr().err
    (tmp_path / "corpus" / "sources.json").unlink()  # left by an earlier version or another program
    for source in (f"{tmp_path}/novels.jsonl.gz:book", f"{tmp_path}/novels.jsonl.gz:text"):
        assert study_corpus.main([source, "--out", str(tmp_path / "corpus")]) == 1
        assert "corpus was not made from these files; remove it" in capsys.readouterr().err


def test_texts_about_people_are_half_of_the_training_part(tmp_path, capsys):
    rows = [{"book": f"b{n}", "text": f"Book {n}. " + "word " * 400} for n in range(300)]
    (tmp_path / "novels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts = [f"The captain of ship {n} said that" for n in range(500)]
    (tmp_path / "people.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    words = [f"{tmp_path}/novels.jsonl:book", "--people", f"{tmp_path}/people.jsonl", "--out", str(tmp_path / "mixed")]
    assert study_corpus.main(words) == 0
    mixed = [json.loads(line)["text"] for line in (tmp_path / "mixed" / "train.jsonl").read_text().splitlines()]
    documents = [text for text in mixed if text.startswith("Book")]
    assert sorted(set(mixed) - set(documents)) == sorted(texts)
    assert 0 <= sum(map(len, documents)) - sum(map(len, texts)) < 2020
    assert 0 < mixed.index(documents[0]) < mixed.index(documents[-1]) < len(mixed) - 1
    heldout = (tmp_path / "mixed" / "heldout.jsonl").read_text()
    assert "captain" not in heldout and len(heldout.splitlines()) + len(documents) < 300
    assert study_corpus.main(words) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert study_corpus.main([words[0], "--out", str(tmp_path / "mixed")]) == 1
    assert "was not made from these files" in capsys.readouterr().err
    (tmp_path / "people.jsonl").write_text(json.dumps({"text": "long " * 200_000}) + "\n")
    assert study_corpus.main([*words[:-1], str(tmp_path / "other")]) == 1
    assert "--people has 1,000,000 characters, the documents" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "source", "message"),
    [
        (
            gzip.compress(b'{"text": "a", "book": "1"}\n{"text": }\n', mtime=0),
            "x.gz:book",
            "x.gz:2 is not JSON (Expecting value at column 10); repair or remove the row",
        ),
        (
            gzip.compress(b'["text"]\n', mtime=0),
            "x.gz:book",
            "x.gz:1 has no field 'book' (it has list); set FILE:FIELD",
        ),
        (
            gzip.compress(b'{"text": "a"}\n', mtime=0),
            "x.gz:book",
            "x.gz:1 has no field 'book' (it has text); set FILE:FIELD",
        ),
        (gzip.compress(b'{"book": "a"}\n', mtime=0), "x.gz:book", "x.gz:1 has no field 'text' (it has book)"),
        (gzip.compress(b'{"text": 1, "book": "a"}\n', mtime=0), "x.gz:book", "x.gz:1 has 1 in field 'text'"),
        (gzip.compress(b"\xff\n", mtime=0), "x.gz:book", "x.gz:1 is not UTF-8 (byte 0xff at position 0); convert"),
        (b'{"text": "a"}\n', "x.gz:book", "x.gz is not a whole gzip file"),
        (b"", "x.gz", "is not FILE:FIELD; add the field that names a row's work"),
        (b"", "none.gz:book", "none.gz does not exist"),
    ],
)
def test_a_bad_source_is_named_with_its_place(content, source, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.gz").write_bytes(content)
    assert study_corpus.main([source, "--out", "corpus"]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()
