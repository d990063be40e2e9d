"""How far a prediction is from its target or from the text: one value per prediction, in nats.

These are pure functions of log-probabilities or hidden states. They never sum over predictions: the caller sums and
divides once, by the number of predictions in the whole optimizer step. Terms that are trained return their gradient
too, because the fused loss needs it while it still holds the logits. The gradient overwrites the student's
log-probabilities: on a CPU, allocating another tensor of that size costs more than computing what is in it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) [...] in nats of log-probabilities [..., V]. It is a true KL: 0 where p == q."""
    return (p - q).mul_(p.exp()).sum(-1)


def entropy(logprobs: Tensor, probs: Tensor) -> Tensor:
    """The entropy [...], in nats, of log-probabilities [..., V] and their probabilities."""
    return -(probs * logprobs).sum(-1)


def divergence(target: Tensor, target_probs: Tensor, student: Tensor, kind: str, beta: float) -> tuple[Tensor, Tensor]:
    """The divergence [...] in nats between log-probabilities [..., V], and its gradient [..., V].

    target_probs: the target's probabilities. The gradient is with respect to the logits whose log-softmax `student` is,
    and overwrites `student`.

    forward_kl: KL(target || student). reverse_kl: KL(student || target).
    jsd: the generalised Jensen-Shannon divergence, beta KL(target || m) + (1 - beta) KL(student || m) with
    m = beta target + (1 - beta) student (Agarwal et al. 2024, arXiv 2306.13649, eq. 1).
    skewed_kl: KL(target || beta target + (1 - beta) student) (Ko et al. 2024, arXiv 2402.03898, eq. 2).

    In the comments g is the derivative with respect to the student's probabilities s, up to a constant: through the
    softmax it becomes s (g - sum s g), where a constant cancels.
    """
    if kind == "forward_kl":  # g = -q / s
        values = (target - student).mul_(target_probs).sum(-1)
        return values, student.exp_().sub_(target_probs)
    if kind == "reverse_kl":  # g = log(s / q)
        ratio = student - target
        values = kl(student, target)
        return values, student.exp_().mul_(ratio.sub_(values.unsqueeze(-1)))
    mixture = torch.logaddexp(target + math.log(beta), student + math.log1p(-beta))
    if kind == "jsd":  # g = (1 - beta) log(s / m)
        ratio, from_student = student - mixture, kl(student, mixture)
        values = beta * kl(target, mixture) + (1 - beta) * from_student
        return values, student.exp_().mul_(ratio.sub_(from_student.unsqueeze(-1)).mul_(1 - beta))
    if kind == "skewed_kl":  # g = -(1 - beta) q / m
        slope, s = (target - mixture).exp_().mul_(beta - 1), student.exp_()
        mean_slope = (slope * s).sum(-1, keepdim=True)
        return kl(target, mixture), s.mul_(slope.sub_(mean_slope))
    raise ValueError(f"unknown divergence {kind!r}")


def cross_entropy(logprobs: Tensor, labels: Tensor) -> Tensor:
    """-logprobs[label], [...] in nats, for log-probabilities [..., V] and labels [...]."""
    return -logprobs.gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def cross_entropy_gradient(logprobs: Tensor, labels: Tensor) -> Tensor:
    """The gradient [..., V] of `cross_entropy` with respect to the logits whose log-softmax `logprobs` is.

    It overwrites `logprobs`.
    """
    at_label = labels.unsqueeze(-1)
    gradient = logprobs.exp_()
    return gradient.scatter_add_(-1, at_label, -torch.ones_like(at_label, dtype=gradient.dtype))


def hidden_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine similarity [N] of hidden states [N, H], as in DistilBERT (Sanh et al. 2019, arXiv 1910.01108)."""
    return 1 - F.cosine_similarity(student, teacher, dim=-1)
