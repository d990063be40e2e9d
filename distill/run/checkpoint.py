"""Checkpoints: the parts of a run in; checkpoints/step_N that continue it bit for bit, and the parts as they were, out.

    step_00000200/state/        model and optimizer (torch.distributed.checkpoint: any number of processes can read it)
    step_00000200/run.pt        schedule, gradient scaler, TrainState
    step_00000200/random_0.pt   the random states of process 0, and so on
    step_00000200/manifest.json size and SHA-256 of every file, and of the manifest itself

A checkpoint is written aside, brought to the disk, then renamed; it is compared with its manifest before it is loaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import random
import shutil
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed.checkpoint as distributed_checkpoint
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from distill.files import sync, write_text

MANIFEST = "manifest.json"


@dataclasses.dataclass
class TrainState:
    """Where a run stands: optimizer steps done, tokens whose prediction has been scored, steps that were skipped by
    train.on_nonfinite, steps that were skipped by the scaler of fp16.

    heldout_nats_per_token: the held-out cross-entropy, if it was measured at this very step.
    """

    step: int = 0
    tokens_seen: int = 0
    num_skipped: int = 0
    num_overflowed: int = 0
    heldout_nats_per_token: float | None = None


class Parts(NamedTuple):
    """What a checkpoint holds: prepared model and optimizer, schedule, progress."""

    model: torch.nn.Module
    optimizer: Any
    scheduler: Any
    state: TrainState


# -- writing ---------------------------------------------------------------------------------------------------------


def save_checkpoint(accelerator: Accelerator, run_dir: Path, parts: Parts, keep: int) -> None:
    """Write checkpoints/step_N on all processes together; keep the newest `keep` and the best one, remove the others.

    Raises OSError on every process when one of them cannot write (a full disk, say); earlier checkpoints stay.
    """
    final = run_dir / "checkpoints" / f"step_{parts.state.step:08d}"
    aside = final.with_name(final.name + ".partial")
    main = accelerator.is_main_process
    try:
        _together(accelerator, lambda: _clear(aside) if main else None)
        _together(accelerator, lambda: _write(accelerator, aside, parts))
        mine = _together(accelerator, lambda: _digests(aside, accelerator.process_index, accelerator.num_processes))
        _together(accelerator, lambda: _complete(aside, final, mine, parts.state, accelerator) if main else None)
    except OSError as error:
        if main:
            shutil.rmtree(aside, ignore_errors=True)
        newest = [path.name for path in checkpoints(run_dir)][-1:]
        raise OSError(
            f"checkpoint {final} cannot be written ({error}; {shutil.disk_usage(run_dir).free / 1e6:,.1f} MB free); "
            f"make room and give the same command again: it continues from {newest[0] if newest else 'the start'}"
        ) from error
    _together(accelerator, lambda: _prune(run_dir, keep) if main else None)


def _prune(run_dir: Path, keep: int) -> None:
    for old in set(checkpoints(run_dir)) - set(_kept(run_dir, keep)):
        _remove(old)


def _remove(folder: Path) -> None:
    """Remove a folder that nothing needs, never half of one under a final name. What cannot be removed (NFS, while
    someone reads it) is tried again with the next checkpoint.
    """
    try:
        shutil.rmtree(folder.rename(folder.with_suffix(".partial")))
    except OSError as error:
        print(f"{folder} is not needed any more and cannot be removed yet ({error})")


def _clear(aside: Path) -> None:
    """Remove what earlier writing left (and damaged checkpoints), and make the folder to write into."""
    for pattern in ("*.partial", "*.damaged"):
        for leftover in aside.parent.glob(pattern):
            _remove(leftover)
    aside.mkdir(parents=True)


def _write(accelerator: Accelerator, aside: Path, parts: Parts) -> None:
    model, optimizer = get_state_dict(parts.model, parts.optimizer.optimizer)
    with quiet():
        distributed_checkpoint.save({"model": model, "optimizer": optimizer}, checkpoint_id=aside / "state")
    torch.save(_random_states(accelerator), aside / f"random_{accelerator.process_index}.pt")
    if accelerator.is_main_process:
        run = {
            "scheduler": parts.scheduler.state_dict(),
            "scaler": None if accelerator.scaler is None else accelerator.scaler.state_dict(),
            "state": dataclasses.asdict(parts.state),
            "num_processes": accelerator.num_processes,
        }
        torch.save(run, aside / "run.pt")


def _digests(folder: Path, share: int, num_shares: int) -> list[dict[str, Any]]:
    """The manifest entries of one share of a folder's files, each brought to the disk first."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = []
    for file in files[share::num_shares]:
        sync(file)
        entries.append({"name": str(file.relative_to(folder))} | _digest(file))
    return entries


