"""Log a run: a progress bar, metrics.jsonl, samples.jsonl, and any of Accelerate's trackers."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from tqdm.auto import tqdm

from distill.config import RunConfig
from distill.files import read_jsonl, write_text
from distill.run.differences import flatten
from distill.run.folder import WANDB_ID_FILE
from distill.run.throughput import peak_flops_per_second, peak_memory_bytes
from distill.settings import replace, to_dict

PROJECT = "evenhand"
SHOWN = ("loss", "kd", "ce", "tokens_per_second")  # beside the progress bar


def check_trackers(names: Sequence[str]) -> None:
    """Raise ValueError for a tracker that Accelerate does not know or whose package is missing.

    Accelerate itself would ignore it without a message.
    """
    available = [str(tracker.value) for tracker in get_available_trackers()]
    missing = [name for name in names if name not in available]
    if missing:
        raise ValueError(
            f"train.trackers: {', '.join(missing)} is not installed (installed: {', '.join(available) or 'none'}); "
            "pip install 'evenhand[trackers]', or remove it"
        )


def start_trackers(accelerator: Accelerator, config: RunConfig) -> None:
    """Start the trackers of a run, or continue those of the run that is resumed."""
    if config.train.trackers:
        settings = flatten(to_dict(replace(config, provenance=None)))
        settings = {key: str(value) for key, value in settings.items()}
        accelerator.init_trackers(PROJECT, settings, tracker_options(accelerator, config))


def tracker_options(accelerator: Accelerator, config: RunConfig) -> dict[str, Any]:
    """Options per tracker. wandb's run id is kept in the run folder, so that a resumed run stays one run on wandb."""
    if "wandb" not in config.train.trackers or not accelerator.is_main_process:
        return {}
    file = Path(config.run_dir) / WANDB_ID_FILE
    if not file.exists():
        with _writing(file):
            write_text(file, uuid.uuid4().hex)
    return {"wandb": {"id": file.read_text(encoding="utf-8"), "resume": "allow", "name": Path(config.run_dir).name}}


class RunLog:
    """Writes the metrics of one run, from the main process only.

    A context manager that closes the bar, the files and the trackers at its end. Lines after the step that the run
    resumes from are removed first, because these steps are computed again. flops_per_token: for the model FLOP
    utilisation (MFU).
    """

    def __init__(
        self, accelerator: Accelerator, run_dir: Path, step: int, max_steps: int, flops_per_token: float = 0.0
    ) -> None:
        self.accelerator = accelerator
        self.main = accelerator.is_main_process
        self.flops_per_token = flops_per_token
        self.peak = peak_flops_per_second(accelerator.device)
        self.bar = tqdm(
            total=max_steps, initial=step, unit=" steps", desc=run_dir.name, disable=not self.main, smoothing=0.1
        )
        self.started, self.tokens_since = time.perf_counter(), 0
        self.samples_file = run_dir / "samples.jsonl"
        if self.main:
            metrics_file = run_dir / "metrics.jsonl"
            for file in (metrics_file, self.samples_file):
                if file.exists():
                    kept = [line for line in read_jsonl(file) if line["step"] <= step] if step > 0 else []
                    with _writing(file):
                        write_text(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept))
            with _writing(metrics_file):
                self.file = metrics_file.open("a", encoding="utf-8")

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        if self.main:
            with contextlib.suppress(OSError):  # log() has reported what could not be written
                self.file.close()
        # Not accelerator.end_training(): it also destroys the process group. With gloo, the last reference to the group
        # would then die with DDP's reducer, whose destructor holds the GIL and waits for a thread that needs the GIL.
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def advance(self, num_tokens: int, num_steps: int = 1) -> None:
        """Count optimizer steps over num_tokens scored tokens (all processes)."""
        self.bar.update(num_steps)
        self.tokens_since += num_tokens

    def restart_clock(self) -> None:
        """Start a new measurement of throughput, so that an evaluation, for example, is not part of it."""
        self.started, self.tokens_since = time.perf_counter(), 0

    def log_step(self, step: int, metrics: dict[str, Any]) -> None:
        """Log a step's metrics, the throughput since the last report, and the main process's peak memory so far."""
        rate = self.tokens_since / (time.perf_counter() - self.started)
        self.restart_clock()
        metrics = metrics | {"tokens_per_second": rate, "memory_bytes": peak_memory_bytes(self.accelerator.device)}
        if self.peak is not None:
            metrics["mfu"] = rate * self.flops_per_token / (self.peak * self.accelerator.num_processes)
        self.log(step, metrics)
        shown = {name: f"{metrics[name]:.4g}" for name in SHOWN if name in metrics}
        self.bar.set_postfix(shown, refresh=False)

    def log(self, step: int, values: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl and pass the numbers to the trackers. Raises OSError on a full disk."""
        if self.main:
            with _writing(self.file.name):
                self.file.write(json.dumps({"step": step} | values) + "\n")
                self.file.flush()
        self.accelerator.log(values, step=step)

    def log_samples(self, step: int, samples: Sequence[dict[str, str]]) -> None:
        """Append one line per sample to samples.jsonl."""
        if self.main:
            with _writing(self.samples_file), self.samples_file.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps({"step": step} | sample, ensure_ascii=False) + "\n" for sample in samples)


@contextlib.contextmanager
def _writing(file: Path | str) -> Iterator[None]:
    """Within this context, an OSError names the file and the remedy."""
    try:
        yield
    except OSError as error:
        raise OSError(f"{file} cannot be written ({error.strerror}); make room to continue (run_dir)") from error
