"""Running a study: the plan in; one run folder and one evaluation per model out.

Each model is a job of two commands, train.py and eval.py, which both go on where they were stopped and skip what is
complete; so does the study. A job that fails stops no other one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.blocks import sources
from distill.data.corpus import corpus_version
from distill.evaluation.results import read_results
from distill.models.loading import folder_fingerprint
from distill.models.run_models import fingerprints, load_run_models
from distill.run.export import write_student
from distill.run.folder import check_settings, is_complete, open_run
from distill.settings import load_yaml, replace, to_dict
from study.plan import (
    ROOT,
    TEACHER,
    UNTRAINED,
    Run,
    StudyConfig,
    evaluation_config,
    evaluation_folder,
    evaluation_overrides,
    label_of,
    plan_runs,
    teacher_fingerprint,
    teacher_folder,
    teacher_model,
    teacher_run,
)

TIMES = "times.jsonl"


@dataclass(frozen=True)
class Job:
    """Commands that run one after another, while each succeeds, with their output in `log`."""

    label: str
    commands: tuple[tuple[str, ...], ...]
    log: Path


def run_study(
    settings: tuple[str, ...], study: StudyConfig, only: Sequence[str], seeds: Sequence[int], num_jobs: int
) -> int:
    """Prepare, train the teacher, then all other jobs, `num_jobs` at a time; the exit code: 1 if anything failed.

    settings: the words of the command line that make the study. only, seeds: as in `plan_runs`; `teacher` is an arm
    here. Raises ValueError, before a student is trained, when the study is not valid or a folder holds a run with other
    settings, of another teacher or of other data.
    """
    logs = Path(study.run_dir) / "logs"
    runs = plan_runs(study, only, seeds)
    teacher = teacher_run(study)
    jobs = [_evaluation_job(study, TEACHER, study.seeds[0], teacher_model(study), ())] if _is_wanted(only) else []
    jobs += [_job(settings, study, run) for run in runs]
    for config in (*([] if teacher is None else [teacher]), *(run.config for run in runs)):
        check_settings(config)
    first = [
        Job(f"prepare {number}", ((sys.executable, *words),), logs / f"prepare{number}.log")
        for number, words in enumerate(study.prepare, start=1)
    ]
    if teacher is not None and not is_complete(teacher):
        train = _train(str(study.teacher_config), study.teacher_overrides)
        first.append(Job("the teacher's training", (train,), logs / "teacher_training.log"))
    deadline = time.monotonic() + 3600 * study.budget_hours
    for job in first:
        if _report(run_jobs([job], 1, study, deadline)):
            return 1
    stale = ", ".join(run.config.run_dir for run in _of_another_teacher(study, runs))
    if stale:
        raise ValueError(
            f"{teacher_folder(study)} is not the teacher that these were made from: {stale}; remove them, or put their "
            "teacher back"
        )
    origin_of(study, runs, _sources(runs[0].config) if runs else {})
    done = complete(study, runs)
    left = [job for job in jobs if job.label not in done]
    if len(left) < len(jobs):
        print(f"{len(jobs) - len(left)} of {len(jobs)} models are trained and measured already")
    return _report(run_jobs(left, num_jobs, study, deadline))


def run_jobs(jobs: Sequence[Job], num_jobs: int, study: StudyConfig, deadline: float) -> dict[str, str]:
    """Run the jobs, `num_jobs` at a time with the cores shared out among them; what failed, and why.

    deadline: of `time.monotonic`; after it no job is started any more, and those left out are named among the failures.
    Whatever is raised here (KeyboardInterrupt, a screen that cannot be written to) ends the running commands too, which
    save what they have.
    """
    begin = time.monotonic()
    failed: dict[str, str] = {}
    environment = _environment(num_jobs, study.mixed_precision)
    times = Path(study.run_dir) / TIMES
    running: list[subprocess.Popen[bytes]] = []
    with ThreadPoolExecutor(num_jobs) as pool:
        futures = {pool.submit(_run_job, job, environment, deadline, times, running): job for job in jobs}
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                job, (seconds, fault) = futures[future], future.result()
                if fault is not None:
                    failed[job.label] = fault
                elapsed = time.monotonic() - begin
                left = timedelta(seconds=round(elapsed / number * (len(jobs) - number)))
                outcome = "FAILED" if fault else "done"
                print(
                    f"[{number}/{len(jobs)}] {job.label}: {outcome} in {seconds:.0f} s; about {left} left", flush=True
                )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.terminate()  # nothing happens to one that has ended
            raise
    return failed


def write_untrained(run: Run) -> None:
    """The student before its training, as a run folder. Raises what `load_run_models` and `open_run` raise."""
    if is_complete(run.config):
        return
    models = load_run_models(run.config)
    with open_run(replace(run.config, provenance=fingerprints(run.config, models))):
        write_student(_student(run), models.student, models.tokenizer)


def complete(study: StudyConfig, runs: Sequence[Run]) -> set[str]:
    """The labels of the jobs that have nothing left to do: trained with these settings by this teacher, and measured
    with these settings as they are now (a run that was removed is trained again, and its evaluation is that of the
    removed one).
    """
    teacher = (TEACHER, study.seeds[0])
    models = {teacher: teacher_folder(study), **{(run.arm, run.seed): _student(run) for run in runs}}
    done = set()
    evaluations = {arm: to_dict(evaluation_config(study, arm)) for arm, _ in models}
    for (arm, seed), model in models.items():
        file = evaluation_folder(study, arm, seed) / "results.json"
        if file.is_file():
            results = read_results(file)
            same = results["config"] == evaluations[arm] and not results["failures"]
            of_hub = (arm, seed) == teacher and study.teacher_config is None and not model.is_dir()
            if (arm, seed) == teacher:
                now = teacher_fingerprint(study)
            else:
                now = folder_fingerprint(model) if model.is_dir() else None
            if same and (of_hub or results["models"][0]["fingerprint"] == now):
                done.add(label_of(arm, seed))
    stale = {run.label for run in _of_another_teacher(study, runs)}
    trained = {run.label for run in runs if run.label not in stale and is_complete(run.config)}
    return {label for label in done if label in trained or label == label_of(*teacher)}


def origin_of(study: StudyConfig, runs: Sequence[Run], now: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What all runs that are there were made with: precision, tokenizer, corpora and lexicon, and at which revisions.

    now: what others will be made with (`_sources`). Raises ValueError when they differ in any but the revision: then
    not only the arms are compared.
    """
    origin: dict[str, Any] = {"mixed_precision": study.mixed_precision, **(now or {})}
    by = {"mixed_precision": "the study", **dict.fromkeys(now or {}, "what is there now")}
    revisions = set()
    for run in runs:
        file = Path(run.config.run_dir) / "config.yaml"
        if run.arm == UNTRAINED or not file.is_file():
            continue
        found = load_yaml(file)["provenance"]
        revisions.add(found["git_revision"] or "unknown")
        parts = {key: found[key] for key in ("mixed_precision", "tokenizer")}
        parts |= {key: found["data"][key] for key in ("corpus", "heldout_corpus", "lexicon")}
        for name, value in parts.items():
            if origin.setdefault(name, value) != value:
                raise ValueError(
                    f"{run.config.run_dir} was made with another {name} than {by[name]}: {value} there, {origin[name]} "
                    "here; remove one of them and run the study again, or put back what has changed"
                )
            by.setdefault(name, run.config.run_dir)
    return {**origin, "git_revisions": sorted(revisions)}


