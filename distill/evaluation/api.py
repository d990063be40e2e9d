"""One model measured from Python: a path, or a model with its tokenizer, in; measurements by name out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distill.evaluation.config import EvalConfig, ScoringConfig
from distill.evaluation.measures.plan import SUMMARISE, plan, text_tasks
from distill.evaluation.scoring.model_specs import load_scorer, parse_models
from distill.evaluation.scoring.scorer import Scorer, start_token
from distill.evaluation.statistics.measurement import Measurement
from distill.evaluation.suite import needed_records
from distill.evaluation.task import Records
from distill.models.loading import check_head, check_vocabulary
from distill.settings import validate


def evaluate_model(
    model: str | Path | PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast | None = None,
    *,
    tasks: Collection[str] | None = None,
    settings: EvalConfig | Mapping[str, Any] | None = None,
) -> dict[str, Measurement]:
    """The measurements of one model, by name, each with its interval, convention and number of items.

    model: a folder, a hub name, a .gguf file or a run folder; or a causal LM of transformers, which is measured as it
    is (its device, its dtype), is left in evaluation mode and needs its `tokenizer`. settings: an `EvalConfig`, or
    nested settings as in a YAML file of configs/eval. tasks: the names of those to run, all that the settings switch
    on when None; those that they are computed from (sentiment from bold, say) must be among them. Raises ValueError
    for settings that are not known, a task that is not switched on, and with the message of the first task that fails.

        from distill.evaluation import evaluate_model
        found = evaluate_model("path/to/model", settings={"benchmarks": {"crows_pairs": "crows_pairs_anonymized.csv"}})
        print(found["crows_pairs/bias-bench/gender"].value, found["log_odds/mean_abs"].low)
    """
    config = settings if isinstance(settings, EvalConfig) else validate(EvalConfig, dict(settings or {}))
    planned, failures = plan(config)
    names = [task.name for task in planned]
    wanted = set(names if tasks is None else tasks)
    failed = {failure.task: failure.message for failure in failures}
    for name, message in failed.items():
        if tasks is None or name in wanted or (name == "text" and wanted & text_tasks(config)):
            raise ValueError(f"{name}: {message}")
    for name in sorted(wanted - set(names)):
        raise ValueError(f"{name!r} is not among the tasks that these settings switch on ({', '.join(names)})")
    for task in planned:
        need = next((name for name in task.needs if name not in wanted), None)
        if task.name in wanted and need is not None:
            raise ValueError(
                f"{task.name} is computed from the records of {need}, which is not among the tasks; add {need!r}"
            )
    scorer = _scorer(model, tokenizer, config.scoring)
    records: dict[str, Records] = {}
    found: dict[str, Measurement] = {}
    for task in planned:
        if task.name in wanted:
            work = task.prepare(scorer, *needed_records(task, records))
            records[task.name] = work.score(work.items)
            conventions = work.conventions(records[task.name])
            estimates = SUMMARISE[task.name](records[task.name], *conventions, config.statistics)
            found |= {estimate.measurement.name: estimate.measurement for estimate in estimates}
    return found


def _scorer(
    model: str | Path | PreTrainedModel, tokenizer: PreTrainedTokenizerFast | None, config: ScoringConfig
) -> Scorer:
    if isinstance(model, str | Path):
        if tokenizer is not None:
            raise ValueError("a tokenizer goes with a loaded model; the one of a path is loaded with it")
        return load_scorer(parse_models([str(model)])[0], config)
    if tokenizer is None:
        raise ValueError("a loaded model needs its tokenizer: evaluate_model(model, tokenizer)")
    check_head(model, "model")
    check_vocabulary(model, tokenizer, "model")
    model.eval()
    start_id = start_token(tokenizer, config.start_token) if config.bos else None
    return Scorer("model", model, tokenizer, start_id, config.max_batch_tokens)
