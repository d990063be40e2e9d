"""What identifies a model: a hash of the files in its folder, or the revision of its hub repository that was read."""

from __future__ import annotations

import hashlib
from pathlib import Path

from transformers import PreTrainedModel

from distill.hub import COMMIT, hub_name, snapshot

# Every model or tokenizer on the hub has one of these files. They are small, and loading it fetches them anyway.
SETTINGS_FILES = ("config.json", "tokenizer_config.json", "tokenizer.json")
# What versions before 0.1.0 recorded for every hub model, because transformers no longer gave them its commit.
UNIDENTIFIED = "@None"


def model_fingerprint(path: str, model: PreTrainedModel | None = None, gguf_file: str | None = None) -> str:
    """What identifies the weights at a path: the hash of a local folder, or `name@commit` of a hub name.

    model: the model that was loaded from there. The revision that was current then counts, even if the repository has
    moved on since; without a model, the one that would be loaded now. Raises ValueError if the revision is unknown,
    OSError if the hub does not tell.
    """
    folder = Path(path)
    if folder.exists():
        return folder_fingerprint(folder, gguf_file)
    found = getattr(model, "hub_snapshot", None) or hub_snapshot(path, gguf_file)
    hub = hub_name(path)
    if found is None or hub is None:
        raise ValueError(
            f"cannot tell which revision of the hub model {path} is read, because the hub's cache does not hold it; "
            f"load it from a folder: hf download {path} --local-dir FOLDER"
        )
    is_commit = COMMIT.fullmatch(found.name)
    return f"{hub.name}@{found.name if is_commit else folder_fingerprint(found, gguf_file)}"


def folder_fingerprint(folder: Path, gguf_file: str | None = None) -> str:
    """SHA-256 over a model folder's weights, settings and tokenizer.

    It skips results.json, because an evaluation may be kept in its model's folder, and GGUF files that are not read,
    because a folder may hold a model in several precisions.
    """
    files = [file for file in folder.iterdir() if file.suffix in {".safetensors", ".bin", ".json"}]
    files += [folder / gguf_file] if gguf_file else []
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.name != "results.json":
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def hub_snapshot(path: str, gguf_file: str | None = None) -> Path | None:
    """The folder in the hub's cache that a hub name stands for now; its name is the commit.

    None for a local path, or if the hub is offline and the cache has none. Raises OSError, as `snapshot` does.
    """
    hub = hub_name(path)
    files = (gguf_file,) if gguf_file else SETTINGS_FILES
    return None if hub is None else snapshot(hub, files, what=f"cannot load a model from {path}")


def is_unidentified(fingerprint: object) -> bool:
    """Whether a recorded fingerprint names a hub model but not its revision."""
    return isinstance(fingerprint, str) and fingerprint.endswith(UNIDENTIFIED)
