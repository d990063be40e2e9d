"""What a run shows: metrics in; a progress bar, metrics.jsonl and any of Accelerate's trackers out."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from tqdm.auto import tqdm

from distill.checkpoint import read_metrics, write_text


def check_trackers(names: Sequence[str]) -> None:
    """Raise ValueError for a tracker that Accelerate does not know or whose package is missing (it would drop it)."""
    available = [str(tracker.value) for tracker in get_available_trackers()]
    missing = [name for name in names if name not in available]
    if missing:
        raise ValueError(
            f"train.trackers: {', '.join(missing)} is not installed (there are: {', '.join(available) or 'none'}); "
            "pip install 'evenhand[trackers]', or remove it"
        )


class RunLog:
    """Writes the metrics of one run, from the main process only.

    Lines of metrics.jsonl beyond the step that a run resumes from (all, if it starts again) are dropped first: they
    will be computed again. A context manager: leaving it closes the bar, the file and the trackers.
    """

    def __init__(self, accelerator: Accelerator, run_dir: Path, step: int, max_steps: int, name: str) -> None:
        self.accelerator = accelerator
        self.main = accelerator.is_main_process
        self.bar = tqdm(total=max_steps, initial=step, unit=" steps", desc=name, disable=not self.main, smoothing=0.1)
        self.started, self.tokens_since = time.perf_counter(), 0
        if self.main:
            path = run_dir / "metrics.jsonl"
            written = read_metrics(run_dir) if step > 0 and path.exists() else []
            kept = [line for line in written if line["step"] <= step]
            write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
            self.file = path.open("a", encoding="utf-8")

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        if self.main:
            self.file.close()
        # not accelerator.end_training(): it also destroys the process group, and with gloo the last reference to that
        # then dies with DDP's reducer, whose destructor waits, holding the GIL, for a thread that needs the GIL
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def advance(self, num_tokens: int) -> None:
        """Count one optimizer step over num_tokens scored tokens (all processes)."""
        self.bar.update()
        self.tokens_since += num_tokens

    def tokens_per_second(self) -> float:
        """Scored tokens per second, over all processes, since the last call."""
        now = time.perf_counter()
        rate = self.tokens_since / (now - self.started)
        self.started, self.tokens_since = now, 0
        return rate

    def restart_clock(self) -> None:
        """Leave out of the throughput what has happened since the last report (an evaluation, say)."""
        self.started, self.tokens_since = time.perf_counter(), 0

    def log(self, step: int, values: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl and hand the numbers to the trackers."""
        if self.main:
            self.file.write(json.dumps({"step": step} | values) + "\n")
            self.file.flush()
        self.accelerator.log(values, step=step)

    def show(self, **values: float) -> None:
        """Show numbers beside the progress bar."""
        self.bar.set_postfix({name: f"{value:.4g}" for name, value in values.items()}, refresh=False)
