"""The outcome of an evaluation as files: results.json, one JSONL of per-example records per model, both atomic.

Schema of results.json (schema_version 2), all numbers in natural units, null where a number is not defined:

- schema_version, created (UTC), reference (label of the model that the others are compared with), config (resolved),
  config_of (null; of a comparison of earlier evaluations, whose configuration that is), config_differences (dotted
  names of the settings in which that of another one differs, and versions.NAME where the models' versions do), versions
  {evenhand, git_revision, python, torch, transformers, numpy, scipy}
- models: [{label, path, gguf_file, fingerprint, architecture, num_parameters, dtype, device, context_tokens, tokenizer,
  start_token, num_pronoun_tokens, versions, examples (name of its JSONL file), groups, tasks}], where versions are
  those that it was measured with, groups the rows of `bold.group_table` (empty without the task bold; a file of before
  may lack both), and tasks is {task: {num_items, key (of its records), conventions (what `summarise` needs to compute
  the estimates from the records), seconds}}
- measurements: [{model, name, value, low, high, standard_error, unit, num_items, num_clusters, higher_is_better,
  convention, signature, difference}], where difference is null for the reference and where the two are not
  comparable, else {value, low, high, p, p_holm, test, discordant, minimum_detectable_effect, num_clusters,
  non_inferior}: model minus reference; test is `mcnemar` for shares of single items that count or do not, else
  `permutation`; discordant: how many items count for the model only and for the reference only, null for a
  permutation test; non_inferior is null for anything but log-perplexity
- family_size: how many comparisons Holm's adjustment runs over
- failures: [{model, task, message}]

A line of the JSONL files is one record of a task: {task, key, id, ...} with the fields that the task's module
documents; those under a key that `models` does not name are of earlier evaluations. Measurements of the version before
(schema_version 1) cannot be compared again, only read.
"""

from __future__ import annotations

import json
import math
import platform
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
from distill.evaluation.records import plain, write_records
from distill.evaluation.scoring.model_specs import examples_name
from distill.evaluation.statistics.measurement import Comparison, Estimate, Measurement, adjust, compare, share_removed
from distill.evaluation.statistics.significance import non_inferior
from distill.evaluation.suite import Evaluation, ModelResult
from distill.files import git_revision, write_text
from distill.settings import to_dict

SCHEMA_VERSION = 2
SHARE_REMOVED = "log_odds/share_removed"


def summarise(evaluation: Evaluation, config: EvalConfig) -> dict[str, Any]:
    """The content of results.json: every measurement with its comparison to the reference model."""
    versions = current_versions()
    dated = [replace(result, info={"versions": versions} | result.info) for result in evaluation.results]
    evaluation = replace(evaluation, results=dated)
    comparisons = _comparisons(evaluation, config)
    measurements = []
    for result in evaluation.results:
        label = result.info["label"]
        for name, one in result.estimates.items():
            comparison = comparisons.get((label, name))
            measurements.append(_entry(result, one.measurement, len(one.clusters), comparison, config))
        removed = _share_removed(result, evaluation, config)
        if removed is not None:
            measurements.append(_entry(result, removed[0], removed[1], None, config))
    return plain(
        {
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "reference": evaluation.reference,
            "config": to_dict(config),
            "config_of": evaluation.config_of,
            "config_differences": evaluation.config_differences,
            "versions": versions,
            "models": [_model(result, config) for result in evaluation.results],
            "measurements": measurements,
            "family_size": sum(not math.isnan(comparison.p_value) for comparison in comparisons.values()),
            "failures": [asdict(failure) for failure in evaluation.failures],
        }
    )


