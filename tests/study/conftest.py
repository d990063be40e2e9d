"""Fixtures of studies: a small study to run, and measures with a known answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.settings import to_dict, validate
from study import collect as study_collect
from study import results as study_results
from study.config import StudyConfig
from study.jobs import Job
from study.plan import arms_of
from study.results import Measure


@pytest.fixture
def study_file(config_file, small_world, tmp_path) -> Path:
    """A study of two arms and one variant on the tiny run of `config_file`."""
    evaluation = {
        "world": str(small_world),
        "text": {"path": str(small_world / "heldout.jsonl"), "max_documents": 10},
        "statistics": {"num_permutations": 999},
        "counterfactual_gap": {"enabled": False},
        "occupation_gap": {"enabled": True, "num_train": 60, "num_test": 60},
    }
    (tmp_path / "eval.yaml").write_text(yaml.safe_dump(evaluation))
    settings = {
        "name": "tiny",
        "world": "A test.",
        "run_dir": str(tmp_path / "study"),
        "train_config": str(config_file),
        "train_overrides": ["augment.mode=none", "perturb.operation=none", "train.max_steps=2", "train.eval_every=2"],
        "eval_config": str(tmp_path / "eval.yaml"),
        "seeds": [0, 1],
        "budget_tokens": 2 * 8 * 32,
        "budget_hours": 1,
        "budget_machine": "anything",
        "arms": {"plain": [], "equivariant": ["perturb.operation=equivariant"]},
        "variant_eval_overrides": ["occupation_gap.enabled=false"],
        "variants": [{"of": ["plain"], "variants": {"strong": ["loss.temperature=1"]}}],
        "margins": {"agreement/accuracy": 0.5},
        "measures": [
            "log_odds/mean_abs",
            "log_perplexity/token-stride",
            "agreement/accuracy",
            "occupation_gap/slope",
            "log_odds/spread",
        ],
        "headline": ["teacher", "plain"],
        "recommended": "equivariant",
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def run_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run jobs in this process, because new processes take seconds to start."""
    from distill import eval as eval_main
    from distill import train
    from study.__main__ import main

    def run_commands(job: Job, environment: object, running: object) -> str | None:
        for _, *words in job.commands:
            module = words[1] if words[0] == "-m" else Path(words[0]).stem
            arguments = words[2:] if words[0] == "-m" else words[1:]
            code = {"train": train.program, "eval": eval_main.main, "study": main}[module](arguments)
            if code:
                return f"exit code {code}"
        return None

    monkeypatch.setattr("study.jobs._run_commands", run_commands)


@pytest.fixture
def estimate_of() -> Callable[..., Estimate]:
    """Builds the estimate of a mean with one value per cluster: estimate_of(values, name)."""

    def build(values: np.ndarray, name: str = "log_odds/mean_abs", convention: str = "c") -> Estimate:
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

    return build


@pytest.fixture
def measure(estimate_of: Callable[..., Estimate]) -> Measure:
    """Forty clusters and three seeds: teacher and plain have about 1, good exactly a fifth of plain's values."""
    base = np.random.default_rng(0).uniform(0.5, 1.5, 40)
    values = {("teacher", 0): base}
    for seed in (0, 1, 2):
        values["plain", seed] = base + 0.01 * (seed - 1)
        values["good", seed] = (base + 0.01 * (seed - 1)) / 5
        values["same", seed] = base[::-1].copy() + 0.01 * (seed - 1)
    name = "log_odds/mean_abs"
    stored = study_collect.measure_of(name, {model: {name: estimate_of(array)} for model, array in values.items()})
    return study_results.read_measure(name, stored)


@pytest.fixture
def planted(estimate_of: Callable[..., Estimate]) -> dict[str, Any]:
    """A results file with a known answer: good removes 80 % of plain's disparity, its variant weak 50 %."""
    base = np.random.default_rng(0).uniform(0.5, 1.5, 40)
    factors = {"teacher": 1.0, "plain": 1.0, "good": 0.2, "good+weak": 0.5, "good+strong": 0.1, "untrained": 1.0}
    names = ("log_odds/mean_abs", "log_perplexity/token-stride", "log_odds/spread", "lambada/accuracy")
    estimates = {
        (arm, seed): {
            name: estimate_of(np.zeros(40) if name == "lambada/accuracy" else base * factor, name) for name in names
        }
        for arm, factor in factors.items()
        for seed in ((0,) if arm in ("teacher", "untrained") else (0, 1))
    }
    settings = {
        "name": "planted",
        "world": "Planted.",
        "run_dir": "x",
        "teacher_config": "teacher.yaml",
        "teacher_overrides": ["student.config.n_layer=4"],
        "train_config": "t.yaml",
        "train_overrides": ["train.global_batch_size=2"],
        "eval_config": "e.yaml",
        "seeds": [0, 1],
        "budget_tokens": 1000,
        "budget_hours": 1.5,
        "budget_machine": "a machine",
        "arms": {"plain": [], "good": ["a=1"], "bad": ["a=2"]},
        "variants": [{"of": ["good"], "variants": {"weak": ["b=1"], "strong": ["b=2"]}}],
        "margins": {"log_perplexity/token-stride": 0.01},
        "measures": list(names),
        "recommended": "good",
    }
    study = validate(StudyConfig, settings)
    return {
        "schema_version": study_results.SCHEMA_VERSION,
        "name": "planted",
        "created": "2026-01-01T00:00:00",
        "world": "Planted.",
        "git_revision": "abc",
        "versions": {"torch": "1", "transformers": "2"},
        "hardware": "a machine",
        "hours": {"teacher_and_data": 0.1, "students": 0.2},
        "study": to_dict(study),
        "training": {"run_dir": "x", "seed": 0},
        "missing": ["bad seed 1"],
        "arms": dict.fromkeys(("teacher", "untrained"), ()) | arms_of(study),
        "measures": study_collect.measured(study, estimates),
    }
