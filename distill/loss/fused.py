"""The fused pair loss: last hidden states of student and teacher in; the loss, its parts and its gradient out.

No [B, T, V] tensor ever exists. Logits are made for a few hundred predictions at a time, in float32 whatever the models
compute in (logits in bf16 would cost up to a sixth of the gradient), and the gradient is computed at once, while they
are there: the backward pass only scales it. On a CPU, what happens between the matrix products happens to a few rows at
a time, which then stay in its cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distill.config import LossConfig, PerturbConfig
from distill.loss.divergences import cross_entropy, cross_entropy_gradient, divergence, entropy
from distill.loss.matmul import bfloat16_products
from distill.loss.positions import Group
from distill.loss.targets import (
    GenderClasses,
    counterpart_cross_entropy,
    counterpart_divergence,
    inconsistency,
    perturb,
)

CHUNK_BYTES_CPU, CHUNK_BYTES_GPU = 2**26, 2**29  # of each model's logits
CACHED_VALUES = 2**18  # of the logits of the few rows that a CPU works on at a time


class Head(NamedTuple):
    """An output layer: weight [V, H], and bias [V] or None."""

    weight: Tensor
    bias: Tensor | None


class Teacher(NamedTuple):
    """What the targets are made of: the teacher's last hidden states [R, H], and its output layer."""

    hidden: Tensor
    head: Head


class Objective(NamedTuple):
    """What the loss is, besides the models."""

    loss: LossConfig
    perturbation: PerturbConfig
    classes: GenderClasses | None


def pair_loss(
    hidden: Tensor,
    head: Head,
    labels: Tensor,
    is_gendered: Tensor,
    groups: tuple[Group, ...],
    teacher: Teacher | None,
    objective: Objective,
    scale: Tensor,
) -> tuple[Tensor, Tensor]:
    """The loss summed over the predictions of `groups`, to be differentiated by `hidden` and `head`, and its parts.

    hidden [R, H], labels [R], is_gendered [R]: the student's table. The loss, a scalar, is `scale` times
    tau^2 (w_kd kd + w_counterpart counterpart) + w_ce ce + w_pairing pairing, kd and counterpart being 0 without a
    teacher, and ce without `counterpart_cross_entropy` where loss.ce_counterparts is false. The parts [2, 5] are sums
    in nats of kd and ce, pairing and counterpart (kd and counterpart at the temperature, without tau^2) and the
    target's entropy: over all predictions, and over the gendered ones. Under autocast, operands of matrix products are
    rounded to its type; sums and results are float32.
    """
    kind = hidden.device.type
    rounding = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    constants = (labels, is_gendered, groups, teacher, objective, scale, rounding, torch.is_grad_enabled())
    return _PairLoss.apply(hidden, head.weight, head.bias, *constants)


class _PairLoss(torch.autograd.Function):
    """`pair_loss`, its gradient computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        is_gendered: Tensor,
        groups: tuple[Group, ...],
        teacher: Teacher | None,
        objective: Objective,
        scale: Tensor,
        rounding: torch.dtype | None,
        needs_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(hidden.device.type, enabled=False):
            # the scale, one over the tokens, is too small for float16 operands: its power of two is for the end
            fraction = torch.frexp(scale).mantissa
            student = _Output(hidden, Head(weight, bias), rounding)
            if needs_gradient:
                student.open_gradients(*ctx.needs_input_grad[:3])
            target = None if teacher is None else _Output(teacher.hidden, teacher.head, rounding)
            parts = torch.zeros(2, 5, device=hidden.device, dtype=student.dtype)
            for group in groups:
                views = max(len(group.student_rows), len(group.teacher_rows))
                for chunk in _split(group, student.rows_per_chunk // views):
                    rows = chunk.student_rows
                    values = _chunk_values(chunk, labels[rows], student, target, objective, fraction)
                    parts += torch.stack([values.sum((1, 2)), (values * is_gendered[rows]).sum((1, 2))])
            student.scale_gradients(scale / fraction.clamp(min=0.5))  # a fraction is 0 or at least a half
        ctx.save_for_backward(student.hidden_gradient, student.weight_gradient, student.bias_gradient)
        ctx.mark_non_differentiable(parts)
        kd, ce, pairing, counterpart, _ = parts[0]
        loss = objective.loss
        total = loss.temperature**2 * (loss.kd_weight * kd + loss.counterpart_weight * counterpart)
        total = total + loss.ce_weight * ce + loss.pairing_weight * pairing
        return scale * total, parts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the forward pass. A factor of 1, the usual one, costs nothing on a CPU; on a GPU, to look at
        it would cost more than to multiply.
        """
        is_one = factor.device.type == "cpu" and float(factor) == 1
        gradients = (None if g is None else g if is_one else g * factor for g in ctx.saved_tensors)
        return (*gradients, *[None] * 8)


