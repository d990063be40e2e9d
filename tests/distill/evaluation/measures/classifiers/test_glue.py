"""SST-2 and CoLA: their files, their task, and the messages about other files."""

from types import SimpleNamespace

import numpy as np
import pytest

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.measures.classifiers import draws, glue
from distill.evaluation.measures.classifiers.cola import COLA
from distill.evaluation.measures.classifiers.sst2 import SST2

SENTENCES = [("a warm and clever film", 1), ("it drags", 0), ("no heart and no wit", 0), ("go and see it", 1)]


def write(folder, data_set, rows=SENTENCES, header=""):
    for file in (*data_set.train, *data_set.development):
        lines = [f"{text}\t{label}" if data_set is SST2 else f"s01\t{label}\t\t{text}" for text, label in rows]
        (folder / file).write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(("data_set", "header"), [(SST2, ""), (SST2, "sentence\tlabel\n"), (COLA, "")])
def test_the_published_files_are_read_with_and_without_a_header(tmp_path, data_set, header):
    train, test = glue.read(data_set, write(tmp_path, data_set, header=header))
    assert [(item.text, item.label) for item in train] == SENTENCES
    halves = 2 if data_set is COLA else 1  # in and out of its domain, as in GLUE
    assert [(item.text, item.label) for item in test] == halves * SENTENCES
    assert len({item.id for item in (*train, *test)}) == (1 + halves) * len(SENTENCES)


@pytest.mark.data
@pytest.mark.parametrize(("data_set", "sizes"), [(SST2, (6920, 872)), (COLA, (8551, 1043))])
def test_all_of_the_real_files_are_read(shared_data, data_set, sizes):
    parts = glue.read(data_set, str(shared_data / "utility" / data_set.name))
    assert tuple(map(len, parts)) == sizes
    assert {item.label for part in parts for item in part} == {0, 1}


@pytest.mark.parametrize("line", ["no columns at all", "a sentence\t2", "\t1", "one\t1\t1"])
def test_a_malformed_line_is_named(tmp_path, line):
    folder = write(tmp_path, SST2)
    (tmp_path / "dev.tsv").write_text(f"fine\t1\n{line}\n", encoding="utf-8")
    message = (
        r"benchmarks\.sst2: .*dev\.tsv:2 does not have 2 columns with a sentence and .* To get it again: .* get sst2"
    )
    with pytest.raises(ValueError, match=message):
        glue.read(SST2, folder)


def test_a_missing_folder_and_a_file_of_nothing_but_a_header_are_messages(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"benchmarks\.cola: .* does not exist\. To get it: .* get cola"):
        glue.read(COLA, str(tmp_path / "nowhere"))
    folder = write(tmp_path, SST2, rows=[], header="sentence\tlabel")
    with pytest.raises(ValueError, match="holds no sentence"):
        glue.read(SST2, folder)


def test_the_task_trains_on_evenly_spaced_sentences(tmp_path, tiny_scorer, monkeypatch):
    seen = {}

    def constant(scorer, problem, config):
        seen["train"] = [(item.text, item.label) for item in problem.train]
        yield SimpleNamespace(probs=lambda texts: np.array([[0.0, 1.0]] * len(texts)))

    monkeypatch.setattr(draws, "classifiers", constant)
    task = glue.classification_task(SST2, write(tmp_path, SST2), FineTuningConfig(max_train=2))
    work = task.prepare(tiny_scorer())
    records = work.score(work.items)
    assert seen["train"] == [SENTENCES[0], SENTENCES[-1]]
    assert [record["predicted"] for record in records] == [1] * 4
    assert [record["id"] for record in records] == list(work.ids)
    assert task.key != glue.classification_task(SST2, str(tmp_path), FineTuningConfig()).key
