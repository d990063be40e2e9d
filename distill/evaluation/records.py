"""Per-example records on disk, which are the cache of an evaluation too: records in, JSON lines out, and back.

    examples-LABEL.jsonl         all records of a model, written when the evaluation is complete, and after them what
                                 earlier evaluations left there and this one had no use for (`write_examples`)
    examples-LABEL.part-N.jsonl  what process N has scored so far; removed when the former is written and no task failed

A line is {task, key, id, ...}. The key is a hash of everything that a record depends on (`record_key`), so that a
record is never used for another model, other data or other settings; results.json names the keys of its own records.
A process that is killed leaves at most one line unfinished, which is not read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill.evaluation.task import Records
from distill.files import write_text

Known = dict[str, dict[str, dict[str, Any]]]  # by key, by id


def record_key(*parts: object) -> str:
    """Twelve hex digits that identify what `parts` say."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:12]


def read_examples(folder: Path, name: str) -> Known:
    """The records of `name`, complete or in parts, without their task and key. Broken lines are left out."""
    known: Known = {}
    for path in (folder / f"{name}.jsonl", *_parts(folder, name)):
        for task_and_record in _lines(path):
            del task_and_record["task"]
            known.setdefault(task_and_record.pop("key"), {})[task_and_record["id"]] = task_and_record
    return known


def merged(known: Sequence[Known]) -> Known:
    """All records of several folders. What is in more than one is taken from the first, so that all have the same."""
    found: Known = {}
    for one in reversed(known):
        for key, records in one.items():
            found[key] = found.get(key, {}) | records
    return found


def read_records(path: Path, keys: Mapping[str, str]) -> dict[str, Records]:
    """The records of a complete file by task, in order, without task and key. Raises FileNotFoundError.

    keys: of the records of each task, as results.json names them; those under another key are of other evaluations.
    """
    if not path.is_file():
        raise FileNotFoundError(f"per-example records {path} do not exist; keep them beside their results.json")
    found: dict[str, Records] = {}
    for record in _lines(path):
        task = record.pop("task")
        if record.pop("key") == keys.get(task):
            found.setdefault(task, []).append(record)
    return found


class PartFile:
    """Appends the records of one process to its part file, each chunk at once and on its way to the disk."""

    def __init__(self, folder: Path, name: str, process: int) -> None:
        self.path = folder / f"{name}.part-{process}.jsonl"
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            with self.path.open("ab") as stream:  # end the line that a killed process did not finish
                stream.write(b"\n")

    def append(self, task: str, key: str, records: Records) -> None:
        """Add the records of a chunk."""
        with self.path.open("ab") as stream:
            stream.write(_dump(task, key, records).encode())


def write_examples(folder: Path, name: str, tasks: Mapping[str, tuple[str, Records]], keep_parts: bool = False) -> None:
    """Write all records (by task: key and records) as one file, and remove the parts.

    Records that are there under other keys are kept after them, so that a task that was switched off, lacked its data
    or had other settings this time need not be scored again: of every task those under the newest of its other keys.
    keep_parts: leave the parts, because some of their records belong to a task that failed and may be repeated.
    """
    sources = [folder / f"{name}.jsonl", *([] if keep_parts else _parts(folder, name))]
    kept = _newest_others(sources, {task: key for task, (key, _) in tasks.items()})
    whole = [(task, key, records) for task, (key, records) in tasks.items()] + kept
    write_text(folder / f"{name}.jsonl", "".join(_dump(*part) for part in whole))
    for path in [] if keep_parts else _parts(folder, name):
        path.unlink()


def plain(value: Any) -> Any:
    """Nested values as JSON gives them back, numbers that are not finite as None."""
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
    """(task, key, records) of the newest key of every task that is not its key in `keys`.

    paths: a complete file, in which the records of the evaluation that wrote it come before those that it kept, and
    then parts, which are newer.
    """
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}  # by task, by key, by id; keys from oldest to newest
    for number, path in enumerate(paths):
        here: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
        for record in _lines(path):
            task, key = record.pop("task"), record.pop("key")
            if key != keys.get(task):
                here.setdefault(task, {}).setdefault(key, {})[record["id"]] = record
        for task, by_key in here.items():
            for key in by_key if number else reversed(by_key):
                known = found.setdefault(task, {}).pop(key, {})
                found[task][key] = known | by_key[key]
    newest = {task: by_key.popitem() for task, by_key in found.items()}
    return [(task, key, list(records.values())) for task, (key, records) in newest.items()]


def _dump(task: str, key: str, records: Records) -> str:
    lines = (
        json.dumps({"task": task, "key": key, **record}, ensure_ascii=False, allow_nan=False) for record in records
    )
    return "".join(f"{line}\n" for line in lines)


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    """The whole lines of a file that hold a record; nothing when there is no file."""
    if not path.is_file():
        return
    for line in path.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:  # unfinished, or not even text
            continue
        if isinstance(record, dict) and {"task", "key", "id"} <= record.keys():
            yield record
