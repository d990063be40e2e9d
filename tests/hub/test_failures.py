"""What the hub refuses, and what breaks on the way: one line each, from every door that reads models or data sets."""

import re

import pytest
import yaml
from hub.server import broken, failing, rate_limited

from distill import train
from distill.config import DataConfig
from distill.data.corpus import read_documents
from distill.eval import main
from distill.evaluation.measures.published import lambada
from distill.models.loading import load_causal_lm

CARD = {"config.json": b'{"model_type": "gpt2"}', "README.md": b"# A card that is longer than ten bytes"}
HOST = r"http://127\.0\.0\.1:\d+"
LOG_IN = "run `hf auth login` or set HF_TOKEN"
# what happens: (revision that is asked for, the message after "NAME: ")
MESSAGES = {
    "missing": rf"{HOST} has no such repository, or it is private; check the name, and if it is private, {LOG_IN}",
    "private": rf"{HOST} has no such repository, or it is private; check the name, and if it is private, {LOG_IN}",
    "gated": rf"it is gated, and no token is set; ask for access on {HOST}/(datasets/)?me/gated, then {LOG_IN}",
    "gated, token": rf"it is gated, and this token has no access; ask for access on {HOST}/(datasets/)?me/gated.*",
    "revision": "it has no revision v9; give one of its branches, tags or commits after @",
    "name": "me/a--b cannot be the name of a repository; give owner/name",
    "rate limit": r"the hub limits how often it is asked \(429 Too Many Requests\); retry after 300 seconds, or for a "
    f"higher limit {LOG_IN}",
    "server": r"the hub failed \(503: Out of order\); give the same command again later",
    "broken": rf"the connection to {HOST} failed \(.*received 0 bytes.*\); give the same command again",
    "unreachable": rf"the connection to {HOST} failed \(.*refused.*\); give the same command again",
    "cache": r"the cache cannot be used \(.*Not a directory.*\); set HF_HOME, or HF_DATASETS_CACHE for data sets, to a "
    "folder that can be written",
    "offline": r"HF_HUB_OFFLINE is set, and the cache in /.* does not hold all of it; unset it, or fetch it where "
    r"there is a network \(hf download me/thing\)",
}
NAMES = {"gated": "me/gated", "gated, token": "me/gated", "name": "me/a--b", "revision": "me/thing@v9"}
MAY_PASS = ("rate limit", "server", "broken", "unreachable")


@pytest.fixture
def waited(monkeypatch):
    """The seconds that the hub's client would have waited before it asked again."""
    seconds = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.fixture
def arrange(hub, tmp_path, monkeypatch, waited):
    """arrange(what happens) lets it happen, and returns the name to ask for."""

    def arrange_it(what):
        for kind in ("models", "datasets"):
            hub.add("me/thing", CARD, kind)
            hub.add("me/private", CARD, kind, token="secret")
            hub.add("me/gated", CARD, kind, token="secret", gated=True)
        if what == "gated, token":
            monkeypatch.setenv("HF_TOKEN", "another")
        elif what in ("rate limit", "server", "broken"):
            faults = {"rate limit": rate_limited, "server": failing, "broken": broken(times=100, after=0)}
            hub.faults = {"content of" if what == "broken" else "me/thing": faults[what]}
        elif what == "unreachable":
            hub.stop()
        elif what == "cache":
            (tmp_path / "file").write_text("")
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
        elif what == "offline":
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
            monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
        return NAMES.get(what, f"me/{what}" if what in ("missing", "private") else "me/thing")

    return arrange_it


@pytest.mark.parametrize("what", MESSAGES)
def test_a_failure_is_one_line_that_names_the_remedy(what, arrange, waited):
    name = arrange(what)
    fault = re.compile(rf".*\b{re.escape(name)}\b.*: {MESSAGES[what]}")
    type_of_error = ConnectionError if what in MAY_PASS else FileNotFoundError
    with pytest.raises(type_of_error) as caught:
        load_causal_lm(name)
    assert fault.fullmatch(str(caught.value))
    assert len(waited) <= 5  # it waits for one file only
    if what == "unreachable":  # the client is built anew for every attempt, which takes long
        return
    with pytest.raises(type_of_error) as caught:
        list(read_documents(DataConfig(path=name)))
    assert fault.fullmatch(str(caught.value))
    with pytest.raises(type_of_error) as caught:
        lambada.read(f"hub:{name}")
    assert str(caught.value).startswith("benchmarks.lambada: ")
    assert fault.fullmatch(str(caught.value).partition(". To have it as files: ")[0])


@pytest.mark.parametrize("what", ["missing", "gated", "rate limit", "cache", "broken"])
def test_a_command_ends_with_that_line_and_begins_nothing(what, arrange, tmp_path, capsys):
    name = arrange(what)
    settings = {"run_dir": str(tmp_path / "run"), "student": {"layers": [0]}, "train": {"max_steps": 1}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings))
    command = ["--config", str(tmp_path / "run.yaml")]
    for door, code in (
        (lambda: train.program([*command, f"teacher.path={name}", "data.path=me/thing"]), 1),
        (lambda: train.program([*command, f"teacher.path={tmp_path}", f"data.path={name}"]), 1),
        (lambda: main([name, "log_odds.enabled=false"]), 2),
    ):
        capsys.readouterr()
        assert door() == code
        printed = capsys.readouterr().err
        assert re.fullmatch(rf"error: .*\b{re.escape(name)}\b.*: {MESSAGES[what]}", printed.splitlines()[-1])
        assert "Traceback" not in printed and not (tmp_path / "run").exists()
