"""Load tokenizers and causal language models; what cannot be used is refused with one clear message.

Any causal LM of transformers works if its logits are its output embeddings applied to its last hidden state. A model
that does more to its logits is refused when it is loaded. GPT-2 and Llama-type models are tested.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from distill.config import TeacherConfig

# -- loading ---------------------------------------------------------------------------------------------------------


def load_tokenizer(path: str, gguf_file: str | None = None) -> PreTrainedTokenizerFast:
    """The fast tokenizer in a local folder or at a hub name.

    Raises FileNotFoundError if none can be loaded, ValueError if the tokenizer is empty or not a fast one (alignment
    needs character offsets).
    """
    options = {"gguf_file": gguf_file} if gguf_file else {}
    tokenizer = _from_pretrained(AutoTokenizer, path, "tokenizer", **options)
    if not tokenizer.is_fast:
        raise ValueError(
            f"the tokenizer of {path} is not a fast one, and alignment needs one; convert it to tokenizer.json"
        )
    if len(tokenizer) < 2 or not tokenizer("a b", add_special_tokens=False)["input_ids"]:
        raise ValueError(f"the tokenizer of {path} is empty: it encodes 'a b' as no token; check its tokenizer.json")
    return tokenizer


def load_causal_lm(
    path: str, dtype: str = "float32", gguf_file: str | None = None, dropout: float | None = None
) -> PreTrainedModel:
    """A causal LM from a local folder, a hub name, or a folder with a GGUF file, in eval mode.

    The dtype is always explicit: by default `from_pretrained` keeps the checkpoint's, and a bf16 student would train
    with bf16 master weights. dropout: replaces every dropout setting of the checkpoint, unless None. Raises
    FileNotFoundError or ValueError with one clear message.
    """
    options: dict[str, Any] = {"dtype": getattr(torch, dtype)}
    if gguf_file:
        _require_gguf()
        options |= {"gguf_file": gguf_file, **_unpacked()}
    if dropout is not None:  # modules read this setting when they are built
        options["config"] = _from_pretrained(AutoConfig, path, "configuration")
        set_dropout(options["config"], dropout)
    model = _from_pretrained(AutoModelForCausalLM, path, "model", **options)
    check_head(model, path)
    return model.eval()


def load_teacher(config: TeacherConfig) -> PreTrainedModel:
    """The teacher: frozen and in eval mode (no dropout)."""
    return load_causal_lm(config.path, config.dtype, config.gguf_file).requires_grad_(False)


def set_dropout(config: PretrainedConfig, dropout: float) -> None:
    """Set every dropout probability of a configuration, in place. LayerDrop, which skips whole layers, is set to 0."""
    for key, value in vars(config).items():
        if "drop" in key and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, key, 0.0 if "layerdrop" in key else dropout)


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str) -> None:
    """Raise ValueError unless every token id has a row in the model's embeddings.

    More rows than tokens are fine (padding of the matrix).
    """
    num_rows = model.get_input_embeddings().weight.shape[0]
    if max(tokenizer.get_vocab().values()) >= num_rows:
        raise ValueError(
            f"tokenizer mismatch: {name} has a vocabulary of {num_rows}, but the tokenizer has "
            f"{len(tokenizer)} tokens; use the tokenizer that the model was trained with (data.tokenizer)"
        )


def num_parameters(model: nn.Module) -> int:
    """The number of parameters; tied parameters count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def num_positions(model: PreTrainedModel) -> int | None:
    """The longest input in tokens, or None if the model's configuration does not say."""
    return getattr(model.config, "max_position_embeddings", None)


def model_fingerprint(path: str, model: PreTrainedModel, gguf_file: str | None = None) -> str:
    """What identifies the weights: the fingerprint of the local folder, or the commit on the hub."""
    folder = Path(path)
    if folder.exists():
        return folder_fingerprint(folder, gguf_file)
    return f"{path}@{getattr(model.config, '_commit_hash', None)}"


def folder_fingerprint(folder: Path, gguf_file: str | None = None) -> str:
    """SHA-256 over a model folder's weights, settings and tokenizer.

    It skips results.json, because an evaluation may be kept in its model's folder, and GGUF files that are not read,
    because a folder may hold a model in several precisions.
    """
    files = [file for file in folder.iterdir() if file.suffix in {".safetensors", ".bin", ".json"}]
    files += [folder / gguf_file] if gguf_file else []
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.name != "results.json":
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def check_head(model: PreTrainedModel, name: str) -> None:
    """Raise ValueError unless the logits are the output embeddings of the last hidden state, neither soft-capped nor
    scaled.
    """
    training = model.training
    model.eval()  # with dropout no two passes are alike
    with torch.no_grad():
        probe = torch.tensor([[0, 1]], device=model.device)
        hidden = model.base_model(probe).last_hidden_state
        logits = model(probe).logits
        same = torch.allclose(logits, model.get_output_embeddings()(hidden), rtol=1e-2, atol=1e-3)
    model.train(training)
    if not torch.isfinite(logits).all():
        raise ValueError(f"{name}: the model gives NaN or infinite logits; its weights are damaged or overflow")
    if not same or getattr(model.config, "final_logit_softcapping", None):
        raise ValueError(
            f"{name}: {type(model).__name__} transforms its logits after the output embeddings, which distillation "
            "from hidden states does not support; use a model without logit scaling or soft-capping"
        )


def _from_pretrained(loader: Any, path: str, kind: str, **options: Any) -> Any:
    """Call `loader.from_pretrained`; any failure is one FileNotFoundError. A local folder needs no network."""
    local = Path(path).exists()
    looks_local = (
        path.startswith((".", "/", "~")) or path.count("/") > 1 or ("/" in path and Path(path).parent.is_dir())
    )
    if not local and looks_local:  # runs/typo is a mistyped folder beside others, not the hub's owner/name
        raise FileNotFoundError(f"{kind} folder {path} does not exist; give an existing folder or a hub name")
    try:
        return loader.from_pretrained(path, local_files_only=local, **options)
    except Exception as error:
        # damaged and foreign files fail in a different way for each format; to the user all mean the same
        reason = " ".join(str(error).split())
        raise FileNotFoundError(f"cannot load a {kind} from {path}: {reason}") from error


def _unpacked() -> dict[str, Any]:
    """Options that unpack a GGUF file's weights: packed weights can neither be trained nor used by the fused loss.

    Older versions of transformers always unpack and know no such option.
    """
    settings = getattr(transformers, "GgufConfig", None)
    return {} if settings is None else {"quantization_config": settings(dequantize=True)}


def _require_gguf() -> None:
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise ValueError("reading a GGUF file needs the gguf package: pip install 'evenhand[gguf]'") from error
