"""What the student writes: prompts in, its continuations out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch.distributed.fsdp import FSDPModule
from transformers import PreTrainedTokenizerFast

NUM_NEW_TOKENS = 40


@torch.no_grad()
def samples(
    accelerator: Accelerator,
    distiller: torch.nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
) -> list[dict[str, str]]:
    """The student's most likely continuation of each prompt, at most NUM_NEW_TOKENS long (greedy: it uses no random
    state). Call on all processes: a sharded student needs them all.
    """
    student = accelerator.unwrap_model(distiller, keep_torch_compile=False).student
    sharded = isinstance(distiller, FSDPModule)
    distiller.eval()
    if sharded:
        distiller.unshard()  # type: ignore[operator]  # what lies outside of the layers; they gather themselves
    rows = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"].to(accelerator.device)
        with accelerator.autocast():
            written = student.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=NUM_NEW_TOKENS,
                do_sample=False,
                pad_token_id=tokenizer.eos_token_id,
            )
        rows.append({"prompt": prompt, "continuation": tokenizer.decode(written[0, ids.shape[1] :])})
    if sharded:
        distiller.reshard()  # type: ignore[operator]
    distiller.train()
    return rows
