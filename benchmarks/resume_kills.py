"""Kill a run again and again (kill -9), restart it, and compare its weights with those of an undisturbed run.

    python -m benchmarks.resume_kills [--kills 20] [--seed 0] [--folder DIR]

Half of the kills come at a random time, half while the run writes a checkpoint. Prints a line per kill and, at the end,
one line of JSON. Exits with 1 unless every weight is equal bit for bit. Runs on the CPU and needs no data.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1"}
PATIENCE_SECONDS = 300
MAX_WAIT_SECONDS = 4.0  # between the first new step and the kill
TEACHER = {"model_type": "gpt2", "n_layer": 3, "n_embd": 32, "n_head": 2, "n_positions": 64}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder, removed at the end)")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    command = prepare(folder, num_steps=40 * options.kills)
    started = time.monotonic()
    subprocess.run([*command, f"run_dir={folder / 'whole'}"], check=True, **quiet(folder))
    whole_seconds = time.monotonic() - started
    draw = random.Random(options.seed)
    kills = [kill_once(command, folder, in_checkpoint=index % 2 == 1, draw=draw) for index in range(options.kills)]
    subprocess.run([*command, f"run_dir={folder / 'killed'}"], check=True, **quiet(folder))
    digests = [digest(folder / name / "student" / "model.safetensors") for name in ("whole", "killed")]
    result = {
        "num_kills": len(kills),
        "num_kills_in_checkpoint": sum(kill["partial"] for kill in kills),
        "steps_at_kill": [kill["step"] for kill in kills],
        "seconds_undisturbed": round(whole_seconds, 1),
        "sha256": digests[0][:16],
        "bit_equal": digests[0] == digests[1],
    }
    print(json.dumps(result))
    if options.folder is None:
        shutil.rmtree(folder)
    sys.exit(0 if result["bit_equal"] else 1)


def prepare(folder: Path, num_steps: int) -> list[str]:
    """Make a small world and its teacher. Returns the command of a run that writes a checkpoint every fourth step."""
    world = [sys.executable, "-m", "distill.smallworld", "--out", str(folder / "world"), "--documents", "400"]
    subprocess.run(world, check=True, **quiet(folder))
    data = [
        f"data.path={folder / 'world' / 'train.jsonl'}",
        f"data.heldout_path={folder / 'world' / 'heldout.jsonl'}",
        f"data.cache_dir={folder / 'cache'}",
        "data.seq_len=64",
        "data.num_proc=1",
    ]
    train = [sys.executable, str(ROOT / "train.py"), "--config"]
    teacher = [
        *train,
        str(ROOT / "configs" / "train" / "smallworld_teacher.yaml"),
        *data,
        f"data.tokenizer={folder / 'world' / 'tokenizer'}",
        f"run_dir={folder / 'teacher'}",
        f"student.config={json.dumps(TEACHER)}",
        "train.max_steps=10",
    ]
    subprocess.run(teacher, check=True, **quiet(folder))
    return [
        *train,
        str(ROOT / "configs" / "train" / "smallworld.yaml"),
        *data,
        f"teacher.path={folder / 'teacher' / 'student'}",
        "perturb.operation=equivariant",
        "student.dropout=0.1",  # with dropout, a random state that was not restored shows in the weights
        f"train.max_steps={num_steps}",
        "train.save_every=4",
        "train.log_every=1",
        "train.eval_every=50",
    ]


def kill_once(command: list[str], folder: Path, in_checkpoint: bool, draw: random.Random) -> dict[str, int]:
    """Start the run, wait for a new step, and kill it: at a random time, or while it writes a checkpoint."""
    run = folder / "killed"
    before = last_step(run)
    process = subprocess.Popen([*command, f"run_dir={run}"], **quiet(folder))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while last_step(run) in (None, before) and alive(process, deadline):
        time.sleep(0.002)
    moment = time.monotonic() + draw.uniform(0, MAX_WAIT_SECONDS)
    while time.monotonic() < moment and alive(process, deadline):
        time.sleep(0.001)
    while in_checkpoint and not list((run / "checkpoints").glob("step_*.partial")) and alive(process, deadline):
        time.sleep(0.0002)
    process.kill()
    process.wait()
    kill = {"step": last_step(run) or 0, "partial": len(list((run / "checkpoints").glob("*.partial")))}
    print(f"killed at step {kill['step']}{', while it wrote a checkpoint' if kill['partial'] else ''}", flush=True)
    return kill


def alive(process: subprocess.Popen, deadline: float) -> bool:
    """True. Raises RuntimeError if the process has ended, and TimeoutError after the deadline."""
    if process.poll() is not None:
        raise RuntimeError(f"the run ended by itself with {process.returncode}; see the log, or use fewer kills")
    if time.monotonic() > deadline:
        raise TimeoutError(f"the run took no new step, or wrote no checkpoint, for {PATIENCE_SECONDS} s; see the log")
    return True


def last_step(run: Path) -> int | None:
    """The last step whose loss is in metrics.jsonl; None if the file has none yet."""
    try:
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError:
        return None
    return max((json.loads(line)["step"] for line in lines if '"loss"' in line), default=None)


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def quiet(folder: Path) -> dict:
    """How to start a process of this benchmark: its environment, and its output into log.txt."""
    log = (folder / "log.txt").open("a") if folder.exists() else subprocess.DEVNULL
    return {"cwd": ROOT, "env": ENVIRONMENT, "stdout": log, "stderr": log}


if __name__ == "__main__":
    main()
