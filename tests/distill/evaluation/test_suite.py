"""The suite: items are shared among processes, and what the processes must agree on."""

import threading

import pytest

from distill.evaluation import suite
from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.processes import ALONE
from distill.evaluation.progress import ProgressBar
from distill.evaluation.scoring.model_specs import load_scorer
from distill.evaluation.suite import evaluate, score_items
from distill.evaluation.task import Failure, Task, Work
from distill.settings import validate

HANG_SECONDS = 300  # a guard against a deadlock, not a limit


class Together:
    """Two processes played by threads."""

    def __init__(self, index, barrier, values):
        self.index, self.count, self.barrier, self.values = index, 2, barrier, values
        self.is_main = index == 0

    def gather(self, value):
        self.values[self.index] = value
        self.barrier.wait(timeout=HANG_SECONDS)
        gathered = list(self.values)
        self.barrier.wait(timeout=HANG_SECONDS)  # neither writes again before both have read
        return gathered


def in_two_threads(function):
    barrier, values, outcomes = threading.Barrier(2), [None, None], [None, None]

    def run(index):
        try:
            outcomes[index] = function(Together(index, barrier, values))
        except ValueError as error:
            outcomes[index] = str(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def work(score, num_items=23, divisible=True):
    ids = [f"item/{n}" for n in range(num_items)]
    return Work(ids, range(num_items), score, lambda _: (), divisible)


def score(part):
    return [{"id": f"item/{n}", "value": n / 7, "parts": (n, float("nan"))} for n in part]


@pytest.mark.parametrize("divisible", [True, False])
def test_items_are_shared_and_come_back_in_order(divisible):
    kept = []
    alone = score_items(work(score, divisible=divisible), 4, {}, ALONE, kept.append)
    assert [record["id"] for record in alone] == [f"item/{n}" for n in range(23)]
    assert alone[3] == {"id": "item/3", "value": 3 / 7, "parts": [3, None]}  # as JSON gives it back
    assert [len(records) for records in kept] == ([4, 4, 4, 4, 4, 3] if divisible else [23])
    parts = [[], []]
    outcomes = in_two_threads(
        lambda processes: score_items(work(score, divisible=divisible), 4, {}, processes, parts[processes.index].append)
    )
    assert outcomes == [alone, alone]
    assert [len(part) for part in parts] == ([3, 3] if divisible else [1, 0])
    known = {record["id"]: record for record in alone[:10]}
    kept.clear()
    assert score_items(work(score, divisible=divisible), 4, known, ALONE, kept.append) == alone
    assert [len(records) for records in kept] == (
        [4, 4, 4, 3] if divisible else [23]
    )  # a chunk that is not complete is scored again


def test_the_first_chunk_that_fails_is_reported_by_all():
    def broken(part):
        if 9 in part or 18 in part:
            raise RuntimeError(f"chunk of {part[0]}")
        return score(part)

    assert in_two_threads(lambda processes: score_items(work(broken), 4, {}, processes, len)) == ["chunk of 8"] * 2
    with pytest.raises(ValueError, match="chunk of 8"):
        score_items(work(broken), 4, {}, ALONE, len)


def test_processes_whose_folders_hold_different_records_continue_together(model_spec, tmp_path):
    """Of two machines without a shared folder, the first has all records and the second has none."""
    off = {"agreement": {"enabled": False}, "log_odds": {"templates": ["The {occupation} said that"]}}
    config = validate(EvalConfig, {**off, "scoring": {"max_batch_tokens": 64}})
    spec = model_spec("a")
    (alone,) = evaluate([spec], config, tmp_path).results
    (tmp_path / "empty").mkdir()
    tasks, _ = plan_tasks(config)
    scorer = load_scorer(spec, config.scoring)

    def run(processes):
        folder = (tmp_path, tmp_path / "empty")[processes.index]
        progress = ProgressBar(tasks, 1, processes)
        result, failures = suite.ModelRun(spec, scorer, alone.info, config, folder, processes, progress).run(tasks)
        return result.tasks["log_odds"].records, failures

    assert in_two_threads(run) == [(alone.tasks["log_odds"].records, [])] * 2
    assert not list((tmp_path / "empty").iterdir())  # nothing was scored again


def test_processes_with_different_files_measure_what_all_of_them_have():
    def task(name, key):
        return Task(name, key, prepare=None, num_items=1, num_tokens=1)

    plans = [
        ([task("a", "1"), task("b", "1"), task("c", "1"), task("d", "1")], []),
        ([task("a", "1"), task("c", "2"), task("d", "1")], [Failure(None, "b", "b.json does not exist")]),
    ]
    first, second = in_two_threads(lambda processes: suite.agreed(*plans[processes.index], processes))
    assert [task.name for task in first[0]] == [task.name for task in second[0]] == ["a", "d"]
    assert first[1] == second[1]
    assert [(failure.task, failure.message[:25]) for failure in first[1]] == [
        ("b", "b.json does not exist"),
        ("c", "the processes read differ"),
    ]
