"""Batching: the order of blocks depends on seed and step alone, and a batch scores what is there and nothing else."""

import itertools
import threading
from functools import partial

import numpy as np
import pytest
import torch

from augment.lexicon import load_lexicon
from distill.config import AugmentConfig, DataConfig
from distill.data.batches import batches, collate, heldout_indices, prefetched, training_indices
from distill.data.blocks import prepare_blocks
from distill.data.packing import PairedExample


def test_collate_masks_what_is_not_scored():
    example = PairedExample(np.array([5, 6, 7]), np.array([5, 8, 9, 7]), np.array([0, -1, 3]))
    same = PairedExample(np.array([5, 6]), np.array([5, 6]), np.array([0, 1]))
    batch = collate([example, None, same], 6)
    assert batch.input_ids[0].tolist() == [5, 6, 7, 0, 0, 0]
    assert batch.loss_mask.int().tolist() == [[1, 1, 0, 0, 0, 0], [0] * 6, [1, 0, 0, 0, 0, 0]]
    assert batch.cf_loss_mask[0].int().tolist() == [1, 1, 1, 0, 0, 0]
    assert batch.align[0].tolist() == [0, -1, 3, -1, -1, -1]
    assert batch.cf_align[0].tolist() == [0, -1, -1, 2, -1, -1]
    assert batch.has_swap.tolist() == [True, False, False]
    exchanged = batch.exchanged()
    assert torch.equal(exchanged.input_ids, batch.cf_input_ids)
    assert torch.equal(exchanged.align, batch.cf_align)
    assert all(torch.equal(a, b) for a, b in zip(exchanged.exchanged()[:7], batch[:7], strict=True))


def steps_of(
    num_processes: int, micro: int, num_samples: int | None, num_steps: int, start: int = 0
) -> list[list[int]]:
    """The blocks of each optimizer step, over all processes and micro-steps, sorted."""
    streams = [
        training_indices(23, num_samples, 7, start, 8, micro, rank, num_processes) for rank in range(num_processes)
    ]
    per_step = 8 // (micro * num_processes)
    steps = []
    for _ in range(num_steps):
        step = [list(itertools.islice(stream, per_step)) for stream in streams]
        steps.append(sorted(index for micros in step for micro_batch in micros for index in micro_batch))
    return steps


def test_each_step_has_the_same_blocks_whatever_the_processes_and_wherever_it_resumes():
    expected = steps_of(1, 8, None, 12)
    assert steps_of(1, 2, None, 12) == expected
    assert steps_of(2, 2, None, 12) == expected
    assert steps_of(4, 1, None, 12) == expected
    assert steps_of(2, 4, None, 5, start=7) == expected[7:]
    epochs = steps_of(1, 1, 46, 6)
    assert sorted(index for step in epochs for index in step if index >= 0) == sorted(list(range(23)) * 2)


def test_the_last_step_of_an_epoch_is_filled_with_rows_that_are_not_scored():
    for num_processes, micro in ((1, 8), (2, 2), (4, 2)):
        steps = steps_of(num_processes, micro, 20, 3)
        assert [step.count(-1) for step in steps] == [0, 0, 4]
        streams = [training_indices(23, 20, 7, 0, 8, micro, rank, num_processes) for rank in range(num_processes)]
        assert {sum(1 for _ in stream) for stream in streams} == {3 * 8 // (micro * num_processes)}


def test_epochs_differ_and_the_seed_decides():
    stream = partial(training_indices, 23, None, start_step=0, step_size=23, micro_size=23, rank=0, num_processes=1)
    first, second = itertools.islice(stream(seed=0), 2)
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    assert next(stream(seed=1)) != first


def test_held_out_blocks_come_once_over_all_processes():
    shares = [list(heldout_indices(11, 2, rank, 3)) for rank in range(3)]
    assert len({len(share) for share in shares}) == 1
    assert sorted(i for share in shares for micro in share for i in micro if i >= 0) == list(range(11))


def test_the_loader_leaves_the_global_random_state_alone(small_world, tokenizer, tmp_path):
    settings = DataConfig(path=str(small_world / "train.jsonl"), seq_len=48, cache_dir=str(tmp_path / "cache"))
    blocks = prepare_blocks(settings, AugmentConfig(), load_lexicon(), tokenizer, seed=0)
    state = torch.get_rng_state()
    (batch,) = batches(blocks.train, [[0, -1, 1]], settings.seq_len)
    assert torch.equal(torch.get_rng_state(), state)
    assert batch.input_ids.shape == (3, settings.seq_len)
    assert batch.loss_mask.sum(1).tolist()[1] == 0


def test_prefetched_items_keep_their_order_and_their_errors():
    threads = set()

    def items():
        for number in range(5):
            threads.add(threading.current_thread())
            yield number
        raise ValueError("the sixth")

    arrived = []
    with pytest.raises(ValueError, match="the sixth"):  # noqa: PT012
        for number in prefetched(items(), 2):
            arrived.append(number)
    assert arrived == [0, 1, 2, 3, 4]
    assert threading.main_thread() not in threads and len(threads) == 1
    assert list(prefetched(iter([7]), 3)) == [7]
    assert list(prefetched(iter([]), 1)) == []
    first = next(prefetched(itertools.count(), 4))  # left early: the thread ends
    assert first == 0
