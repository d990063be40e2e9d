"""Collect a study: make one results file from its run folders and evaluations."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.evaluation.comparison import load_evaluations
from distill.evaluation.results import current_versions
from distill.evaluation.statistics.measurement import Estimate
from distill.files import read_jsonl
from distill.run.folder import read_metrics
from distill.settings import to_dict
from study.config import TEACHER, UNTRAINED, StudyConfig
from study.folders import complete, origin_of
from study.jobs import TIMES
from study.plan import Plan, Run, evaluation_folder, is_variant, label_of, main_measures, models_of
from study.results import SCHEMA_VERSION, STATISTICS, grouped, rounded, stored_columns, without_repeats

Estimates = dict[tuple[str, int], dict[str, Estimate]]  # by arm and seed, then by measure


def collect(plan: Plan) -> dict[str, Any]:
    """Make the content of the study's results file.

    A model counts as missing if its evaluation is of other weights, or was made with other settings, than it has now.
    Raises ValueError if no model is complete, or if models cannot be compared, for example because they were trained on
    other data.
    """
    study, done = plan.study, complete(plan)
    models = [(TEACHER, study.seeds[0]), *((run.arm, run.seed) for run in plan.runs)]
    estimates = {model: _estimates(study, *model) for model in models if label_of(*model) in done}
    if not estimates:
        raise ValueError(
            f"{study.run_dir} holds no model that is trained and measured with these settings; run the study first: "
            "python -m study run CONFIG"
        )
    runs = [run for run in plan.runs if run.label in done]
    origin = origin_of(study, runs)
    versions = current_versions()
    return {
        "schema_version": SCHEMA_VERSION,
        "name": study.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "world": study.world,
        "git_revision": versions.pop("git_revision"),
        "versions": versions,
        "hardware": _hardware(),
        "origin": origin,
        "hours": hours(Path(study.run_dir)),
        "study": to_dict(study),
        "training": to_dict(plan.runs[0].config),
        "teacher": plan.teacher.fingerprint() or str(plan.teacher.folder),
        "missing": [label_of(*model) for model in models if model not in estimates],
        "arms": {TEACHER: [], **{name: list(overrides) for name, overrides in models_of(study).items()}},
        "distances": distances(runs),
        "measures": measured(study, estimates),
    }


def _estimates(study: StudyConfig, arm: str, seed: int) -> dict[str, Estimate]:
    folder = evaluation_folder(study, arm, seed)
    evaluation = load_evaluations([folder])[0]
    if evaluation.failures:
        failure = evaluation.failures[0]
        raise ValueError(f"{folder}: {failure.task}: {failure.message}; remove the folder and run the study again")
    return evaluation.results[0].estimates


def measured(study: StudyConfig, estimates: Estimates) -> dict[str, Any]:
    """All measures of a study, in the form in which a results file stores them."""
    for_variants = main_measures(study.measures, study.margins)
    arms_only = {model: by_measure for model, by_measure in estimates.items() if not is_variant(model[0])}
    stored = {name: measure_of(name, estimates if name in for_variants else arms_only) for name in study.measures}
    return without_repeats(stored)


def measure_of(name: str, estimates: Estimates) -> dict[str, Any]:
    """One measure of all models that have it, in stored form.

    Raises ValueError if no model has it, or if not all were measured in the same way.
    """
    chosen = {model: by_measure[name] for model, by_measure in estimates.items() if name in by_measure}
    if not chosen:
        raise ValueError(f"measures: no model has {name}; switch its task on in the evaluation, or leave it out")
    (first_model, first), *others = chosen.items()
    for model, estimate in others:
        if (estimate.measurement.convention, estimate.clusters) != (first.measurement.convention, first.clusters):
            raise ValueError(
                f"{name}: {label_of(*model)} was not measured as {label_of(*first_model)} was "
                f"({estimate.measurement.convention!r}, {first.measurement.convention!r}); remove the results.json of "
                "the older one and run the study again"
            )
    if STATISTICS.get(first.statistic.__name__) is not first.statistic:
        raise ValueError(f"{name}: its statistic {first.statistic.__name__} is not among {', '.join(STATISTICS)}")
    columns = {model: rounded(grouped(estimate.columns)) for model, estimate in chosen.items()}
    return {
        "unit": first.measurement.unit,
        "higher_is_better": first.measurement.higher_is_better,
        "convention": first.measurement.convention,
        "statistic": first.statistic.__name__,
        "num_items": first.measurement.num_items,
        "num_clusters": len(columns[first_model]),
        **stored_columns(columns),
    }


def distances(runs: Sequence[Run]) -> dict[str, dict[str, list[float]]]:
    """KL(teacher || student) on held-out text, in nats per token, at the first and the last step: by arm, then seed.

    Runs whose log does not have it are left out: that of the untrained student, and of older versions.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        lines = read_metrics(Path(run.config.run_dir)) if run.arm != UNTRAINED else []
        logged = [line["heldout_kl"] for line in lines if "heldout_kl" in line]
        if logged:
            found.setdefault(run.arm, {})[str(run.seed)] = rounded(np.array([logged[0], logged[-1]])).tolist()
    return found


def hours(run_dir: Path) -> dict[str, float]:
    """Sum the hours of the jobs that prepare the data and train the teacher, and those of all other jobs."""
    file = run_dir / TIMES
    lines = read_jsonl(file) if file.is_file() else []
    first = [line["seconds"] for line in lines if line["label"].startswith(("prepare", "the teacher's"))]
    return {
        "teacher_and_data": round(sum(first) / 3600, 2),
        "students": round((sum(line["seconds"] for line in lines) - sum(first)) / 3600, 2),
    }


def _hardware() -> str:
    """Name the processor, its cores and the accelerator."""
    name = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    gpu = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores{gpu}"
