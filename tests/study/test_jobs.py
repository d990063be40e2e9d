"""The runner of jobs: side by side, with a deadline, and ended by an interruption."""

import json
import os
import signal
import sys
import threading
import time

import pytest

from study import jobs as study_jobs
from study.config import load_study
from study.jobs import Job, run_jobs


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


def test_jobs_run_side_by_side_and_a_failure_does_not_stop_the_others(tmp_path, study_file, capsys):
    study = load_study(study_file, [f"run_dir={tmp_path}", "mixed_precision=bf16"])
    wait = "import pathlib, time\npathlib.Path({mine!r}).touch()\n"  # the two good jobs wait for each other's file
    wait += "while not pathlib.Path({other!r}).exists(): time.sleep(0.01)"
    files = [str(tmp_path / name) for name in "ab"]
    print_settings = python("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['ACCELERATE_MIXED_PRECISION'])")
    (tmp_path / "no folder").touch()
    logs = tmp_path / "logs"
    jobs = [
        Job("good 0", (python(wait.format(mine=files[0], other=files[1])), print_settings), logs / "0.log"),
        Job("bad", (python("raise SystemExit('broken')"), python("print('never')")), logs / "bad.log"),
        Job("no log", (print_settings,), tmp_path / "no folder" / "log"),
        Job("good 1", (python(wait.format(mine=files[1], other=files[0])),), logs / "1.log"),
    ]
    failed = run_jobs(jobs, 4, study, time.monotonic() + 300)
    assert failed.keys() == {"bad", "no log"}
    assert failed["bad"].startswith("exit code 1: broken")
    assert "no folder" in failed["no log"]
    assert "never" not in (logs / "bad.log").read_text()
    assert (logs / "0.log").read_text().splitlines()[-1] == f"{max(1, (os.cpu_count() or 1) // 4)} bf16"
    assert "[4/4]" in capsys.readouterr().out
    times = [json.loads(line)["label"] for line in (tmp_path / study_jobs.TIMES).read_text().splitlines()]
    assert sorted(times) == ["bad", "good 0", "good 1"]  # a job that failed has taken its time too


def test_malloc_keeps_large_tensors_unless_the_user_has_set_it(monkeypatch):
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    environment = study_jobs._environment(1, "no")
    assert (environment["MALLOC_MMAP_MAX_"], environment["MALLOC_TRIM_THRESHOLD_"]) == ("0", "1000000")


def test_an_interruption_ends_the_running_commands_and_starts_no_other(tmp_path, study_file):
    study = load_study(study_file, [f"run_dir={tmp_path}"])
    forever = "import os, pathlib, time\npathlib.Path({pid!r}).write_text(str(os.getpid()))\ntime.sleep(600)"
    jobs = [Job(name, (python(forever.format(pid=str(tmp_path / name))),), tmp_path / f"{name}.log") for name in "ab"]

    def interrupt() -> None:
        while not (tmp_path / "a").exists() or not (tmp_path / "a").read_text():
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as when the study runs as a program
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            run_jobs(jobs, 1, study, time.monotonic() + 300)
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "a").read_text()), 0)
    assert not (tmp_path / "b").exists()
    assert len((tmp_path / study_jobs.TIMES).read_text().splitlines()) == 1


def test_no_job_starts_after_the_hours_of_the_budget(tmp_path, study_file, monkeypatch):
    study = load_study(study_file, [f"run_dir={tmp_path}"])
    clock = [100.0]

    def run_for_an_hour(*_: object) -> None:
        clock[0] += 3600

    monkeypatch.setattr(study_jobs.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(study_jobs, "_run_commands", run_for_an_hour)
    jobs = [Job(name, (python(""),), tmp_path / f"{name}.log") for name in ("first", "second")]
    failed = run_jobs(jobs, 1, study, deadline=1900.0)
    assert list(failed) == ["second"]
    assert "budget_hours are over; the same command resumes the study" in failed["second"]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("error: a: 1 there, 2 now\n  choose another run_dir\n", "a: 1 there, 2 now choose another run_dir"),
        ("warning\nerror: first\nerror: second\n", "second"),
        ("Traceback\nKeyError: 'x'\n", "KeyError: 'x'"),
        ("", "no output"),
    ],
)
def test_the_reason_of_a_failure_is_the_last_error_of_the_last_command(output, reason, tmp_path):
    (tmp_path / "log").write_text(f"$ train.py\nerror: of an earlier try\n$ train.py\n{output}")
    assert study_jobs._reason(tmp_path / "log") == reason
