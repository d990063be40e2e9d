"""Teacher perturbation: the teacher's log-probabilities on both views of a pair in, one target distribution out.

Notation: p is the teacher's prediction on the view that the student reads, p' its prediction at the aligned position
of the other view. `max`, `mean`, `expmean` and `swap` are the operations named by Gupta et al. 2022
(arXiv 2203.12574), with formulas reconstructed here; `equalize` follows Delobelle and Berendt 2022; the equivariant
operations are this project's own.

M, which carries a distribution from the counterfactual world back, moves *classes* of token ids. A class holds the
terms that one side of a lexicon entry uses: {him, his} is the counterpart of {her, hers}. The mass of a class goes to
its counterpart and spreads there in the proportions that the receiving view itself gives. For a one-to-one pair that
is a permutation; for her -> {him, his} it is the split p(him) : p(his); and it makes the equivariant target exactly
equivariant, split included.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import PreTrainedTokenizerFast

from augment.lexicon import Lexicon
from distill.config import PerturbConfig
from distill.loss.divergences import kl

USES_CLASSES = frozenset({"equivariant", "equivariant_geometric", "equalize"})
USES_COUNTERFACTUAL = frozenset({"max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric"})


class GenderClasses(NamedTuple):
    """The gendered token ids of a vocabulary and how they correspond; G ids in C classes, at most K ids in one.

    ids [G]: every gendered id once. class_of [G]: the class of each. partner [C]: the counterpart of each class, an
    involution. members [C, K]: positions in `ids`, padded with G.
    """

    ids: Tensor
    class_of: Tensor
    partner: Tensor
    members: Tensor

    def to(self, device: torch.device) -> GenderClasses:
        return GenderClasses(*(tensor.to(device) for tensor in self))


class SurfaceForm(NamedTuple):
    """One surface form of a term pair and its token ids; an id is None where the form takes several tokens."""

    masculine: str
    feminine: str
    masculine_id: int | None
    feminine_id: int | None


# -- M: from lexicon and tokenizer -----------------------------------------------------------------------------------


def gender_classes(tokenizer: PreTrainedTokenizerFast, lexicon: Lexicon) -> GenderClasses:
    """The classes of single-token surface forms: the connected parts of the graph of term pairs, split by gender.

    Raises ValueError if one id is masculine in one pair and feminine in another, or if no pair is a single token.
    """
    neighbours: dict[int, set[int]] = defaultdict(set)
    sides: dict[int, str] = {}
    for form in surface_forms(tokenizer, lexicon):
        if form.masculine_id is None or form.feminine_id is None:
            continue
        for token_id, side in ((form.masculine_id, "masculine"), (form.feminine_id, "feminine")):
            if sides.setdefault(token_id, side) != side:
                raise ValueError(
                    f"lexicon: {tokenizer.decode(token_id)!r} is both a masculine and a feminine term; "
                    "remove one of its pairs from augment.lexicon"
                )
        neighbours[form.masculine_id].add(form.feminine_id)
        neighbours[form.feminine_id].add(form.masculine_id)
    if not neighbours:
        raise ValueError("no term pair of the lexicon is a single token of this tokenizer; use another tokenizer")

    groups: list[list[int]] = []
    seen: set[int] = set()
    for start in sorted(neighbours):
        if start in seen:
            continue
        part, frontier = {start}, [start]
        while frontier:
            new = neighbours[frontier.pop()] - part
            part |= new
            frontier.extend(new)
        seen |= part
        for side in ("masculine", "feminine"):
            groups.append(sorted(token_id for token_id in part if sides[token_id] == side))
    return _classes(groups)


def surface_forms(tokenizer: PreTrainedTokenizerFast, lexicon: Lexicon) -> Iterator[SurfaceForm]:
    """Every surface form of every term pair, with its token ids: after a space in lower, Title and UPPER case, and
    without one in Title and UPPER case.

    A lower-case form without a space before it is left out: as a token it is nearly always a piece of a longer word
    (of GPT-2's tokens "man", "son", "her" and "he" in running text 0 to 10 % are whole words), where there is nothing
    to swap.
    """
    for pair in lexicon.pairs:
        for space, case in ((" ", str), (" ", _title), (" ", str.upper), ("", _title), ("", str.upper)):
            masculine, feminine = case(pair.masculine), case(pair.feminine)
            yield SurfaceForm(
                space + masculine,
                space + feminine,
                _single_token_id(tokenizer, space, masculine),
                _single_token_id(tokenizer, space, feminine),
            )


def _single_token_id(tokenizer: PreTrainedTokenizerFast, space: str, term: str) -> int | None:
    """The id of `term` in running text if it is one token there. Read off a context: alone it may encode otherwise."""
    context = "a" if space else "("
    before = tokenizer(context, add_special_tokens=False)["input_ids"]
    after = tokenizer(context + space + term, add_special_tokens=False)["input_ids"]
    if not after or after[:-1] != before:
        return None
    # not the unknown token, nor what is left of a word whose first letters the tokenizer drops
    return after[-1] if tokenizer.decode(after[-1:]).strip().lower() == term.lower() else None


def _title(term: str) -> str:
    return term[:1].upper() + term[1:]


def _classes(groups: list[list[int]]) -> GenderClasses:
    """Classes from groups of ids in which groups 2k and 2k + 1 are counterparts."""
    ids = [token_id for group in groups for token_id in group]
    members = torch.full((len(groups), max(map(len, groups))), len(ids))
    position = 0
    for index, group in enumerate(groups):
        members[index, : len(group)] = torch.arange(position, position + len(group))
        position += len(group)
    return GenderClasses(
        ids=torch.tensor(ids),
        class_of=torch.tensor([index for index, group in enumerate(groups) for _ in group]),
        partner=torch.arange(len(groups)) ^ 1,
        members=members,
    )


# -- operations ------------------------------------------------------------------------------------------------------


def carry(cf_logprobs: Tensor, logprobs: Tensor, classes: GenderClasses) -> Tensor:
    """log M p' [..., V]: the counterfactual view's prediction brought back into the world of `logprobs` [..., V].

    Ids without a counterpart keep p'. Costs O(G) per position besides the copy.
    """
    own = logprobs.index_select(-1, classes.ids)
    own_mass = _class_mass(own, classes)
    other_mass = _class_mass(cf_logprobs.index_select(-1, classes.ids), classes)
    within_class = own - own_mass.index_select(-1, classes.class_of)
    received = other_mass.index_select(-1, classes.partner[classes.class_of])
    return cf_logprobs.index_copy(-1, classes.ids, received + within_class)


def perturb(
    logprobs: Tensor,
    cf_logprobs: Tensor | None,
    how: PerturbConfig,
    classes: GenderClasses | None,
) -> Tensor:
    """The target's log-probabilities [..., V], normalised.

    logprobs, cf_logprobs [..., V]: log p and log p' at aligned positions; log p' is None where there is no partner, and
    not used by `none` and `equalize`. Without a partner the target of all other operations is p. how.strength: the
    share of the perturbed distribution in the mixture with p; 0 returns `logprobs` itself.
    """
    has_no_partner = how.operation in USES_COUNTERFACTUAL and cf_logprobs is None
    if how.operation == "none" or how.strength == 0 or has_no_partner:
        return logprobs
    target = _apply(logprobs, cf_logprobs, how.operation, classes)
    if how.gain != 1:
        assert classes is not None
        target = amplify(target, how.gain, classes)
    if how.strength < 1:
        target = torch.logaddexp(logprobs + math.log1p(-how.strength), target + math.log(how.strength))
    return target


def amplify(logprobs: Tensor, gain: float, classes: GenderClasses) -> Tensor:
    """The log-probabilities [..., V] with the log-odds between a class and its counterpart multiplied by `gain`.

    Their joint mass stays, and the proportions within a class; so do parity (log-odds of 0) and equivariance. A gain
    above 1 makes up for what averaging two views takes from the evidence of gendered words; 0 would leave parity
    everywhere.
    """
    gendered = logprobs.index_select(-1, classes.ids)
    mass = _class_mass(gendered, classes)
    other = mass.index_select(-1, classes.partner)
    shift = torch.logaddexp(mass, other) + logsigmoid(gain * (mass - other)) - mass
    return logprobs.index_copy(-1, classes.ids, gendered + shift.index_select(-1, classes.class_of))


def inconsistency(logprobs: Tensor, classes: GenderClasses) -> Tensor:
    """KL(s || M s') [S, ...] in nats of a student's log-probabilities [S, ..., V]: how far its prediction is from the
    mirror image of the one it makes on the other view, which is in the other row, or itself where S = 1.

    The student-side term of counterfactual logit pairing (Garg et al. 2019, arXiv 1809.10610), in its idea: they
    compare a classifier's logit; between two texts, a language model's logits are known up to a shift only.
    """
    return kl(logprobs, carry(logprobs.flip(0), logprobs, classes))


def counterpart_divergence(target: Tensor, student: Tensor, classes: GenderClasses) -> tuple[Tensor, Tensor]:
    """The part of KL(target || student) [...] in nats that lies between counterparts, of log-probabilities [..., V],
    and its gradient [..., G] with respect to the logits, at `classes.ids`, of which `student` is the log-softmax.

    By the chain rule KL is the divergence of everything else plus sum_P Q_P KL(q_P || s_P), where q_P and s_P say how a
    class and its counterpart share their joint mass, Q_P the target's. It is 0 where the student gets these shares
    right, so that its minimum is that of KL.
    """
    q = _class_mass(target.index_select(-1, classes.ids), classes)
    share, wanted = _share(q, classes), q.exp()
    values, gradient = _shares_cross_entropy(wanted, student, classes)
    return values + (share * wanted).sum(-1), gradient


def counterpart_cross_entropy(student: Tensor, labels: Tensor, classes: GenderClasses) -> tuple[Tensor, Tensor]:
    """The part of the cross-entropy [...] in nats that lies between counterparts, of log-probabilities [..., V] and
    labels [...], and its gradient [..., G] with respect to the logits, at `classes.ids`, of which `student` is the
    log-softmax.

    By the chain rule the cross-entropy of a gendered label is that of its class and the counterpart together, of the
    class among the two (this part), and of the label within its class. It is 0 where the label is not gendered.
    """
    is_label = (labels.unsqueeze(-1) == classes.ids).to(student.dtype)
    is_class = is_label.new_zeros(*labels.shape, len(classes.partner)).index_add_(-1, classes.class_of, is_label)
    return _shares_cross_entropy(is_class, student, classes)


def _apply(logprobs: Tensor, cf_logprobs: Tensor | None, operation: str, classes: GenderClasses | None) -> Tensor:
    """The operation at full strength."""
    if operation == "equalize":  # the geometric mean of p with its own mirror image: no second view is involved
        assert classes is not None
        return _geometric_mean(carry(logprobs, logprobs, classes).add_(logprobs))
    assert cf_logprobs is not None
    if operation.startswith("equivariant"):
        assert classes is not None
        carried = carry(cf_logprobs, logprobs, classes)
        if operation == "equivariant_geometric":
            return _geometric_mean(carried.add_(logprobs))
        return torch.logaddexp(logprobs, carried) - math.log(2)
    if operation == "max":
        return torch.maximum(logprobs, cf_logprobs).log_softmax(-1)
    if operation == "mean":
        return _geometric_mean(logprobs + cf_logprobs)
    if operation == "expmean":
        return torch.logaddexp(logprobs, cf_logprobs) - math.log(2)
    if operation == "swap":
        return cf_logprobs
    raise ValueError(f"unknown operation {operation!r}")


def _shares_cross_entropy(wanted: Tensor, student: Tensor, classes: GenderClasses) -> tuple[Tensor, Tensor]:
    """-sum_c wanted_c log share_c [...] for wanted mass [..., C], where share_c is what a class has of the student's
    joint mass of the class and its counterpart; and the gradient [..., G] as in `counterpart_divergence`.
    """
    s = student.index_select(-1, classes.ids)
    mass = _class_mass(s, classes)
    share = _share(mass, classes)
    together = wanted + wanted.index_select(-1, classes.partner)
    within_class = (s - mass.index_select(-1, classes.class_of)).exp()
    excess = together * share.exp() - wanted
    return -(wanted * share).sum(-1), within_class * excess.index_select(-1, classes.class_of)


def _share(mass: Tensor, classes: GenderClasses) -> Tensor:
    """The log of the share [..., C] that each class has of its joint mass with its counterpart, from log-masses."""
    return logsigmoid(mass - mass.index_select(-1, classes.partner))


def _geometric_mean(total: Tensor) -> Tensor:
    """log of sqrt(p q) [..., V], normalised, from log p + log q, which is written over."""
    return total.div_(2).log_softmax(-1)


def _class_mass(gendered: Tensor, classes: GenderClasses) -> Tensor:
    """Log-mass of each class [..., C] from the log-probabilities of the gendered ids [..., G]."""
    padding = gendered.new_full((*gendered.shape[:-1], 1), -math.inf)
    by_class = torch.cat([gendered, padding], dim=-1)[..., classes.members]
    return by_class.logsumexp(-1)
