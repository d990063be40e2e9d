"""Check and measure the GPU path on a real GPU, in under ten minutes, and write one JSON file and one Markdown table.

    python -m benchmarks.gpu_check --out FOLDER [--device cpu]

1. The tests marked gpu.
2. Scores of one model in float32 on CPU and GPU: the largest difference of a log-probability.
3. The kernels of one loss by the profiler, beside those that benchmarks.traffic counts without a GPU.
4. A run of 20 steps, killed after a checkpoint and resumed, against an undisturbed one.
5. benchmarks.step with and without a compiled loss, beside the losses of TRL and Liger if they are installed.

With `--device cpu` everything is small and nothing means anything, except that the script runs to its end. Exits with 1
if a check fails.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.traffic import eager_counts, objectives, predictions
from distill.files import write_text
from distill.loss import fused
from distill.loss.matmul import exact_float32
from distill.models.gpu_operations import use_gpu_operations
from distill.models.loading import load_tokenizer
from distill.run.folder import read_metrics

ROOT = Path(__file__).parents[1]
MAX_SCORE_DIFFERENCE = 1e-3  # nats
MAX_WEIGHT_DIFFERENCE = 1e-3  # of a resumed run: kernels on a GPU add in another order each time
SIZES = {"n_layer": 4, "n_embd": 256, "n_head": 4, "n_positions": 256, "bos_token_id": 0, "eos_token_id": 0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every check, write FOLDER/gpu_check.json and gpu_check.md, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --device cpu shows that the script runs")
    options.out.mkdir(parents=True, exist_ok=True)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    result: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "device": name, "torch": torch.__version__}
    checks: dict[str, Callable[[str], dict[str, Any]]] = {
        "tests": run_tests,
        "scores": compare_scores,
        "kernels": count_kernels,
        "resume": resume_run,
        "step": measure_step,
    }
    for title, check in checks.items():
        started = time.monotonic()
        try:
            result[title] = check(options.device)
        except Exception as error:  # one check that fails must not lose the others' results
            result[title] = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        result[title]["seconds"] = round(time.monotonic() - started, 1)
        print(title, json.dumps(result[title]), flush=True)
        write_text(options.out / "gpu_check.json", json.dumps(result, indent=2) + "\n")
    write_text(options.out / "gpu_check.md", markdown(result, list(checks)))
    return 0 if all(result[title]["ok"] for title in checks) else 1


def run_tests(device: str) -> dict[str, Any]:
    """`pytest -m gpu`."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    return {"ok": done.returncode == 0, "says": lines[-1] if lines else done.stderr.strip()[-200:]}


def compare_scores(device: str) -> dict[str, Any]:
    """The largest difference of float32 log-probabilities between CPU and device, for two kinds of attention."""
    largest = {}
    grouped = {"num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 128, "intermediate_size": 256}
    for kind, sizes in {"gpt2": SIZES, "llama": grouped | {"num_hidden_layers": 4}}.items():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, vocab_size=1000, **sizes)).eval()
        ids = torch.randint(1000, (4, 128))
        with torch.inference_mode(), exact_float32():
            expected = model(ids).logits.log_softmax(-1)
            use_gpu_operations(model)
            found = model.to(device)(ids.to(device)).logits.log_softmax(-1).cpu()
        largest[kind] = float((found - expected).abs().max())
    return {"ok": max(largest.values()) <= MAX_SCORE_DIFFERENCE, "largest_difference_in_nats": largest}


