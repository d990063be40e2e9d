"""Draw the curves of runs as plots.png, and as plots.html, a page that needs no other file.

evenhand plots RUN [RUN ...] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draw without a screen

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from augment.command_line import exit_code
from distill.files import read_jsonl, writing
from distill.run.folder import read_metrics
from distill.templates import render

Curves = dict[str, list[tuple[int, float]]]  # by key of metrics.jsonl: (step, value)

# The title of each panel, and the keys of metrics.jsonl that it shows. Every other key has a panel to itself.
PANELS: dict[str, tuple[str, ...]] = {
    "loss (nats per token)": ("loss", "kd", "ce"),
    "held-out cross-entropy (nats per token)": ("heldout_nats_per_token",),
    "gradient norm": ("grad_norm",),
    "learning rate": ("lr",),
    "tokens per second": ("tokens_per_second",),
    "peak memory (GB)": ("memory_bytes",),
    "share of the peak arithmetic (MFU)": ("mfu",),
    "skipped steps": ("num_skipped", "num_overflowed"),
}
NOT_PLOTTED = frozenset({"step", "num_processes", "device", "heldout_perplexity", "tokens_seen", "num_tokens"}) | {
    "round",
    "period",
}
LOGARITHMIC = frozenset({"gradient norm"})
NUM_COLUMNS = 3
NUM_SHOWN_SAMPLES = 20


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.plots") -> None:
    """Parse the command line, draw and write. Raises FileNotFoundError or ValueError with one message."""
    parser = argparse.ArgumentParser(prog=prog, description="Plot the curves of runs.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, drawn in the same panels")
    parser.add_argument(
        "--out", type=Path, help="where to write plots.png and plots.html (default: the first run's folder)"
    )
    options = parser.parse_args(arguments)
    runs = {_label(run, options.runs): load_curves(run) for run in options.runs}
    out = options.out or options.runs[0]
    with writing("the plots", out, "--out"):
        out.mkdir(parents=True, exist_ok=True)
    image = draw(runs)
    with writing("the plots", out, "--out"):
        (out / "plots.png").write_bytes(image)
        (out / "plots.html").write_text(page(runs, options.runs, image), encoding="utf-8")
    print(f"{out / 'plots.png'} and {out / 'plots.html'}")


def load_curves(run: Path) -> Curves:
    """Read every number in a run's metrics.jsonl; curves that are always 0 are left out.

    Raises FileNotFoundError if the folder is no run folder, and ValueError if no step has been logged yet.
    """
    if not (run / "metrics.jsonl").is_file():
        raise FileNotFoundError(f"{run} is not a run folder: it has no metrics.jsonl")
    curves: Curves = {}
    for line in read_metrics(run):
        for key, value in line.items():
            if key not in NOT_PLOTTED and isinstance(value, int | float):
                curves.setdefault(key, []).append((line["step"], value))
    if not curves:
        raise ValueError(f"{run / 'metrics.jsonl'} holds no numbers yet; wait until the run has logged a step")
    return {key: points for key, points in curves.items() if any(value != 0 for _, value in points)}


def panels_of(runs: Mapping[str, Curves]) -> dict[str, list[str]]:
    """The keys that each panel shows: the panels of PANELS first, then one for every other key. None is empty."""
    present = list(dict.fromkeys(key for curves in runs.values() for key in curves))
    panels = {title: [key for key in keys if key in present] for title, keys in PANELS.items()}
    known = {key for keys in PANELS.values() for key in keys}
    panels |= {key.replace("_", " "): [key] for key in present if key not in known}
    return {title: keys for title, keys in panels.items() if keys}


def draw(runs: Mapping[str, Curves]) -> bytes:
    """Draw all panels into one PNG. Each run has a colour, and each key within a panel has a line style."""
    panels = panels_of(runs)
    num_rows = -(-len(panels) // NUM_COLUMNS)
    figure, grid = plt.subplots(num_rows, NUM_COLUMNS, figsize=(5 * NUM_COLUMNS, 3.2 * num_rows), squeeze=False)
    for axes, (title, keys) in zip(grid.flat, panels.items(), strict=False):
        _panel(axes, title, keys, runs)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return buffer.getvalue()


def _panel(axes: Axes, title: str, keys: list[str], runs: Mapping[str, Curves]) -> None:
    scale = 1e-9 if title == "peak memory (GB)" else 1.0
    for number, (name, curves) in enumerate(runs.items()):
        for style, key in zip(("-", "--", ":"), keys, strict=False):
            steps, values = zip(*curves[key], strict=True) if key in curves else ((), ())
            label = " ".join(part for part in (name if len(runs) > 1 else "", key if len(keys) > 1 else "") if part)
            marker = "o" if len(steps) == 1 else None
            axes.plot(
                steps, [v * scale for v in values], style, color=f"C{number}", label=label, marker=marker, linewidth=1.2
            )
    if title in LOGARITHMIC:
        axes.set_yscale("log")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("step", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    if len(runs) > 1 or len(keys) > 1:
        axes.legend(fontsize=7)


def page(runs: Mapping[str, Curves], folders: Sequence[Path], image: bytes) -> str:
    """The HTML page: the picture, the last value of every curve, and the latest samples of each run.

    folders: of the runs, in the same order.
    """
    keys = dict.fromkeys(key for curves in runs.values() for key in curves)
    return render(
        "distill",
        "plots.html",
        runs=list(runs),
        image=base64.b64encode(image).decode(),
        last_values={key: [curves[key][-1] if key in curves else None for curves in runs.values()] for key in keys},
        samples={name: _last_samples(folder) for name, folder in zip(runs, folders, strict=True)},
    )


def _last_samples(folder: Path) -> list[dict[str, Any]]:
    file = folder / "samples.jsonl"
    return read_jsonl(file)[-NUM_SHOWN_SAMPLES:] if file.is_file() else []


def _label(run: Path, runs: Sequence[Path]) -> str:
    """The name of a run's folder, or its whole path if the folder of another run has the same name."""
    same = [other for other in runs if other.resolve().name == run.resolve().name]
    return run.resolve().name if len(same) == 1 else str(run)


if __name__ == "__main__":
    sys.exit(exit_code(main))
