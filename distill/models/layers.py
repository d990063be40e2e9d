"""The decoder layers of a model: where they are, and the model with only some of them."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from distill.models.probe import last_states, probe_ids
from distill.models.sizes import text_config

# The settings that count a decoder's layers. Of BART and its relatives the second one counts the encoder's.
LAYER_COUNTS = ("decoder_layers", "num_hidden_layers")


def layers_prefix(model: PreTrainedModel) -> str:
    """The state-dict prefix of the decoder layers, such as `transformer.h.` or `model.layers.`."""
    count = _num_layers(model.config)
    lists = [(f"{name}.", module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    lists = [(prefix, module) for prefix, module in lists if module and len(module) == count]
    read = _called_for_text(model, [module[0] for _, module in lists])
    prefixes = [prefix for prefix, module in lists if module[0] in read]  # not those of a tower for images
    outermost = [name for name in prefixes if not any(name != p and name.startswith(p) for p in prefixes)]
    if len(outermost) != 1:
        raise ValueError(
            f"cannot tell where {type(model).__name__} keeps its layers (candidates: {outermost or 'none'}); give "
            "student.config or student.checkpoint instead of student.layers"
        )
    return outermost[0]


def keep_layers(config: PretrainedConfig, layers: tuple[int, ...]) -> None:
    """Keep only these layers, in place. Settings with one entry per layer keep the entries of these layers."""
    text = text_config(config)
    count = _num_layers(config)
    for key, value in list(vars(text).items()):
        # a list of tokens, or of architectures, may be as long by chance
        if isinstance(value, list) and len(value) == count and "token" not in key and key != "architectures":
            setattr(text, key, [value[layer] for layer in layers])
    for name in LAYER_COUNTS:
        if hasattr(text, name):
            setattr(text, name, len(layers))


@contextlib.contextmanager
def only_layers(model: PreTrainedModel, layers: tuple[int, ...], prefix: str) -> Iterator[None]:
    """Within this context the model has only these of its layers, in this order.

    prefix: of `layers_prefix`. The modules around the layers look up in their configurations how many there are.
    """
    *above, name = prefix[:-1].split(".")
    modules = [model.get_submodule(".".join(above[:depth])) for depth in range(len(above) + 1)]
    configs = [getattr(module, "config", None) for module in modules]
    whole = getattr(modules[-1], name)
    try:
        setattr(modules[-1], name, nn.ModuleList([whole[layer] for layer in layers]))
        for module, config in zip(modules, configs, strict=True):
            if config is not None:
                module.config = copy.deepcopy(config)
                keep_layers(module.config, layers)
        yield
    finally:
        setattr(modules[-1], name, whole)
        for module, config in zip(modules, configs, strict=True):
            if config is not None:
                module.config = config


def _num_layers(config: PretrainedConfig) -> int | None:
    """How many layers the decoder has, or None if the configuration does not say."""
    counts = (getattr(text_config(config), name, None) for name in LAYER_COUNTS)
    return next((count for count in counts if count is not None), None)


@torch.no_grad()
def _called_for_text(model: PreTrainedModel, modules: Sequence[nn.Module]) -> set[nn.Module]:
    """Those of the modules that the model calls when it reads text."""
    called: set[nn.Module] = set()
    hooks = [module.register_forward_pre_hook(lambda module, _: called.add(module)) for module in modules]
    try:
        last_states(model, probe_ids(model))
    finally:
        for hook in hooks:
            hook.remove()
    return called
