"""The outcome of a study in one file small enough to commit: run folders and evaluations in; a results file out.

Schema (schema_version 1), everything that the tables and tests of RESULTS.md are computed from:

- schema_version, name, created (UTC), world, versions, git_revision and hardware (of collecting), origin (what all runs
  were made with: `study_run.origin_of`), hours (of wall-clock time summed over jobs, by what they did), study
  (resolved), training (what all arms share, resolved), teacher (its fingerprint, or its name on a hub), missing (models
  without results)
- arms: {arm: overrides}, the untrained student and the teacher included
- measures: {name: {unit, higher_is_better, convention, statistic, num_clusters, num_items, constant, values}}, where
  statistic is a key of `STATISTICS`, values is {arm: {seed: columns}}, columns are [num_clusters][num_varying] numbers,
  and constant is {index: column} of the columns that all models share (counts, a known truth)

Of variants (ARM+VARIANT) only the first two measures and those with a margin are kept. A measure with the columns of
another one has columns_of, its name, in place of constant and values. One with more clusters than MAX_CLUSTERS has them
added up in random groups, the same in all models: every statistic is one of sums, so that values stay what they are,
and the unit of resampling becomes larger.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.evaluation.comparison import load_evaluations
from distill.evaluation.measures import stereoset
from distill.evaluation.measures.continuations import group_ratios
from distill.evaluation.results import current_versions
from distill.evaluation.statistics import estimators
from distill.evaluation.statistics.estimators import FloatArray, Statistic
from distill.evaluation.statistics.measurement import Estimate
from distill.files import read_jsonl, write_text
from distill.settings import to_dict
from study.plan import (
    TEACHER,
    UNTRAINED,
    StudyConfig,
    arms_of,
    evaluation_folder,
    is_variant,
    label_of,
    main_measures,
    plan_runs,
    teacher_fingerprint,
    teacher_folder,
)
from study.run import TIMES, complete, origin_of

SCHEMA_VERSION = 1
MAX_CLUSTERS = 64
MAX_BYTES = 1_000_000
NUM_DIGITS = 5
STATISTICS: dict[str, Statistic] = {
    one.__name__: one
    for one in (
        estimators.ratio,
        estimators.exp_ratio,
        estimators.root_ratio,
        estimators.spread,
        estimators.slope,
        estimators.correlation,
        stereoset.icat,
        group_ratios.mean_ratio,
        group_ratios.min_ratio,
        group_ratios.log_ratio,
    )
}


@dataclass(frozen=True)
class Measure:
    """A measure of all models: columns[arm] is [num_seeds, num_clusters, num_columns], seeds[arm] their seeds.

    margin: by how much it may be worse than a reference's and still count as not inferior, where the study says so.
    """

    name: str
    unit: str
    higher_is_better: bool | None
    statistic: Statistic
    columns: dict[str, FloatArray]
    seeds: dict[str, tuple[int, ...]]
    margin: float | None = None


def collect(study: StudyConfig) -> dict[str, Any]:
    """The content of the results file. Raises ValueError when nothing is there or the models do not compare, also by
    what they were trained with.

    A model counts as missing whose evaluation is of other weights or settings than it has now (`complete`).
    """
    runs = plan_runs(study)
    done = complete(study, runs)
    found: dict[tuple[str, int], dict[str, Estimate]] = {}
    missing = []
    for arm, seed in [(TEACHER, study.seeds[0]), *((run.arm, run.seed) for run in runs)]:
        if label_of(arm, seed) not in done:
            missing.append(label_of(arm, seed))
            continue
        folder = evaluation_folder(study, arm, seed)
        evaluation = load_evaluations([folder])[0]
        if evaluation.failures:
            one = evaluation.failures[0]
            raise ValueError(f"{folder}: {one.task}: {one.message}; remove the folder and run the study again")
        found[arm, seed] = evaluation.results[0].estimates
    if not found:
        raise ValueError(
            f"{study.run_dir} holds no model that is trained and measured with these settings; run the study first: "
            "python -m study run CONFIG"
        )
    origin = origin_of(study, [run for run in runs if run.label in done])
    known = current_versions()
    return {
        "schema_version": SCHEMA_VERSION,
        "name": study.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "world": study.world,
        "git_revision": known.pop("git_revision"),
        "versions": known,
        "hardware": _hardware(),
        "origin": origin,
        "hours": _hours(Path(study.run_dir)),
        "study": to_dict(study),
        "training": to_dict(runs[0].config),
        "teacher": teacher_fingerprint(study) or str(teacher_folder(study)),
        "missing": missing,
        "arms": {TEACHER: [], UNTRAINED: [], **{name: list(overrides) for name, overrides in arms_of(study).items()}},
        "measures": _measures(study, found),
    }


def write(results: dict[str, Any], path: Path) -> None:
    """Write a results file. Raises ValueError when it is too large to commit."""
    text = json.dumps(results, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace('},"', '},\n"').replace('],"', '],\n"') + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise ValueError(
            f"{path} would have {len(text.encode()):,} bytes, more than {MAX_BYTES:,}; name fewer measures"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def read(path: Path) -> dict[str, Any]:
    """Read a results file. Raises FileNotFoundError, or ValueError for another file or version."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; write it with python -m study collect CONFIG --out {path}")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        version = results["schema_version"]
        complete = {"study", "measures", "arms"} <= results.keys()
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a results file of a study ({error!r})") from error
    if version != SCHEMA_VERSION or not complete:
        raise ValueError(f"{path} has schema_version {version} and not {SCHEMA_VERSION}; collect the study again")
    return results


