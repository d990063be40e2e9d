"""Which weights does text reach? A model may have others: towers for images, biases that only a router sets.

They get no gradient. DDP waits for it in vain, and an optimizer holds no state for them.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor
from transformers import PreTrainedModel

from distill.models.probe import last_states, probe_ids, probing


def freeze_unreached(model: PreTrainedModel, name: str) -> None:
    """Take the weights that no text reaches out of training, in place (requires_grad False).

    Layers and experts of one kind count together, because a few tokens do not reach every expert.
    """
    with probing(model, name):
        reached = _reached(model, probe_ids(model))
    kinds = {_kind(key) for key, weight in model.named_parameters(remove_duplicate=False) if id(weight) in reached}
    frozen = {id(w) for key, w in model.named_parameters(remove_duplicate=False) if _kind(key) not in kinds} - reached
    for weight in model.parameters():
        if id(weight) in frozen:
            weight.requires_grad_(False)


def reaches_all(model: PreTrainedModel) -> bool:
    """Whether every input reaches every trained weight. False if tokens are routed to experts with own weights."""
    with probing(model, "student"):
        reached = _reached(model, probe_ids(model)[:, :1])
    return all(id(weight) in reached for weight in model.parameters() if weight.requires_grad)


def _reached(model: PreTrainedModel, ids: Tensor) -> set[int]:
    """The ids of the parameters that the logits on these tokens depend on, found in the graph of gradients."""
    with torch.enable_grad():
        logits = model.get_output_embeddings()(last_states(model, ids))
    reached: set[int] = set()
    seen, open_nodes = set(), [logits.grad_fn]
    while open_nodes:
        node = open_nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        open_nodes += [following for following, _ in node.next_functions]
        if hasattr(node, "variable"):
            reached.add(id(node.variable))
    return reached


def _kind(name: str) -> str:
    """A parameter's name without the numbers of its layer and expert."""
    return re.sub(r"\d+", "N", name)
