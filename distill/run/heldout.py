"""The held-out perplexity of the student during training."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from accelerate import Accelerator

from distill.config import RunConfig
from distill.data.batches import batches
from distill.data.blocks import Blocks
from distill.loss.positions import find_positions

MAX_EXPONENT = 709  # the largest x whose exp(x) is finite in float64


@torch.no_grad()
def evaluate_heldout(
    accelerator: Accelerator, distiller: torch.nn.Module, blocks: Blocks, config: RunConfig
) -> dict[str, float]:
    """Cross-entropy per token (original view) and its exponential, over the first `train.eval_blocks` held-out blocks.

    Convention: each block is read from its own start, and its first token is not scored. Call on all processes.
    """
    micro_size = config.train.micro_batch_size
    num_blocks = min(len(blocks.heldout), config.train.eval_blocks)
    indices = heldout_indices(num_blocks, micro_size, accelerator.process_index, accelerator.num_processes)
    sums = torch.zeros(2, dtype=torch.float64, device=accelerator.device)
    scale = torch.ones((), device=accelerator.device)
    distiller.eval()
    for batch in batches(blocks.heldout, indices, config.data.seq_len, device=accelerator.device):
        positions = find_positions(batch, both=False, paired=False).to(accelerator.device)
        with accelerator.autocast():
            terms = distiller(batch.to(accelerator.device), positions, scale).sums
        sums += torch.stack([terms.ce, terms.num_tokens])
    distiller.train()
    ce_sum, num_tokens = accelerator.reduce(sums, "sum").tolist()
    return heldout_results(ce_sum / max(num_tokens, 1))


def heldout_indices(num_blocks: int, micro_size: int, rank: int, num_processes: int) -> Iterator[list[int]]:
    """The blocks of each micro-batch of one process: every block once over all processes.

    All processes get the same number of micro-batches; -1 fills up the last ones.
    """
    for start in range(0, num_blocks, micro_size * num_processes):
        first = start + rank * micro_size
        yield [index if index < num_blocks else -1 for index in range(first, first + micro_size)]


def heldout_results(nats_per_token: float) -> dict[str, float]:
    """A held-out cross-entropy and its exponential, under their names in metrics.jsonl."""
    perplexity = math.exp(nats_per_token) if nats_per_token < MAX_EXPONENT else math.inf
    return {"heldout_nats_per_token": nats_per_token, "heldout_perplexity": perplexity}