def _sources(config: RunConfig) -> dict[str, Any]:
    """The corpora and the lexicon as they are now; nothing of those on a hub, which are not asked for here."""
    if corpus_version(config.data) is None:
        return {}
    return sources(config.data, load_lexicon(config.augment.tiers, config.augment.lexicon))


def _of_another_teacher(study: StudyConfig, runs: Sequence[Run]) -> list[Run]:
    """The runs whose teacher had other weights than the study's has now; none where that is on a hub."""
    now = teacher_fingerprint(study)
    if now is None:
        return []
    files = ((run, Path(run.config.run_dir) / "config.yaml") for run in runs)
    return [run for run, file in files if file.is_file() and load_yaml(file)["provenance"]["teacher"] != now]


def _is_wanted(only: Sequence[str]) -> bool:
    return not only or TEACHER in only


def _report(failed: dict[str, str]) -> int:
    """Print what failed; the exit code."""
    for label, reason in failed.items():
        print(f"error: {label}: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _student(run: Run) -> Path:
    return Path(run.config.run_dir) / "student"


def _job(settings: tuple[str, ...], study: StudyConfig, run: Run) -> Job:
    if run.arm == UNTRAINED:
        make: tuple[str, ...] = (sys.executable, str(ROOT / "benchmarks" / "study.py"), UNTRAINED, *settings)
    else:
        make = _train(study.train_config, run.overrides)
    return _evaluation_job(study, run.arm, run.seed, str(_student(run)), (make,))


def _evaluation_job(study: StudyConfig, arm: str, seed: int, model: str, before: tuple[tuple[str, ...], ...]) -> Job:
    """The job of one model: the commands that make it, and its evaluation."""
    out = str(evaluation_folder(study, arm, seed))
    config = ("--config", str(ROOT / study.eval_config), "--out", out)
    measure = (sys.executable, str(ROOT / "eval.py"), f"{arm}={model}", *config, *evaluation_overrides(study, arm))
    return Job(label_of(arm, seed), (*before, measure), Path(study.run_dir) / "logs" / f"{arm}.seed{seed}.log")


def _train(config: str, overrides: Sequence[str]) -> tuple[str, ...]:
    return (sys.executable, str(ROOT / "train.py"), "--config", str(ROOT / config), *overrides)


def _environment(num_jobs: int, mixed_precision: str) -> dict[str, str]:
    """The environment of the commands: their share of the cores, the precision, and where the project is.

    Linux's malloc hands large tensors back to the system at once, which clears fresh pages for the next ones: a tenth
    of a step of the small world. Here it keeps them, unless the user has set it otherwise.
    """
    threads = str(max(1, (os.cpu_count() or 1) // num_jobs))
    return {
        "HF_HUB_OFFLINE": "1",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(2**34),
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "ACCELERATE_MIXED_PRECISION": mixed_precision,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
    }


def _run_job(
    job: Job, environment: dict[str, str], deadline: float, times: Path, running: list[subprocess.Popen[bytes]]
) -> tuple[float, str | None]:
    """Seconds, which are written to `times` whatever came of it, and the reason if it failed."""
    begin = time.monotonic()
    if begin > deadline:
        return 0.0, "not started: the study's budget_hours are over; give the same command again to go on"
    try:
        fault = _run_commands(job, environment, running)
        line = json.dumps({"label": job.label, "seconds": round(time.monotonic() - begin, 1)})
        with times.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        fault = str(error)
    return time.monotonic() - begin, fault


def _run_commands(job: Job, environment: dict[str, str], running: list[subprocess.Popen[bytes]]) -> str | None:
    """Run the commands of a job, each while it runs in `running`; the reason if one failed."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8") as log:
        for command in job.commands:
            print(f"$ {' '.join(command)}", file=log, flush=True)
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            running.append(process)
            code = process.wait()
            running.remove(process)
            if code != 0:
                return f"exit code {code}: {_reason(job.log)} ({job.log})"
    return None


def _reason(log: Path) -> str:
    """What the last command of a log said last: from its last line with "error:" on, or its last line."""
    lines = log.read_text(encoding="utf-8", errors="replace").rpartition("\n$ ")[2].splitlines()[1:]
    said = [line.strip() for line in lines if line.strip()]
    begin = max((number for number, line in enumerate(said) if line.startswith("error:")), default=-1)
    return " ".join(said[begin:]).removeprefix("error: ") or "no output"