def _digest(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"num_bytes": os.fstat(stream.fileno()).st_size, "sha256": _sha256(stream)}


def _sha256(stream: Any) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _complete(
    aside: Path, final: Path, shares: list[list[dict[str, Any]]], state: TrainState, accelerator: Accelerator
) -> None:
    """Write the manifest, bring all names to the disk and give the folder its final name."""
    content = {
        "step": state.step,
        "heldout_nats_per_token": state.heldout_nats_per_token,
        "num_processes": accelerator.num_processes,
        "files": sorted((entry for share in shares for entry in share), key=lambda entry: entry["name"]),
    }
    write_text(aside / MANIFEST, json.dumps(content | {"sha256": _own_digest(content)}, indent=1) + "\n")
    for folder in (path for path in aside.rglob("*") if path.is_dir()):
        sync(folder)
    aside.rename(final)
    sync(final.parent)


def _own_digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _kept(run_dir: Path, keep: int) -> list[Path]:
    """The newest `keep` checkpoints and, among those at whose step the held-out loss was measured, the best."""
    best = best_checkpoint(run_dir)
    return checkpoints(run_dir)[-keep:] + ([] if best is None else [best])


def _heldout(checkpoint: Path) -> float:
    """The held-out loss at a checkpoint's step, NaN where it was not measured."""
    try:
        value = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))["heldout_nats_per_token"]
    except (OSError, ValueError, KeyError):
        return math.nan
    return math.nan if value is None else value


# -- reading ---------------------------------------------------------------------------------------------------------


def checkpoints(run_dir: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in (run_dir / "checkpoints").glob("step_*") if not path.suffix)


def best_checkpoint(run_dir: Path) -> Path | None:
    """The complete checkpoint with the least held-out loss, of those at whose step it was measured."""
    measured = [(value, path) for path in checkpoints(run_dir) if not math.isnan(value := _heldout(path))]
    return min(measured)[1] if measured else None


def load_newest_checkpoint(accelerator: Accelerator, run_dir: Path, parts: Parts, seed: int) -> bool:
    """Restore all parts and every random state from the newest checkpoint that is whole; False if there is none at all.

    On another number of processes than it was written by, random states start anew from the seed and the step. Damaged
    checkpoints are reported, and set aside once another one has been loaded. Raises ValueError when all are damaged, or
    the newest whole one does not fit, and OSError when one cannot be read; all then stay as they are.
    """
    main, folder = accelerator.is_main_process, run_dir / "checkpoints"
    present = _together(accelerator, lambda: checkpoints(run_dir) if main else [])[0]
    for checkpoint in reversed(present):
        try:
            look = partial(damage, checkpoint, accelerator.process_index, accelerator.num_processes)
            found = [fault for share in _together(accelerator, look) for fault in share]
        except OSError as error:
            raise OSError(
                f"checkpoint {checkpoint} cannot be read ({error}); nothing was changed: see to the disk and give the "
                "same command again, or remove that folder to continue from the checkpoint before it"
            ) from error
        if not found:
            _read(accelerator, checkpoint, parts, seed)
            _together(accelerator, partial(_set_aside, present[present.index(checkpoint) + 1 :] if main else []))
            return True
        accelerator.print(f"{checkpoint} is damaged ({found[0]}); trying the checkpoint before it")
    if present or any(_together(accelerator, lambda: main and any(folder.glob("*.damaged")))):
        raise ValueError(f"no checkpoint of {run_dir} is whole; remove its folder checkpoints to start the run again")
    return False


def _set_aside(damaged: list[Path]) -> None:
    for checkpoint in damaged:
        checkpoint.rename(f"{checkpoint}.damaged")


