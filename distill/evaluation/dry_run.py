"""What an evaluation would do: tables of its tasks, and of its models with the time to expect.

Every model is loaded and timed for a few seconds. Tasks that need no records of other tasks are prepared, so a dry run
also reports what cannot be measured.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.markup import escape
from rich.table import Table

from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.processes import message_of
from distill.evaluation.progress import duration
from distill.evaluation.records import Known, read_known, record_key
from distill.evaluation.scoring.generation import sample
from distill.evaluation.scoring.logprobs import Row, score_rows
from distill.evaluation.scoring.model_specs import ModelSpec, examples_name, load_scorer
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.suite import model_key
from distill.evaluation.task import Failure, Task
from distill.models.identity import model_fingerprint
from distill.models.sizes import num_parameters

PROBE_ROW_TOKENS = 32
PROBE_NEW_TOKENS = 8
PROBE_TOKENS_PER_SAMPLE = 128  # about a prompt and 100 new tokens


@dataclass(frozen=True)
class Rates:
    """Tokens per second that a model reads and samples. sampled: None if it need not sample."""

    read: float
    sampled: float | None

    def seconds(self, task: Task) -> float:
        """How long a task takes at most; continuations may end early."""
        sampling = 0.0 if self.sampled is None else task.num_new_tokens / self.sampled
        return task.num_tokens / self.read + sampling


def dry_run(
    specs: Sequence[ModelSpec], config: EvalConfig, folder: Path | None, num_processes: int
) -> tuple[list[Table], list[Failure]]:
    """A table of the tasks, one of the models with the time to expect, and what could not be set up."""
    tasks, failures = plan_tasks(config)
    models = _table("model", ("parameters", "reads tok/s", "samples tok/s", "done", "time at most"))
    for spec in specs:
        try:
            scorer = load_scorer(spec, config.scoring)
            own = [task for task in tasks if task.reads_classifiers or not scorer.is_classifier]
            rates = measure_rates(scorer, any(task.num_new_tokens for task in own))
        except Exception as error:
            failures.append(Failure(spec.label, None, message_of(error)))
            continue
        known = read_known(folder, examples_name(spec.label)) if folder else {}
        fingerprint = model_fingerprint(spec.path, scorer.model, spec.gguf_file)
        shares, failed = _shares_done(own, known, scorer, model_key(fingerprint, spec, scorer, config.scoring))
        failures += failed
        seconds = sum(rates.seconds(task) * (1 - share) for task, share in shares)
        total = sum(rates.seconds(task) for task, _ in shares)
        models.add_row(
            escape(spec.label),
            f"{num_parameters(scorer.model):,}",
            f"{rates.read:,.0f}",
            "–" if rates.sampled is None else f"{rates.sampled:,.0f}",
            f"{1 - seconds / total if total else 0:.0%}",
            duration(seconds / num_processes),
        )
    return [_task_table(tasks), models], failures


def measure_rates(scorer: Scorer, samples: bool) -> Rates:
    """Time how fast the model reads one batch and, if `samples`, samples a few tokens for as many rows as fit."""
    rng = np.random.default_rng(0)
    length = min(PROBE_ROW_TOKENS, (scorer.context or PROBE_ROW_TOKENS) - 1)
    num_rows = max(1, scorer.max_batch_tokens // length)
    ids = rng.integers(len(scorer.tokenizer), size=(num_rows, length)).tolist()
    rows = [Row(row[:-1], range(length - 1), row[1:]) for row in ids]
    _read(scorer, rows[:1])  # warm up
    started = time.perf_counter()
    _read(scorer, rows)
    read = num_rows * length / (time.perf_counter() - started)
    if not samples:
        return Rates(read, None)
    num_samples = max(1, scorer.max_batch_tokens // PROBE_TOKENS_PER_SAMPLE)
    new_tokens = min(PROBE_NEW_TOKENS, (scorer.context or PROBE_NEW_TOKENS) // 2)
    started = time.perf_counter()
    sample(scorer, [("probe", "The")], num_samples=num_samples, max_new_tokens=new_tokens, top_p=0.9, seed=0)
    return Rates(read, num_samples * new_tokens / (time.perf_counter() - started))


def _read(scorer: Scorer, rows: Sequence[Row]) -> None:
    if not scorer.is_classifier:
        score_rows(scorer, rows)
        return
    with torch.inference_mode():
        for row in rows:
            scorer.model(input_ids=torch.tensor([row.input_ids], device=scorer.model.device))


def _shares_done(
    tasks: Sequence[Task], known: Known, scorer: Scorer, model: str
) -> tuple[list[tuple[Task, float]], list[Failure]]:
    """Each task with the proportion of its items whose records are known, and the tasks that cannot be prepared.

    model: its `model_key`. If a task needs the records of others, its items are unknown until those are scored, so
    their number is an estimate.
    """
    keys: dict[str, str] = {}
    shares, failures = [], []
    for task in tasks:
        keys[task.name] = record_key(model, task.key, *(keys[need] for need in task.needs if need in keys))
        records = known.get(keys[task.name], {})
        if task.needs:
            shares.append((task, min(1.0, len(records) / max(1, task.num_items))))
            continue
        try:
            ids = task.prepare(scorer).ids
        except Exception as error:
            failures.append(Failure(scorer.label, task.name, message_of(error)))
            continue
        shares.append((task, sum(name in records for name in ids) / len(ids) if ids else 1.0))
    return shares, failures


def _task_table(tasks: Sequence[Task]) -> Table:
    table = _table("task", ("items", "about tokens", "sampled at most"))
    for task in tasks:
        sampled = f"{task.num_new_tokens:,}" if task.num_new_tokens else "–"
        table.add_row(task.name, f"{task.num_items:,}", f"{task.num_tokens:,}", sampled)
    return table


def _table(first: str, columns: Sequence[str]) -> Table:
    table = Table(first, box=None, padding=(0, 1), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right")
    return table
