"""Run jobs, which are commands in new processes, several jobs at a time; they share the cores."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from distill.launcher import CPU_ENVIRONMENT
from study.config import StudyConfig
from study.plan import ROOT

TIMES = "times.jsonl"  # in the study's run_dir: the seconds of every job, also of those that failed


@dataclass(frozen=True)
class Job:
    """Commands that run one after another as long as each succeeds; their output goes to `log`."""

    label: str
    commands: tuple[tuple[str, ...], ...]
    log: Path


def run_jobs(jobs: Sequence[Job], num_jobs: int, study: StudyConfig, deadline: float) -> dict[str, str]:
    """Run the jobs, `num_jobs` at a time, and return those that failed with the reason.

    deadline: a `time.monotonic` after which no job starts; jobs that were not started count as failed. Any exception
    here (KeyboardInterrupt, a closed terminal) also terminates the running commands, which save their state.
    """
    begin = time.monotonic()
    failed: dict[str, str] = {}
    running: list[subprocess.Popen[bytes]] = []
    environment = _environment(num_jobs, study.mixed_precision)
    times = Path(study.run_dir) / TIMES
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
                process.terminate()  # does nothing to a process that has ended
            raise
    return failed


def _environment(num_jobs: int, mixed_precision: str) -> dict[str, str]:
    """The environment of the commands: their share of the cores, the precision, and where the project is."""
    threads = str(max(1, (os.cpu_count() or 1) // num_jobs))
    return {
        "HF_HUB_OFFLINE": "1",
        **CPU_ENVIRONMENT,
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "ACCELERATE_MIXED_PRECISION": mixed_precision,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
    }


def _run_job(
    job: Job, environment: dict[str, str], deadline: float, times: Path, running: list[subprocess.Popen[bytes]]
) -> tuple[float, str | None]:
    """Run one job. Returns its seconds, which are also appended to `times`, and the reason if it failed."""
    begin = time.monotonic()
    if begin > deadline:
        return 0.0, "not started: the study's budget_hours are over; the same command resumes the study"
    try:
        fault = _run_commands(job, environment, running)
        line = json.dumps({"label": job.label, "seconds": round(time.monotonic() - begin, 1)})
        with times.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        fault = str(error)
    return time.monotonic() - begin, fault


def _run_commands(job: Job, environment: dict[str, str], running: list[subprocess.Popen[bytes]]) -> str | None:
    """Run the commands of a job one after another. Returns the reason if one failed.

    running: lists the process of each command while it runs.
    """
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
    """The error of the last command in a log: everything from its last line with "error:", or its last line."""
    lines = log.read_text(encoding="utf-8", errors="replace").rpartition("\n$ ")[2].splitlines()[1:]
    said = [line.strip() for line in lines if line.strip()]
    begin = max((number for number, line in enumerate(said) if line.startswith("error:")), default=-1)
    return " ".join(said[begin:]).removeprefix("error: ") or "no output"
