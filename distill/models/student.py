"""Build the student: from the teacher's layers, from random weights, or from a checkpoint."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from augment.command_line import in_one_line
from augment.files.lfs import check_is_no_pointer
from distill.config import StudentConfig
from distill.models.checks import check_causal_lm, check_reload
from distill.models.layers import keep_layers, layers_prefix, only_layers
from distill.models.loading import load_causal_lm, num_token_ids, set_dropout
from distill.models.logit_transform import check_head
from distill.models.lora import add_adapter
from distill.models.probe import last_states, max_change, probe_ids, probing
from distill.models.reached_weights import freeze_unreached
from distill.models.sizes import text_config


def build_student(
    config: StudentConfig, teacher: PreTrainedModel | None, tokenizer: PreTrainedTokenizerFast
) -> PreTrainedModel:
    """The student, in float32 and training mode. Weights that no text reaches are frozen.

    With config.lora it is the teacher itself, whose base keeps its dtype. Random weights come from torch's global
    generator, so seed it first. Raises ValueError when the sizes do not fit.
    """
    if config.layers is not None:
        assert teacher is not None  # the configuration has been validated
        assert config.layers != "auto"  # a list is in its place
        lora, layers = config.lora, config.layers
        student = add_adapter(teacher, lora) if lora else student_from_layers(teacher, layers, config.dropout)
    elif config.config is not None:
        student = _random_student(config.config, config.dropout, tokenizer)
    else:
        student = load_causal_lm(str(config.checkpoint), "float32", dropout=config.dropout)
    freeze_unreached(student, "student")
    return student.train()


def student_from_layers(
    teacher: PreTrainedModel, layers: tuple[int, ...] | Literal["all"], dropout: float = 0.0
) -> PreTrainedModel:
    """A float32 model of the teacher's architecture with only these of its layers, in the given order, or all of them.

    Embeddings, final norm and output layer are copied too. Raises ValueError for a layer that does not exist, or if the
    result does not compute what these layers compute in the teacher, or cannot be used like other models.
    """
    if layers == "all":
        name, remedy = "student.layers = all", "give student.config or student.checkpoint"
        student = _copy(teacher, dropout)
    else:
        name = f"student.layers = {list(layers)}"
        remedy = "choose other layers, or give student.config or student.checkpoint"
        student = _copy_of_layers(teacher, layers, dropout)
    check_head(student, name, remedy)
    check_reload(student, name, remedy)
    return student


def _copy(teacher: PreTrainedModel, dropout: float) -> PreTrainedModel:
    """A float32 copy of the whole teacher. Raises ValueError if it is not the same model."""
    config = copy.deepcopy(teacher.config)
    set_dropout(config, dropout)
    student = _new_model(teacher, config)
    with probing(student, "student.layers = all"), torch.no_grad():
        student.load_state_dict(teacher.state_dict(), strict=True)
        ids = probe_ids(teacher)
        same = _are_close(last_states(student, ids.to(student.device)), last_states(teacher, ids), teacher.dtype)
    if not same:
        raise ValueError(
            f"student.layers = all: a {type(teacher).__name__} that is built anew from the teacher's configuration "
            "computes something else; give student.checkpoint"
        )
    return student


def _new_model(teacher: PreTrainedModel, config: PretrainedConfig) -> PreTrainedModel:
    """A float32 model with this configuration (changed in place) and the teacher's ties; its weights are random."""
    is_tied = teacher.get_output_embeddings().weight is teacher.get_input_embeddings().weight
    for part in (config, text_config(config)):  # whatever it says: the checkpoint may have an output layer
        part.tie_word_embeddings = is_tied
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights have been dequantised
    config.dtype = torch.float32
    model = AutoModelForCausalLM.from_config(config).float()
    model.generation_config = copy.deepcopy(teacher.generation_config)
    return model


