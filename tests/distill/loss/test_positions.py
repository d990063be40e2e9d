"""Every scored prediction is found once, with the partner that the alignment gives it."""

import pytest
import torch

from augment.lexicon import load_lexicon
from distill.data.batches import PairedBatch, collate
from distill.data.packing import pack, pair_texts
from distill.loss.positions import Positions, find_positions

SEQ_LEN = 24
TEXTS = [
    "The woman said that she lost her keys. My father went home because he was tired, and a fisherman saw him.",
    "The nurse said hello. The engineer and the baker like the garden.",
    "Mrs Reed, a doctor, told him that the boy was hers. The policewoman and the grandmother left.",
    "The baron smiled.",  # his tokens are the first of the baroness's
    "The baroness smiled.",
]


@pytest.fixture(scope="module")
def batch(tokenizer) -> PairedBatch:
    documents = pair_texts(TEXTS, tokenizer, load_lexicon(), [tokenizer.bos_token_id])
    return collate([*pack(((document, False) for document in documents), SEQ_LEN), None], SEQ_LEN)


def partners(positions: Positions, batch: PairedBatch) -> dict[tuple[int, int, int], tuple | str]:
    """Map (view, block, t) of each prediction to that of its partner, or to "none".

    Also check that each prediction has the teacher's row of its own position.
    """
    num_blocks, seq_len = batch.input_ids.shape
    student_place = {
        (view * num_blocks + block) * seq_len + t: (view, block, t)
        for view in range(2)
        for block in range(num_blocks)
        for t in range(seq_len)
    }
    swapped = positions.swapped.tolist()
    teacher_place = {row: place for row, place in student_place.items() if place[0] == 0}
    for number, block in enumerate(swapped):
        for t in range(seq_len):
            teacher_place[(num_blocks + number) * seq_len + t] = (1, block, t)

    def same(mine: tuple, theirs: tuple) -> bool:
        """Whether a teacher's row is that of a prediction; a block without a swap has one row for both views."""
        return mine == theirs or (mine[1] not in swapped and mine[1:] == theirs[1:])

    result: dict = {}
    for group in positions.groups:
        for index in range(group.student_rows.shape[1]):
            for view in range(len(group.student_rows)):
                place = student_place[int(group.student_rows[view, index])]
                assert place not in result
                assert same(place, teacher_place[int(group.teacher_rows[view, index])])
                if len(group.teacher_rows) == 2:
                    assert group.has_partner
                    result[place] = teacher_place[int(group.teacher_rows[1 - view, index])]
                else:
                    result[place] = (1 - place[0], *place[1:]) if group.has_partner else "none"
    return result


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_every_scored_prediction_is_found_once_with_its_partner(batch, both, paired):
    positions = find_positions(batch, both, paired)
    result = partners(positions, batch)
    sides = [batch, batch.exchanged()][: 1 + both]
    expected = {
        (view, *place.tolist()): int(side.align[tuple(place)])
        for view, side in enumerate(sides)
        for place in side.loss_mask.nonzero()
    }
    assert result.keys() == expected.keys()
    assert positions.num_tokens == len(expected)
    if not paired:
        assert set(result.values()) == {"none"}
        return
    for (view, block, t), align in expected.items():
        assert result[view, block, t] == ("none" if align < 0 else (1 - view, block, align))
    assert any(len(group.teacher_rows) == 2 and group.student_rows.numel() for group in positions.groups)
    assert "none" in result.values()


def test_a_prediction_is_gendered_when_the_counterfactual_has_another_token(batch):
    is_gendered = find_positions(batch, both=True, paired=False).is_gendered.view(2, *batch.input_ids.shape)
    for view, side in enumerate((batch, batch.exchanged())):
        for block, t in side.loss_mask.nonzero().tolist():
            align = int(side.align[block, t])
            changed = align < 0 or side.input_ids[block, t + 1] != side.cf_input_ids[block, align + 1]
            assert is_gendered[view, block, t] == changed
    assert 0 < is_gendered.sum() < is_gendered.numel() / 2


def test_a_text_without_a_swap_asks_for_no_second_forward_and_no_second_row(batch):
    positions = find_positions(batch, both=False, paired=True)
    assert positions.swapped.tolist() == batch.has_swap.nonzero().flatten().tolist()
    only = PairedBatch(*(tensor[~batch.has_swap] for tensor in batch[:7]))
    alone = find_positions(only, both=False, paired=True)
    assert len(alone.swapped) == 0
    assert all(
        group.teacher_rows.max() < only.input_ids.numel() for group in alone.groups if group.teacher_rows.numel()
    )


def test_a_batch_of_padding_has_no_predictions():
    empty = collate([None, None], SEQ_LEN)
    assert find_positions(empty, both=True, paired=True).num_tokens == 0
    assert torch.equal(find_positions(empty, both=False, paired=True).is_gendered, torch.zeros(2 * SEQ_LEN).bool())
