"""The front picture shows the arms that its file names, with their values, and nothing else."""

import json

import pytest

from study import front, numbers
from study.results import load

POINTS = "points: [{arm: plain, label: plain distillation}, {arm: good, label: Good one, bold: true}]\n"


@pytest.fixture
def results(planted, tmp_path):
    path = tmp_path / "planted.json"
    path.write_text(json.dumps(planted))
    (tmp_path / "templates").mkdir()
    return load(path)


def write_front(results, text: str) -> None:
    (results.path.parent / "templates" / "front.yaml").write_text(text)


def test_the_picture_has_the_named_arms_and_their_values(results):
    write_front(results, f"study: planted\ntitle: Bias & price\n{POINTS}")
    ((path, drawn),) = front.front_pages([results]).items()
    assert path == results.path.with_name("front.svg")
    good, plain = (numbers.cell(numbers.value(results.disparity, arm)) for arm in ("good", "plain"))
    change = numbers.cell(numbers.change_percent(results.cost, "good", "plain"), 2)
    assert 'aria-label="Bias &amp; price. teacher: bias' in drawn
    assert f"plain distillation: bias {plain} nats, perplexity 0.00 [0.00, 0.00] %" in drawn
    assert f"Good one: bias {good} nats, perplexity {change} %" in drawn
    assert drawn == front.front_pages([results])[path]  # the same text every time


def test_without_its_file_there_is_no_picture(results):
    assert front.front_pages([results]) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"study: other\ntitle: t\n{POINTS}", "there are no results of the study other"),
        (f"study: planted\ntitle: t\n{POINTS.replace('good', 'absent')}", "planted has no results of absent; take it"),
        ("study: planted\ntitle: t\npoints: []\n", "config key points"),
    ],
)
def test_a_study_or_arm_without_results_is_an_error(results, text, message):
    write_front(results, text)
    with pytest.raises(ValueError, match=message):
        front.front_pages([results])
