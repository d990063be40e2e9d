"""An evaluation that was interrupted continues; several processes give the numbers of one."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from distill.evaluation import suite
from distill.evaluation.config import EvalConfig
from distill.evaluation.measures import log_odds
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.processes import ALONE
from distill.evaluation.progress import ProgressBar
from distill.evaluation.records import PartFile, read_known, read_records, record_key, write_records
from distill.evaluation.scoring.model_specs import ModelSpec, load_scorer
from distill.evaluation.suite import evaluate, score_items
from distill.evaluation.task import Failure, Task, Work
from distill.settings import validate
from eval import main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def words(small_world, save, tmp_path, monkeypatch):
    """The arguments of an evaluation with texts, a joined text and sampled continuations; all but --out.

    Its report is not drawn, which would take most of the time.
    """
    monkeypatch.setattr("distill.eval.render_html", lambda summary, records: "")
    bold = tmp_path / "bold.json"
    bold.write_text(json.dumps({"dance": {f"d{n}": [f"The dancer {n} said "] for n in range(3)}}))
    return [
        f"one={save('one')}",
        f"two={save('two', 'llama', seed=1)}",
        "--config",
        str(ROOT / "configs" / "eval" / "smallworld.yaml"),
        f"world={small_world}",
        f"text.path={small_world / 'heldout.jsonl'}",
        "text.max_documents=40",
        "perplexity.separator=' '",
        "statistics.num_permutations=999",
        f"benchmarks.bold={bold}",
        "generation={num_samples: 3, max_new_tokens: 5}",
        "counterfactual_gap.enabled=false",
        "scoring.max_batch_tokens=600",  # the 480 prompts of log_odds are two chunks then
    ]


def outcome(folder):
    """What must not change: results.json without times and the revision of the source tree, and all records."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    del results["created"], results["versions"]
    for entry in results["measurements"]:
        entry["signature"] = entry["signature"].rsplit("|evenhand:", 1)[0]
    for model in results["models"]:
        for task in model["tasks"].values():
            del task["seconds"]
    return results, {path.name: path.read_text(encoding="utf-8") for path in folder.glob("examples-*.jsonl")}


