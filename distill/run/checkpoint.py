"""Save a run and continue it bit for bit.

    step_00000200/state/         what is trained, and its optimizer (torch.distributed.checkpoint: any number of
                                 processes can read it)
    step_00000200/run.pt         scheduler, loss scaler, TrainState
    step_00000200/random_0.pt    the random states of process 0, and one such file per process
    step_00000200/stream_0.json  where process 0 is in the text, with data.streaming; one such file per process
    step_00000200/manifest.json  size and SHA-256 of every file, and of the manifest itself

A checkpoint is written under a temporary name, flushed to disk, then renamed. Before it is loaded, it is compared with
its manifest.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed.checkpoint as distributed_checkpoint
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from distill.files import sync, write_text
from distill.run.learner import Learner, TrainState
from distill.run.manifest import damage, file_entries, recorded_heldout, write_manifest
from distill.run.random_states import get_random_states, set_random_states

# -- which checkpoints exist -----------------------------------------------------------------------------------------


def checkpoints(run_dir: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in (run_dir / "checkpoints").glob("step_*") if not path.suffix)


def best_checkpoint(run_dir: Path) -> Path | None:
    """The complete checkpoint with the lowest held-out loss, among those whose step was evaluated."""
    measured = [(value, path) for path in checkpoints(run_dir) if not math.isnan(value := recorded_heldout(path))]
    return min(measured)[1] if measured else None


# -- writing ---------------------------------------------------------------------------------------------------------


def save_checkpoint(accelerator: Accelerator, run_dir: Path, learner: Learner, keep: int) -> None:
    """Write checkpoints/step_N on all processes together; keep the newest `keep` and the best one, remove the others.

    Raises OSError on every process if one of them cannot write, for example to a full disk. Earlier checkpoints stay.
    """
    final = run_dir / "checkpoints" / f"step_{learner.state.step:08d}"
    aside = final.with_name(final.name + ".partial")
    main, rank, num_processes = accelerator.is_main_process, accelerator.process_index, accelerator.num_processes
    try:
        _together(accelerator, lambda: _make_empty(aside) if main else None)
        _together(accelerator, lambda: _write(accelerator, aside, learner))
        shares = _together(accelerator, lambda: file_entries(aside, rank, num_processes))
        entries = [entry for share in shares for entry in share]
        _together(accelerator, lambda: _complete(aside, final, learner.state, entries, num_processes) if main else None)
    except OSError as error:
        if main:
            shutil.rmtree(aside, ignore_errors=True)
        newest = [path.name for path in checkpoints(run_dir)][-1:]
        raise OSError(
            f"checkpoint {final} cannot be written ({error}; {shutil.disk_usage(run_dir).free / 1e6:,.1f} MB free); "
            "make room in run_dir and give the same command again: it continues from "
            f"{newest[0] if newest else 'the start'}"
        ) from error
    _together(accelerator, lambda: _prune(run_dir, keep) if main else None)


def _make_empty(aside: Path) -> None:
    """Make an empty folder to write into; remove damaged and half-written checkpoints."""
    for pattern in ("*.partial", "*.damaged"):
        for leftover in aside.parent.glob(pattern):
            _remove(leftover)
    aside.mkdir(parents=True)


def _write(accelerator: Accelerator, aside: Path, learner: Learner) -> None:
    """Write this process's files."""
    model, optimizer = get_state_dict(learner.model, learner.optimizer.optimizer)
    model = without_frozen(model, learner.model)
    with quiet():
        distributed_checkpoint.save({"model": model, "optimizer": optimizer}, checkpoint_id=aside / "state")
    torch.save(get_random_states(accelerator.device), aside / f"random_{accelerator.process_index}.pt")
    if learner.stream is not None:
        text = json.dumps(learner.stream.state_dict(learner.state.step))
        write_text(aside / f"stream_{accelerator.process_index}.json", text)
    if accelerator.is_main_process:
        run = {
            "scheduler": learner.scheduler.state_dict(),
            "scaler": None if accelerator.scaler is None else accelerator.scaler.state_dict(),
            "state": dataclasses.asdict(learner.state),
            "num_processes": accelerator.num_processes,
        }
        file = aside / "run.pt"
        file.touch(0o600 if learner.state.secret else 0o666)  # whoever reads the secret can take the noise out
        torch.save(run, file)


def without_frozen(state: dict[str, Any], model: torch.nn.Module) -> dict[str, Any]:
    """A state dict without the weights that are not trained: each start of a run loads them from their own files."""
    weights = model.named_parameters(remove_duplicate=False)
    frozen = {name for name, weight in weights if not weight.requires_grad}
    frozen = {name.removeprefix("module.").replace("_orig_mod.", "") for name in frozen}  # DDP; compiled layers
    return {name: value for name, value in state.items() if name not in frozen}


def _complete(aside: Path, final: Path, state: TrainState, entries: list[dict[str, Any]], num_processes: int) -> None:
    """Write the manifest, flush all names to disk and give the folder its final name."""
    about = {
        "step": state.step,
        "heldout_nats_per_token": state.heldout_nats_per_token,
        "num_processes": num_processes,
    }
    write_manifest(aside, about, entries)
    for folder in (path for path in aside.rglob("*") if path.is_dir()):
        sync(folder)
    aside.rename(final)
    sync(final.parent)


def _prune(run_dir: Path, keep: int) -> None:
    """Remove all checkpoints but the newest `keep` and the best one."""
    kept = {*checkpoints(run_dir)[-keep:], best_checkpoint(run_dir)}
    for old in checkpoints(run_dir):
        if old not in kept:
            _remove(old)


