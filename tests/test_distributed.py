"""Two CPU processes (gloo): they know each other, and give the loss and gradients that one process gives."""

import os
import subprocess
import sys
from pathlib import Path

import distributed_step
import pytest
import torch
from accelerate import Accelerator

ROOT = Path(__file__).parents[1]


def launch(accelerate_config: str, *command: str, **environment: str) -> subprocess.CompletedProcess:
    """`accelerate launch` with a shipped configuration, in a clean environment, one thread per process."""
    variables = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""} | environment
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
    return subprocess.run(
        [*launcher, str(ROOT / "configs" / "accelerate" / accelerate_config), *command],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_two_processes_give_the_step_of_one(tmp_path: Path, tiny_model, tokenizer):
    for name, seed in (("teacher", 1), ("student", 2)):
        tiny_model(seed=seed).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    alone = distributed_step.all_steps(Accelerator(cpu=True), str(tmp_path), [2])
    done = launch("cpu2.yaml", distributed_step.__file__, str(tmp_path), str(tmp_path / "out.pt"))
    assert done.returncode == 0, done.stderr
    together = torch.load(tmp_path / "out.pt")
    assert together["num_processes"] == 2
    for (mode, rows), result in together["steps"].items():
        expected = alone[mode, 2]
        assert (expected["micro_steps"], result["micro_steps"]) == (4, 4 // rows)
        assert result["metrics"]["num_tokens"] == expected["metrics"]["num_tokens"]
        assert result["metrics"]["loss"] == pytest.approx(expected["metrics"]["loss"], rel=1e-6)
        assert result["metrics"]["grad_norm"] == pytest.approx(expected["metrics"]["grad_norm"], rel=1e-5)
        for mine, theirs in zip(result["gradients"], expected["gradients"], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6 * theirs.abs().max().item() + 1e-12)
