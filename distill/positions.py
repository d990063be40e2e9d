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
    M = 2 > S that of the counterpart. M = 1: the counterpart is the prediction itself (the texts up to there are the
    same) where `has_partner` [N], and is missing elsewhere. M = 2: every position has its counterpart in the other row.
    """

    student_rows: Tensor
    teacher_rows: Tensor
    has_partner: Tensor | None


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

        def move(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=True)

        groups = tuple(Group(*(move(part) for part in group)) for group in self.groups)  # type: ignore[arg-type]
        return Positions(groups, move(self.swapped), move(self.is_gendered))  # type: ignore[arg-type]


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
    is_gendered = [_is_gendered(view) for view in ((batch, batch.exchanged()) if both else (batch,))]

    if not paired:
        groups = [Group(rows[batch.loss_mask][None], rows[batch.loss_mask][None], None)]
        if both:
            mask = batch.cf_loss_mask
            groups.append(Group((rows + rows.numel())[mask][None], cf_rows[mask][None], None))
        return Positions(tuple(groups), swapped, torch.cat(is_gendered).flatten())

    alone, aligned = _partners(batch)
    partner = cf_rows.gather(1, batch.align.clamp(min=0))
    groups = [Group(rows[alone][None], rows[alone][None], batch.align[alone] >= 0)]
    if not both:
        groups.append(Group(rows[aligned][None], torch.stack([rows[aligned], partner[aligned]]), None))
        return Positions(tuple(groups), swapped, torch.cat(is_gendered).flatten())

    cf_alone, cf_aligned = _partners(batch.exchanged())
    cf_student_rows, cf_partner = rows + rows.numel(), rows.gather(1, batch.cf_align.clamp(min=0))
    mutual = aligned & batch.cf_loss_mask.gather(1, batch.align.clamp(min=0))
    one_sided = aligned & ~mutual
    cf_one_sided = cf_aligned & ~batch.loss_mask.gather(1, batch.cf_align.clamp(min=0))
    mutual_partner = cf_student_rows.gather(1, batch.align.clamp(min=0))
    groups += [
        Group(cf_student_rows[cf_alone][None], cf_rows[cf_alone][None], batch.cf_align[cf_alone] >= 0),
        Group(torch.stack([rows[mutual], mutual_partner[mutual]]), torch.stack([rows[mutual], partner[mutual]]), None),
        Group(rows[one_sided][None], torch.stack([rows[one_sided], partner[one_sided]]), None),
        Group(
            cf_student_rows[cf_one_sided][None], torch.stack([cf_rows[cf_one_sided], cf_partner[cf_one_sided]]), None
        ),
    ]
    return Positions(tuple(groups), swapped, torch.cat(is_gendered).flatten())


def _partners(batch: PairedBatch) -> tuple[Tensor, Tensor]:
    """[B, T] twice, of the scored predictions of the first view: made after a text that is its own counterfactual, or
    without a partner; and those with a partner after another text.
    """
    same_text = (batch.input_ids == batch.cf_input_ids).cumprod(1).bool() | ~batch.has_swap.unsqueeze(1)
    aligned = batch.loss_mask & (batch.align >= 0) & ~same_text
    return batch.loss_mask & ~aligned, aligned


def _is_gendered(batch: PairedBatch) -> Tensor:
    """[B, T]: whether a prediction of the first view is of a token that the second view has not, or has another for."""
    labels, cf_labels = batch.input_ids.roll(-1, 1), batch.cf_input_ids.roll(-1, 1)
    changed = (batch.align < 0) | (labels != cf_labels.gather(1, batch.align.clamp(min=0)))
    return changed & batch.loss_mask & batch.has_swap.unsqueeze(1)
