"""Training and held-out documents are different ones, however the same text is given."""

import gzip
import json
import shutil

import pytest

from distill.config import DataConfig
from distill.data.folders import check_only_text
from distill.data.split import train_and_heldout


def write(path, texts):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    return str(path)


def read(path, heldout):
    train, held = train_and_heldout(DataConfig(path=path, heldout_path=heldout))
    return list(train), list(held)


TEXTS = [f"The baker said that she has {number} loaves." for number in range(20)]


@pytest.mark.parametrize(
    "kind", ["packed", "in another order", "a part", "in the folder", "half of it", "Windows", "line ends", "blanks"]
)
def test_text_that_is_trained_on_is_not_held_out(kind, tmp_path):
    (tmp_path / "text").mkdir()
    train = write(tmp_path / "text" / "a.jsonl", TEXTS)
    others = [f"Someone else said {number}." for number in range(5)]
    heldout = {
        "packed": lambda: write(tmp_path / "b.jsonl.gz", TEXTS),
        "in another order": lambda: write(tmp_path / "b.jsonl", TEXTS[::-1]),
        "a part": lambda: write(tmp_path / "b.jsonl", TEXTS[3:6]),
        "in the folder": lambda: write(tmp_path / "text" / "heldout.jsonl", others),
        "half of it": lambda: write(tmp_path / "b.jsonl", [*others, *TEXTS[:5]]),
        "Windows": lambda: write(tmp_path / "b.jsonl", TEXTS),
        "line ends": lambda: write(tmp_path / "b.jsonl", [f"{text}\r\n" for text in TEXTS]),
        "blanks": lambda: write(tmp_path / "b.jsonl", [text.replace(" that ", " that\n ") for text in TEXTS]),
    }[kind]()
    if kind == "Windows":
        (tmp_path / "b.jsonl").write_bytes((tmp_path / "b.jsonl").read_bytes().replace(b"\n", b"\r\n"))
    path = str(tmp_path / "text") if kind == "in the folder" else train
    with pytest.raises(
        ValueError, match=r"documents of data.heldout_path .* are also in data.path .*; name other text"
    ):
        read(path, heldout)


def test_a_few_common_documents_are_counted(tmp_path, capsys):
    train = write(tmp_path / "a.jsonl", TEXTS)
    heldout = write(tmp_path / "b.jsonl", [*TEXTS[:2], *(f"Someone else said {number}." for number in range(8))])
    found = read(train, heldout)
    assert [len(texts) for texts in found] == [20, 10]
    assert f"2 of the 10 documents of data.heldout_path {heldout} are also in data.path" in capsys.readouterr().err
    read(train, write(tmp_path / "c.jsonl", ["Someone else.", "And another one."]))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("names", "kind"), [(("metrics.jsonl", "config.yaml"), "a run"), (("results.json", "examples-s.jsonl"), "an eval")]
)
def test_the_folder_of_a_run_or_evaluation_is_no_text(names, kind, tmp_path):
    write(tmp_path / "a.jsonl", TEXTS)
    check_only_text({"data.path": str(tmp_path), "data.heldout_path": None})
    earlier = tmp_path / "runs" / "earlier"
    earlier.mkdir(parents=True)
    for name in names:
        (earlier / name).write_text("{}\n")
    with pytest.raises(ValueError, match=f"data.path .* holds .*earlier, the folder of {kind}.*; move it"):
        check_only_text({"data.path": str(tmp_path)})
    check_only_text({"data.path": str(tmp_path / "a.jsonl")})
    shutil.rmtree(earlier)
    check_only_text({"data.path": str(tmp_path)})
