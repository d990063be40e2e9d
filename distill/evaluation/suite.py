"""Run the tasks of a configuration on several models: records, estimates, and what could not be measured.

If a task cannot be planned, or fails on a model, or a model cannot be loaded, that is reported, and everything else is
still measured. Models and libraries may raise errors of any type. The items of a task are scored in chunks. The chunks
depend neither on how many processes share them nor on where an earlier run was interrupted, so neither changes any
number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import distill
from distill.evaluation.config import EvalConfig, ScoringConfig
from distill.evaluation.measures.all_measures import MEASURES, plan_tasks
from distill.evaluation.measures.log_odds import PRONOUNS
from distill.evaluation.processes import Processes, current_processes, message_of
from distill.evaluation.progress import ProgressBar
from distill.evaluation.records import PartFile, merged, plain, read_known, record_key
from distill.evaluation.scoring.model_specs import ModelSpec, examples_name, load_scorer
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import num_continuation_tokens
from distill.evaluation.statistics.measurement import Estimate
from distill.evaluation.task import Failure, Records, Task, Work, tokenizer_hash
from distill.loss.matmul import exact_float32
from distill.models.identity import model_fingerprint
from distill.models.sizes import num_parameters, num_predicted_ids

NO_MEASURE = "it is a text classifier, and no measure that is switched on reads one; see --config classifiers"
PASSES_PER_CHUNK = 4  # enough to sort items by length, few enough for processes to share a task evenly


@dataclass(frozen=True)
class TaskRun:
    """A task on one model.

    records: in the order of the items. key: the key of the records on disk. conventions: what `summarise` takes after
    the records. seconds: of scoring; 0 when all records were known.
    """

    records: Records
    key: str
    conventions: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class ModelResult:
    """The results of one model. info: what the report says about it. tasks, estimates: by name."""

    info: dict[str, Any]
    tasks: dict[str, TaskRun]
    estimates: dict[str, Estimate]


@dataclass(frozen=True)
class Evaluation:
    """The outcome of the suite. reference: the label of the first model named, whether or not it could be loaded.

    For a comparison of earlier evaluations, config_of says whose configuration is given, and config_differences names
    the settings in which another one differs.
    """

    reference: str
    results: list[ModelResult]
    failures: list[Failure]
    config_of: str | None = None
    config_differences: tuple[str, ...] = ()


def evaluate(specs: Sequence[ModelSpec], config: EvalConfig, folder: Path | None = None) -> Evaluation:
    """Run every task of the configuration on every model, with progress and the time left on stderr.

    folder: records are written there as they come, and those that it already holds are used again; None does neither.
    With several processes each scores its share and all return the same records, but only the main one has estimates.
    """
    processes = current_processes()
    tasks, failures = agreed(*plan_tasks(config), processes)
    results = []
    with exact_float32(), ProgressBar(tasks, len(specs), processes) as progress:
        for spec in specs:
            progress.start_model(spec.label)
            try:
                scorer, info = _load(spec, config, processes)
            except ValueError as error:
                failures.append(Failure(spec.label, None, str(error)))
                progress.skip_model()
                continue
            result, failed = ModelRun(spec, scorer, info, config, folder, processes, progress).run(tasks)
            results.append(result)
            failures += failed
    return Evaluation(specs[0].label, results, failures)


def agreed(
    tasks: Sequence[Task], failures: Sequence[Failure], processes: Processes
) -> tuple[list[Task], list[Failure]]:
    """The tasks that all processes have, with the same data, and the failures of any process.

    A file may be missing, or differ, on one of several machines.
    """
    plans = processes.gather(({task.name: task.key for task in tasks}, failures))
    all_failures = list(dict.fromkeys(failure for _, own_failures in plans for failure in own_failures))
    kept = []
    for task in tasks:
        keys = [keys_by_name.get(task.name) for keys_by_name, _ in plans]
        if set(keys) == {task.key}:
            kept.append(task)
        elif None not in keys:
            message = "the processes read different data; give all machines the same files"
            all_failures.append(Failure(None, task.name, message))
    return kept, all_failures


def needed_records(task: Task, records: Mapping[str, Records]) -> list[Records]:
    """The records of the tasks that a task needs. Raises ValueError when one of them failed."""
    for name in task.needs:
        if name not in records:
            raise ValueError(f"{task.name} is computed from the records of {name}, which failed; see its message")
    return [records[name] for name in task.needs]


def score_items(
    work: Work, chunk: int, known: Mapping[str, dict[str, Any]], processes: Processes, keep: Callable[[Records], None]
) -> Records:
    """The record of every item, in order. Known records are used again; the processes share the chunks of the others.

    chunk: how many items are scored at once, unless all must be. keep: called with the records of each chunk that this
    process has scored. Raises ValueError, on every process, with the message of the first chunk that failed.
    """
    size = chunk if work.divisible else max(1, len(work.ids))
    chunks = [slice(start, start + size) for start in range(0, len(work.ids), size)]
    missing = [part for part in chunks if not all(name in known for name in work.ids[part])]
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
    gathered = processes.gather((mine, failed))
    failures = [failure for _, failure in gathered if failure is not None]
    if failures:
        raise ValueError(min(failures)[1])
    by_id = {**known} | {record["id"]: record for records, _ in gathered for record in records}
    return [by_id[name] for name in work.ids]


def chunk_size(task: Task, max_batch_tokens: int) -> int:
    """How many items of a task fill PASSES_PER_CHUNK forward passes, at least one."""
    return max(1, PASSES_PER_CHUNK * max_batch_tokens * task.num_items // max(1, task.num_tokens))


def model_key(fingerprint: str, spec: ModelSpec, scorer: Scorer, scoring: ScoringConfig) -> str:
    """What identifies a model and how it is run. Batches and devices are left out: they change no score."""
    tokenizer = tokenizer_hash(scorer)
    return record_key(distill.__version__, fingerprint, spec.gguf_file, tokenizer, scorer.start_id, scoring.dtype)


class ModelRun:
    """Runs all tasks on one model."""

    def __init__(
        self,
        spec: ModelSpec,
        scorer: Scorer,
        info: dict[str, Any],
        config: EvalConfig,
        folder: Path | None,
        processes: Processes,
        progress: ProgressBar,
    ) -> None:
        self.scorer, self.info, self.config = scorer, info, config
        self.processes, self.progress = processes, progress
        self.key = model_key(info["fingerprint"], spec, scorer, config.scoring)
        name = examples_name(spec.label)
        # Gathered, because folders that the processes do not share hold different records. Nobody writes before all
        # have read.
        self.known = merged(processes.gather(read_known(folder, name) if folder else {}))
        self.part = PartFile(folder, name, processes.index) if folder else None
        self.runs: dict[str, TaskRun] = {}

    def run(self, tasks: Sequence[Task]) -> tuple[ModelResult, list[Failure]]:
        """The result of the tasks that succeed, and the failures of the others."""
        estimates: dict[str, Estimate] = {}
        failures = []
        if self.scorer.is_classifier and not any(task.reads_classifiers for task in tasks):
            failures.append(Failure(self.scorer.label, None, NO_MEASURE))
        for task in tasks:
            run = None
            if self.scorer.is_classifier and not task.reads_classifiers:
                self.progress.leave_out(task)
                continue
            try:
                run = self.runs[task.name] = self._run_task(task)
                self.progress.end_task(task, run.seconds)
                if self.processes.is_main:
                    summarise = MEASURES[task.name].summarise
                    for estimate in summarise(run.records, *run.conventions, self.config.statistics):
                        estimates[estimate.measurement.name] = estimate
            except Exception as error:
                failures.append(Failure(self.scorer.label, task.name, message_of(error)))
                if run is None:
                    self.progress.end_task(task, None)
        return ModelResult(self.info, self.runs, estimates), failures

    def _run_task(self, task: Task) -> TaskRun:
        self.progress.start_task(task)
        started = time.perf_counter()
        key = record_key(self.key, task.key, *(self.runs[need].key for need in task.needs if need in self.runs))
        known = self.known.get(key, {})
        work = self._prepare(task)
        num_known = sum(name in known for name in work.ids)

        def keep(records: Records) -> None:
            if self.part is not None:
                self.part.append(task.name, key, records)
            self.progress.advance(task, len(records) / max(1, len(work.ids)))

        self.progress.advance(task, num_known / max(1, len(work.ids)) / self.processes.count)
        chunk = work.chunk or chunk_size(task, self.scorer.max_batch_tokens)
        records = score_items(work, chunk, known, self.processes, keep)
        seconds = time.perf_counter() - started if num_known < len(work.ids) else 0.0
        return TaskRun(records, key, work.conventions(records), seconds)

    def _prepare(self, task: Task) -> Work:
        """The task's work on this model. Raises ValueError on every process when it fails on one."""
        work, message = None, None
        try:
            needed = needed_records(task, {name: run.records for name, run in self.runs.items()})
            work = task.prepare(self.scorer, *needed)
            if not work.divisible:  # the processes share every forward pass instead
                work = task.prepare(replace(self.scorer, processes=self.processes), *needed)
        except Exception as error:
            message = message_of(error)
        messages = [message for message in self.processes.gather(message) if message is not None]
        if work is None or messages:
            raise ValueError(messages[0])
        return work


