"""Run a study: make a run folder and an evaluation of every model.

Each model is a job of two commands, train.py and eval.py. Both resume where they were stopped and skip what is
complete; so does the study. A job that fails does not stop the others, except those that start from its student.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from distill.models.run_models import fingerprints, load_run_models
from distill.run.export import write_student
from distill.run.folder import check_settings, is_complete, open_run
from distill.settings import replace
from study.config import HEALED, TEACHER, UNTRAINED, StudyConfig
from study.folders import complete, current_sources, foreign_folders, origin_of, runs_of_another_teacher
from study.jobs import Job, run_jobs
from study.plan import ROOT, Plan, Run, evaluation_folder, evaluation_overrides, label_of

MAX_LISTED = 6  # names of foreign folders in one message


def run_study(plan: Plan, words: tuple[str, ...], num_jobs: int) -> int:
    """Prepare, train the teacher, heal, then run all other jobs, `num_jobs` at a time. Returns 1 if any failed, or 0.

    words: the command line's words that load the study again. Raises ValueError, before a student is trained, when a
    folder holds a run with other settings, another teacher or other data, and before an arm is trained, when an arm
    started from another healed student than there is now.
    """
    study, training = plan.study, plan.teacher.training
    for config in (*([] if training is None else [training]), *(run.config for run in plan.every_run)):
        check_settings(config)
    _name_foreign_folders(study)
    deadline = time.monotonic() + 3600 * study.budget_hours
    for job in _first_jobs(plan):
        if _report(run_jobs([job], 1, study, deadline)):
            return 1
    stale = ", ".join(run.config.run_dir for run in runs_of_another_teacher(plan))
    if stale:
        raise ValueError(
            f"{plan.teacher.folder} is not the teacher that these runs were distilled from: {stale}; remove them, or "
            "restore their teacher"
        )
    sources = current_sources(plan.runs[0].config) if plan.runs else {}
    origin_of(study, plan.every_run, sources)
    failed = _heal(plan, num_jobs, deadline)
    origin_of(study, plan.every_run, sources)  # once more: now there is every healed student to compare with
    jobs = [_teacher_job(plan)] if plan.with_teacher else []
    jobs += [_job(study, words, run) for run in plan.runs]
    done = complete(plan)
    left = [job for job in jobs if job.label not in done | failed.keys()]
    num_done = sum(job.label in done for job in jobs)
    if num_done:
        print(f"{num_done} of {len(jobs)} models are trained and measured already")
    return _report(failed | run_jobs(left, num_jobs, study, deadline))


def write_untrained(run: Run) -> None:
    """Write the untrained student into a run folder. Raises what `load_run_models` and `open_run` raise."""
    if is_complete(run.config):
        return
    models = load_run_models(run.config)
    with open_run(replace(run.config, provenance=fingerprints(run.config, models))):
        write_student(run.student, models.student, models.tokenizer)


def _heal(plan: Plan, num_jobs: int, deadline: float) -> dict[str, str]:
    """Train the healed students, `num_jobs` at a time. Returns what failed, and the runs that cannot start then."""
    study = plan.study
    jobs = [
        Job(f"healing of seed {run.seed}", (_train(study.train_config, run.overrides),), _log(study, HEALED, run.seed))
        for run in plan.healing
        if not is_complete(run.config)
    ]
    failed = run_jobs(jobs, min(num_jobs, len(jobs)), study, deadline) if jobs else {}
    unhealed = {run.seed for run in plan.healing if not is_complete(run.config)}
    waiting = [run.label for run in plan.runs if run.arm != UNTRAINED and run.seed in unhealed]
    reason = "not started: the healed student of its seed is not finished; give the same command again to resume"
    return failed | dict.fromkeys(waiting, reason)


def _name_foreign_folders(study: StudyConfig) -> None:
    names = foreign_folders(study)
    if names:
        listed = f"{', '.join(names[:MAX_LISTED])}{', ...' if len(names) > MAX_LISTED else ''}"
        print(f"note: {study.run_dir} also holds runs of no arm of this study, which are not used: {listed}")


def _report(failed: dict[str, str]) -> int:
    """Print what failed and return the exit code."""
    for label, reason in failed.items():
        print(f"error: {label}: {reason}", file=sys.stderr)
    return 1 if failed else 0


# -- the jobs --------------------------------------------------------------------------------------------------------


def _first_jobs(plan: Plan) -> list[Job]:
    """The jobs that must run first, in this order: the preparing commands, and the teacher's training."""
    study, training, logs = plan.study, plan.teacher.training, Path(plan.study.run_dir) / "logs"
    jobs = [
        Job(f"prepare {number}", ((sys.executable, *command),), logs / f"prepare{number}.log")
        for number, command in enumerate(study.prepare, start=1)
    ]
    if training is not None and not is_complete(training):
        command = _train(str(study.teacher_config), study.teacher_overrides)
        jobs.append(Job("the teacher's training", (command,), logs / "teacher_training.log"))
    return jobs


def _teacher_job(plan: Plan) -> Job:
    return _evaluation_job(plan.study, (TEACHER, plan.study.seeds[0]), plan.teacher.model, ())


def _job(study: StudyConfig, words: tuple[str, ...], run: Run) -> Job:
    if run.arm == UNTRAINED:
        make: tuple[str, ...] = (sys.executable, "-m", "study", UNTRAINED, *words)
    else:
        make = _train(study.train_config, run.overrides)
    return _evaluation_job(study, (run.arm, run.seed), str(run.student), (make,))


def _evaluation_job(
    study: StudyConfig, arm_and_seed: tuple[str, int], model: str, before: tuple[tuple[str, ...], ...]
) -> Job:
    """The job of one model: the commands that make it, and its evaluation."""
    arm, seed = arm_and_seed
    out = str(evaluation_folder(study, arm, seed))
    config = ("--config", str(ROOT / study.eval_config), "--out", out)
    measure = (sys.executable, str(ROOT / "eval.py"), f"{arm}={model}", *config, *evaluation_overrides(study, arm))
    return Job(label_of(arm, seed), (*before, measure), _log(study, arm, seed))


def _log(study: StudyConfig, arm: str, seed: int) -> Path:
    return Path(study.run_dir) / "logs" / f"{arm}.seed{seed}.log"


def _train(config: str, overrides: Sequence[str]) -> tuple[str, ...]:
    return (sys.executable, str(ROOT / "train.py"), "--config", str(ROOT / config), *overrides)
