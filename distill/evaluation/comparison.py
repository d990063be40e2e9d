"""Compare earlier evaluations without their models, from their results.json files and the records beside them.

All estimates are computed anew from the per-example records. So intervals, paired differences and tests are those that
a single evaluation of all the models would have given.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.all_measures import MEASURES
from distill.evaluation.results import model_records, read_results
from distill.evaluation.scoring.model_specs import examples_name
from distill.evaluation.statistics.measurement import Estimate
from distill.evaluation.suite import Evaluation, ModelResult, TaskRun
from distill.evaluation.task import Failure
from distill.models.identity import is_unidentified
from distill.settings import to_dict, validate

IDENTITY = ("fingerprint", "gguf_file", "tokenizer", "start_token", "dtype")  # what a model is and how it is run


@dataclass(frozen=True)
class Loaded:
    """What a results.json holds. folder: the name of its folder."""

    folder: str
    models: list[ModelResult]
    failures: list[Failure]


def load_evaluations(paths: Sequence[Path]) -> tuple[Evaluation, EvalConfig]:
    """All models of several results.json files as one evaluation. A path may also be the folder of such a file.

    The reference and the configuration are those of the first file; if this version cannot read that configuration,
    only its statistics are. A model that several files hold comes once, with the tasks of all these files. If the label
    of a different model is taken, or would give its records a file name that is taken, the name of its folder is added
    to the label. What no file has measured is a failure. Raises FileNotFoundError or ValueError with the remedy.
    """
    files = [path / "results.json" if path.is_dir() else path for path in paths]
    contents = [read_results(file) for file in files]
    config, config_of = _config(paths[0], contents[0]["config"])
    loaded = [_load(results, file, config) for results, file in zip(contents, files, strict=True)]
    models, failures = _join(loaded)
    if not models:
        raise ValueError(f"{paths[0]} holds no model that was measured, so there is nothing to compare")
    versions = [model.info["versions"] for evaluation in loaded for model in evaluation.models]
    differences = [
        *(name for results in contents for name in results.get("config_differences", ())),
        *_differing([_settings(results["config"]) for results in contents]),
        *(f"versions.{name}" for name in _differing(versions)),
    ]
    return Evaluation(contents[0]["reference"], models, failures, config_of, tuple(dict.fromkeys(differences))), config


def _load(results: dict[str, Any], file: Path, config: EvalConfig) -> Loaded:
    """Load the models of a results.json and compute their estimates. What cannot be computed joins its failures."""
    models = []
    failures = [Failure(**failure) for failure in results["failures"]]
    for written in results["models"]:
        model, failed = _load_model({"versions": results["versions"]} | written, file.parent, config)
        models.append(model)
        failures += failed
    return Loaded(file.parent.resolve().name, models, failures)


def _load_model(model: dict[str, Any], folder: Path, config: EvalConfig) -> tuple[ModelResult, list[Failure]]:
    """Load a model and compute its estimates. A task that this version does not know or cannot summarise has failed."""
    info = {key: value for key, value in model.items() if key not in ("examples", "groups", "tasks")}
    records = model_records(model, folder)
    runs: dict[str, TaskRun] = {}
    estimates: dict[str, Estimate] = {}
    failures: list[Failure] = []
    for name, task in model["tasks"].items():
        if name not in MEASURES:
            failures.append(Failure(info["label"], name, "this version of evenhand has no such task"))
            continue
        run = TaskRun(records[name], task["key"], tuple(task["conventions"]), task["seconds"])
        try:
            computed = MEASURES[name].summarise(run.records, *run.conventions, config.statistics)
        except (ValueError, KeyError, TypeError) as error:
            failures.append(Failure(info["label"], name, f"its records cannot be summarised ({error!r})"))
            continue
        runs[name] = run
        estimates |= {estimate.measurement.name: estimate for estimate in computed}
    return ModelResult(info, runs, estimates), failures


def _join(loaded: Sequence[Loaded]) -> tuple[list[ModelResult], list[Failure]]:
    """The models of all files, each once and under a label of its own, and what no file has measured."""
    joined: list[ModelResult] = []
    labels: list[str] = []  # their labels in the files
    failures: list[Failure] = []
    for evaluation in loaded:
        renamed: dict[str | None, str] = {}
        for model in evaluation.models:
            label = model.info["label"]
            same = (n for n, other in enumerate(joined) if labels[n] == label and _are_same(other, model))
            place = next(same, None)
            if place is None:
                model = _relabelled(model, evaluation.folder, [other.info["label"] for other in joined])
                joined.append(model)
                labels.append(label)
            else:
                model = joined[place] = _merged(joined[place], model)
            renamed[label] = model.info["label"]
        for failure in evaluation.failures:
            failures.append(replace(failure, model=renamed.get(failure.model, failure.model)))
    return joined, _unmeasured(failures, joined)


def _are_same(first: ModelResult, second: ModelResult) -> bool:
    """Whether two results are of the same model, run in the same way. The keys of common tasks decide, if any."""
    if is_unidentified(first.info["fingerprint"]):
        return False  # an older version did not record which revision of a hub model it measured
    shared = first.tasks.keys() & second.tasks.keys()
    if shared:
        return all(first.tasks[name].key == second.tasks[name].key for name in shared)
    return all(first.info[field] == second.info[field] for field in IDENTITY)


def _merged(first: ModelResult, second: ModelResult) -> ModelResult:
    return replace(first, tasks=first.tasks | second.tasks, estimates=first.estimates | second.estimates)


def _relabelled(model: ModelResult, folder: str, taken: Sequence[str]) -> ModelResult:
    """The model under its own label, or under a longer one if its records' file name is taken."""
    own, names = model.info["label"], [examples_name(label) for label in taken]
    numbered = (f"{own}@{folder}-{number}" for number in count(2))
    label = next(label for label in chain((own, f"{own}@{folder}"), numbered) if examples_name(label) not in names)
    return replace(model, info={**model.info, "label": label})


