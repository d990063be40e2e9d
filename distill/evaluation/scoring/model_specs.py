"""The models named on a command line (`folder`, `hub-name`, `label=path`), and how each is loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

import torch

from distill.evaluation.config import EvalConfig, ScoringConfig
from distill.evaluation.scoring.prefix_sharing import can_share_prefixes
from distill.evaluation.scoring.scorer import Scorer, start_token
from distill.models.gpu_operations import use_gpu_operations
from distill.models.loading import (
    check_vocabulary,
    load_causal_lm,
    load_text_classifier,
    load_tokenizer,
    names_classifier,
)


@dataclass(frozen=True)
class ModelSpec:
    """A model to evaluate: its unique label, its folder or hub name, and the GGUF file in that folder, if any."""

    label: str
    path: str
    gguf_file: str | None = None


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide command-line words into models and `key.sub=value` overrides.

    A word with `=` is an override if its first key is a section of the configuration, or if it cannot be a labelled
    model (its name is dotted, and its value is no local path). Otherwise it is `label=path`.
    """
    sections = set(get_type_hints(EvalConfig))
    models, overrides = [], []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        known = key.split(".")[0] in sections
        if equals and "/" not in key and (known or ("." in key and not Path(value).exists())):
            overrides.append(argument)
        else:
            models.append(argument)
    return models, overrides


def parse_models(arguments: Sequence[str]) -> list[ModelSpec]:
    """One ModelSpec per word; a run folder of train.py stands for its student/.

    Raises ValueError if no model is named, or if two have the same label.
    """
    if not arguments:
        raise ValueError("no model given; name at least one folder or hub name, e.g. evenhand eval runs/student")
    specs = [_parse_model(argument) for argument in arguments]
    labels = [spec.label for spec in specs]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"two models have the label {label!r}; give them labels: first=PATH second=PATH")
    names = [examples_name(label) for label in labels]
    for label, name in zip(labels, names, strict=True):
        if names.count(name) > 1:
            raise ValueError(f"the label {label!r} differs from another one in special characters only; rename one")
    return specs


def examples_name(label: str) -> str:
    """The stem of the file that holds a model's per-example records."""
    return f"examples-{file_name(label)}"


def file_name(label: str) -> str:
    """A label as a file name: letters, digits, dots, dashes and underscores only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip(".-") or "model"


def load_scorer(spec: ModelSpec, config: ScoringConfig) -> Scorer:
    """Load the model in eval mode onto its device, with its tokenizer.

    It is a causal language model, or a text classifier if its config.json says so. Raises FileNotFoundError or
    ValueError if either is missing, if they do not fit, or if the device does not exist.
    """
    tokenizer = load_tokenizer(spec.path, spec.gguf_file)
    is_classifier = names_classifier(spec.path)
    model = (
        load_text_classifier(spec.path, config.dtype)
        if is_classifier
        else load_causal_lm(spec.path, config.dtype, spec.gguf_file)
    )
    check_vocabulary(model, tokenizer, spec.label)
    try:
        model.to(device_named(config.device))
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"scoring.device = {config.device!r}: {' '.join(str(error).split())[:200]}") from error
    if model.device.type == "cuda":
        use_gpu_operations(model)
    start_id = start_token(tokenizer, config.start_token) if config.bos else None
    shares_prefixes = not is_classifier and can_share_prefixes(model)
    return Scorer(spec.label, model, tokenizer, start_id, config.max_batch_tokens, shares_prefixes)


def _parse_model(argument: str) -> ModelSpec:
    label, equals, path = argument.partition("=")
    if not equals or "/" in label:
        label, path = "", argument
    if not path:
        raise ValueError(f"model {argument!r} has no path; write label=PATH")
    local = Path(path).expanduser()
    label = label or local.name or local.resolve().name
    if (local / "student").is_dir():
        return ModelSpec(label, str(local / "student"))
    if local.name.endswith(".gguf"):
        return ModelSpec(label, str(local.parent), local.name)
    gguf_files = sorted(local.glob("*.gguf")) if not (local / "config.json").exists() else []
    if len(gguf_files) == 1:
        return ModelSpec(label, str(local), gguf_files[0].name)
    return ModelSpec(label, str(local) if local.exists() else path)


def device_named(name: str) -> torch.device:
    """The device that `scoring.device` names; `auto` is an accelerator that has what is needed, or the CPU."""
    if name != "auto":
        return torch.device(name)
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    lacks_float64 = accelerator is not None and accelerator.type == "mps"
    return torch.device("cpu") if accelerator is None or lacks_float64 else accelerator
