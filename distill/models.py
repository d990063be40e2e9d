"""Models: paths in; a tokenizer, a frozen teacher, a trainable student out.

Any causal LM of transformers whose logits are its output embeddings applied to its last hidden state will do; GPT-2 and
Llama-type models are tested. A model that does more than that is refused when it is loaded.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from distill.config import RunConfig, StudentConfig, TeacherConfig

DROPOUT_KEYS = ("attn_pdrop", "embd_pdrop", "resid_pdrop", "attention_dropout", "hidden_dropout", "dropout")


# -- loading ---------------------------------------------------------------------------------------------------------


def load_tokenizer(path: str, gguf_file: str | None = None) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a local folder or hub name.

    Raises FileNotFoundError when there is none and ValueError when it is empty or not a fast one (alignment needs its
    character offsets).
    """
    options = {"gguf_file": gguf_file} if gguf_file else {}
    tokenizer = _from_pretrained(AutoTokenizer, path, "tokenizer", **options)
    if not tokenizer.is_fast:
        raise ValueError(
            f"the tokenizer of {path} is not a fast one, which alignment needs; convert it to tokenizer.json"
        )
    if len(tokenizer) < 2 or not tokenizer("a b", add_special_tokens=False)["input_ids"]:
        raise ValueError(f"the tokenizer of {path} is empty: it encodes 'a b' as no token; check its tokenizer.json")
    return tokenizer


def load_causal_lm(path: str, dtype: str = "float32", gguf_file: str | None = None) -> PreTrainedModel:
    """A causal LM of a local folder, a hub name, or a folder with a GGUF file, in eval mode.

    The dtype is always explicit: `from_pretrained` otherwise keeps the checkpoint's, and a bf16 student would train
    with bf16 master weights. Raises FileNotFoundError or ValueError with one clear message.
    """
    options: dict[str, Any] = {"dtype": getattr(torch, dtype)}
    if gguf_file:
        _require_gguf()
        options["gguf_file"] = gguf_file
    model = _from_pretrained(AutoModelForCausalLM, path, "model", **options)
    _check_head(model, path)
    return model.eval()


def load_teacher(config: TeacherConfig) -> PreTrainedModel:
    """The teacher: frozen, in eval mode (no dropout), never seen by the optimizer or by DDP."""
    return load_causal_lm(config.path, config.dtype, config.gguf_file).requires_grad_(False)


def load_parts(config: RunConfig) -> tuple[PreTrainedTokenizerFast, PreTrainedModel | None, PreTrainedModel]:
    """Tokenizer, teacher (or None) and student of a run, checked against each other.

    Raises ValueError when vocabularies, tokenizers, hidden sizes or lengths do not fit, FileNotFoundError when one of
    them is missing.
    """
    teacher = None if config.teacher is None else load_teacher(config.teacher)
    tokenizer = _tokenizer_of_run(config)
    if teacher is not None:
        check_vocabulary(teacher, tokenizer, "the teacher")
    set_seed(config.seed)
    student = build_student(config.student, teacher, tokenizer)
    check_vocabulary(student, tokenizer, "the student")
    for name, model in (("teacher", teacher), ("student", student)):
        longest = getattr(model and model.config, "max_position_embeddings", None)
        if longest is not None and config.data.seq_len > longest:
            raise ValueError(f"data.seq_len = {config.data.seq_len}, but the {name} has {longest} positions; lower it")
    if teacher is not None:
        check_same_size(teacher, student, config.loss.hidden_weight > 0)
    return tokenizer, teacher, student


def _tokenizer_of_run(config: RunConfig) -> PreTrainedTokenizerFast:
    """data.tokenizer, which must then be the teacher's own, or the tokenizer of the teacher or the checkpoint."""
    if config.teacher is not None:
        source, gguf_file = config.teacher.path, config.teacher.gguf_file
    else:
        source, gguf_file = config.student.checkpoint or config.data.tokenizer, None  # type: ignore[assignment]
    if source is None:
        raise ValueError("data.tokenizer is not set, and there is no teacher or checkpoint to take one from")
    if config.data.tokenizer is None or source == config.data.tokenizer:
        return load_tokenizer(source, gguf_file)
    tokenizer = load_tokenizer(config.data.tokenizer)
    try:
        expected = load_tokenizer(source, gguf_file)
    except FileNotFoundError:
        return tokenizer  # a folder of weights without a tokenizer: the vocabulary sizes are still compared
    check_same_tokenizer(expected, tokenizer, source)
    return tokenizer


# -- the student -----------------------------------------------------------------------------------------------------


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
        student = load_causal_lm(str(config.checkpoint), "float32")
        set_dropout(student.config, config.dropout)
        for module in student.modules():
            if isinstance(module, nn.Dropout):
                module.p = config.dropout
    return student.train()


def student_from_layers(teacher: PreTrainedModel, layers: tuple[int, ...], dropout: float = 0.0) -> PreTrainedModel:
    """A float32 model of the teacher's architecture that keeps only `layers` of it, in the given order.

    Embeddings, final norm and output head are the teacher's. Raises ValueError for a layer that does not exist.
    """
    num_layers = teacher.config.num_hidden_layers
    if not layers or max(layers) >= num_layers:
        raise ValueError(f"student.layers = {list(layers)}, but the teacher has layers 0 to {num_layers - 1}")
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers = len(layers)
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = [teacher.config.layer_types[layer] for layer in layers]
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are dequantised by now
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
    return student


def set_dropout(config: PretrainedConfig, dropout: float) -> None:
    """Set every dropout probability that this configuration has, in place."""
    for key in DROPOUT_KEYS:
        if isinstance(getattr(config, key, None), int | float):
            setattr(config, key, dropout)


