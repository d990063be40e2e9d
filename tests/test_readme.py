"""The README's commands work and its file tree is true."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_there_are_commands():
    assert any("quickstart" in command for command in COMMANDS)
    assert any(command.startswith("accelerate launch --quiet") for command in COMMANDS)


@pytest.mark.parametrize("command", [c for c in COMMANDS if re.search(r"(train|eval)\.py", c)])
def test_training_and_evaluation_commands_have_valid_settings(command):
    words = shlex.split(command)
    for option in ("--config_file", "--config"):
        if option in words:
            assert (ROOT / words[words.index(option) + 1]).is_file(), command
    script = next(index for index, word in enumerate(words) if word in ("train.py", "eval.py"))
    assert (ROOT / words[script]).is_file()
    overrides = [word for word in words[script + 1 :] if re.fullmatch(r"[a-z_.]+\.[a-z_]+=.*|run_dir=.*", word)]
    schema = RunConfig if words[script] == "train.py" else EvalConfig
    load_config(schema, ROOT / words[words.index("--config") + 1], overrides)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(command):
    done = subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m augment explain")])
def test_short_commands_run(command):
    words = [sys.executable, *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_python_example_runs_as_printed():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})


def test_the_file_tree_names_every_module_and_nothing_else():
    (tree,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    named = set(re.findall(r"[\w./*-]+\.py\b", tree))
    modules = {path.name for room in ("augment", "distill", "benchmarks") for path in (ROOT / room).rglob("*.py")}
    modules |= {"train.py", "eval.py"}
    assert {Path(name).name for name in named} == modules - {"__init__.py"}
