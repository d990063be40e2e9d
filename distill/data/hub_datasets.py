"""Load a data set of the hub, at the commit that its name stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, IterableDataset, load_dataset

from distill.hub import CARD, COMMIT, HubName, failure, snapshot

TABLES = "refs/convert/parquet"  # the branch on which the hub keeps tables of what loading scripts make


def load_hub_dataset(what: str, hub: HubName, subset: str | None, split: str) -> Dataset:
    """The rows of a split. what: how an error begins. Raises FileNotFoundError, or ConnectionError if it may pass."""
    found = snapshot(hub, CARD, "dataset", what)
    revision = hub.revision if found is None else found.name
    try:
        return _load(hub.name, subset, split, revision)
    except Exception as error:  # `datasets` raises a different type for each way to fail; the user needs one message
        raise failure(what, error, hub) from error


def stream_hub_dataset(what: str, hub: HubName, subset: str | None, split: str) -> IterableDataset:
    """The rows of a split, which come from the hub as they are read. Raises as `load_hub_dataset`."""
    found = snapshot(hub, CARD, "dataset", what)
    revision = hub.revision if found is None else found.name
    try:
        return load_dataset(hub.name, subset, split=split, revision=revision, streaming=True)
    except Exception as error:
        raise failure(what, error, hub) from error


def hub_rows(what: str, hub: HubName, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows, as they come from the hub. Raises as `load_hub_dataset` if one does not."""
    try:
        yield from rows
    except Exception as error:
        raise failure(what, error, hub) from error


def _load(name: str, subset: str | None, split: str, revision: str | None) -> Dataset:
    try:
        dataset = load_dataset(name, subset, split=split, revision=revision)
    except RuntimeError as error:
        if "script" not in str(error):
            raise
        return load_dataset(name, subset, split=split, revision=TABLES)  # `datasets` no longer runs loading scripts
    loaded = commit_of(dataset)
    is_commit = revision is not None and COMMIT.fullmatch(revision)
    if is_commit and loaded not in (None, revision) and loaded != _commit_of_tables(name):
        raise FileNotFoundError(
            f"commit {revision} cannot be fetched now, and the cache of data sets has {loaded} instead; give the same "
            "command again with a network, or name that commit after @"
        )
    return dataset


def _commit_of_tables(name: str) -> str | None:
    """The commit of the branch with the tables. `datasets` gives them from its cache instead of refusing the script."""
    try:
        tables = snapshot(HubName(name, TABLES), CARD, "dataset")
    except FileNotFoundError:  # there is no such branch
        return None
    return None if tables is None else tables.name


def commit_of(dataset: Dataset) -> str | None:
    """The commit of a data set of the hub: `datasets` names the folder of its cache by it. None if it is not there.

    When the hub fails, `datasets` gives whichever commit it has read last.
    """
    names = {Path(file["filename"]).parent.name for file in dataset.cache_files}
    commits = [name for name in names if COMMIT.fullmatch(name)]
    return commits[0] if len(commits) == len(names) == 1 else None
