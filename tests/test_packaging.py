"""The wheel holds everything that the packages need, and works without the clone."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROBE = """
import augment, distill, distill.evaluation.suite, distill.smallworld
from distill.evaluation.config import LogOddsConfig
from distill.evaluation.measures.prompts import neutral_prompts
from distill.evaluation.report.sentences import reference_values
assert len(neutral_prompts(LogOddsConfig(), None)) > 100
assert len(reference_values()) >= 3
assert augment.swap("He left.").counterfactual == "She left."
assert augment.__file__.startswith({target!r}), augment.__file__
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the sources of the distribution, without what earlier builds left in the clone."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("augment", "distill", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def unpacked(source, tmp_path_factory):
    """The folder of an unpacked wheel, built by way of a source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("evenhand-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow
def test_the_wheel_is_complete_and_importable_on_its_own(source, unpacked, tmp_path):
    packed = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    code = {path.relative_to(source) for room in ("augment", "distill") for path in (source / room).rglob("*")}
    kept = {str(path) for path in code if (source / path).is_file() and path.suffix != ".pyc"}
    kept |= {f"distill/{path.relative_to(source)}" for path in (source / "configs").glob("[!s]*/*")}
    assert kept <= packed, kept - packed
    assert "distill/configs/train/smallworld.yaml" in packed
    assert not any(name.startswith(("tests", "train.py", "setup.py", "configs", "study")) for name in packed)
    assert not any(name.startswith("distill/configs/study") for name in packed)
    (entry_points,) = unpacked.glob("evenhand-*.dist-info/entry_points.txt")
    assert "evenhand = distill.cli:main" in entry_points.read_text()
    probe = [sys.executable, "-c", PROBE.format(target=str(unpacked))]
    subprocess.run(probe, check=True, cwd=tmp_path, env={"PYTHONPATH": str(unpacked), "PATH": ""})


@pytest.mark.slow
def test_the_quickstart_needs_the_command_alone(unpacked, tmp_path):
    """Make a small world, a teacher, a student, their evaluation and a swapped text in an empty folder."""
    environment = os.environ | {"PYTHONPATH": str(unpacked), "HF_HOME": str(tmp_path / "home")}
    folder = tmp_path / "work"
    folder.mkdir()

    def evenhand(*words):
        command = [sys.executable, "-m", "distill.cli", *words]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    refused = evenhand("train", "--config", "smallworld")
    assert refused.returncode == 1
    assert "make it first: evenhand smallworld --out runs/smallworld/world" in refused.stderr
    assert list(folder.iterdir()) == []

    short = ["train.max_steps=20", "train.eval_every=20", "train.save_every=20", "train.eval_blocks=4"]
    commands = [
        ["smallworld", "--out", "runs/smallworld/world", "--documents", "400", "--heldout", "40"],
        ["train", "--config", "smallworld_teacher", *short],
        ["train", "--config", "smallworld", *short],
        ["eval", "runs/smallworld/teacher", "runs/smallworld/plain", "--config", "smallworld", "--out", "report"],
        ["eval", "runs/smallworld/plain", "--fail-above", "log_odds/mean_abs=100"],
        ["swap", "runs/smallworld/world/heldout.jsonl", "--out", "swapped.jsonl"],
    ]
    done = {}
    for words in commands:
        done[words[0], words[1]] = evenhand(*words)
        assert done[words[0], words[1]].returncode == 0, done[words[0], words[1]].stderr
    results = json.loads((folder / "report" / "results.json").read_text())
    assert [model["label"] for model in results["models"]] == ["teacher", "plain"]
    assert results["failures"] == []
    assert "plain " in done["eval", "runs/smallworld/plain"].stdout
    assert sorted(path.name for path in folder.iterdir()) == ["report", "runs", "swapped.jsonl"]
