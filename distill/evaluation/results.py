"""results.json: its content, how it is written, and how it is read again.

schema_version 2. All numbers are in natural units, and null where they are not defined.

- schema_version; created (UTC); reference: the label of the model that the others are compared with
- config: the resolved configuration. A comparison of earlier evaluations has the configuration of one of them; then
  config_of says which, and config_differences lists the dotted names of settings in which others differ (versions.NAME
  for versions). Otherwise config_of is null and config_differences is empty.
- versions: {evenhand, git_revision, python, torch, transformers, numpy, scipy}
- models: [{label, path, gguf_file, fingerprint, architecture, num_parameters, num_predicted_ids, dtype, device,
  context_tokens, tokenizer, start_token, num_pronoun_tokens, versions, examples, groups, tasks}]
    - num_predicted_ids: how many token ids the model predicts over. Older files lack it.
    - versions: those that the model was measured with; groups: the rows of `bold.group_table`, empty without the task
      bold. Older files may lack both.
    - examples: the name of the file with its per-example records
    - tasks: {task: {num_items, key (of its records), conventions (which `summarise` needs besides the records),
      seconds}}
- measurements: [{model, name, value, low, high, standard_error, unit, num_items, num_clusters, higher_is_better,
  convention, signature, difference}]
    - difference: model minus reference, as {value, low, high, p, p_holm, test, discordant, minimum_detectable_effect,
      num_clusters, non_inferior}; null for the reference, and where the two cannot be compared
    - test: `mcnemar` for shares of single items that count or do not, `student` for means over draws, otherwise
      `permutation`
    - discordant: how many items count for the model only and for the reference only; null for a permutation test
    - non_inferior: null except for log-perplexity
- family_size: the number of comparisons in Holm's adjustment
- failures: [{model, task, message}]

The per-example records are described in records.py; each measure's module documents the fields of its own. Files of
schema_version 1 can be read by people, but not compared again.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import scipy
import torch
import transformers

import distill
from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.continuations.bold import group_table
from distill.evaluation.measures.log_odds import MEAN_ABS
from distill.evaluation.measures.perplexity import LOG_PERPLEXITY
from distill.evaluation.records import plain, read_records, write_records
from distill.evaluation.scoring.model_specs import examples_name
from distill.evaluation.statistics.measurement import Comparison, Estimate, Measurement, adjust, compare, share_removed
from distill.evaluation.statistics.significance import non_inferior
from distill.evaluation.suite import Evaluation, ModelResult
from distill.evaluation.task import Records
from distill.files import git_revision, write_text
from distill.settings import to_dict

SCHEMA_VERSION = 2
SHARE_REMOVED = "log_odds/share_removed"
FIELDS = {"created", "reference", "config", "versions", "models", "measurements", "failures"}  # of every results.json


def summarise(evaluation: Evaluation, config: EvalConfig) -> dict[str, Any]:
    """The content of results.json: every measurement with its comparison with the reference model."""
    versions = current_versions()
    models = [replace(model, info={"versions": versions} | model.info) for model in evaluation.results]
    reference = next((model for model in models if model.info["label"] == evaluation.reference), None)
    comparisons = _comparisons(models, reference, config)
    measurements = []
    for model in models:
        for name, estimate in model.estimates.items():
            comparison = comparisons.get((model.info["label"], name))
            measurements.append(_entry(model, estimate.measurement, len(estimate.clusters), comparison, config))
        if reference is not None and model is not reference:
            measurements += _share_removed(model, reference, config)
    return plain(
        {
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "reference": evaluation.reference,
            "config": to_dict(config),
            "config_of": evaluation.config_of,
            "config_differences": evaluation.config_differences,
            "versions": versions,
            "models": [_model(model, config) for model in models],
            "measurements": measurements,
            "family_size": sum(not math.isnan(comparison.p_value) for comparison in comparisons.values()),
            "failures": [asdict(failure) for failure in evaluation.failures],
        }
    )


def write(out_dir: Path, results: dict[str, Any], evaluation: Evaluation) -> None:
    """Write results.json and the per-example files into `out_dir`, each complete or not at all."""
    out_dir.mkdir(parents=True, exist_ok=True)
    for model in evaluation.results:
        tasks = {name: (run.key, run.records) for name, run in model.tasks.items()}
        label = model.info["label"]
        failed = any(failure.model == label for failure in evaluation.failures)
        write_records(out_dir, examples_name(label), tasks, keep_parts=failed)
    write_text(out_dir / "results.json", json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_results(path: Path) -> dict[str, Any]:
    """The content of a results.json. Raises FileNotFoundError, or ValueError for a different file or version."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        version, lacking = results["schema_version"], sorted(FIELDS - results.keys())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist; give a results.json of `evenhand eval`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a results.json of `evenhand eval` ({error!r})") from error
    if lacking:
        raise ValueError(f"{path} is not a results.json of `evenhand eval`: it has no {', '.join(lacking)}")
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema_version {version}, and this version reads {SCHEMA_VERSION}; evaluate again (this uses "
            "its records where it can)"
        )
    return results


