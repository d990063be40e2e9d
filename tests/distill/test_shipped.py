"""Shipped configurations by name, and the message if another command must make an input first."""

import pytest

from distill.config import RunConfig
from distill.settings import load_config
from distill.shipped import check_needs, config_path, shipped_configs


def test_a_name_is_the_shipped_file_unless_a_file_has_that_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()  # for example a model folder
    shipped = config_path("train", "gpt2")
    assert shipped.is_absolute() and shipped.parts[-2:] == ("train", "gpt2.yaml")
    (tmp_path / "gpt2").rmdir()
    (tmp_path / "gpt2").touch()
    assert str(config_path("train", "gpt2")) == "gpt2"


@pytest.mark.parametrize("name", ["nope", "configs/train/nope.yaml", "../gpt2", "gpt2.yaml"])
def test_what_does_not_exist_is_refused_with_the_shipped_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as refused:
        config_path("train", name)
    names = ", ".join(shipped_configs("train"))
    message = f"config file {name} does not exist; give an existing YAML file or a shipped name: {names}"
    assert str(refused.value) == message
    assert "smallworld_teacher" in names


def test_an_input_that_another_command_makes_is_asked_for_by_that_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = config_path("train", "smallworld")

    def check(*overrides):
        check_needs(path, load_config(RunConfig, path, overrides))

    with pytest.raises(FileNotFoundError) as refused:
        check()
    assert str(refused.value) == (
        "data.path runs/smallworld/world/train.jsonl does not exist; "
        "make it first: evenhand smallworld --out runs/smallworld/world"
    )
    with pytest.raises(FileNotFoundError, match="teacher.path .* first: evenhand train --config smallworld_teacher"):
        check("data.path=a.jsonl", "data.heldout_path=b.jsonl")
    check("data.path=a.jsonl", "data.heldout_path=b.jsonl", "teacher.path=c")