def _copy_of_layers(teacher: PreTrainedModel, layers: tuple[int, ...], dropout: float) -> PreTrainedModel:
    """A float32 copy of the teacher with these layers. Raises ValueError if they do not make a model of their own."""
    prefix = layers_prefix(teacher)
    count = len(teacher.get_submodule(prefix[:-1]))
    if not layers or max(layers) >= count:
        raise ValueError(f"student.layers = {list(layers)}, but the teacher has layers 0 to {count - 1}")
    config = copy.deepcopy(teacher.config)
    set_dropout(config, dropout)
    try:
        keep_layers(config, layers)
        student = _new_model(teacher, config)
        _copy_weights(teacher, student, layers, prefix)
        _check_layers(teacher, student, layers, prefix)
    except Exception as error:  # settings that count layers or name them by number do not fit any more
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "  # a KeyError says the key only
        raise ValueError(
            f"student.layers = {list(layers)}: the layers of {type(teacher).__name__} depend on their place, so a "
            f"subset of them is not a model ({kind}{in_one_line(error)}); give student.config or student.checkpoint"
        ) from error
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
    settings.setdefault("vocab_size", num_token_ids(tokenizer))
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
    check_reload(student, "student.config")
    return student


def read_settings(source: str) -> dict[str, Any]:
    """The settings in a model's config.json; source: that file or its folder. Raises FileNotFoundError, ValueError."""
    path = Path(source) / "config.json" if Path(source).is_dir() else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"student.config: {path} does not exist; give a folder with a config.json, or settings")
    check_is_no_pointer(path, "student.config")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"student.config: {path} is not JSON ({error}); repair it") from error


def _copy_weights(teacher: PreTrainedModel, student: PreTrainedModel, layers: tuple[int, ...], prefix: str) -> None:
    """Copy the teacher's weights, each layer's to its new place. Raises ValueError unless they are all of them."""
    weights = {}
    for name, weight in teacher.state_dict().items():
        inside = re.match(re.escape(prefix) + r"(\d+)\.(.*)", name)
        if inside is None:
            weights[name] = weight
        else:
            for index, layer in enumerate(layers):
                if int(inside[1]) == layer:
                    weights[f"{prefix}{index}.{inside[2]}"] = weight
    theirs, mine = ({name: w.shape for name, w in state.items()} for state in (weights, student.state_dict()))
    for name in sorted({*theirs, *mine}):
        if theirs.get(name) != mine.get(name):
            inside = re.match(re.escape(prefix) + r"(\d+)\.", name)
            place = int(inside[1]) if inside else len(layers)
            moved = f"layer {layers[place]} as layer {place}: " if place < len(layers) else ""
            has, needs = (list(shapes.get(name, ())) or "missing" for shapes in (theirs, mine))
            raise ValueError(f"{moved}{name} is {has}, but would have to be {needs}")
    student.load_state_dict(weights, strict=True)


@torch.no_grad()
def _check_layers(teacher: PreTrainedModel, student: PreTrainedModel, layers: tuple[int, ...], prefix: str) -> None:
    """Raise ValueError unless the student computes what the teacher computes without its other layers.

    That fails if layers depend on their place, as with alternating attention or scaling by depth.
    """
    whole = teacher.get_submodule(prefix[:-1])
    probe, training = probe_ids(teacher), student.training
    student.eval()
    with only_layers(teacher, layers, prefix):
        theirs = last_states(teacher, probe)
    same = _are_close(last_states(student, probe.to(student.device)), theirs, teacher.dtype)
    told, told_here = (_numbers_told(teacher, whole), _numbers_told(student, student.get_submodule(prefix[:-1])))
    student.train(training)
    if not same or told_here != [told[layer] for layer in layers]:
        raise ValueError("they compute something else in another place")


def _are_close(mine: Tensor, theirs: Tensor, dtype: torch.dtype) -> bool:
    """Whether states are the same but for rounding. dtype: in which the teacher computed `theirs`."""
    mine = mine.float()
    return bool((mine - theirs.to(mine.device).float()).norm() <= max_change(dtype) * mine.norm())


def _numbers_told(model: PreTrainedModel, layers: nn.ModuleList) -> list[list[int]]:
    """The numbers that a model gives to each of its layers when it calls them, such as the layer's place."""
    told: dict[nn.Module, list[int]] = {}

    def keep(layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        told[layer] = [value for value in (*arguments, *named.values()) if type(value) is int]

    hooks = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in layers]
    try:
        last_states(model, probe_ids(model))
    finally:
        for hook in hooks:
            hook.remove()
    return [told.get(layer, []) for layer in layers]
