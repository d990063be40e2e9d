"""Evaluations that were made before, compared again without their models: results.json files in; an Evaluation out.

The estimates are computed anew from the per-example records beside each results.json, so that intervals, paired
differences and tests are those that one evaluation of all the models together would have given.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.all_measures import MEASURES
from distill.evaluation.records import read_records
from distill.evaluation.results import SCHEMA_VERSION
from distill.evaluation.scoring.model_specs import examples_name
from distill.evaluation.statistics.measurement import Estimate
from distill.evaluation.suite import Evaluation, ModelResult, TaskRun
from distill.evaluation.task import Failure, Records
from distill.settings import to_dict, validate

FIELDS = {"created", "reference", "config", "versions", "models", "measurements", "failures"}  # of every results.json
IDENTITY = ("fingerprint", "gguf_file", "tokenizer", "start_token", "dtype")  # what a model is and how it is run


def load_evaluations(paths: Sequence[Path]) -> tuple[Evaluation, EvalConfig]:
    """All models of several results.json files (or of the folders that hold them) as one evaluation.

    The reference and the configuration are those of the first; of one that this version cannot read, the statistics
    alone. A model that several of them have is taken once, with the tasks of all; another one under a label that is
    taken, or whose records would have the same file name, gets its folder's name added. Raises FileNotFoundError or
    ValueError with the remedy. What could not be measured in any of them is a failure here too; a version in which they
    differ is named beside the settings, as versions.NAME.
    """
    found: list[ModelResult] = []
    labels: list[str] = []  # of `found`, as they are in their files
    versions: list[dict[str, str | None]] = []
    failures: list[Failure] = []
    loaded = [(path, read_results(path)) for path in map(_file, paths)]
    config, config_of = _config(paths[0], loaded[0][1]["config"])
    settings = [_settings(results["config"]) for _, results in loaded]
    for path, results in loaded:
        told = [Failure(**written) for written in results["failures"]]
        renamed: dict[str | None, str] = {}
        for model in results["models"]:
            result, failed = _model({"versions": results["versions"]} | model, path.parent, config)
            told += failed
            label = result.info["label"]
            versions.append(result.info["versions"])
            places = (n for n, other in enumerate(found) if labels[n] == label and _are_one(other, result))
            place = next(places, None)
            if place is not None:
                result = found[place] = _merged(found[place], result)
            else:
                result = _relabelled(result, path.parent.resolve().name, [other.info["label"] for other in found])
                found.append(result)
                labels.append(label)
            renamed[label] = result.info["label"]
        failures += [replace(one, model=renamed.get(one.model, one.model)) for one in told]
    if not found:
        raise ValueError(f"{paths[0]} holds no model that was measured, so there is nothing to compare")
    differences = _differing(settings) + [f"versions.{name}" for name in _differing(versions)]
    carried = [name for _, results in loaded for name in results.get("config_differences", ())]
    whole = tuple(dict.fromkeys([*carried, *differences]))
    return Evaluation(loaded[0][1]["reference"], found, _unmeasured(failures, found), config_of, whole), config


def _differing(named: Sequence[dict[str, Any]]) -> list[str]:
    """The names whose values are not the same in all."""
    names = dict.fromkeys(name for one in named for name in one)
    return [name for name in names if len({one.get(name) for one in named}) > 1]


def _unmeasured(failures: Sequence[Failure], found: Sequence[ModelResult]) -> list[Failure]:
    """The failures, one for each task of a model, without those of what another of the evaluations has measured."""
    measured = {(result.info["label"], task) for result in found for task in (None, *result.tasks)}
    first: dict[tuple[str | None, ...], Failure] = {}
    for one in failures:
        if (one.model, one.task) not in measured:
            first.setdefault((one.model, one.task, one.message if one.model is None else None), one)
    return list(first.values())


def _config(path: Path, written: dict[str, Any]) -> tuple[EvalConfig, str]:
    """The configuration of a results.json, and in words whose it is."""
    config = _valid(written)
    if config is not None:
        return config, str(path)
    statistics = validate(EvalConfig, {"statistics": written["statistics"]})
    return statistics, f"{path} (its statistics; the rest, which this version cannot read, are defaults)"


def _settings(written: dict[str, Any]) -> dict[str, str]:
    """Every setting as JSON, by its dotted name; those that are not named too, where this version can read them."""
    config = _valid(written)
    found: dict[str, str] = {}
    for section, value in (written if config is None else to_dict(config)).items():
        parts = {f".{name}": part for name, part in value.items()} if isinstance(value, dict) else {"": value}
        found |= {f"{section}{name}": json.dumps(part) for name, part in parts.items()}
    return found


def _valid(written: dict[str, Any]) -> EvalConfig | None:
    """The configuration, or None for one of another version."""
    try:
        return validate(EvalConfig, written)
    except ValueError:
        return None


def _file(path: Path) -> Path:
    return path / "results.json" if path.is_dir() else path


def read_results(path: Path) -> dict[str, Any]:
    """The content of a results.json. Raises FileNotFoundError, or ValueError for another file or version."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        version, lacking = results["schema_version"], sorted(FIELDS - results.keys())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist; give a results.json that eval.py wrote") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a results.json of eval.py ({error!r})") from error
    if lacking:
        raise ValueError(f"{path} is not a results.json of eval.py: it has no {', '.join(lacking)}")
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema_version {version}, and this version compares {SCHEMA_VERSION}; run eval.py again (its "
            "records are used again where they can be)"
        )
    return results