def _chunk_values(
    chunk: Group, labels: Tensor, student: _Output, teacher: _Output | None, objective: Objective, scale: Tensor
) -> Tensor:
    """[5, S, N]: kd, ce, pairing, counterpart and the target's entropy of a chunk's predictions, with labels [S, N].
    Adds the gradient of their scaled loss to the student's.
    """
    logits = student.logits(chunk.student_rows)
    teacher_logits = None if teacher is None else teacher.logits(chunk.teacher_rows)
    num_rows = labels.shape[1]
    step = num_rows if logits.device.type != "cpu" else max(1, CACHED_VALUES // logits.shape[-1])
    values = []
    for few in (slice(start, start + step) for start in range(0, num_rows, step)):
        few_logits = logits[:, few]
        few_teacher = None if teacher_logits is None else teacher_logits[:, few]
        few_values, gradient = _values_and_gradient(few_logits, few_teacher, labels[:, few], chunk, objective)
        values.append(few_values)
        torch.mul(gradient, scale, out=few_logits)  # the logits have served
    student.add_gradient(chunk.student_rows, logits)
    return torch.cat(values, dim=-1)


def _values_and_gradient(
    logits: Tensor, teacher_logits: Tensor | None, labels: Tensor, kind: Group, objective: Objective
) -> tuple[Tensor, Tensor]:
    """[5, S, N] as in `_chunk_values`, and the gradient [S, N, V] of the loss, of logits [S, N, V] and [M, N, V], which
    are overwritten. kind: the group that they are from.
    """
    loss = objective.loss
    student = logits.log_softmax(-1)
    ce, zero = cross_entropy(student, labels), torch.zeros_like(student[..., 0])
    kd, pairing, counterpart, target_entropy = zero, zero, zero, zero
    gradients: list[tuple[Tensor, float]] = []
    gradients_of_gendered: list[tuple[Tensor, float]] = []  # [S, N, G], at the ids of the classes
    if loss.pairing_weight > 0 and kind.student_reads_partner:
        pairing, of_pairing = _pairing(logits, objective)
        gradients.append((of_pairing, loss.pairing_weight))
    if teacher_logits is not None:
        logprobs = teacher_logits.div_(loss.temperature).log_softmax(-1)
        own = logprobs[: len(logits)]
        other = logprobs.flip(0) if len(own) == 2 else logprobs[-1:]
        target = perturb(own, other if kind.has_partner else None, objective.perturbation, objective.classes)
        target_entropy = entropy(target)
        if loss.temperature != 1:
            softened = logits.div_(loss.temperature).log_softmax(-1)
        else:  # what follows writes over it
            softened = student.clone() if loss.ce_weight > 0 else student
        if loss.counterpart_weight > 0:
            assert objective.classes is not None
            counterpart, of_counterpart = counterpart_divergence(target, softened, objective.classes)
            gradients_of_gendered.append((of_counterpart, loss.counterpart_weight * loss.temperature))
        kd, of_kd = divergence(target, softened, loss.divergence, loss.beta)
        gradients.append((of_kd, loss.kd_weight * loss.temperature))  # tau^2 of the loss, 1 / tau of the logits
    if loss.ce_weight > 0:
        if not loss.ce_counterparts:
            assert objective.classes is not None
            left_out, of_left_out = counterpart_cross_entropy(student, labels, objective.classes)
            ce = ce - left_out
            gradients_of_gendered.append((of_left_out, -loss.ce_weight))
        gradients.append((cross_entropy_gradient(student, labels), loss.ce_weight))
    gradient = _weighted_sum(gradients, logits)
    for of_gendered, weight in gradients_of_gendered:
        assert objective.classes is not None
        gradient.index_add_(-1, objective.classes.ids, of_gendered, alpha=weight)
    return torch.stack([kd, ce, pairing, counterpart, target_entropy]), gradient


def _weighted_sum(gradients: Sequence[tuple[Tensor, float]], like: Tensor) -> Tensor:
    """The sum of tensors with their weights, in the place of the first; zeros if there is none."""
    if not gradients:
        return torch.zeros_like(like)
    (total, weight), *others = gradients
    total.mul_(weight)
    for gradient, weight in others:
        total.add_(gradient, alpha=weight)
    return total


def _pairing(logits: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """The inconsistency [S, N] of logits [S, N, V] with their counterparts, and its gradient."""
    assert objective.classes is not None
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        values = inconsistency(leaf.log_softmax(-1), objective.classes)
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), gradient


def _split(group: Group, num_positions: int) -> Iterator[Group]:
    """Consecutive parts of a group of at most `num_positions` positions, at least 1."""
    size = max(1, num_positions)
    for start in range(0, group.student_rows.shape[1], size):
        part = slice(start, start + size)
        yield Group(group.student_rows[:, part], group.teacher_rows[:, part], group.has_partner)


# -- matrix products -------------------------------------------------------------------------------------------------


class _Output:
    """Hidden states [R, H] and an output layer: the logits of some rows at a time, and the gradient through them.

    `rounding`: the type to which the operands of products are rounded, if any. All that comes out is float32 (float64
    of float64).
    """

    def __init__(self, hidden: Tensor, head: Head, rounding: torch.dtype | None) -> None:
        self.hidden = hidden
        self.rounding = rounding
        self.dtype = torch.promote_types(hidden.dtype, torch.float32)
        on_cpu = hidden.device.type == "cpu"
        self.operand_dtype = self.dtype if on_cpu or rounding is None else rounding  # a CPU rounds in the product
        self.weight = head.weight.to(self.operand_dtype)
        self.bias = None if head.bias is None else head.bias.to(self.dtype)
        bytes_per_row = len(head.weight) * self.dtype.itemsize
        self.rows_per_chunk = max(2, (CHUNK_BYTES_CPU if on_cpu else CHUNK_BYTES_GPU) // bytes_per_row)
        self.buffer = hidden.new_empty(0, len(head.weight), dtype=self.dtype)
        self.hidden_gradient: Tensor | None = None
        self.weight_gradient: Tensor | None = None
        self.bias_gradient: Tensor | None = None

    def open_gradients(self, of_hidden: bool, of_weight: bool, of_bias: bool) -> None:
        """Start the gradients that are wanted at 0."""
        if of_hidden:
            self.hidden_gradient = torch.zeros_like(self.hidden, dtype=self.dtype)
        if of_weight:
            self.weight_gradient = torch.zeros_like(self.weight, dtype=self.dtype)
        if of_bias and self.bias is not None:
            self.bias_gradient = torch.zeros_like(self.bias)

    def logits(self, rows: Tensor) -> Tensor:
        """[..., V] for rows [...], in a buffer that the next call writes over."""
        if len(self.buffer) < rows.numel():  # a new one each time would cost as much as the product: fresh pages
            self.buffer = self.buffer.new_empty(rows.numel(), len(self.weight))
        flat = self._product(self.hidden[rows.flatten()], self.weight.T, self.buffer[: rows.numel()])
        if self.bias is not None:
            flat += self.bias
        return flat.view(*rows.shape, -1)

    def add_gradient(self, rows: Tensor, gradient: Tensor) -> None:
        """Take the gradient [..., V] of the logits of rows [...] to the hidden states and the layer."""
        flat, at = gradient.flatten(0, -2), rows.flatten()
        if self.hidden_gradient is not None:
            self.hidden_gradient[at] = self._product(flat, self.weight)
        if self.weight_gradient is not None:
            self._product(flat.T, self.hidden[at], self.weight_gradient, add=True)
        if self.bias_gradient is not None:
            self.bias_gradient += flat.sum(0)

    def scale_gradients(self, scale: Tensor) -> None:
        """Multiply the gradients by a scalar."""
        for gradient in (self.hidden_gradient, self.weight_gradient, self.bias_gradient):
            if gradient is not None:
                gradient *= scale

    def _product(self, a: Tensor, b: Tensor, out: Tensor | None = None, add: bool = False) -> Tensor:
        """a @ b, into `out` if given, or added to it."""
        a, b = a.to(self.operand_dtype), b.to(self.operand_dtype)
        if a.device.type == "cpu":
            with bfloat16_products(self.rounding == torch.bfloat16):
                return torch.addmm(out, a, b, out=out) if add else torch.mm(a, b, out=out)  # type: ignore[arg-type]
        if self.rounding is None:
            product = torch.mm(a, b)
        elif a.device.type == "cuda":
            product = torch.mm(a, b, out_dtype=self.dtype)
        else:  # no other device has it: the same operands, no faster
            product = torch.mm(a.to(self.dtype), b.to(self.dtype))
        return out.add_(product) if add else product  # type: ignore[union-attr]
