"""Reading corpora: every format gives the same documents, and every fault gives one message with its place."""

import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from datasets import Dataset, DatasetDict

from distill.config import DataConfig
from distill.data.corpus import corpus_fingerprint, corpus_version, describe_files, read_documents
from distill.data.folders import check_apart

TEXTS = ["The nurse waved.", "Zoë said: 'naïve?'", "Third line"]


def documents(path, **settings) -> list[str]:
    return list(read_documents(DataConfig(path=str(path), **settings)))


def write_all_formats(folder):
    lines = "\n".join(TEXTS) + "\n\n  \n"
    rows = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(TEXTS))
    (folder / "a.txt").write_text(lines, encoding="utf-8")
    (folder / "dump.jsonl.txt").write_text(lines, encoding="utf-8")
    (folder / "crlf.txt").write_bytes(b"\xef\xbb\xbf" + lines.replace("\n", "\r\n").encode())  # as Windows does
    with gzip.open(folder / "a.txt.gz", "wt", encoding="utf-8") as file:
        file.write(lines)
    (folder / "a.jsonl").write_text(rows)
    with gzip.open(folder / "a.jsonl.gz", "wt") as file:
        file.write(rows + "\n")
    parquet.write_table(pa.table({"text": TEXTS}), folder / "a.parquet")
    Dataset.from_dict({"text": TEXTS}).save_to_disk(folder / "saved")
    DatasetDict(train=Dataset.from_dict({"text": TEXTS})).save_to_disk(folder / "dictionary")


@pytest.mark.parametrize(
    "name",
    ["a.txt", "dump.jsonl.txt", "crlf.txt", "a.txt.gz", "a.jsonl", "a.jsonl.gz", "a.parquet", "saved", "dictionary"],
)
def test_every_format_gives_the_same_documents_without_blank_ones(name, tmp_path):
    write_all_formats(tmp_path)
    assert documents(tmp_path / name) == TEXTS


