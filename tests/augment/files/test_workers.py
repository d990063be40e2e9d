"""The ordered pool: results in input order, few items in memory, one message if a worker dies."""

import operator
import os
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from augment.files.workers import ITEMS_PER_WORKER, in_order


@pytest.mark.parametrize("num_workers", [1, 3])
def test_results_come_in_input_order(num_workers: int) -> None:
    assert list(in_order(partial(operator.pow, 2), range(40), num_workers, "")) == [2**n for n in range(40)]


@pytest.mark.parametrize(("num_workers", "most"), [(1, 1), (2, 2 * ITEMS_PER_WORKER)])
def test_few_items_are_taken_before_their_results_are_used(num_workers: int, most: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    with closing(in_order(abs, items(), num_workers, "")) as results:
        for used, _ in enumerate(results, 1):
            assert len(taken) - used < most
    assert len(taken) == 20


def test_a_job_that_raises_is_the_callers_error() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(partial(operator.truediv, 1), [1, 0, 1], 2, ""))


def test_a_worker_that_dies_is_one_message_with_a_remedy() -> None:
    with pytest.raises(OSError, match="one of 2 workers has died.*memory ran out; take fewer"):
        list(in_order(os._exit, [1, 1], 2, "take fewer"))
