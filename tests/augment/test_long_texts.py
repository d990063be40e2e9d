"""A long text is swapped as a short one, whatever it looks like. `benchmarks.long_texts` measures the time.

While the time grew with the square of the length, many of these took minutes.
"""

import pytest

from augment import swap
from augment.audit import audit
from benchmarks.long_texts import KINDS, RUNS, around_a_run, of_length


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "kept names"])
def test_every_repetition_is_swapped_as_the_first_ones(kind):
    unit = KINDS[kind]
    few, many = len(swap(unit * 20).edits), len(swap(of_length(unit, 30_000)).edits)
    assert many / (30_000 // len(unit)) == pytest.approx(few / 20, rel=0.02)


def test_a_kept_name_keeps_pronouns_in_a_long_text_too():
    unit = KINDS["kept names"]
    assert not swap(unit).edits
    assert len(swap(of_length(unit, 30_000)).edits) <= 30_000 // len(unit)


@pytest.mark.parametrize("run", [run for run in RUNS.values() if run[0] in ("Miss", "Her")], ids=str)
def test_a_long_run_of_one_character_changes_nothing(run):
    few, many = (swap(around_a_run(*run, length)) for length in (1_000, 100_000))
    assert [(edit.source, edit.target) for edit in many.edits] == [(edit.source, edit.target) for edit in few.edits]


def test_a_long_text_is_audited_as_a_short_one():
    result = audit(["the nurse said that he met her " * 3000])
    assert result.occupations["nurse"] == pytest.approx([24_000, 24_000], rel=0.01)  # within 120 characters, of 31 each
