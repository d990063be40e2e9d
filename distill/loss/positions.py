"""Which predictions are scored, and what each is compared with: a batch of pairs in, row numbers of flat tables out.

Everything here is done on the CPU, where the batch comes from: the number of rows of each kind is then known without
waiting for a GPU.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from distill.data.batches import PairedBatch


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
    original = _View(batch, rows, rows + rows.numel(), rows, cf_rows)
    views = [original, original.exchanged()][: 1 + both]

    alone: list[tuple[Tensor, Tensor]] = []  # the student's and the teacher's rows, of either view
    same: list[tuple[Tensor, Tensor]] = []
    groups = []
    for view in views:
        if not paired:
            alone.append(view.at(view.batch.loss_mask))
            continue
        is_alone, is_same, is_aligned = _partners(view.batch)
        alone.append(view.at(is_alone))
        same.append(view.at(is_same))
        groups += _aligned_groups(view, is_aligned, both, leads=view is original)
    for of_views, has_partner in ((alone, False), (same, True)):
        if of_views:
            mine, own = (torch.cat(part)[None] for part in zip(*of_views, strict=True))
            groups.append(Group(mine, own, has_partner))
    is_gendered = torch.cat([_is_gendered(view.batch) for view in views])
    return Positions(tuple(groups), swapped, is_gendered.flatten())


class _View(NamedTuple):
    """One view of a batch, which has it first, with the rows [B, T] of it and of the other view in the student's table
    and in the teacher's.
    """

    batch: PairedBatch
    rows: Tensor
    other_rows: Tensor
    teacher_rows: Tensor
    other_teacher_rows: Tensor

    def exchanged(self) -> _View:
        """The other view."""
        return _View(self.batch.exchanged(), self.other_rows, self.rows, self.other_teacher_rows, self.teacher_rows)

    def at(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The student's and the teacher's rows of this view where mask [B, T] says."""
        return self.rows[mask], self.teacher_rows[mask]


def _aligned_groups(view: _View, is_aligned: Tensor, both: bool, leads: bool) -> list[Group]:
    """The groups of a view's predictions that have a partner after another text.

    Where the student reads both views and the partner is scored too, the two are one position of two views, which the
    view that leads gives, and the other one not again.
    """
    place = view.batch.align.clamp(min=0)
    targets = torch.stack([view.teacher_rows, view.other_teacher_rows.gather(1, place)])
    is_mutual = is_aligned & view.batch.cf_loss_mask.gather(1, place) & both
    is_single = is_aligned & ~is_mutual
    single = Group(view.rows[is_single][None], targets[:, is_single], True)
    if not both or not leads:
        return [single]
    pair = torch.stack([view.rows, view.other_rows.gather(1, place)])
    return [Group(pair[:, is_mutual], targets[:, is_mutual], True), single]


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
