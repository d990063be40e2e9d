"""A slow reference for the fused loss: all logits at once, gradients by autograd. And inputs for both."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from distill.loss.fused import LossTerms, Objective, pair_loss
from distill.loss.gender_classes import GenderClasses
from distill.loss.logits import LazyLogits
from distill.loss.positions import Group, Positions
from distill.loss.targets import carry, make_target
from distill.loss_config import LossConfig, PerturbConfig
from distill.models.logit_transform import LogitTransform

NUM_IDS, WIDTH, TEACHER_WIDTH = 23, 6, 8
BYTES_PER_ROW = 4 * NUM_IDS
SCALE = torch.tensor(0.37)
# 1 <-> 2 is a one-to-one pair, {3, 4} <-> {5, 6} are him, his <-> her, hers
CLASSES = GenderClasses(
    ids=torch.tensor([1, 2, 3, 4, 5, 6]),
    class_of=torch.tensor([0, 1, 2, 2, 3, 3]),
    partner=torch.tensor([1, 0, 3, 2]),
    members=torch.tensor([[0, 6], [1, 6], [2, 3], [4, 5]]),
)
# every kind of group: predictions alone, with and without partner; pairs of which one is trained, or both
GROUPS = (
    Group(torch.tensor([[0, 5, 1]]), torch.tensor([[2, 1, 4]]), True),
    Group(torch.tensor([[3]]), torch.tensor([[7]]), False),
    Group(torch.tensor([[2, 8, 11]]), torch.tensor([[0, 3, 5], [12, 10, 6]]), True),
    Group(torch.tensor([[4, 6, 9, 12, 14], [7, 10, 13, 15, 17]]), torch.arange(10).view(2, 5) + 3, True),
)
ALONE = tuple(Group(g.student_rows, g.teacher_rows[: len(g.student_rows)], False) for g in GROUPS)


class Inputs(NamedTuple):
    """A student with 18 rows, its teacher with 16, labels and gendered positions."""

    student: LazyLogits
    teacher: LazyLogits
    labels: Tensor
    is_gendered: Tensor

    def loss(self, objective: Objective, groups: tuple[Group, ...] = GROUPS, scale: Tensor = SCALE) -> Tensor:
        """The fused loss of the predictions in groups."""
        return pair_loss(*self[:3], positions(groups, self.is_gendered), objective, scale).loss


def inputs(
    dtype: torch.dtype, bias: bool = False, transforms: Sequence[LogitTransform] = (LogitTransform(),) * 2
) -> Inputs:
    """transforms: of student and teacher."""
    torch.manual_seed(0)
    hidden, teacher_hidden = torch.randn(18, WIDTH), torch.randn(16, TEACHER_WIDTH)
    weight, teacher_weight = torch.randn(NUM_IDS, WIDTH), torch.randn(NUM_IDS, TEACHER_WIDTH)
    biases = torch.randn(NUM_IDS), torch.randn(NUM_IDS)
    labels, is_gendered = torch.randint(NUM_IDS, (18,)), torch.rand(18) < 0.4
    own_bias, teacher_bias = (b.to(dtype) if bias else None for b in biases)
    student = LazyLogits(
        hidden.to(dtype).requires_grad_(),
        weight.to(dtype).requires_grad_(),
        None if own_bias is None else own_bias.requires_grad_(),
        transforms[0],
    )
    teacher = LazyLogits(teacher_hidden.to(dtype), teacher_weight.to(dtype), teacher_bias, transforms[1])
    return Inputs(student, teacher, labels, is_gendered)


def positions(groups: tuple[Group, ...], is_gendered: Tensor) -> Positions:
    return Positions(groups, torch.zeros(0, dtype=torch.long), is_gendered)


def objective(operation: str, divergence: str = "forward_kl", **settings: float) -> Objective:
    loss = {"kd_weight": 0.7, "ce_weight": 0.2, "temperature": 1.7, "beta": 0.3} | settings
    gain = 1.3 if operation.startswith("equivariant") else 1.0
    perturbation = PerturbConfig(operation=operation, strength=0.8, gain=gain)
    return Objective(LossConfig(divergence=divergence, **loss), perturbation, CLASSES)


def eager_divergence(target: Tensor, logits: Tensor, kind: str, beta: float) -> Tensor:
    """Divergences from probabilities, for autograd to differentiate."""
    q, s = target.exp(), logits.softmax(-1)
    m = beta * q + (1 - beta) * s
    return {
        "forward_kl": lambda: F.kl_div(s.log(), q, reduction="none"),
        "reverse_kl": lambda: F.kl_div(target, s, reduction="none"),
        "jsd": lambda: beta * q * (q / m).log() + (1 - beta) * s * (s / m).log(),
        "skewed_kl": lambda: q * (q / m).log(),
    }[kind]().sum(-1)


def eager_pairing(logits: Tensor, group: Group, view: int, position: int) -> Tensor:
    """KL(s || M s') where the student has read both views, or the texts up to there are the same."""
    if not group.has_partner or len(group.student_rows) < len(group.teacher_rows):
        return logits.new_zeros(())
    own, other = (logits[group.student_rows[v, position]].log_softmax(-1) for v in (view, view - 1))
    return (own.exp() * (own - carry(other, own, CLASSES))).sum()


def eager_counterpart(target: Tensor, student: Tensor) -> Tensor:
    """What the chain rule of KL gives to how counterparts share their mass, pair by pair, from probabilities [V]."""
    q, s = target.exp(), student.exp()
    total = q.new_zeros(())
    for side, partner in enumerate(CLASSES.partner.tolist()):
        if side < partner:
            mine, theirs = (
                torch.stack([p[CLASSES.ids[CLASSES.class_of == c]].sum() for c in (side, partner)]) for p in (q, s)
            )
            total = total + mine.sum() * (mine / mine.sum() * (mine / mine.sum() / (theirs / theirs.sum())).log()).sum()
    return total


def eager_joint_cross_entropy(student: Tensor, label: int) -> Tensor:
    """-log of the joint probability of the label's class and its counterpart, times the label's part of its class."""
    where = (CLASSES.ids == label).nonzero()
    if len(where) == 0:
        return -student[label]
    own = CLASSES.class_of[where.item()]
    mine, theirs = (student.exp()[CLASSES.ids[CLASSES.class_of == c]].sum() for c in (own, CLASSES.partner[own]))
    return -((mine + theirs) * student[label].exp() / mine).log()


def eager_logits(source: LazyLogits) -> Tensor:
    """All logits of a model: the output layer's values, scaled and soft-capped."""
    values = source.transform.scale * F.linear(source.hidden, source.weight, source.bias)
    cap = source.transform.cap
    return values if cap is None else cap * (values / cap).tanh()


def eager_loss(student, teacher, labels, positions, objective, scale) -> tuple[Tensor, LossTerms, LossTerms]:
    """What pair_loss must equal: all logits at once, one prediction after the other, gradients by autograd."""
    all_logits, loss = eager_logits(student), objective.loss
    tau = loss.temperature
    logprobs = None if teacher is None else (eager_logits(teacher) / tau).log_softmax(-1)
    sums = torch.zeros(2, 7, dtype=student.hidden.dtype)
    for group in positions.groups:
        for view, position in itertools.product(range(len(group.student_rows)), range(group.student_rows.shape[1])):
            row = group.student_rows[view, position]
            zero = student.hidden.new_zeros(())
            kd, counterpart, target_entropy, pairing = zero, zero, zero, zero
            ce = F.cross_entropy(all_logits[row], labels[row])
            if not loss.ce_counterparts:
                ce = eager_joint_cross_entropy(all_logits[row].log_softmax(-1), int(labels[row]))
            if loss.pairing_weight > 0:
                pairing = eager_pairing(all_logits, group, view, position)
            if logprobs is not None:
                own = logprobs[group.teacher_rows[view, position]]
                partner = logprobs[group.teacher_rows[view - 1, position]] if group.has_partner else None
                target = make_target(own, partner, objective.perturbation, CLASSES)
                kd = eager_divergence(target, all_logits[row] / tau, loss.divergence, loss.beta)
                if loss.counterpart_weight > 0:
                    counterpart = eager_counterpart(target, (all_logits[row] / tau).log_softmax(-1))
                target_entropy = -(target.exp() * target).sum()
            terms = LossTerms(kd, ce, pairing, counterpart, target_entropy, hidden=zero, num_tokens=zero + 1)
            counts = torch.stack([torch.ones(()), positions.is_gendered[row].float()]).unsqueeze(1)
            sums = sums + counts * torch.stack(terms)
    total = LossTerms(*sums[0])
    softened = tau**2 * (loss.kd_weight * total.kd + loss.counterpart_weight * total.counterpart)
    value = scale * (softened + loss.ce_weight * total.ce + loss.pairing_weight * total.pairing)
    return value, total, LossTerms(*sums[1])


def check_against_eager(
    groups: tuple[Group, ...],
    chosen: Objective,
    bias: bool = False,
    teach: bool = True,
    transforms: Sequence[LogitTransform] = (LogitTransform(),) * 2,
) -> None:
    """Loss, terms and gradients in float32 against the eager ones in float64."""
    results = []
    for function, dtype in ((pair_loss, torch.float32), (eager_loss, torch.float64)):
        student, teacher, labels, is_gendered = inputs(dtype, bias, transforms)
        loss, *sums = function(
            student, teacher if teach else None, labels, positions(groups, is_gendered), chosen, SCALE
        )
        (3 * loss).backward()
        gradients = [tensor.grad for tensor in student[:3] if tensor is not None]
        results.append((loss, torch.stack([torch.stack(terms) for terms in sums]).detach(), gradients))
    (loss, sums, gradients), (expected_loss, expected_sums, expected) = results
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-5)
    torch.testing.assert_close(sums.double(), expected_sums.double(), rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item())
