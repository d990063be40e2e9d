"""Pairing texts on several processes: how much each gets, and what happens when one of them dies."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from augment.lexicon import load_lexicon
from distill.data import pairing

LEXICON = load_lexicon()


def _runs(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _worker_pids(settings, pipe):
    def texts():
        yield from ["The nurse said that she left."] * 600
        pipe.send([worker.pid for worker in multiprocessing.active_children()])
        time.sleep(600)

    list(pairing.pair_all(texts(), settings, num_proc=2))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks for processes in /proc")
def test_workers_end_with_a_parent_that_was_killed(tokenizer):
    settings = {"tokenizer": tokenizer, "lexicon": LEXICON, "prefix_ids": [0], "suffix_ids": []}
    ours, theirs = multiprocessing.Pipe()
    parent = multiprocessing.get_context("fork").Process(target=_worker_pids, args=(settings, theirs))
    parent.start()
    workers = ours.recv()
    parent.kill()
    parent.join()
    deadline = time.monotonic() + 300  # seconds, on a busy machine
    while any(_runs(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(("length", "sizes"), [(10, [256, 44]), (2**18, [4] * 75), (2**21, [1] * 300)])
def test_a_worker_gets_so_many_documents_or_so_much_text_at_a_time(length, sizes):
    texts = iter(["x" * length] * 300)
    assert [len(chunk) for chunk in iter(lambda: pairing._chunk(texts), [])] == sizes


def test_a_worker_that_dies_is_reported_and_nothing_hangs(tokenizer):
    def texts():
        yield from ["The nurse said that she left."] * 600
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGKILL)
        yield from ["He stayed."] * 6000

    settings = {"tokenizer": tokenizer, "lexicon": LEXICON, "prefix_ids": [0], "suffix_ids": []}
    with pytest.raises(OSError, match=r"one of 2 workers has died, .*; lower data.num_proc \(2\)"):
        list(pairing.pair_all(texts(), settings, num_proc=2))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("short\n", ["short\n"]),
        ("", [""]),
        ("One line.\n\nTwo.\nThree.", ["One line.\n\n", "Two.\nThree."]),  # a paragraph goes before a later line
        ("One here.\nTwo. Three.", ["One here.\n", "Two. Three."]),
        ("It rained. She slept on", ["It rained.", " She slept on"]),
        ("to be or not to be or", ["to be or not", " to be or"]),
        ("x" * 30, ["x" * 14, "x" * 14, "xx"]),
        ("a. " + "x" * 20, ["a. " + "x" * 11, "x" * 9]),  # a part is never shorter than half
    ],
)
def test_a_long_text_is_divided_where_a_part_of_it_ends(text, parts):
    assert list(pairing.in_parts([text], longest=14)) == parts
    assert list(pairing.in_parts(["a", text, "b"], longest=14)) == ["a", *parts, "b"]