def _remove(folder: Path) -> None:
    """Remove a folder that is not needed; never leave half of it under a final name.

    If it cannot be removed (on NFS, while someone reads it), the next checkpoint tries again.
    """
    try:
        shutil.rmtree(folder.rename(folder.with_suffix(".partial")))
    except OSError as error:
        print(f"{folder} is no longer needed, but cannot be removed yet ({error})")


# -- reading ---------------------------------------------------------------------------------------------------------


def load_newest_checkpoint(accelerator: Accelerator, run_dir: Path, learner: Learner, seed: int) -> bool:
    """Restore the learner and every random state from the newest whole checkpoint. Returns False if there is none.

    If another number of processes wrote it, random states start anew from the seed and the step. Damaged checkpoints
    are reported, and set aside once another checkpoint has been loaded. Raises ValueError if all are damaged or the
    newest whole one does not fit, OSError if one cannot be read; nothing is changed then.
    """
    main, folder = accelerator.is_main_process, run_dir / "checkpoints"
    present = _together(accelerator, lambda: checkpoints(run_dir) if main else [])[0]
    for checkpoint in reversed(present):
        try:
            look = partial(damage, checkpoint, accelerator.process_index, accelerator.num_processes)
            faults = [fault for share in _together(accelerator, look) for fault in share]
        except OSError as error:
            raise OSError(
                f"checkpoint {checkpoint} cannot be read ({error}); nothing was changed: check the disk and give the "
                "same command again, or remove that folder to continue from the checkpoint before it"
            ) from error
        if not faults:
            if learner.stream is not None:
                _check_streams(checkpoint, accelerator.num_processes)
            _read(accelerator, checkpoint, learner, seed)
            _together(accelerator, partial(_set_aside, present[present.index(checkpoint) + 1 :] if main else []))
            return True
        accelerator.print(f"{checkpoint} is damaged ({faults[0]}); trying the checkpoint before it")
    if present or any(_together(accelerator, lambda: main and any(folder.glob("*.damaged")))):
        raise ValueError(f"no checkpoint of {run_dir} is whole; remove its folder checkpoints to start the run again")
    return False


def _set_aside(damaged: list[Path]) -> None:
    for checkpoint in damaged:
        checkpoint.rename(f"{checkpoint}.damaged")


def _check_streams(checkpoint: Path, num_processes: int) -> None:
    """Raise ValueError unless as many processes wrote a checkpoint as read it: each goes on with its own documents."""
    num_streams = len(list(checkpoint.glob("stream_*.json")))
    if num_streams != num_processes:
        raise ValueError(
            f"checkpoint {checkpoint} is of {num_streams} processes, but {num_processes} would continue it, and with "
            f"data.streaming each has documents of its own; launch {num_streams} processes, as before"
        )


def _read(accelerator: Accelerator, checkpoint: Path, learner: Learner, seed: int) -> None:
    """Restore everything from one checkpoint, in place. Raises ValueError if it does not fit."""
    optimizer = learner.optimizer.optimizer
    try:
        run = torch.load(checkpoint / "run.pt", weights_only=True)
        if accelerator.scaler is not None and run["scaler"] is not None:
            accelerator.scaler.load_state_dict(run["scaler"])
        model_state, optimizer_state = get_state_dict(learner.model, optimizer)
        loaded: dict[str, Any] = {
            "model": without_frozen(model_state, learner.model),
            "optimizer": optimizer_state,
        }
        with quiet():
            distributed_checkpoint.load(loaded, checkpoint_id=checkpoint / "state")
        set_state_dict(
            learner.model,
            optimizer,
            model_state_dict=loaded["model"],
            optim_state_dict=loaded["optimizer"],
            options=StateDictOptions(strict=False),  # frozen weights are already there
        )
        learner.scheduler.load_state_dict(run["scheduler"])
        for name, value in run["state"].items():
            setattr(learner.state, name, value)
        if learner.stream is not None:
            file = checkpoint / f"stream_{accelerator.process_index}.json"
            learner.stream.load_state_dict(json.loads(file.read_text(encoding="utf-8")))
        if run["num_processes"] == accelerator.num_processes:
            file = checkpoint / f"random_{accelerator.process_index}.pt"
            set_random_states(accelerator.device, torch.load(file, weights_only=True))
        else:
            entropy = np.random.SeedSequence([seed, learner.state.step]).generate_state(1)[0]
            set_seed(int(entropy) // 2, device_specific=True)
    except torch.OutOfMemoryError:  # says nothing about the checkpoint
        raise
    except (Exception, CheckpointException) as error:
        raise does_not_fit(checkpoint, error) from error


def does_not_fit(checkpoint: Path, error: BaseException) -> ValueError:
    """What to raise when a whole checkpoint cannot be loaded. Its files are as they were written, so either the model
    is a different one or a library has changed its format.
    """
    return ValueError(
        f"checkpoint {checkpoint} does not fit this run ({_message(error)}); was it written with other versions? See "
        "provenance.versions in config.yaml"
    )


# -- on all processes ------------------------------------------------------------------------------------------------


def _together(accelerator: Accelerator, action: Callable[[], Any]) -> list[Any]:
    """Call `action` on every process and return all results. If it fails on one process, raise OSError on each."""
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
    """An error in one line; of several processes' errors, the first."""
    while isinstance(error, CheckpointException):
        error = next(iter(error.failures.values()))[0]
    return " ".join(str(error).split())[:500] or type(error).__name__


def quiet() -> warnings.catch_warnings:
    """Suppress torch's warning that a single process is not a process group."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)
