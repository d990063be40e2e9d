"""The suite: models and a configuration in; per-example records, estimates and failures out.

A task that cannot be set up, or that fails on one model, and a model that cannot be loaded are reported, and everything
else goes on; what models and libraries raise may be of any type. The items of a task are scored in chunks, which do not
depend on how many processes share them nor on where an earlier run was interrupted: neither changes any number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import distill
from distill.evaluation.config import EvalConfig, ScoringConfig
from distill.evaluation.measures.log_odds import PRONOUNS
from distill.evaluation.measures.plan import SUMMARISE, plan, tokenizer_hash
from distill.evaluation.processes import Processes, current_processes, message_of
from distill.evaluation.progress import Progress
from distill.evaluation.records import PartFile, merged, plain, read_examples, record_key
from distill.evaluation.scoring.model_specs import ModelSpec, examples_name, load_scorer
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import num_continuation_tokens
from distill.evaluation.statistics.measurement import Estimate
from distill.evaluation.task import Failure, Records, Task, Work
from distill.models.loading import model_fingerprint, num_parameters

PASSES_PER_CHUNK = 4  # enough to sort items by length, few enough for processes to share a task evenly


@dataclass(frozen=True)
class TaskRun:
    """A task on one model: its records in the order of the items, the key under which they are kept, the conventions
    that `summarise` takes, and the seconds that scoring took (0 when all records were there)."""

    records: Records
    key: str
    conventions: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class ModelResult:
    """All about one model: what it is, its tasks by name, and its estimates by name."""

    info: dict[str, Any]
    tasks: dict[str, TaskRun]
    estimates: dict[str, Estimate]


@dataclass(frozen=True)
class Evaluation:
    """The outcome of the suite. reference: the label of the first model named, whether or not it could be loaded.

    config_of: of evaluations that were made before, whose configuration is given. config_differences: the settings in
    which that of another one differs.
    """

    reference: str
    results: list[ModelResult]
    failures: list[Failure]
    config_of: str | None = None
    config_differences: tuple[str, ...] = ()


def evaluate(specs: Sequence[ModelSpec], config: EvalConfig, folder: Path | None = None) -> Evaluation:
    """Run every task of the configuration on every model, with progress and the time left on stderr.

    folder: where records are kept as they come, and used again if they are there; None keeps and uses none. With
    several processes each scores its share and all return the same records, but only the main one the estimates.
    """
    processes = current_processes()
    tasks, failures = agreed(*plan(config), processes)
    results = []
    with Progress(tasks, len(specs), processes) as progress:
        for spec in specs:
            progress.start_model(spec.label)
            scorer, info, errors = None, {}, []
            try:
                scorer = load_scorer(spec, config.scoring)
                info = _describe(spec, scorer, config)
            except Exception as error:
                errors.append(message_of(error))
            errors = [message for found in processes.gather(errors) for message in found]
            if scorer is None or errors:
                failures.append(Failure(spec.label, None, errors[0]))
                progress.skip_model()
                continue
            result, failed = _run_tasks(spec, scorer, info, tasks, config, folder, processes, progress)
            results.append(result)
            failures += failed
    return Evaluation(specs[0].label, results, failures)


def agreed(
    tasks: Sequence[Task], failures: Sequence[Failure], processes: Processes
) -> tuple[list[Task], list[Failure]]:
    """The tasks that all processes have, of the same data, and the failures of any: a file may miss on one machine."""
    plans = processes.gather(({task.name: task.key for task in tasks}, failures))
    told = list(dict.fromkeys(failure for _, found in plans for failure in found))
    kept = []
    for task in tasks:
        keys = [found.get(task.name) for found, _ in plans]
        if set(keys) == {task.key}:
            kept.append(task)
        elif None not in keys:
            told.append(Failure(None, task.name, "the processes read different data; give all machines the same files"))
    return kept, told


def needed_records(task: Task, records: Mapping[str, Records]) -> list[Records]:
    """The records of the tasks that a task needs. Raises ValueError when one of them failed."""
    for name in task.needs:
        if name not in records:
            raise ValueError(f"{task.name} is computed from the records of {name}, which failed; see its message")
    return [records[name] for name in task.needs]


def score_items(
    work: Work, chunk: int, known: Mapping[str, dict[str, Any]], processes: Processes, keep: Callable[[Records], None]
) -> Records:
    """The record of every item, in order: those known, and the others scored in chunks by all processes.

    chunk: how many items are scored at once, where they need not all be. keep: called with the records of each chunk
    that this process has scored. Raises ValueError, on every process, with the message of the first chunk that failed.
    """
    size = chunk if work.divisible else max(1, len(work.ids))
    parts = [slice(start, start + size) for start in range(0, len(work.ids), size)]
    missing = [part for part in parts if not all(name in known for name in work.ids[part])]
    mine: Records = []
    failed: tuple[int, str] | None = None
    for number, part in enumerate(missing):
        if work.divisible and number % processes.count != processes.index:
            continue
        try:
            records = [plain(record) for record in work.score(work.items[part])]
            if work.divisible or processes.is_main:
                keep(records)
        except Exception as error:
            failed = number, message_of(error)
            break
        mine += records
    everything = processes.gather((mine, failed))
    failures = [failure for _, failure in everything if failure is not None]
    if failures:
        raise ValueError(min(failures)[1])
    found = {**known} | {record["id"]: record for records, _ in everything for record in records}
    return [found[name] for name in work.ids]


def chunk_size(task: Task, max_batch_tokens: int) -> int:
    """How many items of a task fill PASSES_PER_CHUNK forward passes, at least one."""
    return max(1, PASSES_PER_CHUNK * max_batch_tokens * task.num_items // max(1, task.num_tokens))


def model_key(fingerprint: str, spec: ModelSpec, scorer: Scorer, scoring: ScoringConfig) -> str:
    """What identifies a model, with its fingerprint, and how it is run; batches and devices change no score."""
    return record_key(
        distill.__version__,
        fingerprint,
        spec.gguf_file,
        tokenizer_hash(scorer),
        scorer.start_id,
        scoring.dtype,
    )


def _run_tasks(
    spec: ModelSpec,
    scorer: Scorer,
    info: dict[str, Any],
    tasks: Sequence[Task],
    config: EvalConfig,
    folder: Path | None,
    processes: Processes,
    progress: Progress,
) -> tuple[ModelResult, list[Failure]]:
    name, model = examples_name(spec.label), model_key(info["fingerprint"], spec, scorer, config.scoring)
    # gathered, since folders that processes do not share hold different records; nobody writes before all have read
    known = merged(processes.gather(read_examples(folder, name) if folder else {}))
    part = PartFile(folder, name, processes.index) if folder else None
    runs: dict[str, TaskRun] = {}
    estimates: dict[str, Estimate] = {}
    failures = []
    for task in tasks:
        key = record_key(model, task.key, *(runs[need].key for need in task.needs if need in runs))
        try:
            run = _run_task(task, key, scorer, runs, known.get(key, {}), processes, part, progress)
        except Exception as error:
            failures.append(Failure(spec.label, task.name, message_of(error)))
            progress.end_task(task, None)
            continue
        runs[task.name] = run
        progress.end_task(task, run.seconds)
        if processes.is_main:
            try:
                found = SUMMARISE[task.name](run.records, *run.conventions, config.statistics)
                estimates |= {one.measurement.name: one for one in found}
            except Exception as error:
                failures.append(Failure(spec.label, task.name, message_of(error)))
    return ModelResult(info, runs, estimates), failures


def _run_task(
    task: Task,
    key: str,
    scorer: Scorer,
    runs: Mapping[str, TaskRun],
    known: Mapping[str, dict[str, Any]],
    processes: Processes,
    part: PartFile | None,
    progress: Progress,
) -> TaskRun:
    progress.start_task(task)
    started = time.perf_counter()
    work = _prepare(task, scorer, runs, processes)
    num_known = sum(name in known for name in work.ids)

    def keep(records: Records) -> None:
        if part is not None:
            part.append(task.name, key, records)
        progress.advance(task, len(records) / max(1, len(work.ids)))

    progress.advance(task, num_known / max(1, len(work.ids)) / processes.count)
    records = score_items(work, work.chunk or chunk_size(task, scorer.max_batch_tokens), known, processes, keep)
    seconds = time.perf_counter() - started if num_known < len(work.ids) else 0.0
    return TaskRun(records, key, work.conventions(records), seconds)


def _prepare(task: Task, scorer: Scorer, runs: Mapping[str, TaskRun], processes: Processes) -> Work:
    """The task's work on this model. Raises ValueError on every process when it fails on one."""
    work, message = None, None
    try:
        needed = needed_records(task, {name: run.records for name, run in runs.items()})
        work = task.prepare(scorer, *needed)
        if not work.divisible:  # then the processes share every forward pass instead
            work = task.prepare(replace(scorer, processes=processes), *needed)
    except Exception as error:
        message = message_of(error)
    messages = [found for found in processes.gather(message) if found is not None]
    if work is None or messages:
        raise ValueError(messages[0])
    return work


def _describe(spec: ModelSpec, scorer: Scorer, config: EvalConfig) -> dict[str, Any]:
    """What is reported about a model. Raises ValueError when its tokenizer has no token for a pronoun."""
    return {
        "label": spec.label,
        "path": spec.path,
        "gguf_file": spec.gguf_file,
        "fingerprint": model_fingerprint(spec.path, scorer.model, spec.gguf_file),
        "architecture": type(scorer.model).__name__,
        "num_parameters": num_parameters(scorer.model),
        "dtype": config.scoring.dtype,
        "device": str(scorer.model.device),
        "context_tokens": scorer.context,
        "tokenizer": tokenizer_hash(scorer),
        "start_token": None if scorer.start_id is None else scorer.tokenizer.convert_ids_to_tokens(scorer.start_id),
        "num_pronoun_tokens": [num_continuation_tokens(scorer, "The nurse said that", p) for p in PRONOUNS],
    }