def measures(results: dict[str, Any]) -> dict[str, Measure]:
    """The measures of a results file, their columns whole again."""
    every, margins = results["measures"], results["study"]["margins"]
    return {
        name: _read_measure(name, {**every[stored.get("columns_of", name)], **stored}, margins.get(name))
        for name, stored in every.items()
    }


def _measures(study: StudyConfig, found: dict[tuple[str, int], dict[str, Estimate]]) -> dict[str, Any]:
    of_variants = main_measures(study.measures, study.margins)
    every = {}
    for name in study.measures:
        chosen = {key: one for key, one in found.items() if not is_variant(key[0]) or name in of_variants}
        every[name] = _measure(name, chosen)
    return without_repeats(every)


def without_repeats(every: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Measures as they are stored: of equal columns only the first, columns_of in place of the others."""
    stored: dict[str, dict[str, Any]] = {}
    for name, measure in every.items():
        columns = {key: measure[key] for key in ("constant", "values")}
        same = [other for other, one in stored.items() if {key: one.get(key) for key in columns} == columns]
        rest = {key: value for key, value in measure.items() if key not in columns}
        stored[name] = {**rest, "columns_of": same[0]} if same else measure
    return stored


def _measure(name: str, found: dict[tuple[str, int], dict[str, Estimate]]) -> dict[str, Any]:
    """One measure of all models that have it. Raises ValueError when they were not measured alike."""
    chosen = {key: estimates[name] for key, estimates in found.items() if name in estimates}
    if not chosen:
        raise ValueError(f"measures: no model has {name}; switch its task on in the evaluation, or leave it out")
    (first_arm, first_seed), first = next(iter(chosen.items()))
    for (arm, seed), one in chosen.items():
        if (one.measurement.convention, one.clusters) != (first.measurement.convention, first.clusters):
            raise ValueError(
                f"{name}: {label_of(arm, seed)} was not measured as {label_of(first_arm, first_seed)} was "
                f"({one.measurement.convention!r}, {first.measurement.convention!r}); remove the results.json of the "
                "older one and run the study again"
            )
    if STATISTICS.get(first.statistic.__name__) is not first.statistic:
        raise ValueError(f"{name}: its statistic {first.statistic.__name__} is not among {', '.join(STATISTICS)}")
    columns = {key: _rounded(_merged(one.columns)) for key, one in chosen.items()}
    return {
        "unit": first.measurement.unit,
        "higher_is_better": first.measurement.higher_is_better,
        "convention": first.measurement.convention,
        "statistic": first.statistic.__name__,
        "num_items": first.measurement.num_items,
        "num_clusters": len(next(iter(columns.values()))),
        **stored_columns(columns),
    }


def stored_columns(columns: dict[tuple[str, int], FloatArray]) -> dict[str, Any]:
    """`constant` and `values` of a measure from the columns [num_clusters, num_columns] of each model."""
    stacked = np.stack(list(columns.values()))
    is_constant = (stacked == stacked[0]).all(axis=(0, 1)) & (len(stacked) > 1)
    values: dict[str, dict[str, Any]] = {}
    for (arm, seed), one in columns.items():
        values.setdefault(arm, {})[str(seed)] = _short(one[:, ~is_constant])
    constant = {str(index): _short(stacked[0][:, index]) for index in np.flatnonzero(is_constant)}
    return {"constant": constant, "values": values}


def _read_measure(name: str, stored: dict[str, Any], margin: float | None = None) -> Measure:
    constant = {int(index): column for index, column in stored["constant"].items()}

    def whole(varying: Sequence[Sequence[float]]) -> FloatArray:
        given = np.asarray(varying, dtype=np.float64).reshape(stored["num_clusters"], -1)
        columns = np.empty((len(given), given.shape[1] + len(constant)))
        columns[:, [index for index in range(columns.shape[1]) if index not in constant]] = given
        for index, column in constant.items():
            columns[:, index] = column
        return columns

    return Measure(
        name,
        stored["unit"],
        stored["higher_is_better"],
        STATISTICS[stored["statistic"]],
        {arm: np.stack([whole(one) for one in by_seed.values()]) for arm, by_seed in stored["values"].items()},
        {arm: tuple(map(int, by_seed)) for arm, by_seed in stored["values"].items()},
        margin,
    )


def _merged(columns: FloatArray) -> FloatArray:
    if len(columns) <= MAX_CLUSTERS:
        return columns
    sums = np.zeros((MAX_CLUSTERS, columns.shape[1]))
    # at random, for neighbours are often alike (a man and a woman in turn), and groups of like ones would vary more
    groups = np.random.default_rng(0).permutation(len(columns)) % MAX_CLUSTERS
    np.add.at(sums, groups, columns)
    return sums


def _rounded(columns: FloatArray) -> FloatArray:
    return np.vectorize(lambda number: float(f"{number:.{NUM_DIGITS}g}"), otypes=[float])(columns)


def _short(columns: FloatArray) -> Any:
    """Nested lists in which whole numbers are integers."""
    if columns.ndim == 1:
        return [int(number) if number == int(number) else float(number) for number in columns]
    return [_short(row) for row in columns]


def _hours(run_dir: Path) -> dict[str, float]:
    """Hours of all jobs, summed: of preparing and the teacher's training, and of all others."""
    file = run_dir / TIMES
    lines = read_jsonl(file) if file.is_file() else []
    first = [line["seconds"] for line in lines if line["label"].startswith(("prepare", "the teacher's"))]
    return {
        "teacher_and_data": round(sum(first) / 3600, 2),
        "students": round((sum(line["seconds"] for line in lines) - sum(first)) / 3600, 2),
    }


def _hardware() -> str:
    """The processor, its cores and the accelerator, in words."""
    name = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    gpu = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores{gpu}"
