"""An evaluation that was interrupted continues; several processes give the numbers of one."""

import json
from functools import partial
from pathlib import Path

import forked
import pytest

from distill.evaluation.measures import log_odds
from eval import main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def words(small_world, save, tmp_path, monkeypatch):
    """The arguments, without --out, of an evaluation with a joined text and sampled continuations.

    Its report is not drawn, because that would take most of the time.
    """
    monkeypatch.setattr("distill.eval.render_html", lambda *_: "")
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
    part.write_bytes(b"".join(lines) + lines[0][:50])  # and an unfinished line
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


@pytest.mark.slow
def test_two_processes_give_what_one_gives(words, assert_close, tmp_path):
    assert main([*words, "--out", str(tmp_path / "alone")]) == 0
    log, program = tmp_path / "log", partial(main, [*words, "--out", str(tmp_path / "both")])
    assert forked.launch("cpu2.yaml", program=program, log=log) == [0, 0], log.read_text()
    assert log.read_text().count("one: log_odds:") == 1  # only one of them prints
    assert (tmp_path / "log.1").read_text() == ""
    (both, examples), (alone, expected) = outcome(tmp_path / "both"), outcome(tmp_path / "alone")
    assert examples.keys() == expected.keys()
    for name, text in expected.items():
        assert_close(*([json.loads(line) for line in lines.splitlines()] for lines in (examples[name], text)))
    assert_close(both, alone)


def test_records_of_a_task_that_was_switched_off_once_are_used_again(words, tmp_path, monkeypatch):
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
