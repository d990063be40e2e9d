"""README.md is short, its commands have valid settings, and its examples run as printed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from distill.cli import COMMANDS as SUBCOMMANDS
from distill.config import RunConfig
from distill.evaluation.config import EvalConfig
from distill.settings import load_config

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]


def test_it_is_read_in_five_minutes():
    assert len(README.splitlines()) <= 200


def test_every_command_is_one_that_exists():
    for command in COMMANDS:
        program, name = command.split()[:2]
        assert program in ("make", "pip", "evenhand", "accelerate"), command
        if program == "evenhand":
            assert name in SUBCOMMANDS, command


@pytest.mark.parametrize("command", [c for c in COMMANDS if re.search(r"\b(train|eval)(\.py)?\b.*--config ", c)])
def test_training_and_evaluation_commands_have_valid_settings(command):
    words = shlex.split(command)
    schema = RunConfig if any(word in ("train", "train.py") for word in words) else EvalConfig
    overrides = [word for word in words if re.fullmatch(r"[a-z_.]+\.[a-z_]+=.*|run_dir=.*", word)]
    load_config(schema, _configuration(words, "train" if schema is RunConfig else "eval", "--config"), overrides)
    if "--config_file" in words:
        assert _configuration(words, "accelerate", "--config_file").is_file()


def _configuration(words: list[str], folder: str, option: str) -> Path:
    """The file that an option names: a path, or a shipped configuration."""
    given = words[words.index(option) + 1]
    path = ROOT / given if given.endswith(".yaml") else ROOT / "configs" / folder / f"{given}.yaml"
    assert path.is_file(), given
    return path


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(command):
    done = subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("evenhand explain")])
def test_short_commands_run(command):
    words = [sys.executable, "-m", "distill.cli", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_python_example_runs_as_printed():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})


def test_the_files_that_it_links_to_exist():
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README):
        assert (ROOT / link).exists(), link