def model_records(model: dict[str, Any], folder: Path) -> dict[str, Records]:
    """The records of each task of a model of the results.json in `folder`.

    Raises FileNotFoundError if the file of the records is missing, ValueError if it holds more or fewer records than
    results.json was made from.
    """
    path = folder / model["examples"]
    by_task = read_records(path, {name: task["key"] for name, task in model["tasks"].items()})
    for name, task in model["tasks"].items():
        num_records = len(by_task.get(name, []))
        if num_records != task["num_items"]:
            raise ValueError(
                f"{path} holds {num_records} records of {name}, but results.json was made from {task['num_items']}; "
                "the two files are not of the same evaluation"
            )
    return {name: by_task.get(name, []) for name in model["tasks"]}


def signature(
    measurement: Measurement, num_clusters: int, dtype: str, config: EvalConfig, versions: dict[str, str | None]
) -> str:
    """Everything that a reader needs to compute the number again, in one string."""
    statistics = config.statistics
    interval = f"{statistics.method}{statistics.confidence:g}x{statistics.num_resamples}"
    return (
        f"{measurement.name}|{measurement.convention}|n:{measurement.num_items}|clusters:{num_clusters}"
        f"|dtype:{dtype}|interval:{interval}|seed:{statistics.seed}"
        f"|evenhand:{versions['evenhand']}+{(versions['git_revision'] or 'release')[:12]}"
    )


def current_versions() -> dict[str, str | None]:
    """The versions that the numbers may depend on."""
    return {
        "evenhand": distill.__version__,
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
    }


def _comparisons(
    models: Sequence[ModelResult], reference: ModelResult | None, config: EvalConfig
) -> dict[tuple[str, str], Comparison]:
    """By model label and measurement name: every comparison with the reference, Holm-adjusted as one family."""
    comparisons: dict[tuple[str, str], Comparison] = {}
    for model in models:
        if reference is None or model is reference:
            continue
        for name, estimate in model.estimates.items():
            other = reference.estimates.get(name)
            if other is not None and _comparable(estimate, other):
                comparisons[model.info["label"], name] = compare(estimate, other, config.statistics)
    return dict(zip(comparisons, adjust(list(comparisons.values())), strict=True))


def _comparable(first: Estimate, second: Estimate) -> bool:
    return first.measurement.convention == second.measurement.convention and first.clusters == second.clusters


def _share_removed(model: ModelResult, reference: ModelResult, config: EvalConfig) -> list[dict[str, Any]]:
    """The entry of 1 - mean |log-odds| / that of the reference; none if the two cannot be compared."""
    own, other = model.estimates.get(MEAN_ABS), reference.estimates.get(MEAN_ABS)
    if own is None or other is None or not _comparable(own, other):
        return []
    interval = share_removed(own, other, config.statistics)
    measurement = Measurement(
        SHARE_REMOVED,
        interval.value,
        interval.low,
        interval.high,
        "proportion",
        own.measurement.num_items,
        True,
        f"1-ratio-of-{MEAN_ABS}|reference:{reference.info['label']}|{own.measurement.convention}",
        interval.standard_error,
    )
    return [_entry(model, measurement, len(own.clusters), None, config)]


def _entry(
    model: ModelResult, measurement: Measurement, num_clusters: int, comparison: Comparison | None, config: EvalConfig
) -> dict[str, Any]:
    return {
        "model": model.info["label"],
        **asdict(measurement),
        "num_clusters": num_clusters,
        "signature": signature(measurement, num_clusters, model.info["dtype"], config, model.info["versions"]),
        "difference": None if comparison is None else _difference(measurement.name, comparison, config),
    }


def _difference(name: str, comparison: Comparison, config: EvalConfig) -> dict[str, Any]:
    margin = config.statistics.non_inferiority_margin
    return {
        "value": comparison.difference.value,
        "low": comparison.difference.low,
        "high": comparison.difference.high,
        "p": comparison.p_value,
        "p_holm": comparison.p_holm,
        "test": comparison.test,
        "discordant": comparison.discordant,
        "minimum_detectable_effect": comparison.minimum_detectable_effect,
        "num_clusters": comparison.num_clusters,
        "non_inferior": non_inferior(comparison.difference, margin) if name == LOG_PERPLEXITY else None,
    }


def _model(model: ModelResult, config: EvalConfig) -> dict[str, Any]:
    tasks = {
        name: {
            "num_items": len(run.records),
            "key": run.key,
            "conventions": run.conventions,
            "seconds": round(run.seconds, 1),
        }
        for name, run in model.tasks.items()
    }
    examples = f"{examples_name(model.info['label'])}.jsonl"
    groups = group_table(model.tasks["bold"].records, config.statistics) if "bold" in model.tasks else []
    return {**model.info, "examples": examples, "groups": groups, "tasks": tasks}
