"""The lines that show the progress of an evaluation."""

from distill.evaluation.processes import ALONE
from distill.evaluation.progress import ProgressBar, duration
from distill.evaluation.task import Task


def test_every_task_is_a_line_with_the_time_left(capsys):
    tasks = [Task(name, "key", lambda scorer: None, 10, num_tokens) for name, num_tokens in (("a", 100), ("b", 300))]
    with ProgressBar(tasks, 2, ALONE) as progress:
        for label in ("one", "two"):
            progress.start_model(label)
            for task, seconds in zip(tasks, (2.0, None), strict=True):
                progress.start_task(task)
                progress.advance(task, 0.5)
                progress.end_task(task, seconds)
    assert [line for line in capsys.readouterr().err.splitlines() if "item" in line or "failed" in line] == [
        "one: a: 10 items, 2.0 s; about 0:00:14 left",
        "one: b: failed; about 0:00:08 left",
        "two: a: 10 items, 2.0 s; about 0:00:06 left",
        "two: b: failed",
    ]


def test_a_duration_is_shown_in_hours_minutes_and_seconds():
    assert duration(3725.4) == "1:02:05"
