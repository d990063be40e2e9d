"""The suite: models and a configuration in; per-example records, estimates and failures out.

A task that cannot be set up, or that fails on one model, and a model that cannot be loaded are reported, and everything
else goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError
from tqdm.auto import tqdm

from distill.evaluation.config import EvalConfig
from distill.evaluation.log_odds import PRONOUNS
from distill.evaluation.measurement import Estimate
from distill.evaluation.model_specs import ModelSpec, load_scorer
from distill.evaluation.scoring import Scorer, num_continuation_tokens
from distill.evaluation.task import Failure, Records, Task
from distill.evaluation.tasks import SUMMARISE, message_of, plan, tokenizer_hash
from distill.models import model_fingerprint, num_parameters


@dataclass(frozen=True)
class ModelResult:
    """All about one model: what it is, its records by task, and its estimates by name."""

    info: dict[str, Any]
    records: dict[str, Records]
    estimates: dict[str, Estimate]


@dataclass(frozen=True)
class Evaluation:
    """The outcome of the suite. reference: the label of the first model named, whether or not it could be loaded."""

    reference: str
    results: list[ModelResult]
    failures: list[Failure]


def evaluate(specs: Sequence[ModelSpec], config: EvalConfig) -> Evaluation:
    """Run every task of the configuration on every model, with a progress bar."""
    tasks, failures = plan(config)
    results = []
    with tqdm(total=len(specs) * (1 + len(tasks)), unit="task", disable=None) as bar:
        for spec in specs:
            bar.set_description(f"{spec.label}: loading")
            try:
                scorer = load_scorer(spec, config.scoring)
            except (ValueError, OSError, RuntimeError, SafetensorError) as error:
                failures.append(Failure(spec.label, None, message_of(error)))
                bar.update(1 + len(tasks))
                continue
            bar.update()
            records: dict[str, Records] = {}
            estimates: dict[str, Estimate] = {}
            for task in tasks:
                bar.set_description(f"{spec.label}: {task.name}")
                try:
                    work = task.prepare(scorer, *needed_records(task, records))
                    records[task.name] = work.score(work.items)
                    conventions = work.conventions(records[task.name])
                    found = SUMMARISE[task.name](records[task.name], *conventions, config.statistics)
                except (ValueError, OSError, RuntimeError) as error:
                    failures.append(Failure(spec.label, task.name, message_of(error)))
                else:
                    estimates |= {one.measurement.name: one for one in found}
                bar.update()
            results.append(ModelResult(_describe(spec, scorer, config), records, estimates))
    return Evaluation(specs[0].label, results, failures)


def needed_records(task: Task, records: Mapping[str, Records]) -> list[Records]:
    """The records of the tasks that a task needs. Raises ValueError when one of them failed."""
    for name in task.needs:
        if name not in records:
            raise ValueError(f"{task.name} is computed from the records of {name}, which failed; see its message")
    return [records[name] for name in task.needs]


def _describe(spec: ModelSpec, scorer: Scorer, config: EvalConfig) -> dict[str, Any]:
    return {
        "label": spec.label,
        "path": spec.path,
        "gguf_file": spec.gguf_file,
        "fingerprint": model_fingerprint(spec.path, scorer.model),
        "architecture": type(scorer.model).__name__,
        "num_parameters": num_parameters(scorer.model),
        "dtype": config.scoring.dtype,
        "device": str(scorer.model.device),
        "context_tokens": scorer.context,
        "tokenizer": tokenizer_hash(scorer),
        "start_token": None if scorer.start_id is None else scorer.tokenizer.convert_ids_to_tokens(scorer.start_id),
        "num_pronoun_tokens": [num_continuation_tokens(scorer, "The nurse said that", p) for p in PRONOUNS],
    }
