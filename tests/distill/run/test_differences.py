"""What a resumed run may change: also where its models, tokenizer and lexicon are, but not what they are."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import yaml

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.models.identity import model_fingerprint
from distill.models.loading import load_tokenizer
from distill.models.run_models import tokenizer_fingerprint
from distill.models.student import read_settings
from distill.run.differences import differences_of
from distill.settings import to_dict, validate


@pytest.fixture
def moved(tiny_model, tokenizer, tmp_path, monkeypatch):
    """A folder with a model and a tokenizer, and the same folder under other names."""
    folder = tmp_path / "old" / "model"
    tiny_model("gpt2").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    shutil.copytree(folder, tmp_path / "new" / "model")
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    return folder, ("old/model", "./old/../old/model/", "new/model", str(tmp_path / "link"))


def settings(path: Path | str, key: str, provenance: dict | None) -> dict:
    given = {"teacher": {"path": "t"}, "student": {"layers": [0]}, "data": {"path": "d"}, "augment": {}}
    section, name = key.split(".")
    if section == "student":
        given["student"] = {}
    given[section] = given[section] | {name: str(path)}
    config = {"run_dir": "r", "train": {"max_steps": 1}, "provenance": provenance, **given}
    return to_dict(validate(RunConfig, config))


@pytest.mark.parametrize(
    ("key", "name"),
    [("teacher.path", "teacher"), ("student.checkpoint", "student"), ("data.tokenizer", "tokenizer")],
)
def test_a_model_or_tokenizer_may_move_but_not_change(moved, tiny_model, tokenizer, tmp_path, key, name):
    folder, others = moved

    def recorded(path):
        return tokenizer_fingerprint(load_tokenizer(path)) if name == "tokenizer" else model_fingerprint(path)

    before = settings(folder, key, {name: recorded(str(folder))})
    for path in others:
        assert differences_of(before, settings(path, key, {name: recorded(path)})) == []
        assert differences_of(before, settings(path, key, None)) == []  # before any model is loaded
    tiny_model("gpt2", seed=1).save_pretrained(tmp_path / "new" / "model")
    other = copy.deepcopy(tokenizer)
    other.add_tokens(["<another>"])
    other.save_pretrained(tmp_path / "new" / "model")
    for path in ("new/model", "nowhere/model"):
        (line,) = differences_of(before, settings(path, key, None))
        assert line == f"{key}: {str(folder)!r} there, {path!r} now"
    assert differences_of(settings(folder, key, {"data": {}}), settings("old/model", key, None)) != []


def test_settings_of_a_student_may_move_but_not_change(moved, tmp_path):
    """In a file or in the folder of a model, with nested settings and numbers that YAML writes in its own way."""
    folder, others = moved
    own = json.loads((folder / "config.json").read_text())
    own |= {"layer_norm_epsilon": 1e-05, "id2label": {"0": "no"}, "summary_first_dropout": 0, "prefix": None}
    for place in (folder, tmp_path / "new" / "model"):
        (place / "config.json").write_text(json.dumps(own))
    provenance = yaml.safe_load(yaml.safe_dump({"student": read_settings(str(folder))}))
    before = settings(folder, "student.config", provenance)
    for path in (*others, "old/model/config.json"):
        for known in (None, {"student": read_settings(path)}):
            assert differences_of(before, settings(path, "student.config", known)) == []
    (tmp_path / "new" / "model" / "config.json").write_text(json.dumps(own | {"id2label": {"0": "yes"}}))
    for path in ("new/model", "nowhere/model"):
        (line,) = differences_of(before, settings(path, "student.config", None))
        assert line == f"student.config: {str(folder)!r} there, {path!r} now"
    changed = differences_of(before, settings("new/model", "student.config", {"student": read_settings("new/model")}))
    assert "provenance.student.id2label.0: 'no' there, 'yes' now" in changed


def test_a_lexicon_may_move_but_not_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own.tsv"
    own.write_text("wizard\twitch\tpair\t\n")
    (tmp_path / "copy.tsv").write_text(own.read_text())
    (tmp_path / "other.tsv").write_text("monk\tnun\tpair\t\n")
    fingerprint = load_lexicon(None, own).fingerprint
    before = settings(own, "augment.lexicon", {"data": {"lexicon": fingerprint}})
    before["augment"]["tiers"] = None
    for path, same in (("own.tsv", True), ("copy.tsv", True), ("other.tsv", False), ("none.tsv", False)):
        now = settings(path, "augment.lexicon", None)
        now["augment"]["tiers"] = None
        assert (differences_of(before, now) == []) == same
