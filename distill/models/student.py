"""Build the student: from the teacher's layers, from random weights, or from a checkpoint."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from distill.config import StudentConfig
from distill.models.checks import check_causal_lm
from distill.models.loading import load_causal_lm, set_dropout
from distill.models.reached_weights import freeze_unreached


def build_student(
    config: StudentConfig, teacher: PreTrainedModel | None, tokenizer: PreTrainedTokenizerFast
) -> PreTrainedModel:
    """The student, in float32 and training mode. Weights that no text reaches are frozen.

    Random weights come from torch's global generator, so seed it first. Raises ValueError when the sizes do not fit.
    """
    if config.layers is not None:
        assert teacher is not None  # the configuration has been validated
        student = student_from_layers(teacher, config.layers, config.dropout)
    elif config.config is not None:
        student = _random_student(config.config, config.dropout, tokenizer)
    else:
        student = load_causal_lm(str(config.checkpoint), "float32", dropout=config.dropout)
    freeze_unreached(student, "student")
    return student.train()


def student_from_layers(teacher: PreTrainedModel, layers: tuple[int, ...], dropout: float = 0.0) -> PreTrainedModel:
    """A float32 model of the teacher's architecture with only these of its layers, in the given order.

    Embeddings, final norm and output layer are copied too. Raises ValueError for a layer that does not exist, or if the
    result does not compute what these layers compute in the teacher.
    """
    num_layers = teacher.config.num_hidden_layers
    if not layers or max(layers) >= num_layers:
        raise ValueError(f"student.layers = {list(layers)}, but the teacher has layers 0 to {num_layers - 1}")
    config = _config_of_layers(teacher.config, layers)
    config.dtype = torch.float32
    is_tied = teacher.get_output_embeddings().weight is teacher.get_input_embeddings().weight
    for part in (config, config.get_text_config()):  # whatever it says: the checkpoint may have an output layer
        part.tie_word_embeddings = is_tied
    set_dropout(config, dropout)
    student = AutoModelForCausalLM.from_config(config).float()
    student.generation_config = copy.deepcopy(teacher.generation_config)

    prefix = _layers_prefix(teacher)
    weights = {}
    for name, weight in teacher.state_dict().items():
        inside = re.match(re.escape(prefix) + r"(\d+)\.(.*)", name)
        if inside is None:
            weights[name] = weight
        else:
            for index, layer in enumerate(layers):
                if int(inside[1]) == layer:
                    weights[f"{prefix}{index}.{inside[2]}"] = weight
    student.load_state_dict(weights, strict=True)
    _check_layers(teacher, student, layers)
    return student


def _random_student(
    source: str | dict[str, Any], dropout: float, tokenizer: PreTrainedTokenizerFast
) -> PreTrainedModel:
    """A float32 model with random weights. source: a folder, a config.json or a dict of settings."""
    if isinstance(source, dict):
        settings = dict(source)
        default = AutoConfig.for_model(settings["model_type"]) if "model_type" in settings else None
        unknown = [key for key in settings if default is not None and not hasattr(default, key)]
        if unknown:
            raise ValueError(
                f"student.config: {settings['model_type']} has no setting {', '.join(unknown)}; correct the name"
            )
    else:
        settings = read_settings(source)
    if "model_type" not in settings:
        raise ValueError("student.config has no model_type; name the architecture, e.g. model_type: gpt2")
    settings.setdefault("vocab_size", len(tokenizer))
    for token in ("bos", "eos"):  # not pad: the embedding of a pad token stays 0, and often EOS is the pad token
        settings[f"{token}_token_id"] = getattr(tokenizer, f"{token}_token_id")
    try:
        config = AutoConfig.for_model(**settings)
        config.dtype = torch.float32
        set_dropout(config, dropout)
        student = AutoModelForCausalLM.from_config(config)
    except Exception as error:
        # each architecture refuses settings in its own way
        raise ValueError(f"student.config does not make a model: {' '.join(str(error).split())}") from error
    check_causal_lm(student, "student.config")
    return student


def read_settings(source: str) -> dict[str, Any]:
    """The settings in a model's config.json; source: that file or its folder. Raises FileNotFoundError, ValueError."""
    path = Path(source) / "config.json" if Path(source).is_dir() else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"student.config: {path} does not exist; give a folder with a config.json, or settings")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"student.config: {path} is not JSON ({error}); repair it") from error


def _config_of_layers(config: PretrainedConfig, layers: tuple[int, ...]) -> PretrainedConfig:
    """The configuration with only these layers. Settings with one entry per layer keep the entries of these layers."""
    config = copy.deepcopy(config)
    num_layers = config.num_hidden_layers
    for key, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == num_layers:
            setattr(config, key, [value[layer] for layer in layers])
    config.num_hidden_layers = len(layers)
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights have been dequantised
    return config


@torch.no_grad()
def _check_layers(teacher: PreTrainedModel, student: PreTrainedModel, layers: tuple[int, ...]) -> None:
    """Raise ValueError unless the student computes what the teacher computes without its other layers.

    That fails if layers depend on their place, as with alternating attention or scaling by depth.
    """
    path, _, name = _layers_prefix(teacher)[:-1].rpartition(".")
    parent, config = teacher.get_submodule(path), teacher.config
    whole = getattr(parent, name)
    probe = torch.tensor([[0, 1, 2]], device=teacher.device)
    training = student.training
    student.eval()
    try:
        setattr(parent, name, nn.ModuleList([whole[layer] for layer in layers]))
        for module in (teacher, teacher.base_model, parent):
            module.config = student.config
        theirs = teacher.base_model(probe, use_cache=False).last_hidden_state.float()
    finally:
        setattr(parent, name, whole)
        for module in (teacher, teacher.base_model, parent):
            module.config = config
    mine = student.base_model(probe.to(student.device), use_cache=False).last_hidden_state.float()
    student.train(training)
    tolerance = 1e-3 if teacher.dtype == torch.float32 else 0.05
    if (mine - theirs.to(mine.device)).norm() > tolerance * mine.norm():
        raise ValueError(
            f"student.layers: the layers of {type(teacher).__name__} depend on their place, so a subset of them is not "
            "a model; give student.config or student.checkpoint"
        )


def _layers_prefix(model: PreTrainedModel) -> str:
    """The state-dict prefix of the decoder layers, such as `transformer.h.` or `model.layers.`."""
    prefixes = [
        f"{name}."
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers
    ]
    outermost = [name for name in prefixes if not any(name != p and name.startswith(p) for p in prefixes)]
    if len(outermost) != 1:
        raise ValueError(
            f"cannot tell where {type(model).__name__} keeps its layers (candidates: {outermost or 'none'}); give "
            "student.config or student.checkpoint instead of student.layers"
        )
    return outermost[0]
