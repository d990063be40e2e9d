"""Two CPU processes (gloo): they know each other, and give the loss and gradients that one process gives."""

import os
import subprocess
import sys
from pathlib import Path

import distributed_step
import pytest
import torch
from accelerate import Accelerator
from transformers import AutoModelForCausalLM, AutoTokenizer

from distill.run_folder import read_metrics

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


@pytest.mark.data
def test_two_processes_distill_a_real_teacher_on_real_text(shared_data: Path, tmp_path: Path):
    overrides = [
        f"run_dir={tmp_path / 'run'}",
        f"data={{path: {shared_data / 'corpora' / 'wikitext2' / 'valid.raw.txt.gz'}, seq_len: 128}}",
        f"data.cache_dir={tmp_path / 'cache'}",
        "data.max_documents=400",
        f"teacher.path={shared_data / 'models' / 'stories260k'}",
        "student.layers=[0, 2, 4]",
        "train={max_steps: 12, global_batch_size: 16, micro_batch_size: 4, log_every: 1}",
    ]
    done = launch("cpu2.yaml", "train.py", "--config", "configs/train/gpt2.yaml", *overrides)
    assert done.returncode == 0, done.stderr
    metrics = read_metrics(tmp_path / "run")
    assert metrics[0]["num_processes"] == 2
    rates = [line["lr"] for line in metrics if "lr" in line]
    assert rates == pytest.approx([5e-4 * (12 - step) / 11 for step in range(1, 13)])  # one advance per step, not two
    heldout = [line["heldout_nats_per_token"] for line in metrics if "heldout_nats_per_token" in line]
    assert heldout[-1] < heldout[0] - 0.5
    student = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "student")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "student")
    inputs = tokenizer("Once upon a time", return_tensors="pt", return_token_type_ids=False)
    generated = student.generate(**inputs, max_new_tokens=10, do_sample=False)
    assert generated.shape[1] == inputs["input_ids"].shape[1] + 10