def model_records(model: dict[str, Any], folder: Path) -> dict[str, Records]:
    """The records of each task of a model of the results.json in `folder`.

    Raises FileNotFoundError without its file of records, ValueError when that holds more or fewer than there were.
    """
    path = folder / model["examples"]
    found = read_records(path, {name: task["key"] for name, task in model["tasks"].items()})
    for name, task in model["tasks"].items():
        num_records = len(found.get(name, []))
        if num_records != task["num_items"]:
            raise ValueError(
                f"{path} holds {num_records} records of {name}, but results.json was made from {task['num_items']}; "
                "the two files are not of the same evaluation"
            )
    return {name: found.get(name, []) for name in model["tasks"]}


def _model(model: dict[str, Any], folder: Path, config: EvalConfig) -> tuple[ModelResult, list[Failure]]:
    """A model of a results.json with its estimates; tasks that this version does not know are failures."""
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
            found = MEASURES[name].summarise(run.records, *run.conventions, config.statistics)
        except (ValueError, KeyError, TypeError) as error:
            failures.append(Failure(info["label"], name, f"its records cannot be summarised ({error!r})"))
            continue
        runs[name] = run
        estimates |= {one.measurement.name: one for one in found}
    return ModelResult(info, runs, estimates), failures


def _are_one(one: ModelResult, other: ModelResult) -> bool:
    """Whether two results are of the same model, run in the same way: where they have the same task, by its records."""
    shared = one.tasks.keys() & other.tasks.keys()
    if shared:
        return all(one.tasks[name].key == other.tasks[name].key for name in shared)
    return all(one.info[field] == other.info[field] for field in IDENTITY)


def _merged(one: ModelResult, other: ModelResult) -> ModelResult:
    """The tasks and estimates of both."""
    return replace(one, tasks=one.tasks | other.tasks, estimates=one.estimates | other.estimates)


def _relabelled(result: ModelResult, folder: str, taken: Sequence[str]) -> ModelResult:
    """The result under a label whose file name is none of those of the labels that are taken."""
    own, names = result.info["label"], [examples_name(label) for label in taken]
    numbered = (f"{own}@{folder}-{number}" for number in count(2))
    label = next(one for one in chain((own, f"{own}@{folder}"), numbered) if examples_name(one) not in names)
    return replace(result, info={**result.info, "label": label})
