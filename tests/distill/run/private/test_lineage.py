"""What the models that a private run starts from had read, as their run folders and model cards say."""

import json
import math
from pathlib import Path

import pytest
import yaml

from distill.config import RunConfig
from distill.run.private.lineage import GIVEN, OTHER_TEXT, PRIVATE, PRIVATE_SOMEWHERE, PUBLIC, ancestors_of
from distill.settings import validate

OURS, OTHERS = "a" * 64, "b" * 64


def config(
    teacher: Path | None, budget: object = "public", checkpoint: Path | None = None, epsilon: float = 2.0
) -> RunConfig:
    student = {"config": {"model_type": "gpt2"}} if checkpoint is None else {"checkpoint": str(checkpoint)}
    given = {
        "run_dir": "unused",
        "data": {"path": "corpus.jsonl"},
        "teacher": None if teacher is None else {"path": str(teacher)},
        "student": student,
        "loss": {"kd_weight": 0 if teacher is None else 1, "ce_weight": 1},
        "train": {"max_steps": 1},
        "optim": {"max_grad_norm": 0},
        "privacy": {"epsilon": epsilon, "teacher_budget": budget},
    }
    return validate(RunConfig, given)


def settings_of(corpus: str | None, teacher: Path | None, checkpoint: Path | None) -> dict:
    data = {"lexicon": "c" * 64} | ({} if corpus is None else {"corpus": corpus})
    return {
        "teacher": None if teacher is None else {"path": str(teacher)},
        "student": {"checkpoint": None if checkpoint is None else str(checkpoint)},
        "provenance": {"data": data},
    }


def promise(folder: Path, budget: tuple | None) -> None:
    if budget is not None:
        total = dict(zip(("epsilon", "delta"), budget, strict=True))
        (folder / "privacy.json").write_text(json.dumps({"total": total}))


def run(
    folder: Path, corpus: str, budget: tuple | None = None, teacher: Path | None = None, checkpoint: Path | None = None
) -> Path:
    """A finished run as far as its past is concerned; returns its student."""
    student = folder / "student"
    student.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings_of(corpus, teacher, checkpoint)))
    promise(folder, budget)
    return student


def copied(folder: Path, corpus: str | None, budget: tuple | None = None) -> Path:
    """A student that was copied or uploaded without its run folder."""
    folder.mkdir()
    card = f"# A student\n\n```yaml\n{yaml.safe_dump(settings_of(corpus, None, None))}```\n"
    (folder / "README.md").write_text(card)
    promise(folder, budget)
    return folder


def only(ancestors: list) -> tuple:
    (ancestor,) = ancestors
    return ancestor.status, ancestor.epsilon, ancestor.delta


def test_a_teacher_of_the_same_text_without_a_budget_is_refused(tmp_path):
    teachers = [run(tmp_path / "run", OURS), copied(tmp_path / "copy", OURS), tmp_path / "link"]
    teachers[2].symlink_to(teachers[0])
    for teacher in teachers:
        for budget in ("public", {"epsilon": 1, "delta": 1e-6}):
            with pytest.raises(ValueError, match="train that model privately too or on other text, or") as fault:
                ancestors_of(config(teacher, budget), OURS)
        message = str(fault.value)
        assert message.startswith(f"teacher.path {teacher} was trained on the text of data.path corpus.jsonl")
        assert "both have the fingerprint aaaaaaaaaaaa" in message


def test_a_checkpoint_and_what_stands_behind_a_teacher_are_looked_at_too(tmp_path):
    with pytest.raises(ValueError, match=r"student.checkpoint .*/first/student was trained on the text of data.path"):
        ancestors_of(config(None, checkpoint=run(tmp_path / "first", OURS)), OURS)
    second = run(tmp_path / "second", OTHERS, teacher=tmp_path / "first" / "student")
    third = run(tmp_path / "third", OTHERS, checkpoint=second)
    with pytest.raises(ValueError, match=r"the teacher.path of .*/second/student .*/first/student was trained on"):
        ancestors_of(config(third), OURS)
    assert [a.status for a in ancestors_of(config(third), "d" * 64)] == [OTHER_TEXT] * 3


