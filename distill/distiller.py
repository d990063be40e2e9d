"""One forward pass: a batch of pairs and a teacher in, summed loss terms out.

Both halves of a step that touch a model are here: `teacher_views` (frozen, no gradient) and `Distiller`, the module
that DDP or FSDP wraps. The student's backbone *and* the loss are inside that module's forward, because calling anything
but the wrapped module would leave gradients unsynchronised without a word.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from distill.config import LossConfig, PerturbConfig
from distill.data import PairedBatch
from distill.losses import cross_entropy, divergence, entropy, hidden_distance
from distill.perturb import USES_COUNTERFACTUAL, GenderClasses, perturb

CHUNK_POSITIONS = 1024  # logits of more positions than this never exist at once


class LossTerms(NamedTuple):
    """Sums over scored positions, in nats (hidden_sum: in cosine distance), and the number of positions.

    kd_sum is at the distillation temperature and without its factor tau^2; entropy_sum is the target's.
    """

    kd_sum: Tensor
    ce_sum: Tensor
    hidden_sum: Tensor
    entropy_sum: Tensor
    num_tokens: Tensor


class TeacherView(NamedTuple):
    """What the teacher says about one view: its last hidden states and those at the aligned positions of the other.

    hidden [B, T, H]; cf_hidden [B, T, H], or None if the operation does not use it; has_partner [B, T]: where the
    rows of cf_hidden mean something. Inside the loss, B x T is the positions that are scored.
    """

    hidden: Tensor
    cf_hidden: Tensor | None
    has_partner: Tensor


@torch.inference_mode()
def teacher_views(teacher: PreTrainedModel, batch: PairedBatch, operation: str, both: bool) -> list[TeacherView]:
    """The teacher's view of the original, and with `both` of the counterfactual too.

    One forward pass of each view serves both. Rows without a swap, whose views are the same text, are passed once; and
    where neither the operation nor `both` asks for it the second pass does not happen.
    """
    hidden = _last_hidden(teacher, batch.input_ids)
    paired = operation in USES_COUNTERFACTUAL
    if not (both or paired):
        return [TeacherView(hidden, None, batch.align >= 0)]
    cf_hidden = hidden.clone()
    if batch.has_swap.any():
        cf_hidden[batch.has_swap] = _last_hidden(teacher, batch.cf_input_ids[batch.has_swap])
    views = [TeacherView(hidden, _aligned(cf_hidden, batch.align) if paired else None, batch.align >= 0)]
    if both:
        views.append(TeacherView(cf_hidden, _aligned(hidden, batch.cf_align) if paired else None, batch.cf_align >= 0))
    return views


def concatenate(first: TeacherView, second: TeacherView) -> TeacherView:
    """The rows of two views, one after the other."""
    paired = first.cf_hidden is not None and second.cf_hidden is not None
    return TeacherView(
        torch.cat([first.hidden, second.hidden]),
        torch.cat([first.cf_hidden, second.cf_hidden]) if paired else None,  # type: ignore[list-item]
        torch.cat([first.has_partner, second.has_partner]),
    )


class Distiller(nn.Module):
    """The student with its loss. `teacher_head` and `classes` are held outside the module tree: they are not trained,
    not synchronised and not saved.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        loss: LossConfig,
        perturbation: PerturbConfig,
        teacher_head: nn.Module | None = None,
        classes: GenderClasses | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.loss = loss
        self.perturbation = perturbation
        self._constants = (teacher_head, classes)

    def forward(self, input_ids: Tensor, loss_mask: Tensor, view: TeacherView | None = None) -> LossTerms:
        """Loss terms, summed over the positions of loss_mask [B, T], for student inputs input_ids [B, T].

        Without a `view` only the cross-entropy is computed. A batch in which nothing is scored gives zeros that are
        connected to the graph, so that every process takes part in the reduction of gradients.
        """
        student_hidden = _last_hidden(self.student, input_ids)[loss_mask]
        labels = input_ids.roll(-1, dims=1)[loss_mask]
        scored = None if view is None else _select(view, loss_mask)
        starts = range(0, max(len(labels), 1), CHUNK_POSITIONS)
        sums = torch.zeros(4, device=labels.device)
        for start in starts:
            chunk = slice(start, start + CHUNK_POSITIONS)
            part = None if scored is None else _select(scored, chunk)
            inputs = (student_hidden[chunk], labels[chunk], part)
            if len(starts) > 1 and torch.is_grad_enabled():
                sums = sums + checkpoint(self._chunk_sums, *inputs, use_reentrant=False)
            else:
                sums = sums + self._chunk_sums(*inputs)
        kd_sum, ce_sum, hidden_sum, entropy_sum = sums.unbind()
        return LossTerms(kd_sum, ce_sum, hidden_sum, entropy_sum, loss_mask.sum())

    def _chunk_sums(self, student_hidden: Tensor, labels: Tensor, view: TeacherView | None) -> Tensor:
        """[kd_sum, ce_sum, hidden_sum, entropy_sum] of N positions: hidden states [N, H], labels [N]."""
        logits = _logits(self.student.get_output_embeddings(), student_hidden)
        ce_sum = cross_entropy(logits, labels).sum()
        zero = ce_sum.new_zeros(())
        if view is None:
            return torch.stack([zero, ce_sum, zero, zero])
        hidden_sum = zero
        if self.loss.hidden_weight > 0:
            hidden_sum = hidden_distance(student_hidden.float(), view.hidden.float()).sum()
        target = self._target(view)
        student = (logits / self.loss.temperature).log_softmax(-1)
        kd_sum = divergence(target, student, self.loss.divergence, self.loss.beta).sum()
        return torch.stack([kd_sum, ce_sum, hidden_sum, entropy(target).sum()])

    @torch.no_grad()
    def _target(self, view: TeacherView) -> Tensor:
        """The target's log-probabilities [N, V]: the teacher's, softened, then mixed over the pair."""
        head, classes = self._constants
        assert head is not None
        logprobs = (_logits(head, view.hidden) / self.loss.temperature).log_softmax(-1)
        cf_logprobs = None
        if view.cf_hidden is not None:
            cf_logprobs = (_logits(head, view.cf_hidden) / self.loss.temperature).log_softmax(-1)
        operation, strength = self.perturbation.operation, self.perturbation.strength
        return perturb(logprobs, cf_logprobs, view.has_partner, operation, strength, classes)


