"""The tables of RESULTS.md on results with a known answer."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import estimate
from distill.evaluation.statistics.resampling import Interval, two_way_interval
from distill.settings import to_dict, validate
from study import (
    collect as study_collect,
)
from study import (
    numbers as study_numbers,
)
from study import (
    prose as study_prose,
)
from study import (
    report as study_report,
)
from study import (
    tables as study_tables,
)
from study.collect import MAX_CLUSTERS, Measure
from study.plan import StudyConfig


def made(values: np.ndarray, name: str = "log_odds/mean_abs", convention: str = "c"):
    """An estimate of a mean with one value per cluster."""
    return estimate(
        name,
        [str(number) for number in range(len(values))],
        np.stack([values, np.ones_like(values)], axis=1),
        ratio,
        unit="nats",
        num_items=len(values),
        higher_is_better=False,
        convention=convention,
        settings=StatisticsConfig(),
    )


@pytest.fixture
def measure() -> Measure:
    """Forty clusters: the teacher at about 1, plain exactly like it, good with exactly a fifth of it in each seed."""
    base = np.random.default_rng(0).uniform(0.5, 1.5, 40)
    found = {("teacher", 0): base}
    for seed in (0, 1, 2):
        found["plain", seed] = base + 0.01 * (seed - 1)
        found["good", seed] = (base + 0.01 * (seed - 1)) / 5
        found["same", seed] = base[::-1].copy() + 0.01 * (seed - 1)
    stored = study_collect._measure(
        "log_odds/mean_abs", {key: {"log_odds/mean_abs": made(values)} for key, values in found.items()}
    )
    assert list(stored["constant"]) == ["1"]  # the counts are stored once
    return study_collect._read_measure("log_odds/mean_abs", json.loads(json.dumps(stored)))


def test_the_share_removed_and_the_difference_are_those_planted(measure):
    removed = study_numbers.compare(measure, "good", "plain", "removed")
    assert (removed.value, removed.low, removed.high) == pytest.approx((0.8, 0.8, 0.8), abs=1e-4)
    of_teacher = study_numbers.compare(measure, "good", "teacher", "removed")
    assert of_teacher.value == pytest.approx(0.8, abs=1e-4)
    assert of_teacher.low < 0.8 < of_teacher.high
    difference = study_numbers.compare(measure, "good", "plain")
    base = measure.columns["teacher"][0, :, 0].mean()
    assert difference.value == pytest.approx(-0.8 * base, abs=1e-4)
    assert difference.high < 0


def test_the_detectable_difference_is_that_of_the_paired_standard_error(measure):
    results = {"measures": {measure.name: {"num_items": 40, "num_clusters": 40, "convention": "a|b"}}}
    arms = ["teacher", "plain", "good", "absent"]
    table = study_tables.items_table(results, {measure.name: measure}, arms, "plain")
    error = study_numbers.compare(measure, "good", "plain").standard_error
    assert table.splitlines()[2] == f"| `{measure.name}` | 40 | 40 | {2.8016 * error:.2g} | `a\\|b` |"
    of_none = study_tables.items_table(results, {measure.name: measure}, arms, "absent")
    assert of_none.splitlines()[2].split(" | ")[3] == "–"


def test_p_values_find_the_difference_and_only_that_one(measure):
    adjusted = study_numbers.holm_p_values(measure, "plain")
    assert set(adjusted) == {"good", "same"}
    assert adjusted["good"] == pytest.approx(2e-4)
    assert adjusted["same"] > 0.9


def test_an_arm_without_a_common_seed_is_left_out_and_stops_nothing(measure):
    others = [arm for arm in measure.columns if arm != "same"]
    alone = dataclasses.replace(measure, seeds=measure.seeds | {"same": (7, 8, 9)})
    assert study_numbers.holm_p_values(alone, "plain").keys() == {"good"}
    table = study_tables.values_table({"log_odds/mean_abs": alone}, ["same", "good"], "plain")
    same, good = table.splitlines()[2:]
    assert same.split("|")[4].strip() == "–" and good.split("|")[4].strip() == "80.0 [80.0, 80.0]"
    assert "| same |" not in study_tables.differences_table({"log_odds/mean_abs": alone}, [*others, "same"], "plain")
    with pytest.raises(ValueError, match="same and plain have no seed in common"):
        study_numbers.compare(alone, "same", "plain")


def test_arms_and_variants_are_two_families_of_hypotheses(measure):
    alone = study_numbers.holm_p_values(measure, "plain")
    twice = {arm: measure.columns[arm] for arm in ("teacher", "plain", "good", "same")}
    for number in range(5):
        twice[f"plain+{number}"] = measure.columns["good"]
    twice["good+0"] = measure.columns["same"]  # of another arm, and so not compared with this one
    seeds = {arm: measure.seeds[arm.partition("+")[0]] for arm in twice}
    more = study_numbers.holm_p_values(dataclasses.replace(measure, columns=twice, seeds=seeds), "plain")
    assert {arm: p for arm, p in more.items() if "+" not in arm} == alone
    assert set(more) - set(alone) == {f"plain+{number}" for number in range(5)}
    assert more["plain+0"] == pytest.approx(5 / 10_000)
    assert study_numbers.holm_p_values(measure, "missing") == {}


def test_seeds_are_paired_by_their_number():
    columns = {"a": np.ones((2, 3, 2)), "b": 2 * np.ones((2, 3, 2))}
    columns["a"][1], columns["b"][0] = 5, 7
    one = Measure("m", "nats", False, ratio, columns, {"a": (0, 2), "b": (2, 1)})
    mine, theirs = study_numbers.paired(one, "a", "b")
    assert mine.shape == theirs.shape == (1, 3, 2)
    assert (mine[0, 0, 0], theirs[0, 0, 0]) == (5, 7)
    alone = Measure("m", "nats", False, ratio, columns, {"a": (0, 2), "b": (1, 3)})
    with pytest.raises(ValueError, match="no seed in common"):
        study_numbers.paired(alone, "a", "b")


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "verdict"),
    [
        (-0.02, 0.005, False, ("yes", "open")),
        (-0.02, 0.02, False, ("open", "open")),
        (0.02, 0.03, False, ("no", "no")),
        (-0.02, -0.01, False, ("yes", "yes")),
        (-0.005, 0.5, True, ("yes", "open")),
        (-0.05, 0.5, True, ("open", "open")),
        (-0.05, -0.02, True, ("no", "no")),
        (0.001, 0.5, True, ("yes", "yes")),
        (math.nan, math.nan, True, ("open", "open")),
    ],
)
def test_the_verdicts_on_a_difference(low, high, higher_is_better, verdict):
    measure = Measure("m", "nats", higher_is_better, ratio, {}, {}, margin=0.01)
    interval = Interval((low + high) / 2, low, high, 0.1)
    assert (study_numbers.not_inferior(measure, interval), study_numbers.better(measure, interval)) == verdict


def test_a_measure_without_a_better_direction_has_no_verdict():
    measure = Measure("m", "nats", None, ratio, {}, {}, margin=0.01)
    with pytest.raises(ValueError, match="of m neither more nor less is better"):
        study_numbers.not_inferior(measure, Interval(0.0, -0.1, 0.1, 0.05))


def test_merging_clusters_keeps_every_value():
    values = np.random.default_rng(1).normal(size=400)
    whole = np.stack([values, np.ones(400)], axis=1)
    merged = study_collect._merged(whole)
    assert len(merged) == MAX_CLUSTERS
    assert ratio(merged.sum(axis=0)) == pytest.approx(values.mean())
    alternating = np.stack([np.arange(400) % 2, np.ones(400)], axis=1)  # as probes of men and women in turn
    errors = [
        two_way_interval(c[None], ratio).standard_error for c in (alternating, study_collect._merged(alternating))
    ]
    assert errors[1] == pytest.approx(errors[0], rel=0.25)
    widths = [i.high - i.low for i in (two_way_interval(c[None], ratio) for c in (whole, merged))]
    assert widths[1] == pytest.approx(widths[0], rel=0.35)


def test_models_that_were_not_measured_alike_are_refused():
    name = "log_odds/mean_abs"
    found = {("a", 0): {name: made(np.ones(3))}, ("b", 0): {name: made(np.ones(3), convention="d")}}
    with pytest.raises(ValueError, match="b seed 0 was not measured as a seed 0"):
        study_collect._measure(name, found)
    with pytest.raises(ValueError, match="no model has other"):
        study_collect._measure("other", found)


def test_a_damaged_or_foreign_results_file_is_one_message(tmp_path):
    file = tmp_path / "x.json"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        study_collect.read(file)
    for text, message in (("[1", "is not a results file"), ("{}", "is not a results"), ('{"schema_version": 9}', "9")):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            study_collect.read(file)


def test_a_results_file_that_is_too_large_is_refused(tmp_path):
    with pytest.raises(ValueError, match="name fewer measures"):
        study_collect.write({"x": "y" * 2_000_000}, tmp_path / "x.json")
    assert not list(tmp_path.iterdir())


def test_a_section_shows_what_was_planted_and_leaves_no_arm_out(tmp_path):
    base = np.random.default_rng(0).uniform(0.5, 1.5, 40)
    factors = {"teacher": 1.0, "plain": 1.0, "good": 0.2, "good+weak": 0.5, "untrained": 1.0}
    names = ("log_odds/mean_abs", "log_perplexity/token-stride", "log_odds/spread")
    found = {
        (arm, seed): {name: made(base * factor, name) for name in names}
        for arm, factor in factors.items()
        for seed in ((0,) if arm in ("teacher", "untrained") else (0, 1))
    }
    settings = {
        "name": "planted",
        "world": "Planted.",
        "run_dir": "x",
        "train_config": "t.yaml",
        "eval_config": "e.yaml",
        "seeds": [0, 1],
        "budget_tokens": 1000,
        "budget_hours": 1.5,
        "budget_machine": "a machine",
        "arms": {"plain": [], "good": ["a=1"]},
        "margins": {"log_perplexity/token-stride": 0.01},
        "measures": list(names),
    }
    study = validate(StudyConfig, settings)
    measures = study_collect._measures(study, found)
    assert measures["log_odds/spread"]["num_items"] == 40
    assert measures["log_perplexity/token-stride"]["columns_of"] == "log_odds/mean_abs"
    assert "good+weak" not in measures["log_odds/spread"]["values"]  # of variants, what is shown of them
    results = {
        "schema_version": study_collect.SCHEMA_VERSION,
        "name": "planted",
        "created": "2026-01-01T00:00:00",
        "world": "Planted.",
        "git_revision": "abc",
        "versions": {"torch": "1", "transformers": "2"},
        "hardware": "a machine",
        "hours": {"teacher_and_data": 0.1, "students": 0.2},
        "study": to_dict(study),
        "missing": ["bad seed 1"],
        "arms": {"teacher": [], "untrained": [], "plain": [], "good": ["a=1"], "good+weak": [], "bad": []},
        "measures": measures,
    }
    (tmp_path / "planted.json").write_text(json.dumps(results))
    plots = {path.name: text for path, text in study_report.plots(tmp_path / "planted.json").items()}
    assert plots.keys() == {"planted.svg", "planted_good.svg"}
    assert "good+weak: log-perplexity" in plots["planted_good.svg"]
    assert "good+weak" not in plots["planted.svg"]
    text = study_report.section(json.loads(json.dumps(results)), Path("results/planted.json"))
    assert "![Disparity against cost](results/planted.svg)" in text
    assert "![Disparity against cost](results/planted_good.svg)" in text
    weaker = text.partition("### Variants: differences to `good`")[2].partition("###")[0]
    assert "| good+weak |" in weaker and "| good |" not in weaker
    assert "### Variants: differences to `plain`" not in text  # it has none
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    good = [row for row in rows if row[0] == "good"]
    assert good[0][1:4] == ["2", *[good[0][2]] * 2]
    assert good[0][3] == "80.0 [80.0, 80.0]"
    assert good[1][-1] == "yes"  # a lower cost is not inferior
    cost = study_numbers.compare(study_collect.measures(results)["log_perplexity/token-stride"], "good", "plain")
    assert good[1][3] == study_numbers.cell(study_numbers.percent(cost), 2)
    assert "| Perplexity (%) | p | not inferior by 1.01 % |" in text
    assert good[1][2] == "< 0.001"
    assert next(row for row in rows if row[0] == "good+weak" and row[1] == "2")[3].startswith("50.0")
    assert "Without results (1): bad seed 1." in text
    assert ["good", "`a=1`"] in rows
    assert ["`log_odds/mean_abs`", "40", "40", "`c`"] in [[*row[:3], row[-1]] for row in rows]  # but the detectable one


# -- prose -----------------------------------------------------------------------------------------------------------


def test_placeholders_become_the_numbers_of_the_tables(measure):
    text = study_prose.filled(
        "removes {{removed tiny good teacher}}, p {{ p  tiny good plain log_odds/mean_abs }}.",
        {"tiny": {measure.name: measure}},
    )
    removed = study_numbers.compare(measure, "good", "teacher", "removed")
    assert text.startswith(f"removes {100 * removed.value:.1f} [{100 * removed.low:.1f}, ")
    assert text.endswith(", p < 0.001.")
    verdict = "{{verdict tiny good plain log_odds/mean_abs}} {{verdict tiny plain good log_odds/mean_abs}}"
    cautious = dataclasses.replace(measure, margin=0.1)
    assert study_prose.filled(verdict, {"tiny": {measure.name: cautious}}) == "yes no"
    assert study_prose.filled(verdict.replace("verdict", "better"), {"tiny": {measure.name: measure}}) == "yes no"
    reached = " ".join(f"{{{{at_least tiny good plain {percent}}}}}" for percent in (79, 81))
    assert study_prose.filled(reached, {"tiny": {measure.name: measure}}) == "yes no"
    assert study_numbers.at_least(removed, removed.value) == "open"
    value = study_prose.filled("{{value tiny good log_odds/mean_abs}}", {"tiny": {measure.name: measure}})
    assert value == study_numbers.cell(two_way_interval(measure.columns["good"], measure.statistic))


def test_a_difference_of_logarithms_is_told_in_percent(measure):
    cost = dataclasses.replace(measure, name="log_perplexity/token-stride")
    studies = {"tiny": {one.name: one for one in (measure, cost)}}
    text = study_prose.filled("{{percent tiny good plain log_perplexity/token-stride}}", studies)
    difference = study_numbers.compare(measure, "good", "plain")
    assert text.split()[0] == f"{100 * (math.exp(difference.value) - 1):.2f}"
    assert study_prose.filled("{{difference tiny good plain log_odds/mean_abs}}", studies) == study_numbers.cell(
        difference
    )


@pytest.mark.parametrize(
    ("placeholder", "message"),
    [
        ("{{mean tiny good log_odds/mean_abs}}", "none of the forms"),
        ("{{value tiny good}}", "none of the forms"),
        ("{{}}", "none of the forms"),
        ("{{value other good log_odds/mean_abs}}", "no study other"),
        ("{{value tiny good sst2/accuracy}}", "tiny has no measure sst2/accuracy"),
        ("{{removed tiny good best}}", "no log_odds/mean_abs of best"),
        ("{{verdict tiny good plain log_odds/mean_abs}}", "states no margin"),
        ("{{at_least tiny good plain most}}", "'most' is not a whole number of percent"),
        ("{{percent tiny good plain log_odds/mean_abs}}", "log_odds/mean_abs is no logarithm"),
        ("{{p tiny teacher plain log_odds/mean_abs}}", "teacher is not tested against plain"),
    ],
)
def test_a_placeholder_that_names_nothing_is_refused(placeholder, message, measure):
    with pytest.raises(ValueError, match=message):
        study_prose.filled(f"It is {placeholder}.", {"tiny": {measure.name: measure}})
