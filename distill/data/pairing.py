"""Texts paired by several processes: texts in; their paired, tokenized documents out, in order."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

from augment.files.stream import end_with_parent
from distill.data.packing import PairedDocument, pair_texts

DOCUMENTS_PER_CHUNK, CHARACTERS_PER_CHUNK = 256, 2**20  # what a worker gets at a time: whichever it reaches first
_worker_settings: dict[str, Any] = {}


def pair_all(texts: Iterable[str], settings: dict[str, Any], num_proc: int) -> Generator[PairedDocument]:
    """`pair_texts` over chunks of texts, on `num_proc` processes, in order and with a bounded number in flight.

    Close it to end the processes when they have finished the chunks they are at.
    """
    iterator = iter(texts)
    chunks = iter(lambda: _chunk(iterator), [])
    if num_proc == 1:
        for chunk in chunks:
            yield from pair_texts(chunk, **settings)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_proc, context, _start_worker, (settings,)) as pool:
        pending: deque[Future[list[PairedDocument]]] = deque()
        try:
            for chunk in chunks:
                pending.append(pool.submit(_pair_in_worker, chunk))
                if len(pending) >= 4 * num_proc:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        except BrokenProcessPool as error:
            raise OSError(
                f"a worker that pairs text has died, most likely for want of memory; lower data.num_proc ({num_proc})"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _chunk(texts: Iterator[str]) -> list[str]:
    """The next texts, as many as a worker gets at a time; none at their end."""
    chunk: list[str] = []
    num_characters = 0
    for text in islice(texts, DOCUMENTS_PER_CHUNK):
        chunk.append(text)
        num_characters += len(text)
        if num_characters >= CHARACTERS_PER_CHUNK:
            break
    return chunk


def _start_worker(settings: dict[str, Any]) -> None:
    """Keep lexicon and tokenizer in a worker: they are sent once, not with every chunk.

    Ctrl-C reaches all processes; the parent deals with it. A worker whose parent was killed ends by itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    _worker_settings.update(settings)


def _pair_in_worker(chunk: list[str]) -> list[PairedDocument]:
    return pair_texts(chunk, **_worker_settings)
