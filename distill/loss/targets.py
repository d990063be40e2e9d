"""The target distribution that the student learns, made from the teacher's predictions on both views of a pair.

Notation: p is the teacher's prediction on the view that the student reads, p' its prediction at the aligned position
of the other view. `max`, `mean`, `expmean` and `swap` are the operations named by Gupta et al. 2022
(arXiv 2203.12574); their formulas are reconstructed here. `equalize` follows Delobelle and Berendt 2022. The
equivariant operations come from this project.

M carries a prediction from the counterfactual world back. It moves the mass of each gender class to the class's
counterpart and spreads it there in the proportions of the receiving view's own p. For a one-to-one pair that is a
permutation; for her -> {him, his} it is the split p(him) : p(his). Moving whole classes makes the equivariant target
exactly equivariant, that split included.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from distill.loss.gender_classes import GenderClasses
from distill.loss_config import PerturbConfig

PADDING_LOGPROB = -30.0  # nats
USES_COUNTERFACTUAL = frozenset({"max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric"})


def make_target(
    logprobs: Tensor,
    cf_logprobs: Tensor | None,
    perturbation: PerturbConfig,
    classes: GenderClasses | None,
) -> Tensor:
    """The target's log-probabilities [..., V], normalised.

    logprobs [..., V]: log p. cf_logprobs [..., V]: log p' at the aligned position, or None where there is no aligned
    position; the target is p there, except for `equalize`, which needs no p'. classes: where `uses_classes`. The result
    is (1 - strength) p + strength q, where q is the operation's distribution; with strength 0 it is `logprobs` itself.
    With the scope `pairs`, q is p with only the shares between counterparts taken from the operation's distribution.
    """
    lacks_partner = perturbation.operation in USES_COUNTERFACTUAL and cf_logprobs is None
    if perturbation.operation == "none" or perturbation.strength == 0 or lacks_partner:
        return logprobs
    if perturbation.scope == "pairs":
        assert classes is not None
        target = _perturbed_pairs(logprobs, cf_logprobs, perturbation, classes)
    else:
        target = _perturbed(logprobs, cf_logprobs, perturbation, classes)
    if perturbation.strength < 1:
        own_share, target_share = math.log1p(-perturbation.strength), math.log(perturbation.strength)
        target = torch.logaddexp(logprobs + own_share, target + target_share)
    return target


def log_softmax_without_padding(logits: Tensor, num_ids: int | None) -> Tensor:
    """The teacher's log-probabilities [..., V] from its logits. Ids from `num_ids` on are padding; None: no id is.

    Padding gets a probability of 1e-13: in float32 that changes no sum, and every divergence stays finite. The logits
    of padding are overwritten.
    """
    if num_ids is None:
        return logits.log_softmax(-1)
    logits[..., num_ids:] = -torch.inf
    logprobs = logits.log_softmax(-1)
    logprobs[..., num_ids:] = PADDING_LOGPROB
    return logprobs


def uses_classes(perturbation: PerturbConfig) -> bool:
    """Whether the target needs the gender classes."""
    mirrors = perturbation.operation in ("equivariant", "equivariant_geometric", "equalize")
    return mirrors or perturbation.scope == "pairs"


def _perturbed(
    logprobs: Tensor, cf_logprobs: Tensor | None, perturbation: PerturbConfig, classes: GenderClasses | None
) -> Tensor:
    """The distribution of an operation at full strength, with its gain."""
    target = _apply(logprobs, cf_logprobs, perturbation.operation, classes)
    if perturbation.gain == 1:
        return target
    assert classes is not None
    return amplify(target, perturbation.gain, classes)


def _perturbed_pairs(
    logprobs: Tensor, cf_logprobs: Tensor | None, perturbation: PerturbConfig, classes: GenderClasses
) -> Tensor:
    """p [..., V], in which each class and its counterpart share out their joint mass as `_perturbed` would.

    Shares are ratios, so it is enough to perturb the gendered ids, whose sum is not 1.
    """
    among_them = classes._replace(ids=torch.arange(len(classes.ids), device=classes.ids.device))
    gendered, cf_gendered = (
        None if values is None else values.index_select(-1, classes.ids) for values in (logprobs, cf_logprobs)
    )
    assert gendered is not None
    perturbed = _perturbed(gendered, cf_gendered, perturbation, among_them)
    return classes.with_shares(logprobs, lambda *_: classes.log_share(classes.log_mass(perturbed)))


def _apply(logprobs: Tensor, cf_logprobs: Tensor | None, operation: str, classes: GenderClasses | None) -> Tensor:
    """The distribution of an operation at full strength."""
    if operation == "equalize":  # the geometric mean of p and its own mirror image, without the other view
        assert classes is not None
        return _mean_with_carried(logprobs, logprobs, classes)
    assert cf_logprobs is not None
    if operation.startswith("equivariant"):
        assert classes is not None
        if operation == "equivariant_geometric":
            return _mean_with_carried(cf_logprobs, logprobs, classes)
        return torch.logaddexp(logprobs, carry(cf_logprobs, logprobs, classes)) - math.log(2)
    if operation == "max":
        return torch.maximum(logprobs, cf_logprobs).log_softmax(-1)
    if operation == "mean":
        return _geometric_mean(logprobs + cf_logprobs)
    if operation == "expmean":
        return torch.logaddexp(logprobs, cf_logprobs) - math.log(2)
    if operation == "swap":
        return cf_logprobs
    raise ValueError(f"unknown operation {operation!r}")


def _geometric_mean(total: Tensor) -> Tensor:
    """log of sqrt(p q) [..., V], normalised, from log p + log q, which is overwritten."""
    return total.div_(2).log_softmax(-1)


def _mean_with_carried(cf_logprobs: Tensor, logprobs: Tensor, classes: GenderClasses) -> Tensor:
    """log of sqrt(p M p') [..., V], normalised. M p' itself is not written: that would be one more pass over V."""
    total = logprobs + cf_logprobs
    at_ids = _carried(cf_logprobs, logprobs, classes) + logprobs.index_select(-1, classes.ids)
    return _geometric_mean(total.index_copy_(-1, classes.ids, at_ids))


def carry(cf_logprobs: Tensor, logprobs: Tensor, classes: GenderClasses) -> Tensor:
    """log M p' [..., V]: the counterfactual view's prediction, brought back into the world of `logprobs` [..., V].

    Ids without a counterpart keep p'. Besides the copy this costs O(G) per position.
    """
    return cf_logprobs.index_copy(-1, classes.ids, _carried(cf_logprobs, logprobs, classes))


def _carried(cf_logprobs: Tensor, logprobs: Tensor, classes: GenderClasses) -> Tensor:
    """log M p' [..., G] at the gendered ids."""
    own = logprobs.index_select(-1, classes.ids)
    own_mass = classes.log_mass(own)
    cf_mass = classes.log_mass(cf_logprobs.index_select(-1, classes.ids))
    within_class = own - own_mass.index_select(-1, classes.class_of)
    received = cf_mass.index_select(-1, classes.partner[classes.class_of])
    return received + within_class


def amplify(logprobs: Tensor, gain: float, classes: GenderClasses) -> Tensor:
    """Multiply the log-odds between each class and its counterpart by `gain`; log-probabilities [..., V].

    The joint mass of the two classes stays, and so do the proportions within a class. Parity (log-odds of 0) and
    equivariance stay exact. A gain above 1 restores the certainty about gendered words that averaging two views takes
    away.
    """
    return classes.with_shares(logprobs, lambda mass, partner_mass: logsigmoid(gain * (mass - partner_mass)))
