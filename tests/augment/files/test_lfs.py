"""Git LFS pointers are refused wherever a file of text or terms is read; a text about them is not."""

from pathlib import Path

import pytest

from augment.files.lfs import is_pointer
from augment.files.rows import RowOptions
from augment.files.stream import swap_file
from augment.files.texts import read_texts
from augment.lexicon import load_lexicon
from distill.config import DataConfig
from distill.data.corpus import read_documents
from distill.evaluation.measures.published.benchmark_files import read_text

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a' * 16}\nsize 123456\n"
MESSAGE = r"{} is a Git LFS pointer, not the file itself; get the file: git lfs pull \(in .*\)"


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_pointer_is_no_text(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(POINTER)
    (tmp_path / f"b{name}").write_text("A whole file.\n")
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(ValueError, match=MESSAGE.format(name)):
            list(read_texts(path, whole_files=True))
    with pytest.raises(ValueError, match=MESSAGE.format(name)):
        swap_file(tmp_path / name, tmp_path / f"out{name[1:]}", RowOptions(load_lexicon()))


def test_a_pointer_is_no_lexicon_no_benchmark_and_no_part_of_a_saved_dataset(tmp_path: Path) -> None:
    file = tmp_path / "terms.tsv"
    file.write_bytes(POINTER.replace("\n", "\r\n").encode())
    with pytest.raises(ValueError, match=MESSAGE.format("terms.tsv")):
        load_lexicon(path=file)
    with pytest.raises(ValueError, match="lambada: .*" + MESSAGE.format("terms.tsv")):
        read_text(file, "lambada", "the source")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/dataset_info.json").write_text("{}")
    (tmp_path / "saved/data-00000.arrow").write_text(POINTER)
    with pytest.raises(ValueError, match=MESSAGE.format("data-00000.arrow")):
        list(read_documents(DataConfig(path=str(tmp_path / "saved"))))


@pytest.mark.parametrize("text", [POINTER.split("\n")[0] + " begins every pointer.\n", "x" + POINTER, POINTER * 9, ""])
def test_a_text_about_pointers_is_a_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert not is_pointer(tmp_path / "a.txt") and not is_pointer(tmp_path)
    assert "\n".join(read_texts(tmp_path / "a.txt")) + "\n" * bool(text) == text
