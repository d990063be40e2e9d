"""The ordered pool of worker processes: swapping files, Parquet files and the pairing of corpora all use it."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ITEMS_PER_WORKER = 2  # waiting or running: a worker need not wait for work, and memory stays bounded
_job: list[Callable[[Any], Any]] = []  # one element, in worker processes only


def in_order(
    job: Callable[[Item], Result], items: Iterable[Item], num_workers: int, remedy: str
) -> Generator[Result, None, None]:
    """Run `job` on every item in `num_workers` fresh processes, and yield the results in the order of the items.

    With 1 worker the job runs in this process. The job is sent to each process once, so it may hold a lexicon or a
    tokenizer (`functools.partial`). Closing the generator ends the processes once they finish their present items.
    Raises OSError, which ends with `remedy`, if a process dies.
    """
    if num_workers == 1:
        yield from map(job, items)
        return
    with ProcessPoolExecutor(num_workers, get_context("spawn"), _start, (job,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(_run, item))
                if len(waiting) >= ITEMS_PER_WORKER * num_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise OSError(
                f"one of {num_workers} workers has died, most likely because memory ran out; {remedy}"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start(job: Callable[[Any], Any]) -> None:
    """In a new worker: keep the job, leave Ctrl-C to the parent, and end when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _job.append(job)


def _end_with_parent() -> None:
    """End this process after its parent: otherwise, if the parent was killed, it would wait for work forever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(item: Any) -> Any:
    return _job[0](item)
