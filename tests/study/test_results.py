"""Results files: a stored measure is read back, and what does not fit is refused."""

import json

import numpy as np
import pytest

from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.resampling import two_way_interval
from study import collect as study_collect
from study import results as study_results
from study.jobs import TIMES
from study.results import MAX_CLUSTERS


def test_a_measure_is_read_back_with_its_columns_and_seeds(estimate_of):
    estimates = {
        (arm, seed): {"m": estimate_of(np.arange(4.0) + 10 * seed + shift, "m")}
        for arm, shift in (("plain", 0), ("good", 5))
        for seed in (0, 1)
    }
    stored = study_collect.measure_of("m", estimates)
    assert list(stored["constant"]) == ["1"]  # the counts, which all models share, are stored once
    measure = study_results.read_measure("m", json.loads(json.dumps(stored)), margin=0.5)
    assert measure.seeds == {"plain": (0, 1), "good": (0, 1)} and measure.margin == 0.5
    assert measure.columns["good"].tolist() == [[[5 + n + 10 * s, 1] for n in range(4)] for s in (0, 1)]


def test_grouping_clusters_keeps_every_value():
    values = np.random.default_rng(1).normal(size=400)
    columns = np.stack([values, np.ones(400)], axis=1)
    grouped = study_results.grouped(columns)
    assert len(grouped) == MAX_CLUSTERS
    assert ratio(grouped.sum(axis=0)) == pytest.approx(values.mean())
    alternating = np.stack([np.arange(400) % 2, np.ones(400)], axis=1)  # like probes of men and women in turn
    errors = [
        two_way_interval(clusters[None], ratio).standard_error
        for clusters in (alternating, study_results.grouped(alternating))
    ]
    assert errors[1] == pytest.approx(errors[0], rel=0.25)
    intervals = [two_way_interval(clusters[None], ratio) for clusters in (columns, grouped)]
    widths = [interval.high - interval.low for interval in intervals]
    assert widths[1] == pytest.approx(widths[0], rel=0.35)


def test_models_that_were_not_measured_alike_are_refused(estimate_of):
    name = "log_odds/mean_abs"
    estimates = {
        ("a", 0): {name: estimate_of(np.ones(3), name)},
        ("b", 0): {name: estimate_of(np.ones(3), name, convention="d")},
    }
    with pytest.raises(ValueError, match="b seed 0 was not measured as a seed 0"):
        study_collect.measure_of(name, estimates)
    with pytest.raises(ValueError, match="no model has other"):
        study_collect.measure_of("other", estimates)


def test_a_damaged_or_foreign_results_file_is_one_message(tmp_path):
    file = tmp_path / "x.json"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        study_results.read(file)
    for text, message in (("[1", "is not a results file"), ("{}", "is not a results"), ('{"schema_version": 9}', "9")):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            study_results.read(file)


def test_a_results_file_that_is_too_large_is_refused(tmp_path):
    with pytest.raises(ValueError, match="name fewer measures"):
        study_results.write({"x": "y" * 2_000_000}, tmp_path / "x.json")
    assert not list(tmp_path.iterdir())


def test_hours_are_summed_by_what_the_jobs_did(tmp_path):
    lines = [("prepare 1", 360), ("the teacher's training", 3240), ("teacher seed 0", 720), ("plain seed 0", 7200)]
    text = "".join(json.dumps({"label": label, "seconds": seconds}) + "\n" for label, seconds in lines)
    (tmp_path / TIMES).write_text(text)
    assert study_collect.hours(tmp_path) == {"teacher_and_data": 1.0, "students": 2.2}
