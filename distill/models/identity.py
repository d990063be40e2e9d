"""What identifies a model: a hash of the files in its folder, or the revision of its hub repository that was read."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from huggingface_hub import hf_hub_download
from transformers import PreTrainedModel

# Every model or tokenizer on the hub has one of these files. They are small, and loading it fetches them anyway.
SETTINGS_FILES = ("config.json", "tokenizer_config.json", "tokenizer.json")
COMMIT = re.compile(r"[0-9a-f]{40}")
# What versions before 0.1.0 recorded for every hub model, because transformers no longer gave them its commit.
UNIDENTIFIED = "@None"


def model_fingerprint(path: str, model: PreTrainedModel | None = None, gguf_file: str | None = None) -> str:
    """What identifies the weights at a path: the hash of a local folder, or `name@commit` of a hub name.

    model: the model that was loaded from there. The revision that was current then counts, even if the repository has
    moved on since; without a model, the one that would be loaded now. Raises ValueError if the revision is unknown.
    """
    folder = Path(path)
    if folder.exists():
        return folder_fingerprint(folder, gguf_file)
    snapshot = getattr(model, "hub_snapshot", None) or hub_snapshot(path, gguf_file)
    if snapshot is None:
        raise ValueError(
            f"cannot tell which revision of the hub model {path} is read, because the hub's cache does not hold it; "
            f"load it from a folder: hf download {path} --local-dir FOLDER"
        )
    is_commit = COMMIT.fullmatch(snapshot.name)
    return f"{path}@{snapshot.name if is_commit else folder_fingerprint(snapshot, gguf_file)}"


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


def hub_snapshot(name: str, gguf_file: str | None = None) -> Path | None:
    """The folder in the hub's cache that `name` stands for now; its name is the commit. None if there is none.

    Asks the hub, unless it is offline, as `from_pretrained` does.
    """
    for file in (gguf_file,) if gguf_file else SETTINGS_FILES:
        try:
            found = Path(hf_hub_download(name, file))
        except Exception:  # the load that follows fails for the same reason, and says it better
            continue
        return found.parents[len(Path(file).parts) - 1]
    return None


def is_unidentified(fingerprint: object) -> bool:
    """Whether a recorded fingerprint names a hub model but not its revision."""
    return isinstance(fingerprint, str) and fingerprint.endswith(UNIDENTIFIED)
