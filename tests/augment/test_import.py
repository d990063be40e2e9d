"""Importing the augmenter is cheap and loads no framework."""

import subprocess
import sys
from pathlib import Path

CODE = """
import sys, time
begun = time.process_time()
import augment
seconds = time.process_time() - begun
heavy = {"torch", "transformers", "numpy", "pyarrow", "datasets", "distill"} & set(sys.modules)
print(f"{seconds:.4f} {sorted(heavy)}")
"""


def test_import_is_light() -> None:
    root = Path(__file__).resolve().parents[2]
    runs = [
        subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, cwd=root
        ).stdout.split()
        for _ in range(3)
    ]
    assert all(run[1] == "[]" for run in runs), runs
    assert min(float(run[0]) for run in runs) < 0.3
