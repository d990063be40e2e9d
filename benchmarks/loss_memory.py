"""Compare the peak memory of our loss with that of a loss that computes all logits at once.

    python -m benchmarks.loss_memory [--device cuda] [--out FILE.json]

Inputs and gradients are not counted. Measures two sizes of the vocabulary and two numbers of predictions. On a CPU it
reads the resident memory, which needs Linux.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from benchmarks.step import TEMPERATURE, distilgpt2_loss
from distill.loss.fused import Objective, pair_loss
from distill.loss.logits import LazyLogits
from distill.loss.positions import Group, Positions
from distill.loss_config import LossConfig, PerturbConfig

# (vocabulary, predictions); 4096 predictions of the larger vocabulary would take 30 GB at once
SIZES = ((50_257, 1024), (50_257, 4096), (152_000, 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    print(f"{'vocabulary':>10}{'predictions':>12}{'[N, V] float32':>16}{'ours':>10}{'all at once':>13}   MB")
    results = []
    for num_ids, num in SIZES:
        row = {"vocabulary": num_ids, "predictions": num, "logits_bytes": 4 * num * num_ids}
        for name in ("ours", "eager"):
            # a new process: memory that an earlier measurement has freed would count as held before this one
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                row[f"{name}_bytes"] = pool.submit(loss_bytes, name, num_ids, num, options).result()
        results.append(row)
        print(
            f"{num_ids:>10}{num:>12}{row['logits_bytes'] / 1e6:>16.0f}{row['ours_bytes'] / 1e6:>10.0f}"
            f"{row['eager_bytes'] / 1e6:>13.0f}"
        )
    if options.out:
        about = {"date": time.strftime("%Y-%m-%d"), "device": options.device, "torch": torch.__version__}
        options.out.write_text(json.dumps(about | {"memory": results}, indent=2) + "\n", encoding="utf-8")


def loss_bytes(name: str, num_ids: int, num: int, options: argparse.Namespace) -> int:
    """The bytes of the loss of `num` predictions, without inputs and gradients. name: `ours` or `eager`."""
    width, device = options.width, torch.device(options.device)
    torch.manual_seed(0)
    hidden, teacher_hidden = (torch.randn(num, width, device=device) for _ in range(2))
    weight, teacher_weight = (torch.randn(num_ids, width, device=device) for _ in range(2))
    hidden.requires_grad_()
    weight.requires_grad_()
    labels, rows = torch.randint(num_ids, (num,), device=device), torch.arange(num, device=device)[None]
    objective = Objective(LossConfig(temperature=TEMPERATURE), PerturbConfig(operation="none"))
    is_gendered = torch.zeros(num, dtype=torch.bool, device=device)
    positions = Positions((Group(rows, rows, False),), rows.new_zeros(0), is_gendered)
    student, teacher = LazyLogits(hidden, weight), LazyLogits(teacher_hidden, teacher_weight)
    scale = torch.ones((), device=device)

    def ours() -> None:
        pair_loss(student, teacher, labels, positions, objective, scale).loss.backward()

    def eager() -> None:
        distilgpt2_loss(hidden @ weight.T, teacher_hidden @ teacher_weight.T, labels).backward()

    with torch.autocast(device.type, torch.bfloat16):
        return peak_bytes(ours if name == "ours" else eager, device) - 4 * (num_ids + num) * width


def peak_bytes(run: Callable[[], None], device: torch.device) -> int:
    """How many bytes more than before are held at the peak of `run`."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak
    before = _status_bytes("VmRSS")
    run()
    return _status_bytes("VmHWM") - before


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
