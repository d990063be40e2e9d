"""Load tokenizers and causal language models; what cannot be used is refused with one clear message.

Any causal LM of transformers works if its logits are its output embeddings applied to its last hidden state, scaled and
soft-capped at most (logit_transform.py), and if no state depends on later tokens. Any other model is refused when it is
loaded (checks.py). docs/models.md has the types.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from augment.command_line import in_one_line
from distill.config import TeacherConfig
from distill.hub import failure, hub_name
from distill.models.checks import check_causal_lm, check_weights
from distill.models.files import check_files, check_pointers, is_known_tokenizer
from distill.models.identity import hub_snapshot
from distill.models.sizes import num_known_ids

CLASSIFIER = "ForSequenceClassification"  # how transformers' classes of text classifiers end

# -- loading ---------------------------------------------------------------------------------------------------------


def load_tokenizer(path: str, gguf_file: str | None = None) -> PreTrainedTokenizerFast:
    """The fast tokenizer in a local folder or at a hub name.

    Raises FileNotFoundError if none can be loaded, ConnectionError if the hub cannot be reached, ValueError if the
    tokenizer is empty or not a fast one (alignment needs character offsets).
    """
    options = {"gguf_file": gguf_file} if gguf_file else {}
    options |= _revision(hub_snapshot(path, gguf_file))
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
    with bf16 master weights. dropout: replaces every dropout setting of the checkpoint, unless None. Raises OSError or
    ValueError with one clear message.
    """
    snapshot = hub_snapshot(path, gguf_file)
    options: dict[str, Any] = {"dtype": getattr(torch, dtype), **_revision(snapshot)}
    if gguf_file:
        _require_gguf()
        options |= {"gguf_file": gguf_file, **_unpacked()}
    if dropout is not None:  # modules read this setting when they are built
        source = {"gguf_file": gguf_file} if gguf_file else {}
        options["config"] = _from_pretrained(AutoConfig, path, "configuration", **source, **_revision(snapshot))
        set_dropout(options["config"], dropout)
    model = load_weights(AutoModelForCausalLM, path, **options)
    model.hub_snapshot = snapshot  # for model_fingerprint: the name may stand for another revision later
    check_causal_lm(model, path)
    return model.eval()


def names_classifier(path: str) -> bool:
    """Whether the config.json of a local folder says that its model is a text classifier.

    A causal LM that is loaded from a classifier's weights may lack nothing: tied output embeddings are there too.
    """
    file = Path(path) / "config.json"
    if not file.is_file():
        return False
    config = _from_pretrained(AutoConfig, path, "configuration")
    return any(str(name).endswith(CLASSIFIER) for name in getattr(config, "architectures", None) or ())


def load_text_classifier(path: str, dtype: str = "float32") -> PreTrainedModel:
    """A text classifier of transformers from a local folder, in eval mode. Raises as `load_weights`, and ValueError for
    one that has no classes to choose from.
    """
    model = load_weights(AutoModelForSequenceClassification, path, dtype=getattr(torch, dtype))
    if model.config.num_labels < 2:
        raise ValueError(f"{path} has a single output, which is a score and no class; give a classifier of 2 or more")
    return model.eval()


def load_weights(loader: Any, path: str, **options: Any) -> PreTrainedModel:
    """A model with all its weights from the checkpoint. loader: an auto class of transformers.

    transformers itself fills weights that a checkpoint lacks with random numbers. Raises FileNotFoundError if no model
    can be loaded, ValueError if weights are missing or have another shape.
    """
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
    with _without_load_report():
        model, report = _from_pretrained(loader, path, "model", **options)
    check_weights(report, path)
    return model


def load_teacher(config: TeacherConfig, dropout: float | None = None) -> PreTrainedModel:
    """The teacher: frozen and in eval mode (no dropout). dropout: what a student that is the same model trains with."""
    return load_causal_lm(config.path, config.dtype, config.gguf_file, dropout).requires_grad_(False)


