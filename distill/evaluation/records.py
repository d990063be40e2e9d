"""Records on disk: one JSON line for each scored item. They are also the cache of an evaluation.

    examples-LABEL.jsonl         all records of a model, written when the evaluation is complete; after them, records of
                                 earlier evaluations that this one did not use (`write_records`)
    examples-LABEL.part-N.jsonl  what process N has scored so far; removed once the file above is written, unless a task
                                 failed

A line is {task, key, id, ...}. The key is a hash of everything that a record depends on (`record_key`), so a record is
never used for another model, other data or other settings. results.json names the keys of its own records. A process
that is killed leaves at most one unfinished line, which is ignored.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill.evaluation.task import Records
from distill.files import write_text, writing

ById = dict[str, dict[str, Any]]
Known = dict[str, ById]  # by key


def record_key(*parts: object) -> str:
    """Twelve hex digits that identify the texts of `parts`."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:12]


def read_known(folder: Path, name: str) -> Known:
    """All records of `name`, complete or in parts, by key, without their task and key. Broken lines are left out."""
    known: Known = {}
    for path in (folder / f"{name}.jsonl", *_parts(folder, name)):
        for record in _lines(path):
            del record["task"]
            known.setdefault(record.pop("key"), {})[record["id"]] = record
    return known


def merged(folders: Sequence[Known]) -> Known:
    """Join the records of several folders. If several hold a record, the first counts, so that all processes agree."""
    union: Known = {}
    for known in reversed(folders):
        for key, records in known.items():
            union[key] = union.get(key, {}) | records
    return union


def read_records(path: Path, keys: Mapping[str, str]) -> dict[str, Records]:
    """The records of a complete file by task, in order, without task and key. Raises FileNotFoundError.

    keys: by task, as results.json names them. Records under another key belong to other evaluations and are left out.
    """
    if not path.is_file():
        raise FileNotFoundError(f"per-example records {path} do not exist; keep them beside their results.json")
    by_task: dict[str, Records] = {}
    for record in _lines(path):
        task = record.pop("task")
        if record.pop("key") == keys.get(task):
            by_task.setdefault(task, []).append(record)
    return by_task


class PartFile:
    """Appends the records of one process to its part file, chunk by chunk."""

    def __init__(self, folder: Path, name: str, process: int) -> None:
        self.path = folder / f"{name}.part-{process}.jsonl"
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            with self.path.open("ab") as stream:  # end the line that a killed process did not finish
                stream.write(b"\n")

    def append(self, task: str, key: str, records: Records) -> None:
        """Add the records of a chunk."""
        with writing("the records", self.path.parent, "--out"), self.path.open("ab") as stream:
            stream.write(_dump(task, key, records).encode())


def write_records(folder: Path, name: str, tasks: Mapping[str, tuple[str, Records]], keep_parts: bool = False) -> None:
    """Write all records (by task: key and records) as one file, and remove the parts.

    After them come records of earlier evaluations: for each task, those under its newest other key. So a task that was
    switched off, lacked its data or had other settings this time need not be scored again. keep_parts: do not remove
    the parts, because they hold records of a task that failed and may be repeated.
    """
    sources = [folder / f"{name}.jsonl", *([] if keep_parts else _parts(folder, name))]
    kept = _newest_others(sources, {task: key for task, (key, _) in tasks.items()})
    everything = [(task, key, records) for task, (key, records) in tasks.items()] + kept
    write_text(folder / f"{name}.jsonl", "".join(_dump(*records) for records in everything))
    for path in [] if keep_parts else _parts(folder, name):
        path.unlink()


def plain(value: Any) -> Any:
    """Nested values as they are after a round trip through JSON; numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _parts(folder: Path, name: str) -> list[Path]:
    return sorted(path for path in folder.glob("*.part-*.jsonl") if path.name.startswith(f"{name}.part-"))


def _newest_others(paths: Sequence[Path], keys: Mapping[str, str]) -> list[tuple[str, str, Records]]:
    """(task, key, records) for every task: those under the newest key other than its key in `keys`.

    paths: first a complete file, in which the records of the evaluation that wrote it stand before those that it kept;
    then parts, which are newer.
    """
    others: dict[str, dict[str, ById]] = {}  # by task, by key from oldest to newest
    for number, path in enumerate(paths):
        in_file: dict[str, dict[str, ById]] = {}
        for record in _lines(path):
            task, key = record.pop("task"), record.pop("key")
            if key != keys.get(task):
                in_file.setdefault(task, {}).setdefault(key, {})[record["id"]] = record
        for task, by_key in in_file.items():
            for key in by_key if number else reversed(by_key):
                known = others.setdefault(task, {}).pop(key, {})
                others[task][key] = known | by_key[key]
    newest = {task: by_key.popitem() for task, by_key in others.items()}
    return [(task, key, list(records.values())) for task, (key, records) in newest.items()]


def _dump(task: str, key: str, records: Records) -> str:
    lines = (
        json.dumps({"task": task, "key": key, **record}, ensure_ascii=False, allow_nan=False) for record in records
    )
    return "".join(f"{line}\n" for line in lines)


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    """The whole lines of a file that hold a record; none if the file does not exist."""
    if not path.is_file():
        return
    for line in path.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:  # unfinished, or not even text
            continue
        if isinstance(record, dict) and {"task", "key", "id"} <= record.keys():
            yield record
