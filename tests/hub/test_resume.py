"""A run whose teacher, tokenizer and text are on the hub: it keeps to its commits, and resumes without a network."""

import shutil

import pytest
import yaml

from distill import train


@pytest.fixture
def command(hub, config_file, tmp_path, small_world):
    """The arguments of a run of two steps that reads everything from the hub; what it reads has been committed."""
    for name in ("teacher", "tokenizer"):
        hub.add(f"me/{name}", tmp_path / "teacher")
    lines = (small_world / "train.jsonl").read_bytes().splitlines(keepends=True)
    hub.add("me/text", {"train.jsonl": b"".join(lines[:60]), "heldout.jsonl": b"".join(lines[60:70])}, "datasets")
    settings = ("teacher.path=me/teacher", "data.tokenizer=me/tokenizer", "data.path=me/text", "train.eval_blocks=1")
    return ["--config", str(config_file), *settings, "train.max_steps=2", "train.save_every=1"]


def test_a_run_resumes_at_its_commits_and_asks_nobody(hub, command, tmp_path):
    commits = {name: hub.repositories[kind, name].find("main") for kind, name in hub.repositories}
    train.main(command)
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert written["teacher"]["path"] == written["provenance"]["teacher"] == f"me/teacher@{commits['me/teacher']}"
    assert written["data"]["tokenizer"] == f"me/tokenizer@{commits['me/tokenizer']}"
    assert written["data"]["path"] == f"me/text@{commits['me/text']}"
    assert written["provenance"]["data"]["corpus"] == f"me/text/None/train@{commits['me/text']}"

    shutil.rmtree(tmp_path / "run" / "student")  # as if it had been stopped before
    for kind, name in list(hub.repositories):
        hub.add(name, {"config.json": b"{}", "README.md": b"moved on"}, kind)
    hub.requests.clear()
    train.main(command)
    assert hub.requests == []
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()) == written