def set_dropout(config: PretrainedConfig, dropout: float) -> None:
    """Set every dropout probability of a configuration and its parts, in place. LayerDrop, which skips whole layers, is
    set to 0.
    """
    for key, value in vars(config).items():
        if isinstance(value, PretrainedConfig):
            set_dropout(value, dropout)
        elif "drop" in key and isinstance(value, int | float) and not isinstance(value, bool):
            chosen = 0.0 if "layerdrop" in key else dropout
            try:
                setattr(config, key, chosen if chosen else type(value)(0))  # some settings must be an int
            except Exception as error:  # transformers checks types with exceptions of its own
                raise ValueError(
                    f"student.dropout = {dropout}: {config.model_type or type(config).__name__} does not accept it as "
                    f"{key} ({' '.join(str(error).split())}); set it to 0"
                ) from error


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str) -> None:
    """Raise ValueError unless the model knows every token id, but for tokens that were added to the tokenizer.

    A token for images or padding may have no row in the model's embeddings, because no text holds it (`known_ids.py`
    looks). More rows than tokens are fine too (padding of the matrix).
    """
    known = num_known_ids(model)
    beyond = {token for token, token_id in tokenizer.get_vocab().items() if token_id >= known}
    if beyond - tokenizer.get_added_vocab().keys():
        raise ValueError(
            f"tokenizer mismatch: {name} has a vocabulary of {known}, but the tokenizer has {len(tokenizer)} tokens; "
            "give the model its own tokenizer"
        )


def id_limit(tokenizer: PreTrainedTokenizerFast, *models: PreTrainedModel) -> int | None:
    """How many ids all models know, if the tokenizer has more; otherwise None."""
    known = min(num_known_ids(model) for model in models)
    return known if num_token_ids(tokenizer) > known else None


def num_token_ids(tokenizer: PreTrainedTokenizerFast) -> int:
    """One more than the tokenizer's largest id; there may be gaps between the ids."""
    return max(tokenizer.get_vocab().values()) + 1


def _revision(snapshot: Path | None) -> dict[str, Any]:
    """The option that reads all files of a model from the same revision."""
    return {} if snapshot is None else {"revision": snapshot.name}


@contextlib.contextmanager
def _without_load_report() -> Iterator[None]:
    """Suppress transformers' table of missing weights: `check_weights` says the same in one line."""
    logger = logging.getLogger("transformers.modeling_utils")

    def is_no_report(record: logging.LogRecord) -> bool:
        return "LOAD REPORT" not in record.getMessage()

    logger.addFilter(is_no_report)
    try:
        yield
    finally:
        logger.removeFilter(is_no_report)


def _from_pretrained(loader: Any, path: str, kind: str, **options: Any) -> Any:
    """Call `loader.from_pretrained`. A local folder needs no network.

    Any failure is one FileNotFoundError, or a ConnectionError if it may pass. Raises ValueError for files that
    `check_files` refuses.
    """
    hub = hub_name(path)
    if hub is None and not Path(path).exists():
        raise FileNotFoundError(f"{kind} folder {path} does not exist; give an existing folder or a hub name")
    if hub is not None:
        options = ({"revision": hub.revision} if hub.revision else {}) | options
        hub = hub._replace(revision=options.get("revision"))
    check_files(path, kind, options.get("gguf_file"), hub)
    is_local = hub is None or (kind == "tokenizer" and is_known_tokenizer(hub))
    try:
        return loader.from_pretrained(path if hub is None else hub.name, local_files_only=is_local, **options)
    except Exception as error:
        # damaged and foreign files fail in a different way for each format; to the user all mean the same
        what = f"cannot load a {kind} from {path}"
        if hub is not None:
            raise failure(what, error, hub) from error
        check_pointers(Path(path), options.get("gguf_file"))
        raise FileNotFoundError(f"{what}: {in_one_line(error)}") from error


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
