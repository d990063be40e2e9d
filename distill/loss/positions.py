"""Which predictions of a batch are scored, and which predictions of the teacher each is compared with.

A prediction is given by its row in a flat table of hidden states. All of this is computed on the CPU, where the batch
comes from, so that the number of rows of each kind is known without waiting for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from distill.data.batches import PairedBatch


class Group(NamedTuple):
    """Scored predictions of one kind, as rows of the student's and the teacher's tables.

    student_rows [S, N]: N positions in S views. teacher_rows [M, N]: the teacher's rows for the same views; if M = 2
    and S = 1, the second is the aligned row of the other view. has_partner: whether the other view has an aligned
    prediction. With M = 2 that is the other row. With M = 1 it is the prediction itself, because both texts are the
    same up to this position.
    """

    student_rows: Tensor
    teacher_rows: Tensor
    has_partner: bool

    @property
    def student_reads_partner(self) -> bool:
        """Whether the student makes the partner's prediction too."""
        return self.has_partner and len(self.student_rows) == len(self.teacher_rows)


class Positions(NamedTuple):
    """The scored predictions of a micro-batch of B blocks of T tokens.

    The student's table holds the views it reads: the rows b T + t of the original, then, if it reads both, those of the
    counterfactual. The teacher's table holds the originals, then the counterfactuals of only the blocks in `swapped`
    [C]; in the other blocks the two views are the same text.

    groups: every scored prediction once. is_gendered [S B T]: for the student's rows, whether the predicted token is
    one that the counterfactual changes.
    """

    groups: tuple[Group, ...]
    swapped: Tensor
    is_gendered: Tensor

    @property
    def num_tokens(self) -> int:
        """The number of scored predictions."""
        return sum(group.student_rows.numel() for group in self.groups)

    def to(self, device: torch.device) -> Positions:
        """The same positions on a device. The copies from pinned memory are asynchronous."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Positions:
        """The same positions in memory from which a GPU copies while the host goes on."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Positions:
        groups = tuple(Group(change(g.student_rows), change(g.teacher_rows), g.has_partner) for g in self.groups)
        return Positions(groups, change(self.swapped), change(self.is_gendered))


class ScoredBatch(NamedTuple):
    """A batch with its scored predictions."""

    batch: PairedBatch
    positions: Positions

    def to(self, device: torch.device) -> ScoredBatch:
        """The same on a device."""
        return ScoredBatch(self.batch.to(device), self.positions.to(device))


def find_positions(batch: PairedBatch, both: bool, paired: bool) -> Positions:
    """The scored predictions of a batch, which is on the CPU.

    both: whether the student reads both views. paired: whether predictions are compared across views.
    """
    num_blocks, seq_len = batch.input_ids.shape
    swapped = batch.has_swap.nonzero().squeeze(1) if both or paired else torch.zeros(0, dtype=torch.long)
    rows = torch.arange(num_blocks * seq_len).view(num_blocks, seq_len)
    cf_first_row = rows[:, 0].clone()
    cf_first_row[swapped] = (num_blocks + torch.arange(len(swapped))) * seq_len
    cf_rows = cf_first_row.unsqueeze(1) + torch.arange(seq_len)  # of the counterfactual, in the teacher's table
    original = _View(batch, rows, rows + rows.numel(), rows, cf_rows)
    views = [original, original.exchanged()][: 1 + both]

    alone: list[tuple[Tensor, Tensor]] = []  # the student's and the teacher's rows, per view
    same: list[tuple[Tensor, Tensor]] = []
    groups = []
    for view in views:
        if not paired:
            alone.append(view.rows_at(view.batch.loss_mask))
            continue
        is_alone, is_same, is_aligned = _partners(view.batch)
        alone.append(view.rows_at(is_alone))
        same.append(view.rows_at(is_same))
        groups += _aligned_groups(view, is_aligned, both, is_original=view is original)
    for rows_per_view, has_partner in ((alone, False), (same, True)):
        if rows_per_view:
            student_rows, teacher_rows = (torch.cat(part)[None] for part in zip(*rows_per_view, strict=True))
            groups.append(Group(student_rows, teacher_rows, has_partner))
    is_gendered = torch.cat([_is_gendered(view.batch) for view in views])
    return Positions(tuple(groups), swapped, is_gendered.flatten())


class _View(NamedTuple):
    """A view, the first of `batch`, and the rows [B, T] of both views in the student's and the teacher's tables."""

    batch: PairedBatch
    rows: Tensor
    other_rows: Tensor
    teacher_rows: Tensor
    other_teacher_rows: Tensor

    def exchanged(self) -> _View:
        """The other view."""
        return _View(self.batch.exchanged(), self.other_rows, self.rows, self.other_teacher_rows, self.teacher_rows)

    def rows_at(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """This view's rows in the student's and the teacher's table where mask [B, T] is true."""
        return self.rows[mask], self.teacher_rows[mask]


def _aligned_groups(view: _View, is_aligned: Tensor, both: bool, is_original: bool) -> list[Group]:
    """The groups of a view's predictions that have a partner after a different text.

    Where the student reads both views and the partner is scored too, the two predictions form one position in two
    views. The original view gives that group, and the counterfactual does not give it again.
    """
    partner = view.batch.align.clamp(min=0)
    teacher_rows = torch.stack([view.teacher_rows, view.other_teacher_rows.gather(1, partner)])
    is_mutual = is_aligned & view.batch.cf_loss_mask.gather(1, partner) & both
    is_single = is_aligned & ~is_mutual
    single = Group(view.rows[is_single][None], teacher_rows[:, is_single], True)
    if not both or not is_original:
        return [single]
    student_rows = torch.stack([view.rows, view.other_rows.gather(1, partner)])
    return [Group(student_rows[:, is_mutual], teacher_rows[:, is_mutual], True), single]


def _partners(batch: PairedBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Three masks [B, T] over the scored predictions of the first view: those without a partner; those after a text
    that is its own counterfactual; those with a partner after a different text.
    """
    same_text = (batch.input_ids == batch.cf_input_ids).cumprod(1).bool() | ~batch.has_swap.unsqueeze(1)
    # same tokens are not enough: "baroness" begins with the tokens of "baron", and these do not pair
    same_text &= batch.align == torch.arange(batch.align.shape[1])
    has_partner = batch.align >= 0
    scored = batch.loss_mask
    return scored & ~has_partner, scored & has_partner & same_text, scored & has_partner & ~same_text


def _is_gendered(batch: PairedBatch) -> Tensor:
    """Whether each prediction of the first view [B, T] is of a token that the second view lacks or changes."""
    labels, cf_labels = batch.input_ids.roll(-1, 1), batch.cf_input_ids.roll(-1, 1)
    changed = (batch.align < 0) | (labels != cf_labels.gather(1, batch.align.clamp(min=0)))
    return changed & batch.loss_mask & batch.has_swap.unsqueeze(1)
