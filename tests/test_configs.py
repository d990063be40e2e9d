"""Every shipped configuration is valid, and says only what differs from the defaults."""

from pathlib import Path

import pytest
import yaml

from distill.config import RunConfig, load_config, load_yaml, to_dict
from distill.evaluation.config import EvalConfig

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted((CONFIGS / "train").glob("*.yaml")), ids=lambda path: path.name)
def test_training_configurations_are_valid_and_state_no_default(path):
    config = load_config(RunConfig, path)
    settings = load_yaml(path)
    for room in ("augment", "perturb", "loss", "optim"):
        defaults = to_dict(type(getattr(config, room))())
        for key in settings.get(room, {}):
            assert to_dict(getattr(config, room))[key] != defaults[key], f"{room}.{key} is the default"


@pytest.mark.parametrize("path", sorted((CONFIGS / "eval").glob("*.yaml")), ids=lambda path: path.name)
def test_evaluation_configurations_are_valid(path):
    load_config(EvalConfig, path)


@pytest.mark.parametrize("path", sorted((CONFIGS / "accelerate").glob("*.yaml")), ids=lambda path: path.name)
def test_accelerate_reads_its_configurations(path):
    from accelerate.commands.config.config_args import load_config_from_file

    loaded = load_config_from_file(str(path))
    assert loaded.num_processes == yaml.safe_load(path.read_text())["num_processes"]
