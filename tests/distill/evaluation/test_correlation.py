"""Correlating measures over models: what is found, what is refused, and what the reader is told."""

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from distill.correlate import main
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.correlation import Question, correlate
from distill.evaluation.measured import Measured, common_seeds, from_evaluation, model_and_seed
from distill.evaluation.report import plots
from distill.evaluation.report.correlation import (
    correlation_sentences,
    correlation_tables,
    render_correlation,
    scatter,
)
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import estimate
from distill.evaluation.suite import Evaluation, ModelResult

NUM_CLUSTERS = 12
SETTINGS = StatisticsConfig()


def measured(name, values, noise=0.1, higher_is_worse=True, seeds=("0", "1")):
    """A measure of models m0, m1, ... with these values, and noise of every item."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    columns = {
        model: {
            seed: np.stack([value + noise * rng.normal(size=NUM_CLUSTERS), np.ones(NUM_CLUSTERS)], axis=1)
            for seed in seeds
        }
        for model, value in (values if isinstance(values, dict) else {f"m{n}": v for n, v in enumerate(values)}).items()
    }
    return Measured(name, "nats", higher_is_worse, "a convention", ratio, name, columns)


def asked(*measures, given=None, intrinsic=1):
    """The content of correlation.json: the first measures are intrinsic, the others extrinsic."""
    names = [measure.name for measure in measures if measure.name != given]
    question = Question(tuple(names[:intrinsic]), tuple(names[intrinsic:]), given)
    return correlate({measure.name: measure for measure in measures}, question, SETTINGS, ["a.json"])


VALUES = np.random.default_rng(0).normal(size=10)
GOOD = measured("out/good", {"<a>": 3.0, "b$": 2.0, "c": 1.0, "teacher": 0.0, "d": 3.5}, higher_is_worse=False)


def test_measures_that_agree_those_that_disagree_and_one_that_says_nothing():
    content = asked(
        measured("in/a", VALUES),
        measured("out/same", 2 * VALUES + 1),
        measured("out/more", -VALUES),
        measured("out/good", -VALUES, higher_is_worse=False),
        measured("out/flat", 0 * VALUES, noise=1),
    )
    same, more, good, flat = content["pairs"]
    assert same["spearman"]["value"] > 0.9
    assert same["verdict"] == good["verdict"] == "agree"
    assert same["spearman"]["low"] > 0.5
    assert same["p_holm"] == pytest.approx(4 * same["p"])
    assert more["verdict"].startswith("disagree")
    assert flat["verdict"].startswith("the models do not differ in out/flat by more than its error (")
    assert flat["verdict"].endswith("): a correlation with it says nothing")
    assert flat["without_error"] is None
    assert same["without_error"]["value"] >= same["pearson"]["value"]
    assert content["measures"]["in/a"]["reliability"]["value"] > 0.95
    assert not content["measures"]["out/flat"]["differs"]
    assert content["measures"]["out/good"]["values"]["m0"]["value"] == pytest.approx(-VALUES[0], abs=0.2)
    assert len(correlation_tables(content)) == 2
    assert any("out/flat, 10 models: the models do not differ" in line for line in correlation_sentences(content))


def test_a_clear_relation_is_not_claimed_of_unrelated_measures():
    (pair,) = asked(measured("in/a", VALUES), measured("out/b", np.random.default_rng(5).normal(size=10)))["pairs"]
    assert pair["verdict"] == "no clear relation; a true correlation below 0.79 is easily missed"


def test_what_a_third_measure_explains_is_taken_out():
    weak = np.linspace(0, 3, 10)
    rng = np.random.default_rng(1)
    measures = [measured(name, weak + rng.normal(size=10) / 3) for name in ("in/a", "out/b")]
    (pair,) = asked(*measures, measured("cost", weak), given="cost")["pairs"]
    assert pair["spearman"]["value"] > 0.8
    assert abs(pair["partial"]["value"]) < 0.5


def test_teacher_and_untrained_are_shown_but_not_counted(blank_plots):
    values = dict(zip((f"m{n}" for n in range(10)), VALUES, strict=True)) | {"teacher": 90.0, "untrained": -90.0}
    content = asked(measured("in/a", values), measured("out/b", {**values, "m0": 3.0, "m1": -3.0}))
    (pair,) = content["pairs"]
    assert content["apart"] == ["teacher", "untrained"]
    assert (pair["num_models"], len(content["models"])) == (10, 10)
    assert pair["pearson"]["value"] < 0.9 < pair["with_apart"]["pearson"]
    page = render_correlation(content)
    assert "Hollow: not counted (teacher, untrained)" in page
    assert "in/a<small>out/b" in page


def test_the_plot_shows_every_model_and_runs_backwards_where_more_is_better(monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "to_svg", lambda figure, label: figures.append((figure, label)) or "")
    content = asked(measured("in/a", {"<a>": 1.0, "b$": 2.0, "c": 4.0, "teacher": 3.0, "d": 0.0}), GOOD)
    scatter(content, content["pairs"][0])
    ((figure, label),) = figures
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == {"<a>", "b$", "c", "d", "teacher"}
    assert (axes.xaxis_inverted(), axes.yaxis_inverted()) == (False, True)
    assert axes.get_ylabel() == "out/good, nats (more is better)"
    assert label.startswith("in/a against out/good for 4 models: Spearman's correlation is ")


def test_models_without_a_measure_are_left_out_and_named():
    content = asked(measured("in/a", VALUES), measured("out/b", VALUES[:6]))
    assert list(content["models"]) == [f"m{n}" for n in range(6)]
    assert content["notes"][-1] == "Left out, because they lack out/b: m6, m7, m8, m9."


def test_single_seeds_and_common_records_are_pointed_out():
    content = asked(measured("task/a", VALUES, seeds=["0"]), measured("task/b", VALUES[::-1], seeds=["0"]))
    assert any("10 of 10 models have one training seed" in note for note in content["notes"])
    assert any("task/a and task/b come from the same records" in note for note in content["notes"])


def test_two_measures_use_the_seeds_that_both_have():
    x, y = measured("in/a", VALUES, seeds=["0", "1", "10", "2"]), measured("out/b", VALUES, seeds=["10", "2", "3"])
    assert common_seeds([x, y])[0]["m0"] == ["2", "10"]
    only = replace(y, columns={**y.columns, "m0": {"7": y.columns["m0"]["2"]}})
    assert common_seeds([x, only])[1] == {"m0": ["a seed with all measures"]}


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        ((measured("a", VALUES), measured("a", VALUES)), "a is named twice"),
        ((measured("a", VALUES), measured("b", VALUES[:3])), "3 models have all measures; m3, m4, m5"),
        ((measured("a", VALUES), measured("b", VALUES, higher_is_worse=None)), "say b:high if a larger value counts"),
        ((measured("a", VALUES), replace(measured("a", VALUES), name="b")), "a and b are the same numbers"),
    ],
)
def test_what_cannot_be_correlated_is_refused(measures, message):
    with pytest.raises(ValueError, match=message):
        asked(*measures)


def test_a_model_under_two_names_is_refused():
    x, y = measured("in/a", VALUES), measured("out/b", VALUES)
    doubled = [replace(own, columns={**own.columns, "copy": own.columns["m3"]}) for own in (x, y)]
    with pytest.raises(ValueError, match=r"m3 \(seed 0\) and copy \(seed 0\) have the same results"):
        asked(*doubled)


def evaluation_of(by_label, convention="c"):
    """An evaluation of labelled models, from the clusters and the value of each cluster."""
    results = [
        ModelResult(
            {"label": label},
            {},
            {
                "in/a": estimate(
                    "in/a",
                    clusters,
                    np.stack([values, np.ones(len(values))], axis=1),
                    ratio,
                    unit="nats",
                    num_items=len(clusters),
                    higher_is_better=True,
                    convention=convention if label != "odd" else "other",
                    settings=SETTINGS,
                )
            },
        )
        for label, (clusters, values) in by_label.items()
    ]
    return Evaluation("a", results, [])


def test_numbers_after_an_at_are_seeds_and_clusters_are_put_in_one_order():
    assert model_and_seed("plain@12") == ("plain", "12")
    assert model_and_seed("plain@folder") == ("plain@folder", "0")
    models = {"a@0": (["x", "y", "z"], [1.0, 2.0, 3.0]), "a@1": (["z", "x", "y"], [6.0, 4.0, 5.0])}
    measure = from_evaluation(evaluation_of(models), ["in/a"])["in/a"]
    assert not measure.larger_is_worse
    np.testing.assert_array_equal(measure.runs({"a": ["0", "1"]})[0][0][..., 0], [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("models", "name", "message"),
    [
        ({"a": (["x", "y"], [1.0, 2.0])}, "out/b", "no model has the measure out/b; there are in/a"),
        (
            {"a": (["x", "y"], [1.0, 2.0]), "b": (["x", "w"], [1.0, 2.0])},
            "in/a",
            "b and a were not measured on the same",
        ),
        ({"a": (["x", "y"], [1.0, 2.0]), "odd": (["x", "y"], [1.0, 2.0])}, "in/a", "not measured as 'other' and 'c'"),
        ({"a": (["x", "y"], [1.0, 2.0]), "a@0": (["x", "y"], [1.0, 3.0])}, "in/a", "labelled as seed 0 of a"),
    ],
)
def test_evaluations_that_cannot_be_joined_are_refused(models, name, message):
    with pytest.raises(ValueError, match=message):
        from_evaluation(evaluation_of(models), [name])


@pytest.mark.slow
def test_evaluations_are_correlated_from_their_records(evaluated, save, tmp_path):
    few = ["perplexity.enabled=false", "benchmarks.crows_pairs=null", "agreement.enabled=false"]
    models = [f"{label}={save(label, seed=seed)}" for seed, label in enumerate(("a@0", "a@1", "b", "c", "d"))]
    folders = [evaluated("one", *models[:3], *few), evaluated("two", *models[3:], *few)]
    names = ["--intrinsic", "log_odds/mean_abs", "--extrinsic", "log_odds/spread"]
    main([*map(str, folders), *names, "--out", str(tmp_path / "out")])
    content = json.loads((tmp_path / "out" / "correlation.json").read_text(encoding="utf-8"))
    assert content["models"] == {"a": ["0", "1"], "b": ["0"], "c": ["0"], "d": ["0"]}
    measured_before = json.loads((folders[0] / "results.json").read_text(encoding="utf-8"))["measurements"]
    values = [entry["value"] for entry in measured_before if entry["name"] == "log_odds/mean_abs"]
    assert content["measures"]["log_odds/mean_abs"]["values"]["a"]["value"] == pytest.approx(np.mean(values[:2]))
    assert content["pairs"][0]["num_models"] == 4
