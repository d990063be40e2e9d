"""Compute a shared beginning of token sequences once: the sequences form a tree, which the model reads as one row.

In the row, every token stands behind its parent. Its position id is its depth, and it attends to its ancestors only.
So its hidden state is the same as in its own sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from distill.models.sizes import num_ids_of, num_positions

MIN_SHARED = 4  # sequences that share fewer tokens are not worth a common tree
MAX_TREE_TOKENS = 256  # attention looks at the whole tree: a larger one costs more than it saves


@dataclass(frozen=True)
class Tree:
    """Token sequences with common beginnings, as one row of tokens.

    ids, parents, depths: [num_tokens]; the parent of a root is -1. paths: by the index of a sequence, the places of its
    tokens in the row.
    """

    ids: list[int]
    parents: list[int]
    depths: list[int]
    paths: dict[int, list[int]]


def trees(sequences: Sequence[Sequence[int]], max_tokens: int = MAX_TREE_TOKENS) -> list[Tree]:
    """Put every sequence into a tree of at most `max_tokens` tokens; one that shares nothing has a tree of its own."""
    grown: list[Tree] = []
    path: list[int] = []
    previous: Sequence[int] = ()
    for number in sorted(range(len(sequences)), key=lambda number: tuple(sequences[number])):
        ids = sequences[number]
        shared = num_shared(previous, ids)
        if shared < MIN_SHARED or len(grown[-1].ids) + len(ids) - shared > max_tokens:
            grown.append(Tree([], [], [], {}))
            path, shared = [], 0
        tree = grown[-1]
        path = path[:shared]
        for depth in range(shared, len(ids)):
            tree.parents.append(path[-1] if path else -1)
            path.append(len(tree.ids))
            tree.ids.append(ids[depth])
            tree.depths.append(depth)
        tree.paths[number] = path
        previous = ids
    return grown


def tree_states(model: PreTrainedModel, batch: Sequence[Tree]) -> Tensor:
    """The last hidden states [num_trees, longest, H] of the trees' tokens; those of the padding mean nothing."""
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
    """Whether the model accepts our position ids and mask, and computes the same with them as without.

    It is tried on the deepest possible tree, because a layer that looks back 128 tokens only, for example, shows that
    in deep trees alone.
    """
    depth = min(num_positions(model) or MAX_TREE_TOKENS, MAX_TREE_TOKENS)
    if depth <= MIN_SHARED:
        return False  # inputs are too short to be worth a common tree
    vocabulary = num_ids_of(model)
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
    except Exception:  # every architecture refuses in its own way
        return False
    return True


def num_shared(first: Sequence[int], second: Sequence[int]) -> int:
    """The length of the common beginning."""
    shorter = min(len(first), len(second))
    return next((place for place in range(shorter) if first[place] != second[place]), shorter)
