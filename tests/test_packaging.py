"""The wheel holds everything the packages need, and works without the clone."""

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
assert len(neutral_prompts(LogOddsConfig(), None)) > 100
assert augment.swap("He left.").counterfactual == "She left."
assert augment.__file__.startswith({target!r}), augment.__file__
"""


@pytest.mark.slow
def test_the_wheel_is_complete_and_importable_on_its_own(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("augment", "distill"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("evenhand-*.whl")
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    packed = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    kept = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and path.parts[len(source.parts)] in ("augment", "distill")
    }
    assert kept <= packed, kept - packed
    assert not any(name.startswith(("tests", "train.py", "configs")) for name in packed)
    probe = [sys.executable, "-c", PROBE.format(target=str(target))]
    subprocess.run(probe, check=True, cwd=tmp_path, env={"PYTHONPATH": str(target), "PATH": ""})