def assert_close(one, other):
    """Equal but for numbers that differ by 1e-5: memory lies otherwise in another process, and so may sums be made."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_close(value, other[key])
    elif isinstance(one, list):
        for mine, theirs in zip(one, other, strict=True):
            assert_close(mine, theirs)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-5)
    else:
        assert one == other


def test_an_interrupted_evaluation_continues_and_gives_the_same(words, tmp_path, monkeypatch, capsys):
    words = [words[0], *words[2:]]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    calls, interruptions = [], [2]
    score = log_odds.score

    def counted(scorer, prompts):
        calls.append(len(prompts))
        if len(calls) in interruptions:
            interruptions.clear()
            raise KeyboardInterrupt
        return score(scorer, prompts)

    monkeypatch.setattr(log_odds, "score", counted)
    out = tmp_path / "broken"
    assert main([*words, "--out", str(out)]) == 130
    assert "the same command continues" in capsys.readouterr().err
    assert not (out / "results.json").exists()
    (part,) = out.glob("*.part-*.jsonl")
    lines = part.read_bytes().splitlines(keepends=True)
    assert len(lines) == 272  # the first chunk
    part.write_bytes(b"".join(lines) + lines[0][:50])  # and a line that was not finished
    assert main([*words, "--out", str(out)]) == 0
    assert calls == [272, 208, 208]
    assert outcome(out) == outcome(tmp_path / "whole")
    assert not list(out.glob("*.part-*"))

    calls.clear()
    assert main([*words, "--out", str(out)]) == 0  # complete: nothing is scored again
    assert calls == []
    assert outcome(out) == outcome(tmp_path / "whole")
    assert main([*words, "--out", str(out), "--fresh"]) == 0
    assert calls == [272, 208]
    calls.clear()
    assert main([*words, "--out", str(out), "scoring.bos=false"]) == 0  # another setting: all is scored again
    assert calls == [272, 208]


def test_a_changed_model_is_scored_again(words, save, tmp_path):
    out = tmp_path / "out"
    assert main([*words, "--out", str(out)]) == 0
    before = outcome(out)[0]["measurements"]
    save("two", "llama", seed=2)
    assert main([*words, "--out", str(out)]) == 0
    after = outcome(out)[0]["measurements"]
    assert [e for e in before if e["model"] == "one"] == [e for e in after if e["model"] == "one"]
    assert [e["value"] for e in before if e["model"] == "two"] != [e["value"] for e in after if e["model"] == "two"]


def test_an_evaluation_in_the_folder_of_its_model_continues(words, tmp_path, monkeypatch):
    calls, score = [], log_odds.score
    monkeypatch.setattr(log_odds, "score", lambda scorer, prompts: calls.append(len(prompts)) or score(scorer, prompts))
    for _ in range(2):
        assert main([words[0], *words[2:], "--out", str(tmp_path / "one")]) == 0
    assert calls == [272, 208]


def test_what_a_failed_task_has_scored_is_kept(words, tmp_path, monkeypatch, capsys):
    out, calls, score = tmp_path / "out", [], log_odds.score

    def failing(scorer, prompts):
        calls.append(len(prompts))
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return score(scorer, prompts)

    monkeypatch.setattr(log_odds, "score", failing)
    alone = [words[0], *words[2:]]
    assert main([*alone, "--out", str(out)]) == 1
    assert "error: one, log_odds: out of memory" in capsys.readouterr().err
    assert main([*alone, "--out", str(out)]) == 0
    assert calls == [272, 208, 208]
    assert not list(out.glob("*.part-*"))


def test_two_processes_give_what_one_gives(words, tmp_path):
    assert main([*words, "--out", str(tmp_path / "alone")]) == 0
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
    config = str(ROOT / "configs" / "accelerate" / "cpu2.yaml")
    command = [*launcher, config, str(ROOT / "eval.py"), *words, "--out", str(tmp_path / "both")]
    variables = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("one: log_odds:") == 1  # one of them speaks
    (both, examples), (alone, expected) = outcome(tmp_path / "both"), outcome(tmp_path / "alone")
    assert examples.keys() == expected.keys()
    for name, text in expected.items():
        assert_close(*([json.loads(line) for line in lines.splitlines()] for lines in (examples[name], text)))
    assert_close(both, alone)


# -- the parts -------------------------------------------------------------------------------------------------------


class Together:
    """Two processes played by threads."""

    def __init__(self, index, barrier, said):
        self.index, self.count, self.barrier, self.said = index, 2, barrier, said
        self.is_main = index == 0

    def gather(self, value):
        self.said[self.index] = value
        self.barrier.wait(timeout=10)
        found = list(self.said)
        self.barrier.wait(timeout=10)  # nobody says more before all have heard
        return found


def in_two_threads(function):
    barrier, said, found = threading.Barrier(2), [None, None], [None, None]

    def run(index):
        try:
            found[index] = function(Together(index, barrier, said))
        except ValueError as error:
            found[index] = str(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


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
    found = in_two_threads(
        lambda processes: score_items(work(score, divisible=divisible), 4, {}, processes, parts[processes.index].append)
    )
    assert found == [alone, alone]
    assert [len(part) for part in parts] == ([3, 3] if divisible else [1, 0])
    known = {record["id"]: record for record in alone[:10]}
    kept.clear()
    assert score_items(work(score, divisible=divisible), 4, known, ALONE, kept.append) == alone
    assert [len(records) for records in kept] == ([4, 4, 4, 3] if divisible else [23])  # a chunk is whole or not there


def test_the_first_chunk_that_fails_is_reported_by_all():
    def broken(part):
        if 9 in part or 18 in part:
            raise RuntimeError(f"chunk of {part[0]}")
        return score(part)

    assert in_two_threads(lambda processes: score_items(work(broken), 4, {}, processes, len)) == ["chunk of 8"] * 2
    with pytest.raises(ValueError, match="chunk of 8"):
        score_items(work(broken), 4, {}, ALONE, len)


def test_records_are_kept_by_key_and_broken_lines_are_left_out(tmp_path):
    first = PartFile(tmp_path, "examples-a", 0)
    first.append("task", "k1", [{"id": "x", "text": "ä\n\N{LINE SEPARATOR}"}, {"id": "y"}])
    PartFile(tmp_path, "examples-a", 1).append("task", "k2", [{"id": "x", "v": 1}])
    PartFile(tmp_path, "examples-a.b", 0).append("task", "k1", [{"id": "other model"}])
    with first.path.open("ab") as stream:
        stream.write(b'{"task": "task", "key": "k1", "id": "z", "v": \xc3')
    PartFile(tmp_path, "examples-a", 0).append("task", "k1", [{"id": "w"}])
    known = read_known(tmp_path, "examples-a")
    assert known["k1"] == {"x": {"id": "x", "text": "ä\n\N{LINE SEPARATOR}"}, "y": {"id": "y"}, "w": {"id": "w"}}
    assert known["k2"] == {"x": {"id": "x", "v": 1}}
    write_records(tmp_path, "examples-a", {"task": ("k1", list(known["k1"].values()))})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples-a.b.part-0.jsonl", "examples-a.jsonl"]
    assert read_known(tmp_path, "examples-a") == known
    assert read_records(tmp_path / "examples-a.jsonl", {"task": "k1"}) == {"task": list(known["k1"].values())}
    assert record_key("a", 1) == record_key("a", 1) != record_key("a1")


def test_records_that_a_run_does_not_use_stay_those_of_the_newest_key(tmp_path):
    def write(keep_parts=False, **keys):
        tasks = {task: (key, [{"id": "x", "v": key}]) for task, key in keys.items()}
        write_records(tmp_path, "examples-a", tasks, keep_parts)

    def kept():
        return set(read_known(tmp_path, "examples-a"))

    write(long="l1", other="o1")
    write(other="o2")  # without `long`, and with another setting of `other`
    assert kept() == {"l1", "o2", "o1"}
    assert read_records(tmp_path / "examples-a.jsonl", {"other": "o2"}) == {"other": [{"id": "x", "v": "o2"}]}
    write(long="l1", other="o3")
    assert kept() == {"l1", "o3", "o2"}  # one older key for a task
    write(long="l1", other="o2")
    assert kept() == {"l1", "o2", "o3"}
    part = PartFile(tmp_path, "examples-a", 0)
    part.append("long", "l2", [{"id": "x"}])  # of a run that was interrupted
    write(keep_parts=True, other="o2")
    assert kept() == {"l1", "l2", "o2", "o3"}
    write(other="o2")
    assert kept() == {"l2", "o2", "o3"}
    assert not list(tmp_path.glob("*.part-*"))


def test_processes_whose_folders_hold_different_records_go_on_together(save, tmp_path):
    """Of two machines without a shared folder the first has all records, the other none."""
    off = {"agreement": {"enabled": False}, "log_odds": {"templates": ["The {occupation} said that"]}}
    config = validate(EvalConfig, {**off, "scoring": {"max_batch_tokens": 64}})
    spec = ModelSpec("a", str(save("a")))
    (alone,) = evaluate([spec], config, tmp_path).results
    (tmp_path / "empty").mkdir()
    tasks, _ = plan_tasks(config)
    scorer = load_scorer(spec, config.scoring)

    def run(processes):
        folder = (tmp_path, tmp_path / "empty")[processes.index]
        progress = ProgressBar(tasks, 1, processes)
        found = suite.ModelRun(spec, scorer, alone.info, config, folder, processes, progress).run(tasks)
        return found[0].tasks["log_odds"].records, found[1]

    assert in_two_threads(run) == [(alone.tasks["log_odds"].records, [])] * 2
    assert not list((tmp_path / "empty").iterdir())  # nothing was scored again


def test_processes_that_find_different_files_measure_what_all_of_them_found():
    def task(name, key):
        return Task(name, key, prepare=None, num_items=1, num_tokens=1)

    plans = [
        ([task("a", "1"), task("b", "1"), task("c", "1"), task("d", "1")], []),
        ([task("a", "1"), task("c", "2"), task("d", "1")], [Failure(None, "b", "b.json does not exist")]),
    ]
    first, second = in_two_threads(lambda processes: suite.agreed(*plans[processes.index], processes))
    assert [one.name for one in first[0]] == [one.name for one in second[0]] == ["a", "d"]
    assert first[1] == second[1]
    assert [(failure.task, failure.message[:25]) for failure in first[1]] == [
        ("b", "b.json does not exist"),
        ("c", "the processes read differ"),
    ]


def test_a_benchmark_that_was_left_out_once_is_not_scored_again(words, tmp_path, monkeypatch):
    calls, score = [], log_odds.score
    monkeypatch.setattr(log_odds, "score", lambda scorer, prompts: calls.append(len(prompts)) or score(scorer, prompts))
    words, out = [words[0], *words[2:], "--out", str(tmp_path / "out")], tmp_path / "out"
    assert main(words) == 0
    before, _ = outcome(out)
    assert main([*words, "log_odds.enabled=false", "perplexity.separator=null"]) == 0
    without, _ = outcome(out)
    assert "log_odds" not in without["models"][0]["tasks"]
    assert main(["compare", str(out), "--out", str(tmp_path / "compared")]) == 0  # its own records, and no others
    assert outcome(tmp_path / "compared")[0]["measurements"] == without["measurements"]
    assert main(words) == 0
    assert outcome(out)[0] == before
    assert calls == [272, 208]
