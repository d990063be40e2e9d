"""The student: a teacher, settings or a path in; a trainable float32 model out."""

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
from distill.models.loading import check_head, load_causal_lm, set_dropout


def build_student(
    config: StudentConfig, teacher: PreTrainedModel | None, tokenizer: PreTrainedTokenizerFast
) -> PreTrainedModel:
    """The student in float32: from the teacher's layers, from a configuration with random weights, or a checkpoint.

    Random weights come from torch's global generator: seed it before. Raises ValueError when the sizes do not fit.
    """
    if config.layers is not None:
        assert teacher is not None  # the configuration has been validated
        student = student_from_layers(teacher, config.layers, config.dropout)
    elif config.config is not None:
        student = _random_student(config.config, config.dropout, tokenizer)
    else:
        student = load_causal_lm(str(config.checkpoint), "float32", dropout=config.dropout)
    return student.train()


def student_from_layers(teacher: PreTrainedModel, layers: tuple[int, ...], dropout: float = 0.0) -> PreTrainedModel:
    """A float32 model of the teacher's architecture that keeps only `layers` of it, in the given order.

    Embeddings, final norm and output head are the teacher's. Raises ValueError for a layer that does not exist.
    """
    num_layers = teacher.config.num_hidden_layers
    if not layers or max(layers) >= num_layers:
        raise ValueError(f"student.layers = {list(layers)}, but the teacher has layers 0 to {num_layers - 1}")
    config = _config_of_layers(teacher.config, layers)
    config.dtype = torch.float32
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
    """Random float32 weights for the architecture in a folder, a config.json or a dict of settings."""
    if isinstance(source, dict):
        settings = dict(source)
        default = AutoConfig.for_model(settings["model_type"]) if "model_type" in settings else None
        unknown = [key for key in settings if default is not None and not hasattr(default, key)]
        if unknown:
            raise ValueError(
                f"student.config: {settings['model_type']} has no setting {', '.join(unknown)}; mind the name"
            )
    else:
        settings = read_settings(source)
    if "model_type" not in settings:
        raise ValueError("student.config has no model_type; name the architecture, e.g. model_type: gpt2")
    settings.setdefault("vocab_size", len(tokenizer))
    for token in ("bos", "eos"):  # not pad: where it is EOS too, an embedding row that must be learned would stay 0
        settings[f"{token}_token_id"] = getattr(tokenizer, f"{token}_token_id")
    try:
        config = AutoConfig.for_model(**settings)
        config.dtype = torch.float32
        set_dropout(config, dropout)
        student = AutoModelForCausalLM.from_config(config)
    except Exception as error:
        # each architecture has its own way of refusing settings
        raise ValueError(f"student.config does not make a model: {' '.join(str(error).split())}") from error
    check_head(student, "student.config")
    return student


def read_settings(source: str) -> dict[str, Any]:
    """The settings of a model: a folder with a config.json, or such a file. Raises FileNotFoundError or ValueError."""
    path = Path(source) / "config.json" if Path(source).is_dir() else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"student.config: {path} does not exist; give a folder with a config.json, or settings")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"student.config: {path} is not JSON ({error}); mend it") from error


def _config_of_layers(config: PretrainedConfig, layers: tuple[int, ...]) -> PretrainedConfig:
    """The configuration with only these layers: settings that are lists of one entry per layer shrink with them."""
    config = copy.deepcopy(config)
    num_layers = config.num_hidden_layers
    for key, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == num_layers:
            setattr(config, key, [value[layer] for layer in layers])
    config.num_hidden_layers = len(layers)
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are dequantised by now
    return config


@torch.no_grad()
def _check_layers(teacher: PreTrainedModel, student: PreTrainedModel, layers: tuple[int, ...]) -> None:
    """Raise ValueError unless the student computes what the teacher's own layers do when the others are taken out.

    An architecture whose layers know their place (alternating attention, scaling by depth) may not.
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
            f"student.layers: {type(teacher).__name__} has layers that compute something else in another place, so a "
            "subset of them is not a model; give student.config or student.checkpoint"
        )


def _layers_prefix(model: PreTrainedModel) -> str:
    """The state-dict prefix of the decoder layers, such as `transformer.h.` or `model.layers.`."""
    found = [
        f"{name}."
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers
    ]
    outermost = [name for name in found if not any(name != other and name.startswith(other) for other in found)]
    if len(outermost) != 1:
        raise ValueError(
            f"cannot tell where {type(model).__name__} keeps its layers (candidates: {outermost or 'none'}); give "
            "student.config or student.checkpoint in place of student.layers"
        )
    return outermost[0]
