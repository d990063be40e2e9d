"""Measure one model from Python: `evaluate_model` takes a path or a loaded model and returns measurements by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distill.evaluation.config import EvalConfig, ScoringConfig
from distill.evaluation.measures.all_measures import MEASURES, plan_tasks, text_measures
from distill.evaluation.scoring.model_specs import load_scorer, parse_models
from distill.evaluation.scoring.scorer import Scorer, start_token
from distill.evaluation.statistics.measurement import Measurement
from distill.evaluation.suite import needed_records
from distill.evaluation.task import Records, Task
from distill.models.checks import check_causal_lm
from distill.models.loading import check_vocabulary
from distill.settings import validate


def evaluate_model(
    model: str | Path | PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast | None = None,
    *,
    tasks: Collection[str] | None = None,
    settings: EvalConfig | Mapping[str, Any] | None = None,
) -> dict[str, Measurement]:
    """The measurements of one model, by name, each with its interval, convention and number of items.

    model: a folder, a hub name, a .gguf file or a run folder. It may also be a loaded causal LM of transformers, with
    its `tokenizer`. A loaded model is measured on its device and in its dtype, and is left in evaluation mode.
    settings: an `EvalConfig`, or nested settings as in a YAML file of configs/eval. tasks: the names of the tasks to
    run; by default all that the settings switch on. If a task is computed from another one's records (sentiment from
    bold, for example), name both. Raises ValueError for unknown settings, for a task that is not switched on, and with
    the message of the first task that fails.

        from distill.evaluation import evaluate_model
        settings = {"benchmarks": {"crows_pairs": "crows_pairs_anonymized.csv"}}
        measured = evaluate_model("path/to/model", settings=settings)
        print(measured["crows_pairs/bias-bench/gender"].value, measured["log_odds/mean_abs"].low)
    """
    config = settings if isinstance(settings, EvalConfig) else validate(EvalConfig, dict(settings or {}))
    chosen = _chosen_tasks(config, tasks)
    scorer = _scorer(model, tokenizer, config.scoring)
    records: dict[str, Records] = {}
    measurements: dict[str, Measurement] = {}
    for task in chosen:
        if scorer.is_classifier and not task.reads_classifiers:
            continue
        work = task.prepare(scorer, *needed_records(task, records))
        records[task.name] = work.score(work.items)
        conventions = work.conventions(records[task.name])
        estimates = MEASURES[task.name].summarise(records[task.name], *conventions, config.statistics)
        measurements |= {estimate.measurement.name: estimate.measurement for estimate in estimates}
    return measurements


def _chosen_tasks(config: EvalConfig, wanted: Collection[str] | None) -> list[Task]:
    """The planned tasks that are wanted, or all if `wanted` is None. Raises ValueError if one of them is missing."""
    planned, failures = plan_tasks(config)
    names = [task.name for task in planned]
    if wanted is None:
        wanted = {*names, *(failure.task for failure in failures if failure.task is not None)}
    for failure in failures:
        needs_text = failure.task == "text" and text_measures(config) & set(wanted)
        if failure.task in wanted or needs_text:
            raise ValueError(f"{failure.task}: {failure.message}")
    for name in sorted(set(wanted) - set(names)):
        raise ValueError(f"{name!r} is not among the tasks that these settings switch on ({', '.join(names)})")
    chosen = [task for task in planned if task.name in wanted]
    for task in chosen:
        for need in task.needs:
            if need not in wanted:
                raise ValueError(
                    f"{task.name} is computed from the records of {need}, which is not among the tasks; add {need!r}"
                )
    return chosen


def _scorer(
    model: str | Path | PreTrainedModel, tokenizer: PreTrainedTokenizerFast | None, config: ScoringConfig
) -> Scorer:
    if isinstance(model, str | Path):
        if tokenizer is not None:
            raise ValueError(
                f"tokenizer is given, but model is a path ({model}), whose own tokenizer is loaded; leave tokenizer out"
            )
        return load_scorer(parse_models([str(model)])[0], config)
    if tokenizer is None:
        raise ValueError("a loaded model needs its tokenizer: evaluate_model(model, tokenizer)")
    check_causal_lm(model, "model")
    check_vocabulary(model, tokenizer, "model")
    model.eval()
    start_id = start_token(tokenizer, config.start_token) if config.bos else None
    return Scorer("model", model, tokenizer, start_id, config.max_batch_tokens)
