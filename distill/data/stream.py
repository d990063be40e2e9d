"""Blocks of a corpus as a stream: nothing of the training text is kept on disk, and a run goes on where it was.

Each process reads its own share of the rows (`datasets` divides files, or else rows, among processes), pairs them on
`data.num_proc` processes ahead of the steps, and packs them as the cached blocks are packed. So one process gets the
blocks of the cache, in the order of the text, and at the end of the text the stream begins again. Blocks are shuffled
within windows of about TOKENS_PER_WINDOW tokens.

The state of a stream is the place where the window of the next block begins. When a run resumes, it prepares this one
window again and passes over the blocks that it has read.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np
from datasets.distributed import split_dataset_by_node

from distill.config import DataConfig, RunConfig
from distill.data.blocks import shards
from distill.data.corpus import row_stream
from distill.data.documents import Document
from distill.data.packing import PairedDocument, PairedExample, pack_on
from distill.data.pairing import in_parts, pair_all
from distill.data.split import is_heldout
from distill.settings import check_none_set

TOKENS_PER_WINDOW = 2**18


class Place(NamedTuple):
    """Where a block of a stream ends, and so the next one begins.

    epoch: passes over the text before this one. row: the state of `datasets` before the row of the document that was
    read last, None before the first row. part: which part of that row's text it was. start: how many of its tokens
    stand in blocks. num_characters: of the documents before it, since packing last began anew.
    """

    epoch: int = 0
    row: dict[str, Any] | None = None
    part: int = 0
    start: int = 0
    num_characters: int = 0


@dataclasses.dataclass(kw_only=True)
class BlockStream:
    """The training blocks of one process, from optimizer step to optimizer step.

    pairing: the arguments of `pair_texts`. is_substituted: whether the views of a text are exchanged. seed: of the
    order within windows. blocks_per_step: how many blocks this process reads in an optimizer step.
    """

    data: DataConfig
    pairing: dict[str, Any]
    is_substituted: Callable[[str], bool]
    seed: int
    rank: int
    num_processes: int
    blocks_per_step: int
    _begins: dict[int, Place] = dataclasses.field(default_factory=lambda: {0: Place()}, init=False)

    @property
    def blocks_per_window(self) -> int:
        """How many blocks are shuffled together."""
        return max(1, TOKENS_PER_WINDOW // self.data.seq_len)

    def blocks(self, step: int) -> Generator[PairedExample]:
        """The blocks from the optimizer step after `step` on; they never end.

        `step` is 0 or that of the state that was loaded. Close the generator to end the processes that pair. Raises
        what reading and pairing raise, and ValueError if this process gets no document at all.
        """
        first, num_read = divmod(step * self.blocks_per_step, self.blocks_per_window)
        with closing(self._in_order(self._begins[first])) as ordered:
            for number in count(first):
                window = list(islice(ordered, self.blocks_per_window))
                # before any block of this window is given away: a checkpoint after its last one needs the next place
                self._begins[number + 1] = window[-1][1]
                order = np.random.default_rng([self.seed, self.rank, number]).permutation(len(window))
                yield from (window[index][0] for index in order[num_read:])
                num_read = 0

    def state_dict(self, step: int) -> dict[str, Any]:
        """What `load_state_dict` needs to go on after `step` optimizer steps, as values for JSON.

        Call it when the blocks of these steps have been read, and for no earlier step afterwards.
        """
        number = step * self.blocks_per_step // self.blocks_per_window
        for window in list(self._begins):  # a copy: the thread that loads ahead adds to it
            if window < number:
                del self._begins[window]
        return {"window": number, "place": self._begins[number]._asdict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the stream that gave this state was, in place."""
        self._begins = {state["window"]: Place(**state["place"])}

    def _in_order(self, place: Place) -> Generator[tuple[PairedExample, Place]]:
        """The blocks after a place in the order of the text, each with the place where it ends."""
        while True:
            end = None
            for block, end in self._packed(place):
                yield block, end
            if end is None and place == Place(place.epoch):
                raise ValueError(
                    f"data.path {self.data.path} has no document for process {self.rank} of {self.num_processes}; give "
                    "more text, or launch fewer processes"
                )
            place = Place(place.epoch + 1)

    def _packed(self, place: Place) -> Iterator[tuple[PairedExample, Place]]:
        """As `_in_order`, up to the end of the text."""
        marks: deque[Place] = deque()  # of the documents that are being paired
        here, num_characters, start = place, place.num_characters, place.start

        def flagged(shard: Iterator[PairedDocument]) -> Iterator[tuple[PairedDocument, bool]]:
            nonlocal here, num_characters
            for document in shard:
                here = marks.popleft()._replace(num_characters=num_characters)
                yield document, self.is_substituted(document.pair.original)
                num_characters += len(document.pair.original)

        with closing(pair_all(self._documents(place, marks), self.pairing, self.data.num_proc)) as paired:
            for shard in shards(paired, num_characters):
                for block, end in pack_on(flagged(shard), self.data.seq_len, start):
                    yield block, here._replace(start=end)
                num_characters = start = 0

    def _documents(self, place: Place, marks: deque[Place]) -> Iterator[Document]:
        """This process's documents from the one at a place on; where each of them is, is appended to `marks`."""
        stream = row_stream(self.data)
        rows = split_dataset_by_node(stream.rows, rank=self.rank, world_size=self.num_processes)
        if place.row is not None:
            rows.load_state_dict(place.row)
        before, first_part = place.row, place.part
        for row in stream.read(rows):
            document = stream.document_of(row)
            if str(document).strip() and not is_heldout(document, self.data):
                parts = in_parts([document]) if isinstance(document, str) else [document]
                for part, piece in enumerate(parts):
                    if part >= first_part:
                        marks.append(Place(place.epoch, before, part))
                        yield piece
            before, first_part = rows.state_dict(), 0


def check_streaming(run: RunConfig) -> None:
    """Raise ValueError if a run has `data.streaming` and a setting that needs the whole text in advance."""
    if not run.data.streaming:
        return
    forbidden = {
        "train.epochs": (
            run.train.max_steps is None,
            "how long an epoch is would be known at its end only; set train.max_steps, and train.epochs to null",
        ),
        "data.max_documents": (
            run.data.max_documents is not None,
            "processes divide the documents before anybody counts them; give a shorter text, or leave it out",
        ),
        "teacher.targets": (
            run.teacher is not None and run.teacher.targets == "cached",
            "the states of blocks that are not kept have no use; set it to `online`",
        ),
        "student.layers": (
            run.student.layers == "auto",
            "`auto` reads the whole text to choose; choose with `evenhand layers`, and give the list",
        ),
        "canaries": (run.canaries is not None, "they are planted all over the text in advance; leave them out"),
        "privacy": (
            run.privacy is not None,
            "its steps draw from all documents, which must be counted in advance; set data.streaming to false",
        ),
        "federated": (
            run.federated is not None,
            "clients have whole documents of their own, in a cache; set data.streaming to false",
        ),
    }
    check_none_set("data.streaming", forbidden)
