"""Let a model compute the same with operations that are fast on a GPU. Its configuration and weights stay as they are.

GPT-2's GELU becomes one kernel instead of eight passes over float32. Attention no longer looks at the position ids in
every forward pass, for which the host would wait for the GPU. Grouped keys and values are repeated where a GPU has no
fast attention for groups: it would hold a table of T x T for each head.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.activations import NewGELUActivation
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from distill.models.probe import last_states, probe_ids, probing

CAUSAL, MASKED = "evenhand_causal", "evenhand_masked"  # with MASKED, transformers makes masks as for sdpa
TOLERANCE = 1e-4


def use_gpu_operations(model: PreTrainedModel, seq_len: int | None = None) -> None:
    """Let a model use these operations from now on, in place.

    seq_len: the longest row without padding that the model will read, if it reads nothing else and is on the CPU; then
    attention makes no masks, unless the model needs them for such rows (for a sliding window, for example).
    """
    _fuse_gelu(model)
    if model.config._attn_implementation != "sdpa":
        return
    model.set_attn_implementation(MASKED)
    if seq_len is None:
        return
    ids = probe_ids(model, seq_len)
    with probing(model, type(model).__name__), torch.no_grad():
        masked = last_states(model, ids).float()
        model.set_attn_implementation(CAUSAL)
        if not (last_states(model, ids).float() - masked).norm() <= TOLERANCE * masked.norm():
            model.set_attn_implementation(MASKED)


def _fuse_gelu(model: nn.Module) -> None:
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, nn.GELU(approximate="tanh"))  # the same formula


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """transformers' sdpa attention, but with repeated keys and values where no fast kernel reads groups of them."""
    groups = getattr(module, "num_key_value_groups", 1)
    stands_in: Any = module
    if groups > 1 and not _has_grouped_kernel(query):
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)
        stands_in = SimpleNamespace(is_causal=getattr(module, "is_causal", True))
    return sdpa_attention_forward(stands_in, query, key, value, attention_mask, **options)


def _has_grouped_kernel(query: Tensor) -> bool:
    """Flash attention reads groups. It takes half precision only, and GPUs from Ampere on."""
    half = query.is_cuda and query.dtype != torch.float32
    return half and torch.cuda.get_device_capability(query.device) >= (8, 0)


for _name in (CAUSAL, MASKED):
    AttentionInterface.register(_name, _attention)
AttentionMaskInterface.register(MASKED, sdpa_mask)