def weighted_sum(terms: LossTerms, loss: LossConfig) -> Tensor:
    """The loss summed over positions: w_kd tau^2 kd + w_ce ce + w_hidden hidden. Not yet divided."""
    return (
        loss.kd_weight * loss.temperature**2 * terms.kd_sum
        + loss.ce_weight * terms.ce_sum
        + loss.hidden_weight * terms.hidden_sum
    )


def _last_hidden(model: PreTrainedModel, input_ids: Tensor) -> Tensor:
    """The last hidden states [B, T, H], after the final norm: what the output head reads."""
    return model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state


def _logits(head: nn.Module, hidden: Tensor) -> Tensor:
    """Logits [N, V] in float32, accumulated in float32 whatever the model computes in: in bf16 they would cost the KL
    up to a sixth of its gradient.
    """
    weight, bias = head.get_parameter("weight"), getattr(head, "bias", None)
    with torch.autocast(hidden.device.type, enabled=False):
        return F.linear(hidden.float(), weight.float(), None if bias is None else bias.float())


def _select(view: TeacherView, index: Tensor | slice) -> TeacherView:
    """The same index into all parts of a view."""
    cf_hidden = None if view.cf_hidden is None else view.cf_hidden[index]
    return TeacherView(view.hidden[index], cf_hidden, view.has_partner[index])


def _aligned(hidden: Tensor, align: Tensor) -> Tensor:
    """Rows of hidden [B, S, H] gathered by align [B, T]; where that is -1 any row, for has_partner to mask out."""
    return torch.take_along_dim(hidden, align.clamp(min=0).unsqueeze(-1), dim=1)
