"""SST-2 and CoLA: their files, their measures, and what is said about files that are not theirs."""

import math

import pytest

from distill.evaluation.config import FineTuningConfig, StatisticsConfig
from distill.evaluation.measures import classification

SETTINGS = StatisticsConfig()
SENTENCES = [("a warm and clever film", 1), ("it drags", 0), ("no heart and no wit", 0), ("go and see it", 1)]


def write(folder, name: str, rows: list[tuple[str, int]] = SENTENCES, header: str = "") -> str:
    form = classification.FORMATS[name]
    for file in (*form.train, *form.development):
        lines = [f"{text}\t{label}" if name == "sst2" else f"s01\t{label}\t\t{text}" for text, label in rows]
        (folder / file).write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(("name", "header"), [("sst2", ""), ("sst2", "sentence\tlabel\n"), ("cola", "")])
def test_the_published_files_are_read_with_and_without_a_header(tmp_path, name, header):
    train, test = classification.read(name, write(tmp_path, name, header=header))
    assert [(one.text, one.label) for one in train] == SENTENCES
    halves = 2 if name == "cola" else 1  # in and out of its domain, as in GLUE
    assert [(one.text, one.label) for one in test] == halves * SENTENCES
    assert len({one.id for one in (*train, *test)}) == (1 + halves) * len(SENTENCES)


@pytest.mark.data
def test_all_of_the_real_files_are_read(shared_data):
    sizes = {"sst2": (6920, 872), "cola": (8551, 1043)}
    for name, expected in sizes.items():
        parts = classification.read(name, str(shared_data / "utility" / name))
        assert tuple(map(len, parts)) == expected
        assert {one.label for part in parts for one in part} == {0, 1}


@pytest.mark.parametrize("line", ["no columns at all", "a sentence\t2", "\t1", "one\t1\t1"])
def test_a_malformed_line_is_named(tmp_path, line):
    folder = write(tmp_path, "sst2")
    (tmp_path / "dev.tsv").write_text(f"fine\t1\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"benchmarks\.sst2: .*dev\.tsv:2 has not 2 columns with a sentence and"):
        classification.read("sst2", folder)


def test_a_missing_folder_and_a_file_of_nothing_but_a_header_are_messages(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"benchmarks\.cola: .* does not exist\. To get it: https"):
        classification.read("cola", str(tmp_path / "nowhere"))
    folder = write(tmp_path, "sst2", rows=[], header="sentence\tlabel")
    with pytest.raises(ValueError, match="holds no sentence"):
        classification.read("sst2", folder)


def test_matthews_correlation_and_accuracy_are_those_of_their_definitions():
    cells = {(1, 1): 5, (1, 0): 2, (0, 1): 3, (0, 0): 7}  # (class, predicted): how many
    records = [
        {"id": f"{cell}/{number}", "label": cell[0], "predicted": cell[1]}
        for cell, count in cells.items()
        for number in range(count)
    ]
    (cola,) = classification.summarise_cola(records, "c", SETTINGS)
    (sst2,) = classification.summarise_sst2(records, "c", SETTINGS)
    assert cola.measurement.value == pytest.approx((5 * 7 - 3 * 2) / math.sqrt((5 + 3) * (5 + 2) * (7 + 3) * (7 + 2)))
    assert sst2.measurement.value == pytest.approx(12 / 17)


def test_matthews_correlation_of_a_classifier_that_always_says_the_same_is_zero():
    records = [{"id": str(n), "label": n % 3 > 0, "predicted": True} for n in range(60)]
    (cola,) = classification.summarise_cola(records, "c", SETTINGS)
    assert (cola.measurement.value, cola.measurement.low, cola.measurement.high) == (0, 0, 0)
    records[0]["predicted"] = False  # in some resamples it is not there
    (cola,) = classification.summarise_cola(records, "c", SETTINGS)
    assert 0 <= cola.measurement.low < cola.measurement.value < cola.measurement.high


def test_the_task_trains_on_evenly_spaced_sentences(tmp_path, tiny_scorer, monkeypatch):
    seen = {}

    def constant(scorer, texts, labels, unseen, num_classes, how):
        seen["train"] = list(zip(texts, labels, strict=True))
        return [1] * len(unseen)

    monkeypatch.setattr(classification, "fine_tuned_predictions", constant)
    task = classification.task("sst2", write(tmp_path, "sst2"), FineTuningConfig(max_train=2))
    work = task.prepare(tiny_scorer())
    records = work.score(work.items)
    assert seen["train"] == [SENTENCES[0], SENTENCES[-1]]
    assert [record["predicted"] for record in records] == [1] * 4
    assert [record["id"] for record in records] == list(work.ids)
    assert task.key != classification.task("sst2", str(tmp_path), FineTuningConfig()).key