def test_a_folder_is_read_in_the_order_of_names_and_a_text_file_can_be_one_document(tmp_path):
    (tmp_path / "b.jsonl").write_text('{"body": "two"}\n')
    (tmp_path / "a.parquet").write_bytes(b"")
    parquet.write_table(pa.table({"body": ["one"]}), tmp_path / "a.parquet")
    (tmp_path / "notes.md").write_text("ignored")
    assert documents(tmp_path, text_field="body") == ["one", "two"]
    (tmp_path / "c.txt").write_text("x\ny\n")
    assert documents(tmp_path / "c.txt", txt_document="file") == ["x\ny\n"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"good\nbad \xe9\n", r"x.txt:2 is not UTF-8 \(byte 0xe9 at position 4\); convert the file"),
        ("x.txt", b"", "is empty: it holds no document with text in it"),
        ("x.txt", b" \n\n", "is empty"),
        ("x.jsonl", b'{"text": "a"}\n{"text": \n', r"x.jsonl:2 is not JSON \(.*\); repair or remove the row"),
        ("x.jsonl", b'{"body": "a"}\n', r"x.jsonl:1 has no field 'text' \(it has body\); set data.text_field"),
        ("x.jsonl", b'["a"]\n', "x.jsonl:1 has no field 'text'"),
        ("x.jsonl", b'{"text": "\\ud83d"}\n', "x.jsonl:1 has half a character .* in field 'text'"),
        ("x.jsonl", b'{"text": 3}\n', "x.jsonl:1 has 3 in field 'text', which is not text"),
        ("x.jsonl", b'{"text": "\xff"}\n', "x.jsonl:1 is not UTF-8"),
        ("x.txt.gz", b"plain", "is not a whole gzip file"),
        ("x.txt.gz", gzip.compress(b"some text", mtime=0)[:-3], "is not a whole gzip file"),
        ("x.parquet", b"plain", "x.parquet is not a readable Parquet file"),
        ("x.csv", b"a,b", "unknown kind; supported are .txt"),
    ],
)
def test_faulty_files_are_reported_with_their_place(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        documents(tmp_path / name)


def test_a_parquet_file_that_is_damaged_within_is_named_with_its_rows(tmp_path):
    texts = [f"Document {number}. " + "word " * 50 for number in range(2000)]
    file = tmp_path / "x.parquet"
    parquet.write_table(
        pa.table({"text": texts}), file, compression="snappy", use_dictionary=False, data_page_size=4096
    )
    assert documents(file) == texts
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = b"\xff" * 600
    file.write_bytes(data)
    with pytest.raises((ValueError, OSError), match=r"x.parquet: rows from \d+ on cannot be read \(.*get it again"):
        documents(file)
    column = pa.array([b"good", b"bad \xe9"]).cast(pa.binary()).view(pa.string())
    parquet.write_table(pa.table({"text": column}), file)
    with pytest.raises(ValueError, match=r"x.parquet: rows from 1 on cannot be read \('utf-8' codec"):
        documents(file)


def test_missing_columns_splits_folders_and_names(tmp_path):
    write_all_formats(tmp_path)
    with pytest.raises(ValueError, match=r"has no column 'body' \(it has text\)"):
        documents(tmp_path / "a.parquet", text_field="body")
    with pytest.raises(ValueError, match=r"has no column 'body' \(it has text\)"):
        documents(tmp_path / "saved", text_field="body")
    with pytest.raises(ValueError, match=r"has no split 'test' \(it has train\)"):
        documents(tmp_path / "dictionary", split="test")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no .txt"):
        documents(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="does not exist; set data.path"):
        documents(tmp_path / "no.txt")
    with pytest.raises(FileNotFoundError, match="neither a local path nor a dataset that could be loaded from the hub"):
        documents("no-such-owner/no-such-dataset")


def test_what_is_wrong_with_the_held_out_corpus_names_its_own_keys(tmp_path):
    write_all_formats(tmp_path)
    (tmp_path / "blank.txt").write_text("\n")
    for name, message in (
        ("no.txt", "does not exist; set data.heldout_path"),
        ("blank.txt", "is empty: .*; check data.heldout_path"),
        ("dictionary", r"has no split 'test' \(it has train\); set data.heldout_split"),
    ):
        settings = DataConfig(path="unused", heldout_path=str(tmp_path / name), heldout_split="test")
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            list(read_documents(settings, heldout=True))


def test_the_fingerprint_follows_the_content(tmp_path):
    write_all_formats(tmp_path)
    config = DataConfig(path=str(tmp_path / "a.txt"))
    before = corpus_fingerprint(config)
    (tmp_path / "a.txt").rename(tmp_path / "renamed.txt")
    assert corpus_fingerprint(DataConfig(path=str(tmp_path / "renamed.txt"))) == before
    (tmp_path / "renamed.txt").rename(tmp_path / "renamed.jsonl")  # read in another way, so another corpus
    assert corpus_fingerprint(DataConfig(path=str(tmp_path / "renamed.jsonl"))) != before
    splits = [
        corpus_fingerprint(DataConfig(path=str(tmp_path / "dictionary"), split=name)) for name in ("train", "test")
    ]
    assert splits[0] != splits[1]
    (tmp_path / "a.txt").write_text("other")
    assert corpus_fingerprint(config) != before


def test_the_plan_tells_what_is_read_of_a_folder(tmp_path):
    assert describe_files("owner/name") == ""
    (tmp_path / "a.txt").write_text("x" * 1_540_000)
    assert describe_files(str(tmp_path / "a.txt")) == "1.5 MB on disk"
    (tmp_path / "part").mkdir()
    for name in ("part/b.jsonl", "b.csv", "part/c.jsonl.zst", "README", "v1.2.json", ".hidden.csv", "LICENSE.txt"):
        (tmp_path / name).write_text("")
    kinds = "1 .jsonl, 2 .txt, 1.5 MB on disk; not read: 1 .csv, 1 .json, 1 .jsonl.zst, 1 without suffix"
    assert describe_files(str(tmp_path)) == kinds
    Dataset.from_dict({"text": TEXTS}).save_to_disk(tmp_path / "saved")
    assert describe_files(str(tmp_path / "saved")) == "0.0 MB on disk"


def test_only_text_that_is_read_belongs_to_a_corpus(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    config = DataConfig(path=str(tmp_path))
    before = corpus_fingerprint(config), corpus_version(config)
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.txt").write_text("one")
    assert (corpus_fingerprint(config), corpus_version(config)) == before
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.txt").write_text("two")
    assert corpus_version(config) != before[1]


def test_a_folder_that_is_written_into_is_not_in_one_that_is_read(tmp_path, monkeypatch):
    corpus = tmp_path / "corpus"
    (corpus / "part").mkdir(parents=True)
    (tmp_path / "link").symlink_to(corpus / "part")
    monkeypatch.chdir(corpus)
    inside = (corpus, corpus / "run", "part/../run", "run", tmp_path / "link" / "run", tmp_path / "." / "corpus" / "x")
    for folder in inside:
        for path in (str(corpus), ".", "../corpus"):
            with pytest.raises(ValueError, match=f"run_dir .* is in data.path {re.escape(path)}, so that"):
                check_apart("run_dir", folder, {"data.path": path, "data.heldout_path": None})
    for folder in (tmp_path, tmp_path / "corpus2", "../run"):
        check_apart("run_dir", folder, {"data.path": str(corpus), "text.path": "owner/name"})
    (corpus / "a.txt").write_text("one")
    check_apart("run_dir", corpus / "run", {"data.path": str(corpus / "a.txt")})  # a file holds no other
