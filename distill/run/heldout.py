"""The held-out perplexity of the student during training."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from accelerate import Accelerator
from datasets import Dataset

from distill.config import RunConfig
from distill.data.batches import batches
from distill.data.blocks import Blocks
from distill.loss.positions import find_positions

MAX_EXPONENT = 709  # the largest x whose exp(x) is finite in float64


@torch.no_grad()
def evaluate_heldout(
    accelerator: Accelerator, distiller: torch.nn.Module, blocks: Blocks, config: RunConfig
) -> dict[str, float]:
    """What `heldout_results` says of the first `train.eval_blocks` held-out blocks (original view).

    Convention: each block is read from its own start, and its first token is not scored. Call on all processes.
    """
    device, chosen = accelerator.device, heldout_blocks(blocks, config)
    micro_size = config.train.micro_batch_size
    indices = heldout_indices(len(chosen), micro_size, accelerator.process_index, accelerator.num_processes)
    sums = torch.zeros(3, dtype=torch.float64, device=device)
    scale = torch.ones((), device=device)
    distiller.eval()
    for batch in batches(chosen, indices, config.data.seq_len, blocks.heldout_states, device):
        positions = find_positions(batch, both=False, paired=False).to(device)
        with accelerator.autocast():
            terms = distiller(batch.to(device), positions, scale).sums
        sums += torch.stack([terms.ce, terms.kd, terms.num_tokens])
    distiller.train()
    ce_sum, kl_sum, num_tokens = accelerator.reduce(sums, "sum").tolist()
    kl = None if config.teacher is None else kl_sum / max(num_tokens, 1)
    return heldout_results(ce_sum / max(num_tokens, 1), kl)


def heldout_blocks(blocks: Blocks, config: RunConfig) -> Dataset:
    """The held-out blocks that are measured."""
    return blocks.heldout.select(range(min(len(blocks.heldout), config.train.eval_blocks)))


def heldout_indices(num_blocks: int, micro_size: int, rank: int, num_processes: int) -> Iterator[list[int]]:
    """The blocks of each micro-batch of one process: every block once over all processes.

    All processes get the same number of micro-batches; -1 fills up the last ones.
    """
    for start in range(0, num_blocks, micro_size * num_processes):
        first = start + rank * micro_size
        yield [index if index < num_blocks else -1 for index in range(first, first + micro_size)]


def heldout_results(nats_per_token: float, kl: float | None = None) -> dict[str, float]:
    """A held-out cross-entropy, its exponential, and KL(teacher || student) per token in nats if there is a teacher,
    under their names in metrics.jsonl.
    """
    perplexity = math.exp(nats_per_token) if nats_per_token < MAX_EXPONENT else math.inf
    results = {"heldout_nats_per_token": nats_per_token, "heldout_perplexity": perplexity}
    return results if kl is None else results | {"heldout_kl": kl}
