"""The interface of a task: items that can be scored in chunks, and records that become estimates.

A task is planned once, when its data is read. It is then prepared for one model after another. The suite divides its
items into chunks, scores them in one process or several, keeps every record, and summarises all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.measurement import Estimate

Records = list[dict[str, Any]]
RECORDS_AT_ONCE = 256  # of a task that is computed from other tasks' records
Summarise = Callable[..., list[Estimate]]  # (records, *conventions, settings) -> estimates


@dataclass(frozen=True)
class Work:
    """A task on one model.

    ids [num_items]: the ids of the records, unique. items [num_items]: what is scored. score: maps any of the items, in
    order, to one record each, with the item's id. conventions: maps all records, in the order of the items, to the
    strings that `summarise` takes between the records and the settings. divisible: False when the items can only be
    scored all together (one joined text). chunk: how many items are scored at once and then written to disk; by default
    as many as fill a few forward passes.
    """

    ids: Sequence[str]
    items: Sequence[Any]
    score: Callable[[Sequence[Any]], Records]
    conventions: Callable[[Records], tuple[str, ...]]
    divisible: bool = True
    chunk: int | None = None


@dataclass(frozen=True)
class Task:
    """A measure with its data read, ready to be prepared for one scorer after another.

    key: everything about data and settings, but nothing about the model, that a record depends on; a record is used
    again only under an equal key. num_items, num_tokens: roughly how many are scored and read, for the progress bar.
    num_new_tokens: at most how many are sampled. needs: earlier tasks whose records `prepare` takes after the scorer
    (a measure of sampled continuations needs the task that samples them). reads_classifiers: whether the scorer may
    hold a text classifier in place of a language model.
    """

    name: str
    key: str
    prepare: Callable[..., Work]  # (scorer, *records of needs)
    num_items: int
    num_tokens: int
    num_new_tokens: int = 0
    needs: tuple[str, ...] = ()
    reads_classifiers: bool = False


@dataclass(frozen=True)
class Failure:
    """What could not be measured, and why. model: None if the data is at fault; task: None if a model did not load."""

    model: str | None
    task: str | None
    message: str


def items_task(
    name: str,
    key: str,
    items: Sequence[Any],
    score: Callable[[Scorer, Sequence[Any]], Records],
    texts: Sequence[str],
    divisible: bool = True,
    convention: str | None = None,
) -> Task:
    """A task whose items have an id each and are scored independently.

    texts: what the model has to read, for the progress bar. divisible: as in `Work`. convention: what `summarise` gets,
    with the start token added; the key, unless a record also depends on what the measure's numbers do not.
    """

    def prepare(scorer: Scorer) -> Work:
        named = f"{convention or key}|{scorer.start_convention}"
        ids = [item.id for item in items]
        return Work(ids, items, lambda part: score(scorer, part), lambda _: (named,), divisible=divisible)

    return Task(name, key, prepare, len(items), about_num_tokens(texts))


def whole_key(own: str, sources: Sequence[Task]) -> str:
    """The key of a task: its own, and those of the tasks that it is computed from."""
    return "|".join([own, *(source.key for source in sources)])


def derived_task(
    name: str, key: str, sources: Sequence[Task], prepare: Callable[..., Work], num_tokens: int = 0
) -> Task:
    """A task on the records of `sources`. num_tokens: how many a model reads for it."""
    num_items = sum(source.num_items for source in sources)
    return Task(name, whole_key(key, sources), prepare, num_items, num_tokens, needs=tuple(s.name for s in sources))


def records_task(
    name: str, key: str, sources: Sequence[Task], records_of: Callable[[Sequence[dict[str, Any]]], Records]
) -> Task:
    """A derived task that needs no model. records_of: turns records of the sources into its own, one for one."""

    def prepare(scorer: Scorer, *source_records: Records) -> Work:
        items = [record for records in source_records for record in records]
        convention = f"{whole_key(key, sources)}|{scorer.start_convention}"
        ids = [record["id"] for record in items]
        return Work(ids, items, records_of, lambda _: (convention,), chunk=RECORDS_AT_ONCE)

    return derived_task(name, key, sources, prepare)


def about_num_tokens(texts: Sequence[str]) -> int:
    """Estimate how many tokens English texts have: one token for four characters, and one more for each text."""
    return sum(map(len, texts)) // 4 + len(texts)


def tokenizer_hash(scorer: Scorer) -> str:
    """Eight hex digits of the SHA-256 of the tokenizer's full definition."""
    return hashlib.sha256(scorer.tokenizer.backend_tokenizer.to_str().encode()).hexdigest()[:8]


def data_hash(items: Sequence[Any]) -> str:
    """Eight hex digits of the SHA-256 of a data set (texts or dataclasses), in order.

    The names of a dataclass's fields enter the hash: renaming one makes all records of its measure obsolete.
    """
    plain = [asdict(item) if is_dataclass(item) and not isinstance(item, type) else item for item in items]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()[:8]