def test_budgets_add_up_and_each_is_counted_once(tmp_path):
    teacher = run(tmp_path / "run", OURS, (4.0, 1e-6))
    assert only(ancestors_of(config(teacher), OURS)) == (PRIVATE, 4.0, 1e-6)
    both = ancestors_of(config(teacher, checkpoint=teacher), OURS)
    assert only(both) == (PRIVATE, 4.0, 1e-6)
    copy, other = copied(tmp_path / "copy", None, (3.0, 1e-7)), run(tmp_path / "other", OTHERS, (4.0, 1e-6))
    assert only(ancestors_of(config(copy), OURS)) == (PRIVATE_SOMEWHERE, 3.0, 1e-7)
    assert only(ancestors_of(config(other), OURS)) == (OTHER_TEXT, 0.0, 0.0)


def test_what_is_behind_a_private_teacher_is_in_its_own_total(tmp_path):
    first = run(tmp_path / "first", OURS, (1.0, 1e-6))
    second = run(tmp_path / "second", OURS, (3.0, 2e-6), teacher=first)
    assert only(ancestors_of(config(second), OURS)) == (PRIVATE, 3.0, 2e-6)


def test_what_is_unknown_is_assumed_public_and_said_so_or_has_the_budget_that_is_given(tmp_path):
    (tmp_path / "model").mkdir()
    for teacher in (tmp_path / "model", tmp_path / "missing", copied(tmp_path / "copy", None)):
        assert only(ancestors_of(config(teacher), OURS)) == (PUBLIC, 0.0, 0.0)
    budget = {"epsilon": 4, "delta": 1e-6}
    assert only(ancestors_of(config(tmp_path / "model", budget), OURS)) == (GIVEN, 4.0, 1e-6)
    two = ancestors_of(config(tmp_path / "model", budget, checkpoint=tmp_path / "copy"), OURS)
    assert [(a.setting, a.epsilon) for a in two] == [("teacher.path", 4.0), ("student.checkpoint", 0.0)]
    with pytest.raises(ValueError, match=r"privacy.teacher_budget is given, but .* say what they have read: leave it"):
        ancestors_of(config(run(tmp_path / "run", OTHERS), budget), OURS)
    assert ancestors_of(config(None), OURS) == []


def test_a_teacher_that_was_clipped_without_noise_has_no_budget_and_a_run_without_a_promise_needs_none(tmp_path):
    clipped = run(tmp_path / "clipped", OURS, (None, None), teacher=run(tmp_path / "first", OTHERS))
    with pytest.raises(ValueError, match="without a privacy budget, so it may pass on any document"):
        ancestors_of(config(clipped), OURS)
    assert [a.status for a in ancestors_of(config(clipped), "d" * 64)] == [OTHER_TEXT] * 2
    assert only(ancestors_of(config(copied(tmp_path / "copy", None, (None, None))), OURS)) == (PUBLIC, 0.0, 0.0)
    assert ancestors_of(config(clipped, epsilon=math.inf), OURS) == []
    promise(tmp_path / "clipped", (None, 1e-6))
    with pytest.raises(ValueError, match="privacy.json cannot be read"):
        ancestors_of(config(clipped), OURS)


def test_a_damaged_promise_or_run_folder_is_refused_and_a_card_of_another_project_is_not(tmp_path):
    teacher = run(tmp_path / "run", OURS, (4.0, 1e-6))
    (tmp_path / "run" / "privacy.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run/privacy.json cannot be read .*, so it is not known what it promises"):
        ancestors_of(config(teacher), OURS)
    broken = run(tmp_path / "broken", OURS)
    (tmp_path / "broken" / "config.yaml").write_text("a: [1")
    with pytest.raises(ValueError, match=r"broken/config.yaml cannot be read .*, so it is not known what .* has read"):
        ancestors_of(config(broken), OURS)
    other = copied(tmp_path / "other", OURS)
    for card in ("```yaml\na: [1\n```", "```yaml\n3\n```", "no settings"):
        (other / "README.md").write_text(card)
        assert only(ancestors_of(config(other), OURS)) == (PUBLIC, 0.0, 0.0)
