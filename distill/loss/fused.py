"""The fused pair loss: from last hidden states of student and teacher to the loss, its terms and its gradient.

No [B, T, V] tensor is ever held. Logits are computed for a few hundred predictions at a time, in float32 whatever type
the models compute in (bf16 logits would change the gradient by up to a sixth). The gradient is computed in the forward
pass, while the logits are at hand; the backward pass only scales it. On a CPU, all work between the matrix products is
done on a few rows at a time, so that they stay in its cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distill.loss.counterparts import (
    counterpart_cross_entropy,
    counterpart_divergence,
    inconsistency_with_gradient,
)
from distill.loss.divergences import cross_entropy, cross_entropy_gradient, divergence, entropy
from distill.loss.gender_classes import GenderClasses
from distill.loss.logits import NO_CAPS, ChunkedLogits, LazyLogits, SoftCaps, soft_cap_
from distill.loss.positions import Group, Positions
from distill.loss.targets import USES_COUNTERFACTUAL, log_softmax_without_padding, make_target
from distill.loss_config import LossConfig, PerturbConfig
from distill.models.logit_transform import LogitTransform
from distill.settings import replace

CACHED_VALUES = 2**18  # logits that a CPU works on at a time


class Objective(NamedTuple):
    """What is minimised, apart from the models: weights and divergence, the teacher's perturbation, and the gender
    classes (None if nothing needs them). num_ids: the ids from this one on are padding; None if no id is. is_compiled:
    whether compiled kernels compute it between the matrix products.
    """

    loss: LossConfig
    perturbation: PerturbConfig
    classes: GenderClasses | None = None
    num_ids: int | None = None
    is_compiled: bool = False

    @property
    def compares_views(self) -> bool:
        """Whether a prediction is compared with its partner's on the other view."""
        perturbed = self.perturbation.strength > 0 and self.perturbation.operation in USES_COUNTERFACTUAL
        return perturbed or self.loss.pairing_weight > 0

    def at_share(self, share: float) -> Objective:
        """The objective with this share of what its gain adds and of its counterpart_weight."""
        if share == 1:
            return self
        perturbation = replace(self.perturbation, gain=1 + share * (self.perturbation.gain - 1))
        return self._replace(
            perturbation=perturbation, loss=replace(self.loss, counterpart_weight=share * self.loss.counterpart_weight)
        )


class LossTerms(NamedTuple):
    """The terms of the loss in nats (hidden: in cosine distance), of each prediction [S, N] or summed over predictions.

    kd: the divergence from the target. counterpart: the part of the forward KL between gendered terms and their
    counterparts. Both are at the distillation temperature and without its factor tau^2. ce: the cross-entropy. pairing:
    the student's inconsistency between the views. hidden: 1 - cosine of the hidden states (0 in this file; see
    distiller.py). num_tokens: the number of predictions summed over, 1 for a single one.
    """

    kd: Any
    ce: Any
    pairing: Any
    counterpart: Any
    target_entropy: Any
    hidden: Any
    num_tokens: Any


class PairLoss(NamedTuple):
    """The scaled loss, which alone has a gradient, and its terms summed over all scored predictions and over the
    gendered ones among them.
    """

    loss: Tensor
    sums: LossTerms
    gendered_sums: LossTerms


def pair_loss(
    student: LazyLogits,
    teacher: LazyLogits | None,
    labels: Tensor,
    positions: Positions,
    objective: Objective,
    scale: Tensor,
) -> PairLoss:
    """`scale` (a scalar tensor) times the loss, summed over the predictions in `positions`.

    The loss of a prediction is tau^2 (w_kd kd + w_counterpart counterpart) + w_ce ce + w_pairing pairing. Without a
    teacher kd and counterpart are 0. Where loss.ce_counterparts is false, ce lacks `counterpart_cross_entropy`. labels
    [R]: the next tokens of the student's rows. The gradient goes to the student's hidden states, weight and bias. Under
    autocast the operands of matrix products are rounded to its type; sums and results stay float32.
    """
    device_type = student.hidden.device.type
    autocast = torch.is_autocast_enabled(device_type)
    rounding = torch.get_autocast_dtype(device_type) if autocast else None
    needs_gradient = torch.is_grad_enabled()
    inputs = _Inputs(student.transform, teacher, labels, positions, objective, scale, rounding, needs_gradient)
    loss, sums = _PairLoss.apply(student.hidden, student.weight, student.bias, inputs)
    return PairLoss(loss, LossTerms(*sums[0]), LossTerms(*sums[1]))


