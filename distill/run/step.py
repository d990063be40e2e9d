"""One optimizer step: micro-batches of pairs, a teacher and a student in; a better student and the step's means out.

Normalisation: a step's loss is the sum over its scored predictions, on all processes and in all micro-batches, divided
once by their number. DDP averages gradients over processes, so each backward pass is scaled by their number again.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from distill.config import RunConfig
from distill.data.batches import PairedBatch
from distill.loss.distiller import LossTerms, TermSums, teacher_states
from distill.loss.positions import Positions, find_positions
from distill.loss.targets import USES_COUNTERFACTUAL


def train_step(
    accelerator: Accelerator,
    distiller: torch.nn.Module,
    teacher: PreTrainedModel | None,
    micro_batches: Sequence[PairedBatch],
    optimizer: Any,
    scheduler: Any,
    config: RunConfig,
) -> dict[str, Any]:
    """One optimizer step over this process's micro-batches; returns the step's means over all processes.

    lr: the learning rate of this step. overflowed: whether the scaler has skipped it, which under fp16 it does where a
    gradient is not finite. Raises FloatingPointError when otherwise the loss or a gradient is not finite, before that
    reaches the weights.
    """
    device = accelerator.device
    scored = [positions_of(batch, teacher, config) for batch in micro_batches]
    num_tokens = torch.tensor(sum(positions.num_tokens for positions in scored), device=device)
    num_tokens = accelerator.reduce(num_tokens, "sum").clamp(min=1)
    scale = accelerator.num_processes / num_tokens
    totals = torch.zeros(1 + 2 * len(TermSums._fields), device=device)
    for index, (batch, positions) in enumerate(zip(micro_batches, scored, strict=True)):
        # DDP reduces gradients once, with the last; FSDP with each: until it does, every process holds all of them
        reduces = index == len(micro_batches) - 1 or isinstance(distiller, FSDPModule)
        with contextlib.nullcontext() if reduces else accelerator.no_sync(distiller):
            with accelerator.autocast():  # the prepared student has it anyway, the teacher has not
                terms = forward_pairs(distiller, teacher, batch.to(device), positions.to(device), scale)
            accelerator.backward(terms.loss)
        totals += torch.stack([terms.loss.detach(), *terms.sums, *terms.gendered_sums])
    grad_norm = accelerator.clip_grad_norm_(distiller.parameters(), config.optim.max_grad_norm or math.inf)
    if isinstance(grad_norm, DTensor):  # of a sharded student: each process has its part
        grad_norm = grad_norm.full_tensor()
    totals = accelerator.reduce(totals, "sum")
    loss, *sums, norm = torch.cat([totals, grad_norm.reshape(1)]).tolist()  # the only wait for the device
    num_terms = len(TermSums._fields)
    metrics = {"loss": loss / accelerator.num_processes}
    metrics |= _means(TermSums(*sums[:num_terms]), TermSums(*sums[num_terms:]))
    exploded = math.isfinite(norm) and norm > (config.optim.grad_norm_limit or math.inf)
    if exploded or not math.isfinite(metrics["loss"]) or not (math.isfinite(norm) or accelerator.scaler is not None):
        raise FloatingPointError(
            f"the loss is {metrics['loss']} (kd {metrics['kd']}, ce {metrics['ce']}, hidden {metrics['hidden']}), the "
            f"gradient norm {norm}; lower optim.lr, or train in float32 (mixed_precision: no). The last "
            "checkpoint is intact"
        )
    # accelerate does not know: the step of a fused optimizer is called all the same, and leaves the weights by itself
    overflowed = accelerator.scaler is not None and not math.isfinite(norm)
    metrics |= {"grad_norm": norm, "lr": scheduler.get_last_lr()[0], "overflowed": overflowed}
    optimizer.step()
    if not overflowed:
        scheduler.step()
    optimizer.zero_grad()
    return metrics


def positions_of(batch: PairedBatch, teacher: PreTrainedModel | None, config: RunConfig) -> Positions:
    """What is scored in a batch on the CPU, and against what, under a run's configuration."""
    perturbed = teacher is not None and config.perturb.strength > 0 and config.perturb.operation in USES_COUNTERFACTUAL
    return find_positions(batch, config.augment.mode == "augment", perturbed or config.loss.pairing_weight > 0)


def forward_pairs(
    distiller: torch.nn.Module,
    teacher: PreTrainedModel | None,
    batch: PairedBatch,
    positions: Positions,
    scale: torch.Tensor,
) -> LossTerms:
    """`scale` times the loss of a micro-batch on the device: of the original view, or of both in one forward pass."""
    num_views = len(positions.is_gendered) // batch.input_ids.numel()
    input_ids = torch.cat([batch.input_ids, batch.cf_input_ids][:num_views])
    hidden = None if teacher is None else teacher_states(teacher, batch, positions.swapped)
    return distiller(input_ids, positions, scale, hidden)


def _means(sums: TermSums, gendered_sums: TermSums) -> dict[str, Any]:
    """The terms of a step: means over all scored predictions, over those of a gendered token, and over the others.

    share_gendered: the share of the predictions that are of a gendered token.
    """
    ungendered_sums = TermSums(*(a - b for a, b in zip(sums, gendered_sums, strict=True)))
    metrics: dict[str, Any] = {}
    for suffix, part in (("", sums), ("_gendered", gendered_sums), ("_ungendered", ungendered_sums)):
        terms = part._asdict()
        num_tokens = max(terms.pop("num_tokens"), 1)
        metrics |= {name + suffix: term / num_tokens for name, term in terms.items()}
    share_gendered = gendered_sums.num_tokens / max(sums.num_tokens, 1)
    return metrics | {"share_gendered": share_gendered, "num_tokens": round(sums.num_tokens)}
