"""Batches: what is scored, how they are loaded, and how they are prefetched."""

import itertools
import re
import threading

import numpy as np
import pytest
import torch

from augment.lexicon import load_lexicon
from distill.config import AugmentConfig, DataConfig
from distill.data.batches import batches, collate, prefetched
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


def test_the_loader_leaves_the_global_random_state_alone(small_world, tokenizer, tmp_path):
    settings = DataConfig(path=str(small_world / "train.jsonl"), seq_len=48, cache_dir=str(tmp_path / "cache"))
    blocks = prepare_blocks(settings, AugmentConfig(), load_lexicon(), tokenizer, seed=0)
    state = torch.get_rng_state()
    (batch,) = batches(blocks.train, [[0, -1, 1]], settings.seq_len)
    assert torch.equal(torch.get_rng_state(), state)
    assert batch.input_ids.shape == (3, settings.seq_len)
    assert batch.loss_mask.sum(1).tolist()[1] == 0


def test_no_damaged_byte_of_a_shard_is_trained_on(tokenizer, tmp_path):
    """Wherever a byte of a cached shard changes, what is read is what was written, or one message names the place."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(f"The woman told him that she was {number}.\n" for number in range(20)))
    settings = DataConfig(path=str(corpus), seq_len=24, cache_dir=str(tmp_path / "cache"), heldout_fraction=0.4)

    def read() -> list[list]:
        train = prepare_blocks(settings, AugmentConfig(), load_lexicon(), tokenizer, seed=0).train
        return [
            tensor.tolist()
            for batch in batches(train, [[index] for index in range(len(train))], 24)
            for tensor in batch[:6]
        ]

    whole = read()
    (shard,) = (tmp_path / "cache").glob("*/train-00000.arrow")
    content, messages = shard.read_bytes(), []
    for place in range(0, len(content), len(content) // 40):
        shard.unlink()  # the bytes that are still mapped stay as they are
        shard.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            assert read() == whole
        except (OSError, ValueError) as error:
            messages.append(str(error))
    assert len(messages) > 20
    opened = f"the cached blocks in {shard.parent} cannot be read"
    blocks = re.compile(
        re.escape(str(shard)) + r" is damaged \(block \d+\); remove the folder .*, and the same command"
    )
    assert all(message.startswith(opened) or blocks.match(message) for message in messages)


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
    first = next(prefetched(itertools.count(), 4))  # a loop that stops early ends the thread
    assert first == 0


def test_rows_and_trimmed_rows_hold_the_same_text():
    examples = [example_of(5, 4), example_of(9, 9), example_of(3, 7)]
    batch = collate(examples, 16)
    for start, end in ((0, 1), (1, 3), (0, 3), (2, 2)):
        some = batch.rows(start, end)
        for tensor, expected in zip(some[:7], collate(examples[start:end], 16)[:7], strict=True):
            assert torch.equal(tensor, expected)
    for row, length in enumerate([5, 9, 7]):
        trimmed = batch.row(row).trimmed()
        assert trimmed.input_ids.shape == (1, length)
        for tensor, expected in zip(trimmed[:7], collate([examples[row]], length)[:7], strict=True):
            assert torch.equal(tensor, expected)
    assert collate([None], 16).trimmed().input_ids.shape == (1, 1)


def example_of(num: int, cf_num: int) -> PairedExample:
    align = np.full(num, -1)
    align[-1] = cf_num - 1
    return PairedExample(np.arange(1, num + 1), np.arange(2, cf_num + 2), align)