# -- checks ----------------------------------------------------------------------------------------------------------


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str) -> None:
    """Raise ValueError unless every token id has a row in the model's embeddings.

    config.vocab_size may be larger than the tokenizer (padding of the matrix), never smaller.
    """
    if max(tokenizer.get_vocab().values()) >= model.config.vocab_size:
        raise ValueError(
            f"tokenizer mismatch: {name} has a vocabulary of {model.config.vocab_size}, but the tokenizer has "
            f"{len(tokenizer)} tokens; use the tokenizer that the model was trained with (data.tokenizer)"
        )


def check_same_size(teacher: PreTrainedModel, student: PreTrainedModel, compare_hidden: bool) -> None:
    """Raise ValueError unless both models predict over the same ids; distillation compares them id by id.

    With `compare_hidden` their hidden states must have the same width too.
    """
    if teacher.config.vocab_size != student.config.vocab_size:
        raise ValueError(
            f"vocabulary mismatch: the teacher predicts over {teacher.config.vocab_size} ids, the student over "
            f"{student.config.vocab_size}; set the student's vocab_size to {teacher.config.vocab_size}"
        )
    if compare_hidden and teacher.config.hidden_size != student.config.hidden_size:
        raise ValueError(
            f"loss.hidden_weight compares hidden states, but the teacher's are {teacher.config.hidden_size} wide "
            f"and the student's {student.config.hidden_size}; set loss.hidden_weight to 0"
        )


def check_same_tokenizer(expected: PreTrainedTokenizerFast, given: PreTrainedTokenizerFast, name: str) -> None:
    """Raise ValueError unless two tokenizers give the same ids: same vocabulary, same encoding of a probe text."""
    probe = "The woman said that he's 42 — naïve, isn't it?\n\tHer reply: NO."
    mine, theirs = (t(probe, add_special_tokens=False)["input_ids"] for t in (expected, given))
    if expected.get_vocab() != given.get_vocab() or mine != theirs:
        raise ValueError(
            f"tokenizer mismatch: data.tokenizer ({given.name_or_path}, {len(given)} tokens) is not the tokenizer of "
            f"{name} ({expected.name_or_path}, {len(expected)} tokens); leave data.tokenizer unset to use {name}'s own"
        )


def num_parameters(model: nn.Module) -> int:
    """Parameters, tied ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def model_fingerprint(path: str, model: PreTrainedModel) -> str:
    """What identifies the weights: the hub's commit, or a SHA-256 over the local files' contents."""
    folder = Path(path)
    if not folder.exists():
        return f"{path}@{getattr(model.config, '_commit_hash', None)}"
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in {".safetensors", ".bin", ".gguf", ".json"}:
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _random_student(
    source: str | dict[str, Any], dropout: float, tokenizer: PreTrainedTokenizerFast
) -> PreTrainedModel:
    """Random float32 weights for the architecture in a folder, a config.json or a dict of settings."""
    if isinstance(source, dict):
        settings = dict(source)
    else:
        path = Path(source) / "config.json" if Path(source).is_dir() else Path(source)
        if not path.is_file():
            raise FileNotFoundError(
                f"student.config: {path} does not exist; give a folder with a config.json, or settings"
            )
        settings = json.loads(path.read_text(encoding="utf-8"))
    if "model_type" not in settings:
        raise ValueError("student.config has no model_type; name the architecture, e.g. model_type: gpt2")
    settings.setdefault("vocab_size", len(tokenizer))
    for token in ("bos", "eos"):  # not pad: where it is EOS too, an embedding row that must be learned would stay 0
        settings[f"{token}_token_id"] = getattr(tokenizer, f"{token}_token_id")
    config = AutoConfig.for_model(**settings)
    config.dtype = torch.float32
    set_dropout(config, dropout)
    student = AutoModelForCausalLM.from_config(config)
    _check_head(student, "student.config")
    return student


def _layers_prefix(model: PreTrainedModel) -> str:
    """The state-dict prefix of the decoder layers, such as `transformer.h.` or `model.layers.`."""
    found = [
        f"{name}."
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers and name.count(".") == 1
    ]
    if len(found) != 1:
        raise ValueError(f"cannot tell where {type(model).__name__} keeps its layers (candidates: {found or 'none'})")
    return found[0]


def _check_head(model: PreTrainedModel, name: str) -> None:
    """Raise ValueError unless logits == output embeddings of the last hidden state (no soft-capping, no scaling)."""
    with torch.no_grad():
        probe = torch.tensor([[0, 1]], device=model.device)
        hidden = model.base_model(probe).last_hidden_state
        same = torch.allclose(model(probe).logits, model.get_output_embeddings()(hidden), rtol=1e-2, atol=1e-3)
    if not same:
        raise ValueError(
            f"{name}: {type(model).__name__} transforms its logits after the output embeddings, which distillation "
            "from hidden states does not support; use a model without logit scaling or soft-capping"
        )


def _from_pretrained(loader: Any, path: str, kind: str, **options: Any) -> Any:
    """`loader.from_pretrained` with its many exceptions turned into one message. No network for a local folder."""
    local = Path(path).exists()
    if not local and (path.startswith((".", "/", "~")) or path.count("/") > 1):
        raise FileNotFoundError(f"{kind} folder {path} does not exist; give an existing folder or a hub name")
    try:
        return loader.from_pretrained(path, local_files_only=local, **options)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise FileNotFoundError(f"cannot load a {kind} from {path}: {reason}") from error


def _require_gguf() -> None:
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise ValueError("reading a GGUF file needs the gguf package: pip install 'evenhand[gguf]'") from error
