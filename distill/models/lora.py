"""LoRA: train a small adapter in the teacher's own layers; the frozen base under it stays the teacher.

There is one model in memory. It is the student, and with its adapter switched off (`as_teacher`) it is the teacher,
bit for bit. Embeddings and output layer have no adapter, so both share them. The `peft` library puts the adapter in.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from augment.command_line import in_one_line
from distill.hub import hub_name
from distill.model_config import LoraConfig

ADAPTER = "default"  # peft's name for a model's only adapter


def add_adapter(model: PreTrainedModel, config: LoraConfig) -> PreTrainedModel:
    """Put an adapter into a frozen model, in place, and return the same model. At first it changes no prediction.

    Only the adapter is trained, in float32 even if the base is in bfloat16. Its random half comes from torch's global
    generator. Raises ValueError if peft is not installed, if no layer has the names in `targets`, or if they reach into
    embeddings or output layer.
    """
    try:
        import peft
        from peft.tuners.tuners_utils import cast_adapter_dtype
    except ImportError as error:
        raise ValueError("student.lora needs the peft package: pip install 'evenhand[lora]'") from error
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.targets if isinstance(config.targets, str) else list(config.targets),
        task_type="CAUSAL_LM",
    )
    shown = f"student.lora.targets = {config.targets if isinstance(config.targets, str) else list(config.targets)}"
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # on GPT-2's transposed weights, and ties
            peft.inject_adapter_in_model(settings, model, ADAPTER)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(f"{shown}: {in_one_line(error)}; name linear layers of {type(model).__name__}") from error
    for kind, layer in (("input", model.get_input_embeddings()), ("output", model.get_output_embeddings())):
        if layer in _adapted(model).values():
            raise ValueError(f"{shown} reach into the {kind} embeddings, which stay the teacher's; leave them out")
    cast_adapter_dtype(model, ADAPTER)
    return model


def has_adapter(model: nn.Module) -> bool:
    """Whether the model has an adapter."""
    return hasattr(model, "peft_config")


@contextlib.contextmanager
def as_teacher(model: PreTrainedModel) -> Iterator[None]:
    """Within this context a teacher is read, without gradients.

    A model with an adapter is then its frozen base, without dropout.
    """
    if not has_adapter(model):
        with torch.inference_mode():
            yield
        return
    layers, others = _split(model)
    training = [module for module in others if module.training]
    for module in training:
        module.training = False
    _switch(layers, False)
    try:
        with torch.no_grad():  # not inference_mode: FSDP gathers weights into tensors that the student uses next
            yield
    finally:
        _switch(layers, True)
        for module in training:
            module.training = True


def _split(model: nn.Module) -> tuple[list[Any], list[nn.Module]]:
    """The layers that have an adapter, and all modules outside of them. This is done in every step, so it is quick."""
    from peft.tuners.lora import LoraLayer

    layers, others, left = [], [], [model]
    while left:
        module = left.pop()
        if isinstance(module, LoraLayer):
            layers.append(module)
        else:
            others.append(module)
            left += module.children()
    return layers, others


def _switch(layers: list[Any], on: bool) -> None:
    """Switch adapters on or off. peft changes which weights are trained, on which DDP and FSDP rely: undo that."""
    halves = [half[ADAPTER].weight for layer in layers for half in (layer.lora_A, layer.lora_B)]
    weights = [(weight, weight.requires_grad) for weight in halves]
    for layer in layers:
        layer.enable_adapters(on)
    for weight, is_trained in weights:
        weight.requires_grad_(is_trained)


def _adapted(model: PreTrainedModel) -> dict[str, Any]:
    """The layers that have an adapter, by their names in the model without compiled layers."""
    from peft.tuners.lora import LoraLayer

    modules = model.named_modules()
    return {name.replace("_orig_mod.", ""): module for name, module in modules if isinstance(module, LoraLayer)}


# -- what a run leaves -----------------------------------------------------------------------------------------------


def merged(student: PreTrainedModel, weights: dict[str, Tensor]) -> tuple[PreTrainedModel, dict[str, Tensor]]:
    """A plain float32 model without values, and its weights: base plus adapter, W + alpha / rank * B A (Hu et al. 2021,
    arXiv 2106.09685, section 4.1).

    weights: all of the student's, by their names in it. They stay as they are.
    """
    plain = {name.replace(".base_layer.", "."): w.float() for name, w in weights.items() if ".lora_" not in name}
    for name, layer in _adapted(student).items():
        low, high = (weights[f"{name}.lora_{half}.{ADAPTER}.weight"].float() for half in "AB")
        change = layer.scaling[ADAPTER] * (high @ low)
        plain[f"{name}.weight"] = plain[f"{name}.weight"] + (change.T if layer.fan_in_fan_out else change)
    config = copy.deepcopy(student.config)
    config.dtype = torch.float32
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    model.generation_config = copy.deepcopy(student.generation_config)
    return model, plain


def write_adapter(folder: Path, student: PreTrainedModel, weights: dict[str, Tensor], teacher: str) -> None:
    """Write an adapter into a new folder, for `peft.PeftModel.from_pretrained(model, folder)`.

    weights: all of the student's, by their names in it. teacher: where its base was loaded from. Raises OSError.
    """
    from peft import get_peft_model_state_dict

    settings = copy.copy(student.peft_config[ADAPTER])
    hub = hub_name(teacher)
    settings.base_model_name_or_path, settings.inference_mode = hub.name if hub else teacher, True
    settings.revision = hub.revision if hub else None
    settings.target_modules = sorted(settings.target_modules)
    settings.save_pretrained(str(folder))
    own = get_peft_model_state_dict(student, weights, ADAPTER, save_embedding_layers=False)
    tensors = {f"base_model.model.{name}": weight.contiguous() for name, weight in own.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
