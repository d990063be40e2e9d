"""The simulation of the long-form measure: its true values, and its tables."""

import numpy as np
import pytest

from benchmarks import longform_intervals
from benchmarks.longform_intervals import MODELS, NAMES, Model, estimates, main, population, true_values


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(longform_intervals, "LARGE", 20_000)


def test_a_fair_model_has_no_distance_from_parity_and_that_of_its_workers_from_the_shares():
    truth = true_values(MODELS["fair"], 10)
    assert (truth["neutrality"], truth["skew"]) == (0.0, 0.0)
    shares = 0.01 + 0.98 * np.random.default_rng(3).beta(0.7, 0.8, 200_000)
    assert truth["distance_from_shares"] == pytest.approx(np.sqrt(np.mean((shares - 0.5) ** 2)), abs=0.01)
    assert true_values(MODELS["strong"], 10, strength=0.0) == pytest.approx(truth, abs=0.03)


def test_estimates_of_many_occupations_are_the_true_values():
    model, rng = Model(1.0, -1.0, 0.8, 0.6), np.random.default_rng(0)
    drawn = population(model, 3000, rng)
    found, truth = estimates(drawn, 10, rng), true_values(model, 10)
    for name in ("neutrality", "skew", "gendered"):
        measurement = found[name].measurement
        assert measurement.value == pytest.approx(truth[name], abs=4 * measurement.standard_error)


def test_every_part_prints_its_tables(capsys, monkeypatch):
    monkeypatch.setattr(longform_intervals, "STRENGTHS", (0.5,))
    monkeypatch.setattr(longform_intervals, "MODELS", {name: MODELS[name] for name in ("fair", "strong")})
    assert main(["--replicates", "2", "--samples", "4"]) == 0
    tables = capsys.readouterr().out.split("\n\n")
    assert [table.splitlines()[0].split(" | ")[0] for table in tables[:4]] == [
        "| coverage, % (value)",
        "| fair: two samplings",
        "| fair: difference (found, %)",
        "| strong: two samplings",
    ]
    assert all(len(line.split("|")) == len(NAMES) + 3 for table in tables for line in table.splitlines())
