"""The run folder: what a run is, where it stands, and what comes out of it.

    RUN/config.yaml     resolved settings, and under `provenance` versions, git revision and hashes of data and models
    RUN/metrics.jsonl   one line per logged step
    RUN/checkpoints/    step_00000200/: everything needed to continue, bit for bit
    RUN/student/        the result: a plain transformers folder, with tokenizer and model card

Folders are written under a `.partial` name and renamed when complete: one that has its final name is whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from yaml import YAMLError

from distill.config import RunConfig, dump_yaml, load_yaml, to_dict

PACKAGES = ("evenhand", "torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy")
# settings that change how a run is watched or executed, not what it computes
FREE_SETTINGS = {
    "run_dir",
    "data.path",  # its content is compared instead
    "data.heldout_path",
    "data.cache_dir",
    "data.num_proc",
    "train.micro_batch_size",
    "train.log_every",
    "train.eval_every",
    "train.save_every",
    "train.keep_checkpoints",
    "train.trackers",
}


@dataclasses.dataclass
class TrainState:
    """Where a run stands: optimizer steps done, and tokens whose prediction has been scored."""

    step: int = 0
    tokens_seen: int = 0

    def state_dict(self) -> dict[str, int]:
        return dataclasses.asdict(self)

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step, self.tokens_seen = state["step"], state["tokens_seen"]


# -- what a run is ---------------------------------------------------------------------------------------------------


def provenance(
    data: dict[str, Any], teacher: str | None, student: str | None, tokenizer: str, mixed_precision: str
) -> dict[str, Any]:
    """Versions, git revision, fingerprints and precision, for config.yaml. teacher, student: those of given weights."""
    return {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "git_revision": git_revision(),
        "data": data,
        "tokenizer": hashlib.sha256(tokenizer.encode()).hexdigest(),
        "teacher": teacher,
        "student": student,
        "mixed_precision": mixed_precision,
    }


def git_revision() -> str | None:
    """The revision of the source tree this code runs from, `-dirty` with uncommitted changes; None outside of one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()


def open_run(config: RunConfig, origin: dict[str, Any]) -> None:
    """Create the run folder and its config.yaml, or check that the one there belongs to the same run.

    Call on one process. Raises ValueError, printing the differences, when the folder holds a run with other settings or
    other data or model contents.
    """
    run_dir = Path(config.run_dir)
    file = run_dir / "config.yaml"
    settings = to_dict(config) | {"provenance": origin}
    if file.exists():
        _check_same(file, settings)
        return
    if run_dir.exists() and any(run_dir.iterdir()):
        raise ValueError(f"run_dir {run_dir} is not empty and holds no run (no config.yaml); choose another folder")
    run_dir.mkdir(parents=True, exist_ok=True)
    write_text(file, dump_yaml(settings))


def is_complete(config: RunConfig) -> bool:
    """Whether the run folder holds the finished run of these settings. Raises ValueError if it is that of others."""
    run_dir = Path(config.run_dir)
    if not (run_dir / "student").exists():
        return False
    _check_same(run_dir / "config.yaml", to_dict(config))
    return True


def _check_same(file: Path, settings: dict[str, Any]) -> None:
    """Raise ValueError with the differences unless a run's config.yaml has these settings.

    Provenance is compared if it is given.
    """
    try:
        written = dict(load_yaml(file))
        if settings["provenance"] is None:
            written["provenance"] = None
    except (OSError, ValueError, TypeError, YAMLError) as error:
        raise ValueError(f"{file} cannot be read ({' '.join(str(error).split())}); choose another run_dir") from error
    differences = _differences(written, settings)
    if differences:
        raise ValueError(
            f"{file.parent} holds a run with other settings:\n  " + "\n  ".join(differences) + "\n"
            "choose another run_dir, or remove that folder to start again"
        )


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line per setting, data or model hash in which two resolved configurations differ."""
    before, after = flatten(old), flatten(new)
    compared = [
        key
        for key in sorted(before.keys() | after.keys())
        if key not in FREE_SETTINGS and not key.startswith(("provenance.versions", "provenance.git_revision"))
    ]
    return [
        f"{key}: {before.get(key)!r} there, {after.get(key)!r} now"
        for key in compared
        if before.get(key) != after.get(key)
    ]


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, then rename it."""
    aside = path.with_name(path.name + ".partial")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