def _unmeasured(failures: Sequence[Failure], models: Sequence[ModelResult]) -> list[Failure]:
    """One failure for each task of a model, except for tasks that another file has measured."""
    measured = {(model.info["label"], task) for model in models for task in (None, *model.tasks)}
    first: dict[tuple[str | None, ...], Failure] = {}
    for failure in failures:
        if (failure.model, failure.task) not in measured:
            message = failure.message if failure.model is None else None
            first.setdefault((failure.model, failure.task, message), failure)
    return list(first.values())


def _config(path: Path, written: dict[str, Any]) -> tuple[EvalConfig, str]:
    """The configuration of a results.json, and a text that says which file it comes from."""
    config = _valid(written)
    if config is not None:
        return config, str(path)
    statistics = validate(EvalConfig, {"statistics": written["statistics"]})
    return statistics, f"{path} (its statistics; the rest, which this version cannot read, are defaults)"


def _settings(written: dict[str, Any]) -> dict[str, str]:
    """Every setting as JSON, by its dotted name; with the defaults, if this version can read the configuration."""
    config = _valid(written)
    settings: dict[str, str] = {}
    for section, value in (written if config is None else to_dict(config)).items():
        named = {f".{name}": setting for name, setting in value.items()} if isinstance(value, dict) else {"": value}
        settings |= {f"{section}{name}": json.dumps(setting) for name, setting in named.items()}
    return settings


def _valid(written: dict[str, Any]) -> EvalConfig | None:
    """The configuration; None if it is of another version."""
    try:
        return validate(EvalConfig, written)
    except ValueError:
        return None


def _differing(mappings: Sequence[dict[str, Any]]) -> list[str]:
    """The names whose values are not the same in all mappings."""
    names = dict.fromkeys(name for mapping in mappings for name in mapping)
    return [name for name in names if len({mapping.get(name) for mapping in mappings}) > 1]
