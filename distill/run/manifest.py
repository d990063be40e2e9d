"""The manifest of a checkpoint: size and SHA-256 of every file in it, and of the manifest itself."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.files import sync, write_text

MANIFEST = "manifest.json"


def file_entries(folder: Path, share: int = 0, num_shares: int = 1) -> list[dict[str, Any]]:
    """The manifest entries of every num_shares-th file in a folder, each flushed to disk first."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = []
    for file in files[share::num_shares]:
        sync(file)
        entries.append({"name": str(file.relative_to(folder))} | _size_and_digest(file))
    return entries


def write_manifest(folder: Path, about: dict[str, Any], entries: Sequence[dict[str, Any]]) -> None:
    """Write the manifest of a folder: `about` the checkpoint, and the entries of all its files."""
    content = about | {"files": sorted(entries, key=lambda entry: entry["name"])}
    write_text(folder / MANIFEST, json.dumps(content | {"sha256": _content_digest(content)}, indent=1) + "\n")


def damage(folder: Path, share: int = 0, num_shares: int = 1) -> list[str]:
    """How a folder differs from its manifest. With shares, only every num_shares-th file is compared.

    Raises OSError for a file that exists and cannot be read: the disk causes that, and it may be temporary.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        digest, entries = manifest.pop("sha256"), manifest["files"]
        if digest != _content_digest(manifest):
            return [f"{MANIFEST} has another checksum than when it was written"]
    except FileNotFoundError:
        return [f"{MANIFEST} is missing"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{MANIFEST} cannot be read: {error}"]
    return [fault for entry in entries[share::num_shares] if (fault := _fault(folder, entry))]


def recorded_heldout(folder: Path) -> float:
    """The held-out loss in a manifest; NaN if it was not measured at this step or the manifest cannot be read."""
    try:
        value = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["heldout_nats_per_token"]
    except (OSError, ValueError, KeyError):
        return math.nan
    return math.nan if value is None else value


def _fault(folder: Path, entry: dict[str, Any]) -> str | None:
    try:
        present = _size_and_digest(folder / entry["name"])
    except FileNotFoundError:
        return f"{entry['name']} is missing"
    if present["num_bytes"] != entry["num_bytes"]:
        return f"{entry['name']} has {present['num_bytes']:,} bytes instead of {entry['num_bytes']:,}"
    if present["sha256"] != entry["sha256"]:
        return f"{entry['name']} has another checksum than when it was written"
    return None


def _size_and_digest(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"num_bytes": os.fstat(stream.fileno()).st_size, "sha256": _sha256(stream)}


def _sha256(stream: Any) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _content_digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
