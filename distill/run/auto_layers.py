"""`student.layers: auto`: choose the layers before a run begins; when it resumes, take them from its folder."""

from __future__ import annotations

import torch
from accelerate import Accelerator

from distill.config import DataConfig, RunConfig
from distill.data.sample import sample_blocks
from distill.data.split import train_and_heldout
from distill.models.choose_layers import choose_layers
from distill.models.loading import check_vocabulary, id_limit, load_teacher
from distill.models.run_models import load_common_tokenizer
from distill.run.folder import recorded_layers
from distill.run.launch import on_main
from distill.settings import replace

NUM_TOKENS = 512  # to choose by
BLOCK_LEN = 128  # tokens, or data.seq_len if that is shorter


def resolve_layers(config: RunConfig, accelerator: Accelerator) -> RunConfig:
    """The configuration with a list in place of `student.layers: auto`; any other is returned as it is.

    Call on all processes; the main process chooses, by text that the student is trained on. Raises ValueError or
    OSError with one message if the teacher has too few layers, the text is too short, or the folder holds another run.
    """
    if config.student.layers != "auto":
        return config
    layers = on_main(accelerator, lambda: recorded_layers(config) or _choose(config, accelerator.device))
    return replace(config, student=replace(config.student, layers=layers, keep=None))


def _choose(config: RunConfig, device: torch.device) -> tuple[int, ...]:
    assert config.teacher is not None and config.student.keep is not None  # the configuration has been validated
    teacher = load_teacher(config.teacher)
    tokenizer = load_common_tokenizer(config, teacher)
    check_vocabulary(teacher, tokenizer, "the teacher")
    data: DataConfig = config.data
    shape = blocks_shape(NUM_TOKENS, min(BLOCK_LEN, data.seq_len))
    documents, _ = train_and_heldout(data)
    num_ids = id_limit(tokenizer, teacher)
    blocks = sample_blocks(map(str, documents), tokenizer, shape, data.separator, num_ids, f"data.path {data.path}")
    steps = choose_layers(teacher.to(device), blocks, config.student.keep)
    layers = steps[-1].layers if steps else tuple(range(config.student.keep))
    print(f"student.layers=[{','.join(map(str, layers))}] has been chosen by {blocks.numel()} tokens of {data.path}")
    return layers


def blocks_shape(num_tokens: int, seq_len: int) -> tuple[int, int]:
    """The shape of blocks of `seq_len` tokens that hold `num_tokens` or a few more."""
    return -(-num_tokens // seq_len), seq_len