class _Inputs(NamedTuple):
    """The arguments of `pair_loss` besides the student's tensors. None of them gets a gradient."""

    transform: LogitTransform
    teacher: LazyLogits | None
    labels: Tensor
    positions: Positions
    objective: Objective
    scale: Tensor
    rounding: torch.dtype | None
    needs_gradient: bool


class _PairLoss(torch.autograd.Function):
    """`pair_loss` with its gradient computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, inputs: _Inputs
    ) -> tuple[Tensor, Tensor]:
        scale, positions, rounding = inputs.scale, inputs.positions, inputs.rounding
        with torch.autocast(hidden.device.type, enabled=False):
            # the scale, one over the number of tokens, is too small for float16 operands: multiply by its mantissa
            # first, and by its power of two at the end
            mantissa = torch.frexp(scale).mantissa
            student = ChunkedLogits(LazyLogits(hidden, weight, bias, inputs.transform), rounding)
            if inputs.needs_gradient:
                student.zero_gradients(*ctx.needs_input_grad[:3])
            teacher = None if inputs.teacher is None else ChunkedLogits(inputs.teacher, rounding)
            sums = torch.zeros(2, len(LossTerms._fields), device=hidden.device, dtype=student.dtype)
            for group in positions.groups:
                num_views = max(len(group.student_rows), len(group.teacher_rows))
                for chunk in _split(group, student.rows_per_chunk // num_views):
                    rows = chunk.student_rows
                    terms = _chunk_terms(chunk, inputs.labels[rows], student, teacher, inputs.objective, mantissa)
                    sums += torch.stack([terms.sum((1, 2)), (terms * positions.is_gendered[rows]).sum((1, 2))])
            student.scale_gradients(scale / mantissa.clamp(min=0.5))  # a mantissa is 0 or at least a half
        ctx.save_for_backward(student.hidden_gradient, student.weight_gradient, student.bias_gradient)
        ctx.mark_non_differentiable(sums)
        return scale * _weighted_loss(LossTerms(*sums[0]), inputs.objective.loss), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients of the forward pass.

        On a CPU, skip the multiplication if the factor is 1, as it usually is. On a GPU, reading the factor would cost
        more than multiplying.
        """
        is_one = factor.device.type == "cpu" and float(factor) == 1
        gradients = (None if g is None else g if is_one else g * factor for g in ctx.saved_tensors)
        return (*gradients, None)


def _weighted_loss(terms: LossTerms, loss: LossConfig) -> Tensor:
    """The loss from its terms: the formula of docs/method.md without the term of the hidden states."""
    total = loss.temperature**2 * (loss.kd_weight * terms.kd + loss.counterpart_weight * terms.counterpart)
    return total + loss.ce_weight * terms.ce + loss.pairing_weight * terms.pairing


def _split(group: Group, num_positions: int) -> Iterator[Group]:
    """Cut a group into consecutive parts of at most `num_positions` positions (of 1 if that is less than 1)."""
    size = max(1, num_positions)
    for start in range(0, group.student_rows.shape[1], size):
        part = slice(start, start + size)
        yield Group(group.student_rows[:, part], group.teacher_rows[:, part], group.has_partner)


