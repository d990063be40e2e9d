"""Shared prefixes are computed once: token sequences in; trees of them, and hidden states of a tree's tokens, out.

Sequences that begin alike are laid out as one tree in one row: every token stands behind its parent, its position is
its depth, and it attends to its ancestors only. Its hidden state is then the one it has in its own sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from distill.models.loading import num_positions

MIN_SHARED = 4  # sequences that share fewer tokens are not worth a common tree
MAX_TREE_TOKENS = 256  # attention looks at a whole tree, so that larger ones cost more than they save


@dataclass(frozen=True)
class Tree:
    """Token sequences with common beginnings. ids, parents, depths [num_tokens]: the parent of a root is -1.

    paths: by the number of a sequence, where each of its tokens stands.
    """

    ids: list[int]
    parents: list[int]
    depths: list[int]
    paths: dict[int, list[int]]


def trees(sequences: Sequence[Sequence[int]], max_tokens: int = MAX_TREE_TOKENS) -> list[Tree]:
    """All sequences, each in one tree of at most `max_tokens` tokens; one that shares nothing is a tree of its own."""
    found: list[Tree] = []
    path: list[int] = []
    previous: Sequence[int] = ()
    for number in sorted(range(len(sequences)), key=lambda number: tuple(sequences[number])):
        ids = sequences[number]
        shared = _num_shared(previous, ids)
        if shared < MIN_SHARED or len(found[-1].ids) + len(ids) - shared > max_tokens:
            found.append(Tree([], [], [], {}))
            path, shared = [], 0
        tree = found[-1]
        path = path[:shared]
        for depth in range(shared, len(ids)):
            tree.parents.append(path[-1] if path else -1)
            path.append(len(tree.ids))
            tree.ids.append(ids[depth])
            tree.depths.append(depth)
        tree.paths[number] = path
        previous = ids
    return found


def tree_states(model: PreTrainedModel, batch: Sequence[Tree]) -> Tensor:
    """The last hidden states [num_trees, longest, H] of the trees' tokens; what lies over padding is meaningless."""
    longest = max(len(tree.ids) for tree in batch)
    ids, positions = np.zeros((2, len(batch), longest), dtype=np.int64)
    visible = np.zeros((len(batch), 1, longest, longest), dtype=bool)
    for line, tree in enumerate(batch):
        size = len(tree.ids)
        ids[line, :size], positions[line, :size] = tree.ids, tree.depths
        for place, parent in enumerate(tree.parents):
            if parent >= 0:
                visible[line, 0, place] = visible[line, 0, parent]
            visible[line, 0, place, place] = True
        visible[line, 0, range(size, longest), range(size, longest)] = True  # padding sees itself: no empty softmax
    mask = torch.zeros(visible.shape, dtype=model.dtype)
    mask.masked_fill_(torch.from_numpy(~visible), torch.finfo(model.dtype).min)
    return model.base_model(
        input_ids=torch.from_numpy(ids).to(model.device),
        position_ids=torch.from_numpy(positions).to(model.device),
        attention_mask=mask.to(model.device),
        use_cache=False,
    ).last_hidden_state


@torch.inference_mode()
def can_share_prefixes(model: PreTrainedModel) -> bool:
    """Whether the model takes positions and a mask of its own, and computes with them what it computes without.

    That is tried on a tree as deep as one can be: a layer that looks back 128 tokens only, say, differs from others in
    deeper ones.
    """
    depth = min(num_positions(model) or MAX_TREE_TOKENS, MAX_TREE_TOKENS)
    if depth <= MIN_SHARED:
        return False  # no two inputs are worth a common tree
    vocabulary = model.get_input_embeddings().weight.shape[0]
    ids = np.random.default_rng(0).integers(vocabulary, size=depth)
    branch = (ids[MIN_SHARED : 3 * MIN_SHARED] + 1) % vocabulary
    probe = [ids.tolist(), [*ids[:MIN_SHARED].tolist(), *branch.tolist()]]
    (tree,) = trees(probe, sum(map(len, probe)))
    tolerance = 1e-4 if model.dtype == torch.float32 else 5e-2
    try:
        together = tree_states(model, [tree])[0]
        for number, line in enumerate(probe):
            alone = model.base_model(torch.tensor([line], device=model.device)).last_hidden_state[0].float()
            if not (together[tree.paths[number]].float() - alone).norm() <= tolerance * alone.norm():
                return False
    except Exception:  # as many ways to refuse as there are architectures
        return False
    return True


def _num_shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many first tokens are equal."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)