# -- where it stands -------------------------------------------------------------------------------------------------


def save_checkpoint(accelerator: Accelerator, run_dir: Path, state: TrainState, keep: int) -> None:
    """Write checkpoints/step_N on all processes together, and remove all but the newest `keep`."""
    final = run_dir / "checkpoints" / f"step_{state.step:08d}"
    aside = final.with_name(final.name + ".partial")
    if accelerator.is_main_process:
        for leftover in (run_dir / "checkpoints").glob("*.partial"):
            shutil.rmtree(leftover)
        aside.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(aside))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        aside.rename(final)
        for old in _checkpoints(run_dir)[:-keep]:
            shutil.rmtree(old.rename(old.with_name(old.name + ".partial")))  # never half of one under its final name
    accelerator.wait_for_everyone()


def load_newest_checkpoint(accelerator: Accelerator, run_dir: Path) -> bool:
    """Restore models, optimizer, schedule, random states and TrainState from the newest checkpoint, if there is one."""
    checkpoints = _checkpoints(run_dir)
    if not checkpoints:
        return False
    try:
        accelerator.load_state(str(checkpoints[-1]))
    except Exception as error:
        # a damaged file fails in as many ways as there are file formats in it; all mean the same to the user
        raise ValueError(
            f"checkpoint {checkpoints[-1]} cannot be read ({' '.join(str(error).split())}); "
            "remove that folder to continue from the one before it"
        ) from error
    return True


def _checkpoints(run_dir: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in (run_dir / "checkpoints").glob("step_*") if path.suffix != ".partial")


# -- what comes out of it --------------------------------------------------------------------------------------------


def save_student(run_dir: Path, student: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, card: str) -> None:
    """Write student/: weights, configuration, tokenizer and model card, loadable by `from_pretrained`."""
    final = run_dir / "student"
    aside = final.with_name("student.partial")
    shutil.rmtree(aside, ignore_errors=True)
    student.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    (aside / "README.md").write_text(card, encoding="utf-8")
    aside.rename(final)


def model_card(config: RunConfig, state: TrainState, results: dict[str, float], origin: dict[str, Any]) -> str:
    """The student's README.md: what it is, how it was made, what was measured on it."""
    teacher = "none (plain language modelling)" if config.teacher is None else f"`{config.teacher.path}`"
    numbers = "\n".join(f"| {name} | {value:.4f} |" for name, value in results.items())
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [knowledge-distillation, gender-bias, evenhand]
---
# A student distilled with Evenhand

- teacher: {teacher}
- perturbation of the teacher: `{config.perturb.operation}`, strength {config.perturb.strength}
- counterfactual augmentation: `{config.augment.mode}`
- data: `{config.data.path}` ({origin["data"]["train"]["num_documents"]} documents)
- training: {state.step} optimizer steps, {state.tokens_seen} scored tokens, seed {config.seed}

| held-out measure | value |
|---|---|
{numbers}

Gender bias is reduced by the method, not removed: evaluate the model on your own use before relying on it.

All settings, versions and hashes:

```yaml
{dump_yaml(to_dict(config) | {"provenance": origin})}```
"""


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; a last one that was cut off in writing is left out.

    Raises ValueError for a malformed line before it.
    """
    file = run_dir / "metrics.jsonl"
    *lines, _ = file.read_text(encoding="utf-8").split("\n")
    metrics = []
    for number, line in enumerate(lines, 1):
        try:
            metrics.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{file}:{number} is not JSON ({error.msg}); remove that line to continue the run"
            ) from None
    return metrics
