"""Loss terms: log-probabilities or hidden states of scored positions in, per-position values out, in nats.

Pure functions without any reduction: sums are taken by the caller and divided once, by the number of scored positions
of the whole optimizer step. What is trained on comes with its gradient, which the fused loss needs while it still holds
the logits, and which takes the place of the student's log-probabilities: on a CPU, a new tensor of that size costs more
than what is computed in it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) [...] in nats of log-probabilities [..., V]. A true KL: 0 where p == q."""
    return (p - q).mul_(p.exp()).sum(-1)


def entropy(logprobs: Tensor) -> Tensor:
    """The entropy [...], in nats, of log-probabilities [..., V]."""
    return -logprobs.exp().mul_(logprobs).sum(-1)


def divergence(target: Tensor, student: Tensor, kind: str, beta: float) -> tuple[Tensor, Tensor]:
    """The divergence [...], in nats, between log-probabilities [..., V], and its gradient [..., V] with respect to the
    logits of which `student` is the log-softmax; the gradient takes the place of `student`.

    forward_kl: KL(target || student). reverse_kl: KL(student || target).
    jsd: the generalised Jensen-Shannon divergence, beta KL(target || m) + (1 - beta) KL(student || m) with
    m = beta target + (1 - beta) student (Agarwal et al. 2024, arXiv 2306.13649, eq. 1).
    skewed_kl: KL(target || beta target + (1 - beta) student) (Ko et al. 2024, arXiv 2402.03898, eq. 2).

    Through a softmax s, a derivative g with respect to s becomes s (g - sum s g); g needs to be known up to a constant.
    """
    if kind == "forward_kl":  # g = -q / s
        q = target.exp()
        values = (target - student).mul_(q).sum(-1)
        return values, student.exp_().sub_(q)
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
    """The gradient [..., V] of `cross_entropy` with respect to the logits of which `logprobs` is the log-softmax, in
    whose place it is put.
    """
    at_label = labels.unsqueeze(-1)
    gradient = logprobs.exp_()
    return gradient.scatter_add_(-1, at_label, -torch.ones_like(at_label, dtype=gradient.dtype))


def hidden_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine similarity [N] of hidden states [N, H] (DistilBERT's third term)."""
    return 1 - F.cosine_similarity(student, teacher, dim=-1)
