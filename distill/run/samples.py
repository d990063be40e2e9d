"""Let the student continue fixed prompts during training, to show how it writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch.distributed.fsdp import FSDPModule
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distill.data.known_ids import check_ids
from distill.models.sizes import num_known_ids, num_positions

NUM_NEW_TOKENS = 40


def check_prompts(
    student: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str], prefix_ids: Sequence[int]
) -> None:
    """Raise ValueError for a prompt that the student cannot continue: an empty one, or one that fills its context.

    prefix_ids: what stands before each document, and so before each prompt.
    """
    room = _num_positions(student) - len(prefix_ids)
    for prompt in prompts:
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        if not 0 < len(ids) < room:
            raise ValueError(
                f"train.sample_prompts: {prompt!r} has {len(ids)} tokens; give at least one, and fewer than the "
                f"student's {_num_positions(student)} positions less the {len(prefix_ids)} before each text"
            )
        check_ids(ids, num_known_ids(student), tokenizer, f"train.sample_prompts: {prompt!r}")


def _num_positions(student: PreTrainedModel) -> int:
    """How many tokens the student can read; a very large number if its architecture sets no limit."""
    return num_positions(student) or sys.maxsize


@torch.no_grad()
def samples(
    accelerator: Accelerator,
    distiller: torch.nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    prefix_ids: Sequence[int],
) -> list[dict[str, str]]:
    """The student's greedy continuation of each prompt: at most NUM_NEW_TOKENS tokens, within its positions.

    prefix_ids: what stands before each training document; the student reads it before each prompt too. Uses no random
    state. Call on all processes: a sharded student needs them all.
    """
    student = accelerator.unwrap_model(distiller, keep_torch_compile=False).student
    sharded = isinstance(distiller, FSDPModule)
    distiller.eval()
    if sharded:
        distiller.unshard()  # type: ignore[operator]  # weights outside of the layers; the layers gather their own
    rows = []
    for prompt in prompts:
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[*prefix_ids, *prompt_ids]], device=accelerator.device)
        with accelerator.autocast():
            written = student.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=min(NUM_NEW_TOKENS, _num_positions(student) - ids.shape[1]),
                do_sample=False,
                pad_token_id=tokenizer.eos_token_id,
            )
        rows.append({"prompt": prompt, "continuation": tokenizer.decode(written[0, ids.shape[1] :])})
    if sharded:
        distiller.reshard()  # type: ignore[operator]
    distiller.train()
    return rows
