"""Loss terms: log-probabilities or hidden states of scored positions in, per-position values out, in nats.

Pure functions without any reduction: sums are taken by the caller and divided once, by the number of scored positions
of the whole optimizer step.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) [N] in nats of log-probabilities [N, V]. A true KL: 0 where p == q."""
    return F.kl_div(q, p, reduction="none", log_target=True).sum(-1)


def divergence(target: Tensor, student: Tensor, kind: str, beta: float) -> Tensor:
    """The divergence [N], in nats, between the target's and the student's log-probabilities [N, V].

    forward_kl: KL(target || student). reverse_kl: KL(student || target).
    jsd: the generalised Jensen-Shannon divergence, beta KL(target || m) + (1 - beta) KL(student || m) with
    m = beta target + (1 - beta) student (Agarwal et al. 2024, arXiv 2306.13649, eq. 1).
    skewed_kl: KL(target || beta target + (1 - beta) student) (Ko et al. 2024, arXiv 2402.03898, eq. 2).
    """
    if kind == "forward_kl":
        return kl(target, student)
    if kind == "reverse_kl":
        return kl(student, target)
    mixture = torch.logaddexp(target + math.log(beta), student + math.log1p(-beta))
    if kind == "jsd":
        return beta * kl(target, mixture) + (1 - beta) * kl(student, mixture)
    if kind == "skewed_kl":
        return kl(target, mixture)
    raise ValueError(f"unknown divergence {kind!r}")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits)[label], [N] in nats, for logits [N, V] and labels [N]."""
    return F.cross_entropy(logits, labels, reduction="none")


def hidden_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine similarity [N] of hidden states [N, H] (DistilBERT's third term)."""
    return 1 - F.cosine_similarity(student, teacher, dim=-1)


def entropy(logprobs: Tensor) -> Tensor:
    """The entropy [N], in nats, of log-probabilities [N, V]."""
    return torch.special.entr(logprobs.exp()).sum(-1)