def _chunk_terms(
    chunk: Group,
    labels: Tensor,
    student: ChunkedLogits,
    teacher: ChunkedLogits | None,
    objective: Objective,
    mantissa: Tensor,
) -> Tensor:
    """The `LossTerms` of a chunk's predictions, stacked [7, S, N]; labels [S, N].

    Adds the gradient of their loss, times `mantissa`, to the student's gradients.
    """
    logits = student.logits(chunk.student_rows)
    teacher_logits = None if teacher is None else teacher.logits(chunk.teacher_rows)
    num_rows = labels.shape[1]
    step = num_rows if logits.device.type != "cpu" else max(1, CACHED_VALUES // logits.shape[-1])
    gradients = student.gradient_buffer(logits)
    compute = compiled_terms_and_gradient() if objective.is_compiled else terms_and_gradient
    caps = SoftCaps(student.cap, None if teacher is None else teacher.cap)
    stacked = []
    for few in (slice(start, start + step) for start in range(0, num_rows, step)):
        few_logits = logits[:, few]
        few_teacher = None if teacher_logits is None else teacher_logits[:, few]
        terms, gradient = compute(few_logits, few_teacher, labels[:, few], chunk, objective, caps)
        stacked.append(torch.stack(terms))
        torch.mul(gradient, mantissa, out=gradients[:, few])  # the logits are no longer needed
    student.add_gradient(chunk.student_rows, gradients)
    return torch.cat(stacked, dim=-1)


def terms_and_gradient(
    logits: Tensor,
    teacher_logits: Tensor | None,
    labels: Tensor,
    group: Group,
    objective: Objective,
    caps: SoftCaps = NO_CAPS,
) -> tuple[LossTerms, Tensor]:
    """The terms [S, N] of predictions with labels [S, N], and the gradient [S, N, V] of their loss.

    logits [S, N, V] and teacher_logits [M, N, V] are those before the soft caps, by which the gradient is; they are
    overwritten. group: the one that the predictions come from.
    """
    loss = objective.loss
    slope = None if caps.student is None else soft_cap_(logits, caps.student)
    student = logits.log_softmax(-1)
    ce, zero = cross_entropy(student, labels), torch.zeros_like(student[..., 0])
    kd, pairing, counterpart, target_entropy = zero, zero, zero, zero
    gradients: list[tuple[Tensor, float]] = []
    class_gradients: list[tuple[Tensor, float]] = []  # [S, N, G], at the ids of the gender classes
    if loss.pairing_weight > 0 and group.student_reads_partner:
        assert objective.classes is not None
        pairing, pairing_gradient = inconsistency_with_gradient(logits, objective.classes)
        gradients.append((pairing_gradient, loss.pairing_weight))
    if teacher_logits is not None:
        if caps.teacher is not None:
            LogitTransform(cap=caps.teacher).apply_(teacher_logits)
        if loss.temperature != 1:  # a pass over all of it
            teacher_logits.div_(loss.temperature)
        logprobs = log_softmax_without_padding(teacher_logits, objective.num_ids)
        own = logprobs[: len(logits)]
        partner = logprobs.flip(0) if len(own) == 2 else logprobs[-1:]
        target = make_target(own, partner if group.has_partner else None, objective.perturbation, objective.classes)
        target_probs = target.exp()
        target_entropy = entropy(target, target_probs)
        if loss.temperature != 1:
            softened = logits.div_(loss.temperature).log_softmax(-1)
        else:  # the divergence overwrites it, and the cross-entropy still needs `student`
            softened = student.clone() if loss.ce_weight > 0 else student
        if loss.counterpart_weight > 0:
            assert objective.classes is not None
            counterpart, counterpart_gradient = counterpart_divergence(target, softened, objective.classes)
            class_gradients.append((counterpart_gradient, loss.counterpart_weight * loss.temperature))
        kd, kd_gradient = divergence(target, target_probs, softened, loss.divergence, loss.beta)
        gradients.append((kd_gradient, loss.kd_weight * loss.temperature))  # tau^2 of the loss, 1 / tau of the logits
    if loss.ce_weight > 0:
        if not loss.ce_counterparts:
            assert objective.classes is not None
            left_out, left_out_gradient = counterpart_cross_entropy(student, labels, objective.classes)
            ce = ce - left_out
            class_gradients.append((left_out_gradient, -loss.ce_weight))
        gradients.append((cross_entropy_gradient(student, labels), loss.ce_weight))
    gradient = _weighted_sum(gradients, logits)
    for class_gradient, weight in class_gradients:
        assert objective.classes is not None
        gradient.index_add_(-1, objective.classes.ids, class_gradient, alpha=weight)
    if slope is not None:
        gradient.mul_(slope)
    terms = LossTerms(kd, ce, pairing, counterpart, target_entropy, hidden=zero, num_tokens=torch.ones_like(zero))
    return terms, gradient


@cache
def compiled_terms_and_gradient() -> Callable[..., tuple[LossTerms, Tensor]]:
    """`terms_and_gradient` through torch.compile: a third of the memory traffic, and the same numbers to 1e-6.

    It is compiled for each kind of predictions, of which there are four, at each of the five strengths of a ramp.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 20)
    return torch.compile(terms_and_gradient, dynamic=True, fullgraph=True)


def _weighted_sum(gradients: Sequence[tuple[Tensor, float]], like: Tensor) -> Tensor:
    """The weighted sum of tensors, which overwrites the first of them; zeros if there are none."""
    if not gradients:
        return torch.zeros_like(like)
    (total, weight), *others = gradients
    if weight != 1:  # a pass over all of it
        total.mul_(weight)
    for gradient, weight in others:
        total.add_(gradient, alpha=weight)
    return total
