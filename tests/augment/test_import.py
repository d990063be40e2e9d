"""Importing the augmenter loads no framework, so that it is quick."""

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
import augment
heavy = {"torch", "transformers", "numpy", "scipy", "pyarrow", "datasets", "jinja2", "distill"}
print(sorted(heavy & set(sys.modules)))
"""


def test_import_is_light() -> None:
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout == "[]\n"
