"""Swapping rows through datasets.map, and one text on the command line."""

import pytest

from augment.__main__ import main
from augment.files.rows import add_counterfactuals


def test_explain_marks_edits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "He left her mother country."]) == 0
    printed = capsys.readouterr().out
    assert "[She] left [his] mother country." in printed
    assert "1 m->f, 1 f->m" in printed
    assert "'mother' is kept: fixed phrase" in printed


def test_datasets_map_function() -> None:
    got = add_counterfactuals({"text": ["He left.", "Nothing."]})
    assert got["counterfactual"] == ["She left.", "Nothing."]
    assert [len(edits) for edits in got["edits"]] == [1, 0]
    with pytest.raises(ValueError, match="no column 'body'"):
        add_counterfactuals({"text": ["x"]}, text_field="body")


def test_datasets_map_over_a_dataset() -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": ["He left.", "Nothing."]})
    assert data.map(add_counterfactuals, batched=True)["counterfactual"][:] == ["She left.", "Nothing."]
