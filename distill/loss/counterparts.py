"""The parts of the loss that lie between gendered terms and their counterparts: he against she.

All functions return one value in nats per prediction, and take log-probabilities unless they say logits.
`counterpart_divergence` and `counterpart_cross_entropy` also return their gradient at the gendered ids, which fused.py
needs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distill.loss.divergences import kl
from distill.loss.gender_classes import GenderClasses
from distill.loss.targets import carry


def inconsistency(logprobs: Tensor, classes: GenderClasses) -> Tensor:
    """KL(s || M s') [S, ...] in nats: how far a student's prediction is from the mirror image of its prediction on the
    other view. logprobs [S, ..., V]: with S = 2 the other view is the other row; with S = 1 both views are the same
    text.

    The idea is counterfactual logit pairing (Garg et al. 2019, arXiv 1809.10610). Theirs compares one logit of a
    classifier; a language model's logits are known only up to a shift between texts, so this compares distributions.
    """
    return kl(logprobs, carry(logprobs.flip(0), logprobs, classes))


def inconsistency_with_gradient(logits: Tensor, classes: GenderClasses) -> tuple[Tensor, Tensor]:
    """The inconsistency [...] of the views' logits [2, ..., V] or [1, ..., V], and its gradient (by autograd)."""
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        values = inconsistency(leaf.log_softmax(-1), classes)
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), gradient


def counterpart_divergence(target: Tensor, student: Tensor, classes: GenderClasses) -> tuple[Tensor, Tensor]:
    """The part of KL(target || student) between counterparts [...] in nats, and its gradient [..., G].

    target, student [..., V]: log-probabilities. The gradient is with respect to the logits at `classes.ids`. By the
    chain rule, KL is the divergence of everything else plus sum_P Q_P KL(q_P || s_P): P runs over the pairs of classes,
    Q_P is the target's joint mass of a pair, and q_P and s_P say how target and student share out the joint mass
    between its two classes. It is 0 where the student gets these shares right, so it has the same minimum as KL.
    """
    mass = classes.log_mass(target.index_select(-1, classes.ids))
    share, wanted = classes.log_share(mass), mass.exp()
    values, gradient = _cross_entropy_of_shares(wanted, student, classes)
    return values + (share * wanted).sum(-1), gradient


def counterpart_cross_entropy(student: Tensor, labels: Tensor, classes: GenderClasses) -> tuple[Tensor, Tensor]:
    """The part of the cross-entropy between counterparts [...] in nats, and its gradient [..., G].

    student [..., V]: log-probabilities; labels [...]. The gradient is with respect to the logits at `classes.ids`. By
    the chain rule the cross-entropy of a gendered label has three parts: its class and the counterpart together; its
    class among the two (this part); the label within its class. It is 0 where the label is not gendered.
    """
    is_label = (labels.unsqueeze(-1) == classes.ids).to(student.dtype)
    is_class = is_label.new_zeros(*labels.shape, len(classes.partner)).index_add_(-1, classes.class_of, is_label)
    return _cross_entropy_of_shares(is_class, student, classes)


def _cross_entropy_of_shares(wanted: Tensor, student: Tensor, classes: GenderClasses) -> tuple[Tensor, Tensor]:
    """-sum_c wanted_c log share_c [...], and its gradient [..., G] with respect to the logits at `classes.ids`.

    wanted [..., C]: the mass that each class should have. share_c: the share that class c has in the student's joint
    mass of c and its counterpart.
    """
    gendered = student.index_select(-1, classes.ids)
    mass = classes.log_mass(gendered)
    share = classes.log_share(mass)
    joint_wanted = wanted + wanted.index_select(-1, classes.partner)
    within_class = (gendered - mass.index_select(-1, classes.class_of)).exp()
    excess = joint_wanted * share.exp() - wanted
    return -(wanted * share).sum(-1), within_class * excess.index_select(-1, classes.class_of)
