"""A damaged file of any benchmark is one message with the file, the row and the remedy; the others are measured."""

import gzip
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from distill.evaluation.config import BenchmarksConfig, EvalConfig
from distill.evaluation.measures.all_measures import plan_tasks
from distill.settings import validate
from eval import main

TABLES = {  # by setting, within what it names: a file that is damaged
    "crows_pairs": "",
    "gest": "",
    "gap": "",
    "tango": "",
    "redditbias": "reddit_comments_gender_male_biased_test_reduced.csv",
    "winogender": "all_sentences.tsv",
    "davidson": "",
    "hatecheck": "",
}
OBJECTS = {
    "stereoset": "",
    "lambada": "",
    "bold": "",
    "bold_persons": "",
    "association": "weat6.jsonl",
    "holistic_bias": "nouns.json",
    "bbq": "gender_identity.jsonl",
    "hatexplain": "dataset.json",
}
LINES = {
    "wikitext": "",
    "winobias": "pro_stereotyped_type1.txt.dev",
    "sst2": "train.tsv",
    "cola": "in_domain_train.tsv",
    "regard_data": "test.tsv",
}
FILES = TABLES | OBJECTS | LINES
ALONE = FILES.keys() - {"association", "bbq"}  # without which nothing is left; those have other files too
SPARED = "bold_persons"  # read as bold is; without any continuations nothing is said about regard
UNIQUE = ("gap", "tango", "bbq", "regard_data", "davidson", "hatecheck")  # what stands twice would count twice
OFF = ("counterfactual_gap", "perplexity", "occupation_gap", "prediction_sensitivity", "ceat")


@pytest.fixture
def settings(everything):
    """The settings that switch on every measure that reads a benchmark; nothing of it is sampled or trained."""
    more = {"toxicity": None, "word_vectors": None, "diversity": False, "fluency": False, "sentiment": False}
    return (
        everything
        | {name: {"enabled": False} for name in OFF}
        | {"text": {"path": None}, "continuations": everything["continuations"] | more}
    )


def file_of(settings, name):
    named = {**settings["benchmarks"], "regard_data": settings["continuations"]["regard_data"]}[name]
    return Path(named) / FILES[name] if FILES[name] else Path(named)


def insert(line):
    """Put a line of bytes behind the first two."""
    return lambda raw: b"\n".join([*(lines := raw.split(b"\n"))[:2], line, *lines[2:]])


def repeated(raw):
    lines = raw.rstrip(b"\n").split(b"\n")
    return b"\n".join([*lines, lines[-1], b""])


def objects(raw):
    """Each JSON object begins with the same key twice."""
    return b"\n".join(line.replace(b"{", b'{"same": 1, "same": 2, ', 1) for line in raw.split(b"\n"))


ANY_LINE = r"(:\d+)?"
DAMAGES = {  # which files, what happens to them, and the message after the name of the file
    "missing": (ALONE, lambda raw: None, " does not exist. To get it: "),
    "empty": (FILES, lambda raw: b"", r" is empty\. To get it again: "),
    "another encoding": (FILES, lambda raw: raw + b"\ncaf\xe9", r":\d+ is not UTF-8 .*; convert .*-f WINDOWS-1252"),
    "UTF-16": (FILES, lambda raw: raw.decode().encode("utf-16"), ":1 is not UTF-8 .*; it is UTF-16; convert"),
    "zero bytes": (FILES, lambda raw: raw + b"\na\0b", r":\d+ holds zero bytes"),
    "packed": (FILES, gzip.compress, r":1 is not UTF-8 .*; it is gzipped; add \.gz to its name"),
    "a folder": (FILES, None, " is a folder; name the file in it"),
    "no rows": (TABLES, lambda raw: raw.split(b"\n")[0], " has no rows with the column '"),
    "no header": (TABLES, lambda raw: raw.partition(b"\n")[2] * 2, " has no rows with the column '"),
    "a quotation mark too many": (TABLES, insert(b'"'), r": row 2 is no row of a table \(.*\); repair or remove it"),
    "more cells than columns": (TABLES, insert(b",\t" * 9 + b"x"), ": row 2 has more cells than columns .*; repair"),
    "another format": (TABLES | OBJECTS, lambda raw: b'{"a": 1}', r"\b"),
    "half a character": (
        OBJECTS,
        lambda raw: raw.replace(b": ", rb': "\ud800", "a": ', 1),
        f"{ANY_LINE} is not JSON .*surrogates",
    ),
    "a key twice": (OBJECTS, objects, rf"{ANY_LINE} is not JSON \(an object has the key 'same' twice\)"),
    "no JSON": (OBJECTS, lambda raw: raw[: len(raw) // 3], f"{ANY_LINE} is not JSON "),
    "a row twice": (UNIQUE, repeated, r": row \d+.* (again|a second time); "),
}


@pytest.fixture
def damage(settings):
    """damage(kind): damages files; returns the settings whose files they are."""

    def do(kind):
        chosen, change, _ = DAMAGES[kind]
        names = set(chosen) - {SPARED}
        for name in names:
            file = file_of(settings, name)
            raw = file.read_bytes()
            file.unlink()
            if change is None:
                file.mkdir()
            elif (changed := change(raw)) is not None:
                file.write_bytes(changed)
        return names

    return do


def test_every_setting_that_names_files_has_a_row_here(settings):
    assert set(FILES) == {field.name for field in fields(BenchmarksConfig)} | {"regard_data"}
    assert all(file_of(settings, name).is_file() for name in FILES)


@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_files_are_a_message_each_and_the_others_are_planned(settings, damage, kind):
    names = damage(kind)
    tasks, failures = plan_tasks(validate(EvalConfig, settings))
    messages = {setting_of(failure.task): failure.message for failure in failures}
    assert set(messages) == names
    assert {setting_of(task.name) for task in tasks} & FILES.keys() == FILES.keys() - names
    for name, message in messages.items():
        section = "continuations" if name == "regard_data" else "benchmarks"
        place = re.escape(f"{section}.{name}: {file_of(settings, name)}")
        assert re.match(place + DAMAGES[kind][2], message), message
        assert name == "tango" or f"evenhand data get {name.removesuffix('_data')}" in message, message


def test_the_results_of_the_other_measures_are_written(settings, damage, save, tmp_path, blank_plots, capsys):
    names = damage("empty")
    (tmp_path / "eval.yaml").write_text(yaml.safe_dump(settings))
    out = tmp_path / "out"
    assert main([str(save("model")), "--config", str(tmp_path / "eval.yaml"), "--out", str(out)]) == 1
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert {entry["name"].split("/")[0] for entry in results["measurements"]} >= {"log_odds", "they", "longform"}
    assert {setting_of(failure["task"]) for failure in results["failures"]} == names
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(names)


def test_gzipped_files_are_read_under_their_names_without_gz(settings):
    config = validate(EvalConfig, settings)
    before = {task.name: task.key for task in plan_tasks(config)[0]}
    for name in FILES.keys() - {"association"}:  # whose files are found by their suffix
        file = file_of(settings, name)
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    tasks, failures = plan_tasks(config)
    assert failures == []
    assert {task.name: task.key for task in tasks} == before


def setting_of(task):
    return {"regard": "regard_data"}.get(task, task)
