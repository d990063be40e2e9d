"""Tweets of Davidson et al.: the reader, its messages, and the numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.classifiers import davidson
from distill.evaluation.measures.classifiers.toxic_texts import toxicity


def write(folder, rows):
    file = folder / "labeled_data.csv"
    lines = [f'{number},3,0,3,0,{label},"{text}"\n' for number, (label, text) in enumerate(rows)]
    file.write_text(",count,hate_speech,offensive_language,neither,class,tweet\n" + "".join(lines))
    return str(file)


def test_a_tenth_by_the_text_is_measured_and_hate_and_offence_are_toxic(tmp_path):
    rows = [(number % 3, f"tweet, number {number}") for number in range(300)]
    problem = davidson.problem(write(tmp_path, rows), FineTuningConfig())
    assert len(problem.train) + len(problem.test) == 300
    assert 15 < len(problem.test) < 50
    for item in (*problem.train, *problem.test):
        number = int(item.text.split()[-1])
        assert (item.id, item.label) == (f"tweet/{number + 1}", int(number % 3 < 2))
    again = davidson.problem(write(tmp_path, rows[::-1]), FineTuningConfig())
    assert {item.text for item in again.test} == {item.text for item in problem.test}
    assert len(davidson.problem(write(tmp_path, rows), FineTuningConfig(max_train=9)).train) == 9


def test_a_class_that_is_none_is_named_with_its_row(tmp_path):
    path = write(tmp_path, [(0, "a"), (3, "b")])
    with pytest.raises(ValueError, match=r"benchmarks\.davidson: .*labeled_data\.csv: row 2 has the class '3', not 0,"):
        davidson.problem(path, FineTuningConfig())


def test_accuracy_and_area():
    probs = [(1, 0.9), (1, 0.6), (0, 0.7), (0, 0.1), (1, 0.2), (0, 0.3)]
    records = [{"id": str(number), "label": label, "p": p} for number, (label, p) in enumerate(probs)]
    accuracy, area = (own.measurement for own in davidson.summarise(records, "c", StatisticsConfig()))
    assert accuracy.value == pytest.approx(4 / 6)
    assert area.value == pytest.approx(6 / 9)
    drawn = [record | {"id": f"{record['id']}@{draw}", "draw": draw} for draw in (0, 1) for record in records]
    drawn[6] |= {"p": 0.05}
    accuracy, area = (own.measurement for own in davidson.summarise(drawn, "c", StatisticsConfig()))
    assert accuracy.value == pytest.approx((4 / 6 + 3 / 6) / 2)
    assert area.value == pytest.approx((6 / 9 + 3 / 9) / 2)


def own(classes, probs, **how):
    return SimpleNamespace(label="mine", classes=classes, probs=lambda texts: np.array(probs), is_own=True, **how)


def test_the_toxic_classes_of_an_own_classifier_are_named():
    three = own(("hate", "offensive", "fine"), [[0.2, 0.3, 0.5]], excludes=True)
    assert toxicity(three, ["a"], ("hate", "offensive")) == pytest.approx([0.5])
    several = own(("toxic", "insult", "x"), [[0.9, 0.6, 0.1]], excludes=False)
    assert toxicity(several, ["a"], ("toxic", "insult")) == pytest.approx([0.9])
    for labels in (("toxic",), ("hate", "offensive", "fine")):
        with pytest.raises(ValueError, match=r"mine: .* It has hate, offensive, fine; .*toxic_labels"):
            toxicity(three, ["a"], labels)


@pytest.mark.data
def test_the_real_file(shared_data):
    problem = davidson.problem(str(shared_data / "hate" / "davidson" / "labeled_data.csv.gz"), FineTuningConfig())
    assert (len(problem.train), len(problem.test)) == (22310, 2473)
    assert sum(item.label for part in (problem.train, problem.test) for item in part) == 19190 + 1430
