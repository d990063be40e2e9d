"""The command evenhand correlate, on a study of this repository and on evaluations."""

import json
from pathlib import Path

import pytest

from distill.cli import main
from distill.correlate import parse_measure

RESULTS = Path(__file__).parents[2] / "docs" / "results"
LOG_ODDS, TPR_GAP = "log_odds/mean_abs", "occupation_gap/tpr_gap"


def correlated(folder):
    return json.loads((folder / "correlation.json").read_text(encoding="utf-8"))


def test_students_of_the_small_world_do_not_differ_in_the_gap_of_true_positive_rates(tmp_path, capsys, blank_plots):
    words = [str(RESULTS / "smallworld.json"), "--intrinsic", LOG_ODDS, "--extrinsic", TPR_GAP, "--out", str(tmp_path)]
    assert main(["correlate", *words]) == 0
    content = correlated(tmp_path)
    (pair,) = content["pairs"]
    assert pair["num_models"] == 23
    assert round(pair["spearman"]["value"], 2) == -0.14
    assert pair["spearman"]["low"] == pytest.approx(-0.64, abs=0.03)
    assert pair["spearman"]["high"] == pytest.approx(0.49, abs=0.03)
    assert pair["p"] == pytest.approx(0.54, abs=0.03)
    assert content["measures"][LOG_ODDS]["reliability"]["value"] == pytest.approx(0.99, abs=0.005)
    assert content["measures"][TPR_GAP]["reliability"]["high"] < 0
    assert content["measures"][TPR_GAP]["spread"] == pytest.approx(0.0018, abs=5e-5)
    assert content["apart"] == ["teacher", "untrained"]
    shown = " ".join(capsys.readouterr().out.split())
    assert "the models do not differ in occupation_gap/tpr_gap by more than its error (0.0018 against 0.0029)" in shown
    page = (tmp_path / "correlation.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1


def test_several_studies_are_joined_if_they_measured_in_the_same_way(tmp_path, blank_plots):
    studies = [str(RESULTS / f"{name}.json") for name in ("smallworld", "smallworld_teacher2")]
    words = ["--intrinsic", "log_odds/spread", "--extrinsic", "agreement/margin", "--out", str(tmp_path)]
    assert main(["correlate", *studies, *words]) == 0
    content = correlated(tmp_path)
    assert {"smallworld/plain", "smallworld_teacher2/plain"} <= content["models"].keys()
    assert set(content["apart"]) >= {"smallworld/teacher", "smallworld_teacher2/teacher"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["smallworld.json", "--intrinsic", LOG_ODDS, "--extrinsic", LOG_ODDS], "is named twice"),
        (["smallworld.json", "--intrinsic", LOG_ODDS, "--extrinsic", "x/y"], "no model has the measure x/y; there are"),
        (["smallworld.json", "--intrinsic", f"{LOG_ODDS}:low", "--extrinsic", TPR_GAP], "has a direction of its own"),
        (["smallworld.json", "--intrinsic", LOG_ODDS, "--extrinsic", "a:up"], "'up' is no direction; write a:high"),
        (["smollm2.json", "--intrinsic", LOG_ODDS, "--extrinsic", "stereoset/gender/ss"], "stereoset/gender/ss:high"),
        (["smallworld.json", "realtext.json", "--intrinsic", LOG_ODDS, "--extrinsic", TPR_GAP], "in the same way"),
        (["smallworld.json", ".", "--intrinsic", LOG_ODDS, "--extrinsic", TPR_GAP], "give evaluations, or results of"),
        (["none.json", "--intrinsic", LOG_ODDS, "--extrinsic", TPR_GAP], "none.json does not exist"),
    ],
)
def test_bad_words_are_one_line_each(words, message, capsys):
    files = [str(RESULTS / word) if word.endswith((".json", ".")) else word for word in words]
    assert main(["correlate", *files]) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_a_direction_can_be_named():
    assert parse_measure("stereoset/gender/ss:high") == ("stereoset/gender/ss", True)
    assert parse_measure("a/b:low") == ("a/b", False)
    assert parse_measure("a/b") == ("a/b", None)
