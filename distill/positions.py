"""Which predictions are scored, and what each is compared with: a batch of pairs in, row numbers of flat tables out.

Everything here is done on the CPU, where the batch comes from: the number of rows of each kind is then known without
waiting for a GPU.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from distill.batches import PairedBatch


class Group(NamedTuple):
    """Scored predictions of one kind, as rows of flat tables of hidden states.

    student_rows [S, N], S views of N positions; teacher_rows [M, N]: the teacher's rows in the same order, and with
    M = 2 > S that of the counterpart. has_partner: whether predictions are compared with a counterpart; with M = 2 that
    is the one in the other row, with M = 1 the prediction itself (the texts up to there are the same).
    """

    student_rows: Tensor
    teacher_rows: Tensor
    has_partner: bool

    @property
    def student_reads_partner(self) -> bool:
        """Whether the student, too, has made the prediction that these are compared with."""
        return self.has_partner and len(self.student_rows) == len(self.teacher_rows)


class Positions(NamedTuple):
    """The scored predictions of a micro-batch of B blocks of T tokens.

    The student's table has the rows of the views it reads: the original's (b T + t), then with `both` the
    counterfactual's. The teacher's has the original's, then the counterfactual's of the blocks in `swapped` [C] only:
    elsewhere the two views are one text. groups: every scored prediction once. is_gendered [S B T]: of the student's
    rows, whether the token predicted is one that the counterfactual changes.
    """

    groups: tuple[Group, ...]
    swapped: Tensor
    is_gendered: Tensor

    @property
    def num_tokens(self) -> int:
        """The number of scored predictions."""
        return sum(group.student_rows.numel() for group in self.groups)

    def to(self, device: torch.device) -> Positions:
        """The same on a device; the copies do not wait."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        groups = tuple(Group(move(one.student_rows), move(one.teacher_rows), one.has_partner) for one in self.groups)
        return Positions(groups, move(self.swapped), move(self.is_gendered))


def find_positions(batch: PairedBatch, both: bool, paired: bool) -> Positions:
    """The scored predictions of a batch on the CPU. both: the student reads both views. paired: the target is made of
    the teacher's predictions on both.
    """
    num_blocks, seq_len = batch.input_ids.shape
    swapped = batch.has_swap.nonzero().squeeze(1) if both or paired else torch.zeros(0, dtype=torch.long)
    rows = torch.arange(num_blocks * seq_len).view(num_blocks, seq_len)
    cf_first_row = rows[:, 0].clone()
    cf_first_row[swapped] = (num_blocks + torch.arange(len(swapped))) * seq_len
    cf_rows = cf_first_row.unsqueeze(1) + torch.arange(seq_len)  # where the teacher's table has the counterfactual
    # each view with the student's rows of it, and the teacher's of it and of the other
    student_rows = (rows, rows + rows.numel())
    views = [(batch, *student_rows, rows, cf_rows), (batch.exchanged(), *student_rows[::-1], cf_rows, rows)]

    alone: list[tuple[Tensor, Tensor]] = []  # the student's and the teacher's rows, of either view
    same: list[tuple[Tensor, Tensor]] = []
    groups = []
    for number, (side, mine, others, own, cf) in enumerate(views[: 1 + both]):
        if not paired:
            alone.append((mine[side.loss_mask], own[side.loss_mask]))
            continue
        is_alone, is_same, aligned = _partners(side)
        alone.append((mine[is_alone], own[is_alone]))
        same.append((mine[is_same], own[is_same]))
        place = side.align.clamp(min=0)
        targets = torch.stack([own, cf.gather(1, place)])
        mutual = aligned & side.cf_loss_mask.gather(1, place) & both  # the partner is scored too: once for the two
        if number == 0 and both:
            pair = torch.stack([mine, others.gather(1, place)])
            groups.append(Group(pair[:, mutual], targets[:, mutual], True))
        groups.append(Group(mine[aligned & ~mutual][None], targets[:, aligned & ~mutual], True))
    for of_views, has_partner in ((alone, False), (same, True)):
        if of_views:
            mine, own = (torch.cat(part)[None] for part in zip(*of_views, strict=True))
            groups.append(Group(mine, own, has_partner))
    is_gendered = torch.cat([_is_gendered(side) for side, *_ in views[: 1 + both]])
    return Positions(tuple(groups), swapped, is_gendered.flatten())


def _partners(batch: PairedBatch) -> tuple[Tensor, Tensor, Tensor]:
    """[B, T] three times, of the scored predictions of the first view: those without a partner; those made after a text
    that is its own counterfactual; and those with a partner after another text.
    """
    same_text = (batch.input_ids == batch.cf_input_ids).cumprod(1).bool() | ~batch.has_swap.unsqueeze(1)
    same_text &= batch.align == torch.arange(batch.align.shape[1])  # "baron" is not what "baroness" begins with
    has_partner = batch.align >= 0
    scored = batch.loss_mask
    return scored & ~has_partner, scored & has_partner & same_text, scored & has_partner & ~same_text


def _is_gendered(batch: PairedBatch) -> Tensor:
    """[B, T]: whether a prediction of the first view is of a token that the second view has not, or has another for."""
    labels, cf_labels = batch.input_ids.roll(-1, 1), batch.cf_input_ids.roll(-1, 1)
    changed = (batch.align < 0) | (labels != cf_labels.gather(1, batch.align.clamp(min=0)))
    return changed & batch.loss_mask & batch.has_swap.unsqueeze(1)