def count_kernels(device: str) -> dict[str, Any]:
    """Kernels of the loss of gpt2.yaml between its products: seen by the profiler, and counted without a GPU."""
    objective = objectives()["gpt2.yaml"]
    counted = eager_counts(objective)
    assert objective.classes is not None
    objective = objective._replace(classes=objective.classes.to(torch.device(device)))
    fused.terms_and_gradient(*predictions(device), objective)  # warms up
    given = predictions(device)
    activity = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[activity.CPU, activity.CUDA][: 1 + (device == "cuda")]) as profile:
        fused.terms_and_gradient(*given, objective)
    kernels = [event for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    return {"ok": device == "cpu" or len(kernels) > 0, "seen": len(kernels), "counted": counted.num_kernels}


def resume_run(device: str) -> dict[str, Any]:
    """Twenty steps of a small run in bf16, whole, and killed after the checkpoint of step 10 and resumed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = small_run(folder, device)
        call(command, folder, "whole")
        with (folder / "log").open("w") as log:
            process = subprocess.Popen([*command, f"run_dir={folder / 'killed'}"], cwd=ROOT, stdout=log, stderr=log)
            while not (folder / "killed" / "checkpoints" / "step_00000010").exists() and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
        call(command, folder, "killed")
        whole, killed = (load_file(folder / run / "student" / "model.safetensors") for run in ("whole", "killed"))
        metrics = read_metrics(folder / "whole")
    difference = max(float((killed[key] - weight).abs().max()) for key, weight in whole.items())
    rates = [line["tokens_per_second"] for line in metrics if "tokens_per_second" in line]
    return {
        "ok": difference <= MAX_WEIGHT_DIFFERENCE,
        "largest_difference_of_a_weight": difference,
        "tokens_per_second": round(float(np.median(rates))),
    }


def small_run(folder: Path, device: str) -> list[str]:
    """Make a small world with its tokenizer, and a teacher without training. Returns the command of a run on it."""
    subprocess.run([sys.executable, "-m", "distill.cli", "smallworld", "--out", str(folder / "world")], check=True)
    torch.manual_seed(0)
    vocabulary = len(load_tokenizer(str(folder / "world" / "tokenizer")))
    config = AutoConfig.for_model("gpt2", vocab_size=vocabulary, **SIZES)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / "teacher")
    settings = {
        "data.path": folder / "world" / "train.jsonl",
        "data.heldout_path": folder / "world" / "heldout.jsonl",
        "data.tokenizer": folder / "world" / "tokenizer",
        "data.cache_dir": folder / "cache",
        "data.max_documents": 2000,
        "teacher.path": folder / "teacher",
        "train.max_steps": 20,
        "train.save_every": 10,
        "train.log_every": 5,
    }
    precision = ["--mixed_precision", "bf16"] if device == "cuda" else ["--cpu"]
    base = ROOT / "configs" / "train" / "smallworld.yaml"
    words = [f"{key}={value}" for key, value in settings.items()]
    return [sys.executable, "-m", "distill.cli", "train", "--config", str(base), *precision, *words]


def call(command: Sequence[str], folder: Path, run: str) -> None:
    """Run a training to its end."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    words = [*command, f"run_dir={folder / run}"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


def measure_step(device: str) -> dict[str, Any]:
    """benchmarks.step, eager and compiled."""
    sizes = ["--seq-len", "1024", "--batch", "16", "--rounds", "5"]
    if device == "cpu":
        sizes = ["--seq-len", "16", "--batch", "2", "--rounds", "1", "--width", "64", "--vocab", "500"]
        sizes += ["--teacher", "2", "--student", "1", "--dtype", "float32"]
    found: dict[str, Any] = {"ok": True}
    with tempfile.TemporaryDirectory() as folder:
        for name, words in (("eager", []), ("compiled", ["--compile"]))[: 1 + (device == "cuda")]:
            out = Path(folder) / f"{name}.json"
            command = [sys.executable, "-m", "benchmarks.step", "--device", device, *sizes, *words, "--out", str(out)]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
            found[name] = {row: round(values["median_seconds"] * 1000, 2) for row, values in rows.items()}
    return found


def markdown(result: dict[str, Any], titles: Sequence[str]) -> str:
    """The outcome of each check, and a table of the steps."""
    lines = [
        f"{result['device']}, torch {result['torch']}, {result['date']}",
        "",
        "| check | ok | found |",
        "|---|---|---|",
    ]
    for title in titles:
        rest = {key: value for key, value in result[title].items() if key not in ("ok", "eager", "compiled")}
        lines.append(f"| {title} | {'yes' if result[title]['ok'] else 'NO'} | {json.dumps(rest)} |")
    eager, compiled = (result["step"].get(name, {}) for name in ("eager", "compiled"))
    lines += ["", "| step | eager, ms | compiled loss, ms |", "|---|---|---|"]
    lines += [f"| {row} | {value} | {compiled.get(row, '')} |" for row, value in eager.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
