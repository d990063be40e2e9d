"""The gendered token ids of a vocabulary, grouped into classes that correspond to each other.

A class holds the token ids on one side of a connected set of lexicon entries: {him, his} is one class, and {her, hers}
is its counterpart. Only terms that are a single token on both sides belong to a class.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import PreTrainedTokenizerFast

from augment.lexicon import Lexicon


class GenderClasses(NamedTuple):
    """G gendered token ids in C classes of at most K ids.

    ids [G]: every gendered id once. class_of [G]: the class of each id. partner [C]: the counterpart of each class (the
    partner of a class's partner is the class itself). members [C, K]: each class's positions in `ids`, padded with G.
    """

    ids: Tensor
    class_of: Tensor
    partner: Tensor
    members: Tensor

    def to(self, device: torch.device) -> GenderClasses:
        return GenderClasses(*(tensor.to(device) for tensor in self))

    def log_mass(self, gendered: Tensor) -> Tensor:
        """The log-mass of each class [..., C] from the log-probabilities of the gendered ids [..., G]."""
        padding = gendered.new_full((*gendered.shape[:-1], 1), -math.inf)
        by_class = torch.cat([gendered, padding], dim=-1)[..., self.members]
        return by_class.logsumexp(-1)

    def log_share(self, mass: Tensor) -> Tensor:
        """The log of each class's share [..., C] in the joint mass of it and its counterpart, from log-masses."""
        return logsigmoid(mass - mass.index_select(-1, self.partner))

    def with_shares(self, logprobs: Tensor, log_share: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Share out the joint mass of every class and its counterpart anew; log-probabilities [..., V].

        log_share: from the log-masses [..., C] of the classes and of their counterparts, the log of each class's share.
        The joint masses stay, and so do the proportions within a class.
        """
        gendered = logprobs.index_select(-1, self.ids)
        mass = self.log_mass(gendered)
        partner_mass = mass.index_select(-1, self.partner)
        shift = torch.logaddexp(mass, partner_mass) + log_share(mass, partner_mass) - mass
        return logprobs.index_copy(-1, self.ids, gendered + shift.index_select(-1, self.class_of))


class SurfaceForm(NamedTuple):
    """One surface form of a term pair with its token ids. An id is None where the form takes several tokens."""

    masculine: str
    feminine: str
    masculine_id: int | None
    feminine_id: int | None


def gender_classes(tokenizer: PreTrainedTokenizerFast, lexicon: Lexicon) -> GenderClasses:
    """The classes of a lexicon in a tokenizer's vocabulary.

    Term pairs are the edges of a graph over token ids; each connected part of it gives a masculine and a feminine
    class. Raises ValueError if one id is masculine in one pair and feminine in another, or if no pair is a single
    token.
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
    groups = []
    for component in _connected(neighbours):
        for side in ("masculine", "feminine"):
            groups.append(sorted(token_id for token_id in component if sides[token_id] == side))
    return _classes(groups)


def _connected(neighbours: dict[int, set[int]]) -> Iterator[set[int]]:
    """The connected components of a graph, in the order of their smallest node."""
    seen: set[int] = set()
    for start in sorted(neighbours):
        if start in seen:
            continue
        component, frontier = {start}, [start]
        while frontier:
            new = neighbours[frontier.pop()] - component
            component |= new
            frontier.extend(new)
        seen |= component
        yield component


def _classes(groups: list[list[int]]) -> GenderClasses:
    """Classes from groups of ids. Groups 2k and 2k + 1 are counterparts."""
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


# -- surface forms ---------------------------------------------------------------------------------------------------


def surface_forms(tokenizer: PreTrainedTokenizerFast, lexicon: Lexicon) -> Iterator[SurfaceForm]:
    """Every surface form of every term pair: after a space in lower, Title and UPPER case, without a space in Title and
    UPPER case.

    Lower-case forms without a space are left out. As a token such a form is nearly always a piece of a longer word (of
    GPT-2's tokens "man", "son", "her" and "he", 0 to 10 % of the occurrences in running text are whole words), and a
    piece of a word has no gender to swap.
    """
    cases = ((" ", str), (" ", _title), (" ", str.upper), ("", _title), ("", str.upper))
    forms = [(space, case(pair.masculine), case(pair.feminine)) for pair in lexicon.pairs for space, case in cases]
    masculine_ids = _single_token_ids(tokenizer, [(space, masculine) for space, masculine, _ in forms])
    feminine_ids = _single_token_ids(tokenizer, [(space, feminine) for space, _, feminine in forms])
    for (space, masculine, feminine), masculine_id, feminine_id in zip(forms, masculine_ids, feminine_ids, strict=True):
        yield SurfaceForm(space + masculine, space + feminine, masculine_id, feminine_id)


def _single_token_ids(tokenizer: PreTrainedTokenizerFast, terms: Sequence[tuple[str, str]]) -> list[int | None]:
    """The id of each term in running text, or None if it takes several tokens. terms: (space before it, the term).

    A term is encoded after another character: at the start of a text a tokenizer may encode it differently.
    """
    contexts = {"": "(", " ": "a"}
    before = {space: tokenizer(text, add_special_tokens=False)["input_ids"] for space, text in contexts.items()}
    texts = [contexts[space] + space + term for space, term in terms]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]  # one call: thousands of calls take seconds
    return [
        ids[-1] if ids and ids[:-1] == before[space] and _reads(tokenizer, ids[-1], term) else None
        for (space, term), ids in zip(terms, encoded, strict=True)
    ]


def _reads(tokenizer: PreTrainedTokenizerFast, token_id: int, term: str) -> bool:
    """Whether a token says `term`, and is not the unknown token, or what is left of a word whose first letters the
    tokenizer drops.
    """
    return tokenizer.decode([token_id]).strip().lower() == term.lower()


def _title(term: str) -> str:
    return term[:1].upper() + term[1:]
