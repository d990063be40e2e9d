"""Templates with numbers: the numbers are those of the tables, and a fault is named with its line."""

import dataclasses
from pathlib import Path

import pytest

from study import numbers
from study.results import Measure, Results
from study.texts import filled


def results_of(measure: Measure, folder: Path) -> Results:
    """Results of a study `tiny` with this measure as its disparity and as its cost."""
    (folder / "templates").mkdir(exist_ok=True)
    cost = dataclasses.replace(measure, name="log_perplexity/token-stride")
    distances = {"good": {"0": [2.0, 1.0], "1": [3.0, 1.5]}}
    content = {"name": "tiny", "arms": dict.fromkeys(measure.columns, ()), "study": {}, "distances": distances}
    return Results(folder / "tiny.json", content, {given.name: given for given in (measure, cost)})


def text_of(template: str, measure: Measure, folder: Path) -> str:
    results = results_of(measure, folder)
    (folder / "templates" / "t.jinja").write_text(template)
    return filled("t.jinja", [results])


def test_functions_give_the_numbers_of_the_tables(measure, tmp_path):
    removed = numbers.removed_percent(measure, "good", "teacher")
    text = text_of(
        "removes {{ removed('tiny', 'good', 'teacher') }}, p {{ p('tiny', 'good', 'plain', 'log_odds/mean_abs') }}",
        measure,
        tmp_path,
    )
    assert text == f"removes {numbers.cell(removed, 1)}, p < 0.001"
    value = "{{ value('tiny', 'good', 'log_odds/mean_abs', interval=false) }}"
    assert text_of(value, measure, tmp_path) == f"{numbers.value(measure, 'good').value:.3f}"
    percent = text_of("{{ percent('tiny', 'good', 'plain') }}", measure, tmp_path)
    cost = dataclasses.replace(measure, name="log_perplexity/token-stride")
    assert percent == numbers.cell(numbers.change_percent(cost, "good", "plain"), 2)
    difference = text_of("{{ difference('tiny', 'good', 'plain', 'log_odds/mean_abs') }}", measure, tmp_path)
    assert difference == numbers.cell(numbers.difference(measure, "good", "plain"))
    assert text_of("{{ seeds('tiny', 'good') }} {{ seeds('tiny', 'teacher') }}", measure, tmp_path) == "3 1"
    distances = "{{ distance('tiny', 'good', 'start') }} {{ distance('tiny', 'good', 'end') }}"
    assert text_of(distances, measure, tmp_path) == "2.500 1.250"  # means over seeds


def test_verdicts_are_those_on_the_intervals(measure, tmp_path):
    cautious = dataclasses.replace(measure, margin=0.1)
    verdicts = " ".join(
        f"{{{{ {name}('tiny', '{arm}', '{reference}', 'log_odds/mean_abs') }}}}"
        for name in ("verdict", "better")
        for arm, reference in (("good", "plain"), ("plain", "good"))
    )
    assert text_of(verdicts, cautious, tmp_path) == "yes no yes no"
    reached = " ".join(f"{{{{ at_least('tiny', 'good', 'plain', {percent}) }}}}" for percent in (79, 81))
    assert text_of(reached, measure, tmp_path) == "yes no"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("mean('tiny', 'good')", "'mean' is undefined"),
        ("value('tiny', 'good')", "missing 1 required positional argument: 'measure'"),
        ("value(", "unexpected"),
        ("value('other', 'good', 'log_odds/mean_abs')", "no results of the study other, only of tiny"),
        ("value('tiny', 'good', 'sst2/accuracy')", "tiny has no measure sst2/accuracy"),
        ("removed('tiny', 'good', 'best')", "tiny has no log_odds/mean_abs of best"),
        ("verdict('tiny', 'good', 'plain', 'log_odds/mean_abs')", "states no margin"),
        ("percent('tiny', 'good', 'plain', 'log_odds/mean_abs')", "log_odds/mean_abs is no logarithm"),
        ("distance('tiny', 'plain', 'end')", "tiny has no distance to the teacher of plain"),
        ("distance('tiny', 'good', 'now')", "distance at 'now'; write start or end"),
        ("p('tiny', 'teacher', 'plain', 'log_odds/mean_abs')", "teacher is not tested against plain"),
    ],
)
def test_a_fault_in_a_template_is_named_with_its_line(expression, message, measure, tmp_path):
    with pytest.raises(ValueError, match=rf"t\.jinja:2: .*{message}"):
        text_of(f"It is\n{{{{ {expression} }}}}.", measure, tmp_path)


def test_a_template_beside_the_results_replaces_the_shipped_one(measure, tmp_path):
    results = results_of(measure, tmp_path)
    (tmp_path / "templates" / "readme.md.jinja").write_text("Mine.\n")
    assert filled("readme.md.jinja", [results]) == "Mine.\n"
