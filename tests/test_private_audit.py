"""evenhand audit-privacy beside the promise of a private run: kept by an honest run, broken by a sabotaged one."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from distill import train
from distill.audit_privacy import BROKEN, main
from distill.run import trainer
from distill.run.folder import read_metrics
from distill.run.private import step
from distill.run.private.plan import PrivacyPlan

PRIVATE = ["privacy.epsilon=1", "optim.max_grad_norm=0", "student.dropout=0", "train.max_steps=4"]


@pytest.fixture
def command(config_file, monkeypatch) -> list[str]:
    """A private run whose held-out documents are half of its text, with canaries in the text.

    Its secret is always the same: of honest runs with random ones, one in 200 would be found broken.
    """
    monkeypatch.setattr(trainer, "new_secret", lambda: "5e" * 32)
    settings = yaml.safe_load(config_file.read_text())
    settings["data"] |= {"heldout_fraction": 0.5, "max_documents": 120}
    settings["canaries"] = {"count": 8, "digits": 1}
    settings["train"] |= {"eval_every": 4, "save_every": 4}
    config_file.write_text(yaml.safe_dump(settings))
    return ["--config", str(config_file), *PRIVATE]


def audited(run: Path, capsys) -> tuple[int, dict, str, str]:
    capsys.readouterr()
    code = main([str(run), "--documents", "30"])
    content = json.loads((run / "privacy_audit" / "privacy_audit.json").read_text())
    return code, content, (run / "privacy_audit" / "privacy_audit.html").read_text(), capsys.readouterr().out


def test_an_honest_run_keeps_its_promise(command, tmp_path, capsys, blank_plots):
    train.main(command)
    run = tmp_path / "run"
    stated = json.loads((run / "privacy.json").read_text())
    steps = [line for line in read_metrics(run) if "loss" in line]
    assert [line["noise"] for line in steps] == pytest.approx([stated["noise_multiplier"]] * 4, rel=0.2)
    code, content, page, printed = audited(run, capsys)
    promise = content["promise"]
    assert (code, promise["is_broken"], promise["epsilon"]) == (0, False, 1)
    assert 0.3 < promise["bounds"]["white-box canaries"]["at_least"] <= 1
    assert promise["noise"]["noise_at_most"] > stated["noise_multiplier"]
    assert "canaries in the text" in promise["bounds"] and "membership (loss)" in promise["bounds"]
    assert content["delta"] == stated["delta"] and content["bound_confidence"] == pytest.approx(0.995)
    for said in (page, printed):
        assert "No bound is above the promise. Epsilon 1 at delta" in said
        assert "White-box canaries measure" in said and "White-box canaries are records" in said
    with pytest.raises(ValueError, match=r"--delta 1e-05 is not the delta of the run's promise .*; leave --delta out"):
        main([str(run), "--delta", "1e-5"])
    (run / "privacy.json").unlink()
    with pytest.raises(ValueError, match=r"run/privacy.json cannot be read .*, so it is not known what it promises"):
        main([str(run)])


def half_the_noise(monkeypatch):
    whole = PrivacyPlan.noise_std.fget
    monkeypatch.setattr(PrivacyPlan, "noise_std", property(lambda plan: whole(plan) / 2))


def no_noise(monkeypatch):
    monkeypatch.setattr(step, "add_noise_", lambda *_: None)


def twice_the_clip(monkeypatch):
    """As if both views of a document were clipped apart, but counted as one record."""
    clipped = step.add_clipped_
    monkeypatch.setattr(step, "add_clipped_", lambda to, gradients, norm: clipped(to, gradients, 2 * norm))


def no_clip(monkeypatch):
    def add(places, gradients, max_norm):
        torch._foreach_add_(places, gradients)
        return 0.0

    monkeypatch.setattr(step, "add_clipped_", add)


@pytest.mark.parametrize(
    "sabotage",
    [
        half_the_noise,
        *(pytest.param(other, marks=pytest.mark.slow) for other in (no_noise, twice_the_clip, no_clip)),
    ],
)
def test_a_sabotaged_run_is_caught(sabotage, command, tmp_path, capsys, blank_plots, monkeypatch):
    """Its privacy.json states what an honest run would state, and its text canaries are too few to see anything."""
    sabotage(monkeypatch)
    train.main(command)
    run = tmp_path / "run"
    assert json.loads((run / "privacy.json").read_text())["epsilon"] == 1
    code, content, page, printed = audited(run, capsys)
    assert code == BROKEN and content["promise"]["is_broken"]
    assert content["promise"]["bounds"]["white-box canaries"]["at_least"] > 1.5
    assert content["promise"]["bounds"]["canaries in the text"]["at_least"] < 1
    for said in (page, printed):
        assert "THE PROMISE IS BROKEN. Epsilon 1 at delta" in said
