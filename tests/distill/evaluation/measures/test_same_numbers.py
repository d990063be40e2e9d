"""The records and numbers of every measure are the same in two processes, after an interruption, and in any batch.

The fixture `everything` switches on every measure, with small data; a measure that it lacks fails the tests.
"""

import json
from dataclasses import replace

import forked
import pytest

from distill.evaluation import results
from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.all_measures import MEASURES, plan_tasks
from distill.evaluation.measures.continuations import derived, gender_scores, sampling
from distill.evaluation.processes import current_processes
from distill.evaluation.records import PartFile
from distill.evaluation.scoring.model_specs import examples_name
from distill.evaluation.suite import evaluate
from distill.run.launch import leave
from distill.settings import validate

# What is not scored in several chunks: it fine-tunes, or joins its text; and what has a single item here
FINE_TUNED = {"sst2", "cola", "occupation_gap", "davidson", "hatecheck", "hatexplain", "prediction_sensitivity"}
UNDIVIDED = FINE_TUNED | {"perplexity"} | {"wikitext", "stereoset", "crows_pairs", "ceat"}
pytestmark = pytest.mark.slow


@pytest.fixture
def settings(everything, monkeypatch):
    """Every measure, in chunks of one or a few items."""
    monkeypatch.setattr(sampling, "SAMPLES_AT_ONCE", 1)
    monkeypatch.setattr(sampling, "MIN_PROMPTS_AT_ONCE", 1)
    for module in (derived, gender_scores):
        monkeypatch.setattr(module, "RECORDS_AT_ONCE", 2)
    return everything | {"scoring": {"max_batch_tokens": 2}, "perplexity": {"separator": " "}}


@pytest.fixture
def chunks(monkeypatch):
    """The (task, key, records) of the chunks that an evaluation writes in this process."""
    written, append = [], PartFile.append

    def spied(part, task, key, records):
        written.append((task, key, records))
        append(part, task, key, records)

    monkeypatch.setattr(PartFile, "append", spied)
    return written


def interrupt(folder, label, chunks):
    """Make what a killed process leaves: all but the last chunk of every task, and the beginning of a line."""
    last = {task: number for number, (task, _, _) in enumerate(chunks)}
    folder.mkdir()
    part = PartFile(folder, examples_name(label), 0)
    for number, chunk in enumerate(chunks):
        if number != last[chunk[0]]:
            part.append(*chunk)
    with part.path.open("ab") as stream:
        stream.write(b'{"task": "gest", "key": "')
    return [chunks[number] for number in last.values()]


def test_every_measure_continues_after_its_last_whole_chunk(settings, model_spec, chunks, tmp_path):
    config, spec = validate(EvalConfig, settings), model_spec("model")
    (tmp_path / "whole").mkdir()
    (whole,) = evaluate([spec], config, tmp_path / "whole").results
    assert list(whole.tasks) == list(MEASURES)
    first = list(chunks)
    several = {task for task, _, records in first if len(records) < len(whole.tasks[task].records)}
    assert several == set(MEASURES) - UNDIVIDED
    missing = interrupt(tmp_path / "killed", "model", first)
    chunks.clear()
    (again,) = evaluate([spec], config, tmp_path / "killed").results
    assert chunks == missing
    assert {name: (run.key, run.records, run.conventions) for name, run in again.tasks.items()} == {
        name: (run.key, run.records, run.conventions) for name, run in whole.tasks.items()
    }
    measured = [{name: str(one.measurement) for name, one in each.estimates.items()} for each in (whole, again)]
    assert measured[0] == measured[1]


def test_two_processes_measure_what_one_measures(settings, model_spec, chunks, assert_close, tmp_path):
    """Both from the beginning, and after an interruption in which the last chunk of every task was lost."""
    config, spec = validate(EvalConfig, settings), model_spec("model")

    def write(name):
        (tmp_path / name).mkdir(exist_ok=True)
        evaluation = evaluate([spec], config, tmp_path / name)
        if current_processes().is_main:
            results.write(tmp_path / name, results.summarise(evaluation, config), evaluation)

    def program():
        write("both")
        write("killed")
        leave()
        return 0

    write("alone")
    interrupt(tmp_path / "killed", "model", list(chunks))
    log = tmp_path / "log"
    assert forked.launch("cpu2.yaml", program=program, log=log) == [0, 0], log.read_text()
    expected = outcome(tmp_path / "alone")
    assert set(expected[1]) == set(MEASURES)
    for name in ("both", "killed"):
        assert_close(outcome(tmp_path / name), expected)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_no_record_depends_on_batches_prefixes_or_the_padding_side(settings, tiny_scorer, assert_close, architecture):
    tasks, failures = plan_tasks(validate(EvalConfig, settings))
    assert failures == []
    assert [task.name for task in tasks] == list(MEASURES)
    scorer, found = tiny_scorer(architecture), []
    for size, side, shares in ((1, "left", False), (200, "right", True), (4096, "left", True)):
        scorer.tokenizer.padding_side = side
        own = replace(scorer, max_batch_tokens=size, shares_prefixes=shares)
        records = {}
        for task in tasks:
            work = task.prepare(own, *(records[need] for need in task.needs))
            records[task.name] = work.score(work.items)
        found.append(records)
    for records in found[1:]:
        assert_close(records, found[0])


def outcome(folder):
    """The measurements without the revision of the source tree, and the records by task."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    measurements = [
        {field: value for field, value in entry.items() if field != "signature"} for entry in results["measurements"]
    ]
    records = {}
    (file,) = folder.glob("examples-*.jsonl")
    for line in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        records.setdefault(record.pop("task"), []).append(record)
    return measurements, records
