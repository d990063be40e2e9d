"""The run folder: what is in it, and which process may write to it.

    RUN/config.yaml     resolved settings, and under `provenance` versions, git revision and hashes of data and models
    RUN/metrics.jsonl   one line per logged step
    RUN/samples.jsonl   the student's continuations of fixed prompts (train.sample_prompts)
    RUN/checkpoints/    step_00000200/: everything needed to continue, bit for bit
    RUN/student/        the result: a plain transformers folder, with tokenizer and model card
    RUN/adapter/        only with student.lora: its adapter, for peft (student/ is base and adapter in one)
    RUN/privacy.json    only with privacy: what is promised of the documents, and what is not
    RUN/stopped.json    only after a run was stopped by a signal
    RUN/.lock           held by the process that writes

Files and folders are written under a `.partial` name and renamed when complete: what has its final name is whole.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.files import git_revision, read_jsonl, write_text, writing
from distill.hub import is_commit_of
from distill.models.identity import is_unidentified
from distill.models.run_models import RunModels, fingerprints
from distill.run.differences import differences_of, flatten
from distill.settings import dump_yaml, load_yaml, replace, to_dict, validate

PACKAGES = ("evenhand", "torch", "transformers", "accelerate", "peft", "datasets", "tokenizers", "numpy")
# Settings that may name a repository of the hub, and its kind
HUB_SETTINGS = dict.fromkeys(("teacher.path", "student.checkpoint", "data.tokenizer"), "model")
HUB_SETTINGS |= dict.fromkeys(("data.path", "data.heldout_path"), "dataset")
LOCK_FILE, HOLDER_FILE, STOPPED_FILE = ".lock", ".lock.json", "stopped.json"
WANDB_ID_FILE = "wandb_id"


# -- what a run is ---------------------------------------------------------------------------------------------------


def provenance(data: dict[str, Any], models: dict[str, Any], mixed_precision: str) -> dict[str, Any]:
    """What config.yaml records besides the settings: versions, git revision, precision, fingerprints of data and
    models.
    """
    return {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "git_revision": git_revision(),
        "data": data,
        **models,
        "mixed_precision": mixed_precision,
    }


@contextlib.contextmanager
def open_run(config: RunConfig) -> Iterator[None]:
    """Hold the run folder. Create it with its config.yaml, or check that it already belongs to the same run.

    config must have its provenance. A run without a checkpoint has nothing to lose and begins again with the settings
    given. Call on one process. Raises ValueError with the differences if the folder holds a run with other settings,
    data or models; OSError if another process writes to the folder or it cannot be written.
    """
    run_dir = Path(config.run_dir)
    file = run_dir / "config.yaml"
    names = {path.name.removesuffix(".partial") for path in run_dir.iterdir()} if run_dir.is_dir() else set()
    if not file.exists() and names - {LOCK_FILE, HOLDER_FILE, STOPPED_FILE, file.name}:
        raise ValueError(f"run_dir {run_dir} is not empty and holds no run (no config.yaml); choose another folder")
    settings = to_dict(config)
    with _held(run_dir):
        if _has_progress(run_dir):
            _check_same(file, settings)
        else:
            if file.exists():
                _begin_again(file, settings)
            with writing("the files of the run", run_dir, "run_dir"):
                write_text(file, dump_yaml(settings))
        yield


def leave_note(run_dir: Path, note: str) -> None:
    """Write stopped.json into the folder of a run that is not open, unless another process holds the folder."""
    with contextlib.suppress(OSError), _held(run_dir):
        write_text(run_dir / STOPPED_FILE, note)


@contextlib.contextmanager
def _held(run_dir: Path) -> Iterator[None]:
    """Hold the lock of a folder. The system frees it when the process ends, even if it is killed."""
    holder = run_dir / HOLDER_FILE
    lock = FileLock(run_dir / LOCK_FILE)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        write_text(holder, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n")
    except Timeout:
        raise OSError(
            f"run_dir {run_dir} is in use by {_holder(holder)}; wait for that run or stop it, or choose another folder"
        ) from None
    except (OSError, NotImplementedError) as error:
        raise OSError(
            f"run_dir {run_dir} cannot be written ({error}); choose a folder that can be, on a file system with file "
            "locks"
        ) from error
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(file: Path) -> str:
    try:
        holder = json.loads(file.read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def _has_progress(run_dir: Path) -> bool:
    """Whether the folder holds a student or a checkpoint. Half a checkpoint does not count."""
    suffixes = (path.suffix for path in (run_dir / "checkpoints").glob("step_*"))
    return (run_dir / "student").exists() or any(suffix != ".partial" for suffix in suffixes)


def _begin_again(file: Path, settings: dict[str, Any]) -> None:
    """Print how the new run differs from the run without a checkpoint that it replaces.

    Raises ValueError for a config.yaml that no run has written.
    """
    before = _read_settings(file)
    if before["provenance"] is None:
        raise ValueError(f"{file} was not written by a run, and would be overwritten; choose another run_dir")
    differences = differences_of(before, settings)
    if differences:
        print(f"{file.parent} has no checkpoint; it begins again with other settings:\n  " + "\n  ".join(differences))
        (file.parent / WANDB_ID_FILE).unlink(missing_ok=True)  # on wandb, too, it is a new run


def is_complete(config: RunConfig) -> bool:
    """Whether the run folder holds the finished run of these settings. Raises ValueError if it holds another run."""
    run_dir = Path(config.run_dir)
    if not (run_dir / "student").exists():
        return False
    _check_same(run_dir / "config.yaml", to_dict(config))
    return True


def check_rules(config: RunConfig) -> None:
    """Raise ValueError if the run in the folder began with other swap rules or another lexicon.

    This check needs no text to be paired.
    """
    run_dir = Path(config.run_dir)
    if not _has_progress(run_dir):
        return
    recorded = flatten(_read_settings(run_dir / "config.yaml"))
    fingerprint = recorded.get("provenance.data.lexicon")
    current = load_lexicon(config.augment.tiers, config.augment.lexicon).fingerprint
    if fingerprint not in (None, current):
        raise ValueError(
            f"{run_dir} was begun with other swap rules or another lexicon (fingerprint {fingerprint[:8]} there, "
            f"{current[:8]} now), so its text would be paired differently from here on; finish it with the version "
            f"that began it (git revision {recorded.get('provenance.git_revision')}), or choose another run_dir"
        )


def check_settings(config: RunConfig) -> None:
    """Raise ValueError if the run folder holds a run with other settings, finished or not."""
    run_dir = Path(config.run_dir)
    if _has_progress(run_dir):
        _check_same(run_dir / "config.yaml", to_dict(config))


def recorded_revisions(config: RunConfig) -> RunConfig:
    """The configuration with the commits of hub repositories that the run in the folder began with, if it has begun."""
    run_dir = Path(config.run_dir)
    if not _has_progress(run_dir):
        return config
    recorded = flatten(_read_settings(run_dir / "config.yaml"))
    return rename(config, lambda key, path: recorded[key] if is_commit_of(recorded.get(key), path) else path)


def rename(config: RunConfig, new_name: Callable[[str, str], str]) -> RunConfig:
    """The configuration with other paths. new_name: of a setting such as `teacher.path`, and its value."""
    for key in HUB_SETTINGS:
        section, name = key.split(".")
        settings = getattr(config, section)
        path = getattr(settings, name, None)
        if path is not None:
            config = replace(config, **{section: replace(settings, **{name: new_name(key, path)})})
    return config


def recorded_layers(config: RunConfig) -> tuple[int, ...] | None:
    """The layers that were chosen when the run in the folder began, or None if it has not begun.

    config: with student.layers `auto`. Raises ValueError if the folder holds a run with other settings.
    """
    check_settings(config)
    run_dir = Path(config.run_dir)
    return tuple(_read_settings(run_dir / "config.yaml")["student"]["layers"]) if _has_progress(run_dir) else None


def _check_same(file: Path, settings: dict[str, Any]) -> None:
    """Raise ValueError with the differences unless a run's config.yaml has these settings.

    Provenance is compared only if `settings` has one.
    """
    resolved = _read_settings(file)
    if settings["provenance"] is not None:
        check_identified(file, resolved["provenance"], settings["provenance"])
    differences = differences_of(resolved, settings)
    if differences:
        raise ValueError(
            f"{file.parent} holds a run with other settings:\n  " + "\n  ".join(differences) + "\n"
            "choose another run_dir, or remove that folder to start again"
        )


def check_identified(file: Path, recorded: dict[str, Any] | None, current: dict[str, Any] | None) -> None:
    """Raise ValueError if a run's config.yaml (`recorded` is its provenance) names a hub model without its revision."""
    for name in ("teacher", "student"):
        value = (recorded or {}).get(name)
        if is_unidentified(value):
            raise ValueError(
                f"{file} does not say which revision of its {name} the run was made with ({value}; an older version "
                f"wrote it); if the model has not changed since then, write {(current or {}).get(name)} there, "
                "otherwise choose another run_dir"
            )


def check_models(run_dir: Path, config: RunConfig, models: RunModels) -> None:
    """Raise ValueError if the models, loaded again, are not those that the run was trained with."""
    current = fingerprints(config, models)
    check_identified(run_dir / "config.yaml", config.provenance, current)
    for name, fingerprint in current.items():
        if fingerprint != (config.provenance or {}).get(name):
            raise ValueError(f"the {name} of {run_dir} is not the one that it was trained with; restore that one")


def _read_settings(file: Path) -> dict[str, Any]:
    """The settings and provenance in a run's config.yaml. Raises ValueError if it is damaged or of another version."""
    try:
        written = load_yaml(file)
        if not isinstance(written, dict):
            raise ValueError(f"it holds a {type(written).__name__}, not `key: value` lines")
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read ({' '.join(str(error).split())}); choose another run_dir") from error
    try:
        return to_dict(validate(RunConfig, written))  # a setting that did not exist yet gets its default
    except ValueError as error:
        raise ValueError(
            f"{file} is not the configuration of a run of this version ({'; '.join(str(error).splitlines())}); "
            "continue with the version that wrote it (see git_revision there), or choose another run_dir"
        ) from error


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl."""
    return read_jsonl(run_dir / "metrics.jsonl")
