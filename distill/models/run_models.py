"""The models of a run: tokenizer, teacher and student, checked against each other."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from accelerate.utils import set_seed
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distill.config import RunConfig
from distill.models.files import VOCABULARIES
from distill.models.identity import model_fingerprint
from distill.models.loading import check_vocabulary, id_limit, load_teacher, load_tokenizer, num_token_ids
from distill.models.logit_transform import check_head
from distill.models.probe import probing
from distill.models.sizes import num_known_ids, num_positions, num_predicted_ids, state_width
from distill.models.student import build_student, read_settings

# Tokenizers with the same vocabulary that encode differently give other ids for this text.
PROBE = "The woman said that he's 42 — naïve, isn't it?\n\tHer reply: NO."


class RunModels(NamedTuple):
    """The tokenizer, the frozen teacher (None without distillation) and the student of a run.

    With student.lora, teacher and student are the same object (lora.py).
    """

    tokenizer: PreTrainedTokenizerFast
    teacher: PreTrainedModel | None
    student: PreTrainedModel

    @property
    def distinct(self) -> list[PreTrainedModel]:
        """The models in memory: teacher and student, or one that is both."""
        both = self.teacher is None or self.teacher is self.student
        return [self.student] if both else [self.teacher, self.student]

    @property
    def num_ids(self) -> int | None:
        """How many ids all models know, if the tokenizer has more; otherwise None."""
        return id_limit(self.tokenizer, *self.distinct)

    @property
    def num_tokens(self) -> int | None:
        """How many ids the tokenizer has, if the student has more; otherwise None. The others are padding."""
        num_tokens = num_token_ids(self.tokenizer)
        return num_tokens if num_predicted_ids(self.student) > num_tokens else None


def load_run_models(config: RunConfig) -> RunModels:
    """Load tokenizer and teacher, build the student, and check that they fit each other.

    Seeds all random generators with `config.seed` before it draws random weights. Raises ValueError if vocabularies,
    tokenizers, hidden sizes or lengths do not fit, FileNotFoundError if a model or tokenizer is missing.
    """
    dropout = config.student.dropout if config.student.lora else None
    teacher = None if config.teacher is None else load_teacher(config.teacher, dropout)
    tokenizer = load_common_tokenizer(config, teacher)
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
        match_vocabularies(teacher, student)
        if config.loss.hidden_weight > 0:
            check_same_width(teacher, student)
    return RunModels(tokenizer, teacher, student)


def fingerprints(config: RunConfig, models: RunModels) -> dict[str, Any]:
    """What identifies the models beyond the settings, for config.yaml.

    These are hashes of the tokenizer, the teacher, and the student's first weights if a checkpoint gives them. For a
    student of random weights, they are the settings in its configuration file.
    """
    teacher, student = config.teacher, config.student
    teacher_hash = None
    if teacher is not None and models.teacher is not None:
        teacher_hash = model_fingerprint(teacher.path, models.teacher, teacher.gguf_file)
    start: str | dict[str, Any] | None = None
    if student.checkpoint is not None:
        start = model_fingerprint(student.checkpoint, models.student)
    elif isinstance(student.config, str):
        start = read_settings(student.config)
    return {"tokenizer": tokenizer_fingerprint(models.tokenizer), "teacher": teacher_hash, "student": start}


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerFast) -> str:
    """SHA-256 of a tokenizer's full definition."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


# -- do they fit each other? -----------------------------------------------------------------------------------------


def load_common_tokenizer(config: RunConfig, teacher: PreTrainedModel | None) -> PreTrainedTokenizerFast:
    """Load the tokenizer of data.tokenizer, the teacher or the student checkpoint: the first that is set.

    The others must have the same tokenizer, but for tokens that the teacher does not know. A folder of weights without
    a tokenizer is not compared here; `check_vocabulary` compares its size.
    """
    sources: list[tuple[str, str | None, str | None]] = [("data.tokenizer", config.data.tokenizer, None)]
    if config.teacher is not None:
        sources.append(("the teacher", config.teacher.path, config.teacher.gguf_file))
    sources.append(("student.checkpoint", config.student.checkpoint, None))
    given = [(name, path, gguf_file) for name, path, gguf_file in sources if path is not None]
    if not given:
        raise ValueError("data.tokenizer is not set, and there is no teacher or checkpoint to take one from")
    (first_name, first_path, first_gguf_file), *others = given
    tokenizer = load_tokenizer(first_path, first_gguf_file)
    num_ids = None if teacher is None else num_known_ids(teacher)
    for name, path, gguf_file in others:
        other = _load_tokenizer_if_present(path, gguf_file)
        if other is not None:
            check_same_tokenizer(tokenizer, other, first_name, name, num_ids)
    return tokenizer


def _load_tokenizer_if_present(path: str, gguf_file: str | None) -> PreTrainedTokenizerFast | None:
    """The tokenizer of a model, or None if it has only weights."""
    if gguf_file is None and Path(path).is_dir() and not any(Path(path, name).exists() for name in VOCABULARIES):
        return None
    try:
        return load_tokenizer(path, gguf_file)
    except FileNotFoundError:
        return None


def match_vocabularies(teacher: PreTrainedModel, student: PreTrainedModel) -> None:
    """Cut the student's rows to as many as the teacher has, in place, if it has more.

    Distillation compares the models id by id. They have the same tokenizer, so the rows that only one of them has are
    padding, and no text holds those ids. A student with fewer rows stays as it is: the loss then leaves out the
    teacher's other rows.
    """
    num_ids = num_predicted_ids(teacher)
    if num_predicted_ids(student) > num_ids:
        with probing(student, "the student", f"set its vocab_size to {num_ids}"):
            student.resize_token_embeddings(num_ids)
        check_head(student, "the student")


def check_same_width(teacher: PreTrainedModel, student: PreTrainedModel) -> None:
    """Raise ValueError unless the last hidden states of both models have the same width."""
    width, teacher_width = state_width(student), state_width(teacher)
    if teacher_width != width:
        raise ValueError(
            f"loss.hidden_weight compares hidden states, but the teacher's are {teacher_width} wide and the student's "
            f"{width}; set loss.hidden_weight to 0"
        )


def check_same_tokenizer(
    first: PreTrainedTokenizerFast,
    second: PreTrainedTokenizerFast,
    first_name: str,
    second_name: str,
    num_ids: int | None = None,
) -> None:
    """Raise ValueError unless two tokenizers have the same vocabulary and encode a probe text alike.

    num_ids: ids from there on are not compared, if it is given.
    """
    first_ids, second_ids = (t(PROBE, add_special_tokens=False)["input_ids"] for t in (first, second))
    vocabularies = [t.get_vocab().items() for t in (first, second)]
    own, other = ({(token, i) for token, i in items if num_ids is None or i < num_ids} for items in vocabularies)
    if own != other or first_ids != second_ids:
        raise ValueError(
            f"tokenizer mismatch: {first_name} ({first.name_or_path}, {len(first)} tokens) and {second_name} "
            f"({second.name_or_path}, {len(second)} tokens) are not the same, so their predictions cannot be compared; "
            "remove data.tokenizer, or choose a teacher and a student with the same tokenizer"
        )