def _load(spec: ModelSpec, config: EvalConfig, processes: Processes) -> tuple[Scorer, dict[str, Any]]:
    """The model and what is reported about it. Raises ValueError on every process when it fails on one."""
    scorer, info, message = None, {}, None
    try:
        scorer = load_scorer(spec, config.scoring)
        info = _describe(spec, scorer, config)
    except Exception as error:
        message = message_of(error)
    messages = [message for message in processes.gather(message) if message is not None]
    if scorer is None or messages:
        raise ValueError(messages[0])
    return scorer, info


def _describe(spec: ModelSpec, scorer: Scorer, config: EvalConfig) -> dict[str, Any]:
    """What is reported about a model. Raises ValueError when its tokenizer has no token for a pronoun."""
    return {
        "label": spec.label,
        "path": spec.path,
        "gguf_file": spec.gguf_file,
        "fingerprint": model_fingerprint(spec.path, scorer.model, spec.gguf_file),
        "architecture": type(scorer.model).__name__,
        "num_parameters": num_parameters(scorer.model),
        "num_predicted_ids": None if scorer.is_classifier else num_predicted_ids(scorer.model),
        "dtype": config.scoring.dtype,
        "device": str(scorer.model.device),
        "context_tokens": scorer.context,
        "tokenizer": tokenizer_hash(scorer),
        "start_token": None if scorer.start_id is None else scorer.tokenizer.convert_ids_to_tokens(scorer.start_id),
        "num_pronoun_tokens": [num_continuation_tokens(scorer, "The nurse said that", p) for p in PRONOUNS],
    }