def write(out_dir: Path, results: dict[str, Any], evaluation: Evaluation) -> None:
    """Write results.json and the per-example files into `out_dir`, each complete or not at all."""
    out_dir.mkdir(parents=True, exist_ok=True)
    for result in evaluation.results:
        tasks = {name: (run.key, run.records) for name, run in result.tasks.items()}
        label = result.info["label"]
        failed = any(failure.model == label for failure in evaluation.failures)
        write_records(out_dir, examples_name(label), tasks, keep_parts=failed)
    write_text(out_dir / "results.json", json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def signature(
    measurement: Measurement, num_clusters: int, dtype: str, config: EvalConfig, versions: dict[str, str | None]
) -> str:
    """Everything a reader needs to compute the same number again, in one string."""
    statistics = config.statistics
    interval = f"{statistics.method}{statistics.confidence:g}x{statistics.num_resamples}"
    return (
        f"{measurement.name}|{measurement.convention}|n:{measurement.num_items}|clusters:{num_clusters}"
        f"|dtype:{dtype}|interval:{interval}|seed:{statistics.seed}"
        f"|evenhand:{versions['evenhand']}+{(versions['git_revision'] or 'release')[:12]}"
    )


def _comparisons(evaluation: Evaluation, config: EvalConfig) -> dict[tuple[str, str], Comparison]:
    """Every comparable measurement of every model but the reference, Holm-adjusted as one family."""
    reference = _reference(evaluation)
    if reference is None:
        return {}
    found: dict[tuple[str, str], Comparison] = {}
    for result in evaluation.results:
        if result is reference:
            continue
        for name, one in result.estimates.items():
            other = reference.estimates.get(name)
            if other is not None and _comparable(one, other):
                found[result.info["label"], name] = compare(one, other, config.statistics)
    return dict(zip(found, adjust(list(found.values())), strict=True))


def _comparable(one: Estimate, other: Estimate) -> bool:
    return one.measurement.convention == other.measurement.convention and one.clusters == other.clusters


def _share_removed(result: ModelResult, evaluation: Evaluation, config: EvalConfig) -> tuple[Measurement, int] | None:
    """1 - mean |log-odds| / the reference's, for every other model that can be compared."""
    reference = _reference(evaluation)
    if reference is None or result is reference:
        return None
    one, other = result.estimates.get(MEAN_ABS), reference.estimates.get(MEAN_ABS)
    if one is None or other is None or not _comparable(one, other):
        return None
    interval = share_removed(one, other, config.statistics)
    convention = f"1-ratio-of-{MEAN_ABS}|reference:{evaluation.reference}|{one.measurement.convention}"
    measurement = Measurement(
        SHARE_REMOVED,
        interval.value,
        interval.low,
        interval.high,
        "proportion",
        one.measurement.num_items,
        True,
        convention,
        interval.standard_error,
    )
    return measurement, len(one.clusters)


def _reference(evaluation: Evaluation) -> ModelResult | None:
    return next((result for result in evaluation.results if result.info["label"] == evaluation.reference), None)


def _entry(
    result: ModelResult,
    measurement: Measurement,
    num_clusters: int,
    comparison: Comparison | None,
    config: EvalConfig,
) -> dict[str, Any]:
    return {
        "model": result.info["label"],
        **asdict(measurement),
        "num_clusters": num_clusters,
        "signature": signature(measurement, num_clusters, result.info["dtype"], config, result.info["versions"]),
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
        "test": "permutation" if comparison.discordant is None else "mcnemar",
        "discordant": comparison.discordant,
        "minimum_detectable_effect": comparison.minimum_detectable_effect,
        "num_clusters": comparison.num_clusters,
        "non_inferior": non_inferior(comparison.difference, margin) if name == LOG_PERPLEXITY else None,
    }


def _model(result: ModelResult, config: EvalConfig) -> dict[str, Any]:
    tasks = {
        name: {
            "num_items": len(run.records),
            "key": run.key,
            "conventions": run.conventions,
            "seconds": round(run.seconds, 1),
        }
        for name, run in result.tasks.items()
    }
    examples = f"{examples_name(result.info['label'])}.jsonl"
    groups = group_table(result.tasks["bold"].records, config.statistics) if "bold" in result.tasks else []
    return {**result.info, "examples": examples, "groups": groups, "tasks": tasks}


def current_versions() -> dict[str, str | None]:
    return {
        "evenhand": distill.__version__,
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
    }
