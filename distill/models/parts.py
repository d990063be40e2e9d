"""The parts of a run: its configuration in; tokenizer, teacher and student, checked against each other, out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from accelerate.utils import set_seed
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distill.config import RunConfig
from distill.models.loading import check_vocabulary, load_teacher, load_tokenizer, model_fingerprint, num_positions
from distill.models.student import build_student, read_settings

# one of these files is in a folder with a tokenizer; without them transformers makes an empty one
VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
)


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
        longest = None if model is None else num_positions(model)
        if longest is not None and config.data.seq_len > longest:
            raise ValueError(f"data.seq_len = {config.data.seq_len}, but the {name} has {longest} positions; lower it")
    if teacher is not None:
        check_same_size(teacher, student, config.loss.hidden_weight > 0)
    return tokenizer, teacher, student


def origin_of_parts(
    config: RunConfig,
    tokenizer: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
    student: PreTrainedModel,
) -> dict[str, Any]:
    """What identifies the parts as far as the settings do not: hashes of tokenizer, teacher and given student weights;
    for a student of a configuration file, the settings in it.
    """
    source, given = config.teacher, config.student
    start: str | dict[str, Any] | None = None
    if given.checkpoint is not None:
        start = model_fingerprint(given.checkpoint, student)
    elif isinstance(given.config, str):
        start = read_settings(given.config)
    return {
        "tokenizer": hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        "teacher": model_fingerprint(source.path, teacher, source.gguf_file) if source and teacher else None,
        "student": start,
    }


def _tokenizer_of_run(config: RunConfig) -> PreTrainedTokenizerFast:
    """The tokenizer of the first of data.tokenizer, teacher and checkpoint; the others must have the same one.

    A folder of weights without a tokenizer is not compared; the vocabulary sizes still are.
    """
    sources: list[tuple[str, str | None, str | None]] = [("data.tokenizer", config.data.tokenizer, None)]
    if config.teacher is not None:
        sources.append(("the teacher", config.teacher.path, config.teacher.gguf_file))
    sources.append(("student.checkpoint", config.student.checkpoint, None))
    given = [(name, path, gguf_file) for name, path, gguf_file in sources if path is not None]
    if not given:
        raise ValueError("data.tokenizer is not set, and there is no teacher or checkpoint to take one from")
    (first, path, gguf_file), *others = given
    tokenizer = load_tokenizer(path, gguf_file)
    for name, path, gguf_file in others:
        other = _tokenizer_of(path, gguf_file)
        if other is not None:
            check_same_tokenizer(tokenizer, other, first, name)
    return tokenizer


def _tokenizer_of(path: str, gguf_file: str | None) -> PreTrainedTokenizerFast | None:
    """The tokenizer of a model, or None if there are weights alone."""
    if gguf_file is None and Path(path).is_dir() and not any(Path(path, name).exists() for name in VOCABULARIES):
        return None
    try:
        return load_tokenizer(path, gguf_file)
    except FileNotFoundError:
        return None


def check_same_size(teacher: PreTrainedModel, student: PreTrainedModel, compare_hidden: bool) -> None:
    """Raise ValueError unless both models predict over the same ids; distillation compares them id by id.

    With `compare_hidden` their hidden states must have the same width too.
    """
    ours, theirs = (model.get_output_embeddings().weight.shape[0] for model in (student, teacher))
    if ours != theirs:
        raise ValueError(
            f"vocabulary mismatch: the teacher predicts over {theirs} ids, the student over {ours}; set the student's "
            f"vocab_size to {theirs}"
        )
    if compare_hidden and teacher.config.hidden_size != student.config.hidden_size:
        raise ValueError(
            f"loss.hidden_weight compares hidden states, but the teacher's are {teacher.config.hidden_size} wide "
            f"and the student's {student.config.hidden_size}; set loss.hidden_weight to 0"
        )


def check_same_tokenizer(
    first: PreTrainedTokenizerFast, second: PreTrainedTokenizerFast, first_name: str, second_name: str
) -> None:
    """Raise ValueError unless two tokenizers give the same ids: same vocabulary, same encoding of a probe text."""
    probe = "The woman said that he's 42 — naïve, isn't it?\n\tHer reply: NO."
    ours, theirs = (t(probe, add_special_tokens=False)["input_ids"] for t in (first, second))
    if first.get_vocab() != second.get_vocab() or ours != theirs:
        raise ValueError(
            f"tokenizer mismatch: {first_name} ({first.name_or_path}, {len(first)} tokens) and {second_name} "
            f"({second.name_or_path}, {len(second)} tokens) are not the same, so their predictions cannot be compared; "
            "remove data.tokenizer, or take a teacher and a student of one tokenizer"
        )