def damage(checkpoint: Path, share: int = 0, num_shares: int = 1) -> list[str]:
    """In what a checkpoint differs from its manifest; with shares, one process looks at every num_shares-th file.

    Raises OSError for a file that is there and cannot be read: that is the disk's fault and may pass.
    """
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        own, entries = manifest.pop("sha256"), manifest["files"]
        if own != _own_digest(manifest):
            return [f"{MANIFEST} has another checksum than when it was written"]
    except FileNotFoundError:
        return [f"{MANIFEST} is missing"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{MANIFEST} cannot be read: {error}"]
    return [fault for entry in entries[share::num_shares] if (fault := _fault(checkpoint, entry))]


def _fault(checkpoint: Path, entry: dict[str, Any]) -> str | None:
    try:
        found = _digest(checkpoint / entry["name"])
    except FileNotFoundError:
        return f"{entry['name']} is missing"
    if found["num_bytes"] != entry["num_bytes"]:
        return f"{entry['name']} has {found['num_bytes']:,} bytes instead of {entry['num_bytes']:,}"
    if found["sha256"] != entry["sha256"]:
        return f"{entry['name']} has another checksum than when it was written"
    return None


def _read(accelerator: Accelerator, checkpoint: Path, parts: Parts, seed: int) -> None:
    optimizer = parts.optimizer.optimizer
    try:
        run = torch.load(checkpoint / "run.pt", weights_only=True)
        if accelerator.scaler is not None and run["scaler"] is not None:
            accelerator.scaler.load_state_dict(run["scaler"])
        model_state, optimizer_state = get_state_dict(parts.model, optimizer)
        loaded: dict[str, Any] = {"model": model_state, "optimizer": optimizer_state}
        with quiet():
            distributed_checkpoint.load(loaded, checkpoint_id=checkpoint / "state")
        set_state_dict(parts.model, optimizer, model_state_dict=loaded["model"], optim_state_dict=loaded["optimizer"])
        parts.scheduler.load_state_dict(run["scheduler"])
        for name, value in run["state"].items():
            setattr(parts.state, name, value)
        if run["num_processes"] == accelerator.num_processes:
            file = checkpoint / f"random_{accelerator.process_index}.pt"
            _restore_random_states(accelerator, torch.load(file, weights_only=True))
        else:
            entropy = np.random.SeedSequence([seed, parts.state.step]).generate_state(1)[0]
            set_seed(int(entropy) // 2, device_specific=True)
    except (Exception, CheckpointException) as error:
        raise does_not_fit(checkpoint, error) from error


def does_not_fit(checkpoint: Path, error: BaseException) -> ValueError:
    """What to raise for an error in reading a whole checkpoint: the files are as they were written, so the model is
    another, or a library has changed its format.
    """
    return ValueError(
        f"checkpoint {checkpoint} does not fit this run ({_message(error)}); was it written with other versions? See "
        "provenance.versions in config.yaml"
    )


# -- on all processes ------------------------------------------------------------------------------------------------


def _together(accelerator: Accelerator, action: Callable[[], Any]) -> list[Any]:
    """Do something on every process and return the results of all; if it fails on one, raise OSError on each."""
    result, fault = None, None
    try:
        result = action()
    except (OSError, RuntimeError, CheckpointException) as error:
        fault = _message(error)
    outcomes = gather_object([(result, fault)])
    faults = [fault for _, fault in outcomes if fault is not None]
    if faults:
        raise OSError(faults[0])
    return [result for result, _ in outcomes]


def _message(error: BaseException) -> str:
    """What happened, in one line; of what failed on several processes, on the first of them."""
    while isinstance(error, CheckpointException):
        error = next(iter(error.failures.values()))[0]
    return " ".join(str(error).split())[:500] or type(error).__name__


def quiet() -> warnings.catch_warnings:
    """Without the warning that a single process is not a group."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def _random_states(accelerator: Accelerator) -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()
    device = torch.get_device_module(accelerator.device)
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(np.asarray(keys)), *rest],
        "torch": torch.get_rng_state(),
        "device": device.get_rng_state() if hasattr(device, "get_rng_state") else None,
    }


def _restore_random_states(accelerator: Accelerator, states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy(), *rest))
    torch.set_rng_state(states["torch"])
    device = torch.get_device_module(accelerator.device)
    if states["device"] is not None and hasattr(device, "set_rng_state"):  # a CPU has no generator of its own
        device.set_rng_state(states["device"])
