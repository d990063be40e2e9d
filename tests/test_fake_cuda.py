"""Steps on CUDA without a GPU: they run through accelerate's own branches, wait once, and communicate as documented.

benchmarks/fake_cuda/device.py says how.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fake_cuda.device import compile_guard

ROOT = Path(__file__).parents[1]
LAYERS, MICRO_STEPS = 2, 2
BOTH = {"augment": {"mode": "augment"}, "perturb": {"operation": "equivariant"}, "loss": {"hidden_weight": 0.5}}
PAIRING = {"augment": {"mode": "augment"}, "perturb": {"operation": "equalize"}, "loss": {"pairing_weight": 1}}
GATHERS, SCATTERS = 2 * LAYERS + 1, LAYERS + 1  # of a student, per micro-step
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled guard; skipped where it does not compile."""
    if shutil.which("g++") is None:
        pytest.skip("fake CUDA needs a C++ compiler")
    folder = tmp_path_factory.mktemp("guard")
    if complaint := compile_guard(folder):
        pytest.skip(f"the guard does not compile with this torch: {complaint.splitlines()[0]}")
    return folder


def run(module: str, *words: str) -> str:
    """What a module of on_fake_cuda prints, in a process of its own, which may see no real GPU."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", f"on_fake_cuda.{module}", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def step(guard: Path, **options) -> dict:
    return json.loads(run("step", str(guard), json.dumps(options)))


def named(events: dict[str, int], word: str) -> dict[str, int]:
    return {name: number for name, number in events.items() if word in name}


ALONE = [
    ("gpt2", "bf16", {}, False),
    ("gpt2", "fp16", BOTH, False),
    ("gpt2", "no", PAIRING, False),
    ("llama", "bf16", PAIRING, True),
    ("llama", "no", BOTH, False),
]


@pytest.mark.parametrize(("architecture", "precision", "settings", "cached"), ALONE)
def test_one_gpu_waits_once_per_step(guard, architecture, precision, settings, cached):
    options = {"architecture": architecture, "precision": precision, "settings": settings, "cached": cached}
    found = step(guard, layout="alone", **options)
    assert found["device"] == "cuda"
    assert found["events"] == {"wait tolist": 1}
    assert found["scaler"] == (precision == "fp16")
    assert found["moments"] == ["torch.float32"]


@pytest.mark.parametrize(("architecture", "precision"), [("gpt2", "fp16"), ("llama", "bf16")])
def test_ddp_reduces_its_gradients_once_and_broadcasts_nothing(guard, architecture, precision):
    found = step(guard, layout="ddp", architecture=architecture, precision=precision, settings=BOTH)
    assert (found["device"], found["kind"]) == ("cuda:3", "MULTI_GPU")
    tokens, totals = "allreduce_.default torch.int64", "allreduce_.default torch.float32"
    assert found["events"] == {"bucket all-reduce": 1, tokens: 1, totals: 1, "wait tolist": 1}


@pytest.mark.parametrize(("architecture", "shard_teacher"), [("gpt2", False), ("llama", True)])
def test_fsdp2_gathers_in_bf16_and_reduces_in_float32(guard, architecture, shard_teacher):
    options = {"architecture": architecture, "precision": "bf16", "shard_teacher": shard_teacher, "settings": BOTH}
    found = step(guard, layout="fsdp2", **options)
    assert (found["device"], found["kind"]) == ("cuda:3", "FSDP")
    assert "param_dtype=torch.bfloat16, reduce_dtype=torch.float32" in found["policy"]
    assert found["num_roots"] == {"student": 1, "teacher": int(shard_teacher)}
    num_gathers = MICRO_STEPS * (GATHERS + LAYERS * shard_teacher)
    assert named(found["events"], "allgather") == {"_allgather_base_.default torch.bfloat16": num_gathers}
    num_scatters = MICRO_STEPS * SCATTERS
    assert named(found["events"], "reduce_scatter") == {"_reduce_scatter_base_.default torch.float32": num_scatters}
    assert named(found["events"], "wait") == {"wait tolist": 1}


def test_the_check_of_a_gpu_starts(guard):
    assert "pair KD, ours, equivariant, cached" in run("checks", str(guard))
