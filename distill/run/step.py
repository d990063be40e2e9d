"""One optimizer step.

Normalisation: a step's loss is the sum over its scored predictions, on all processes and in all micro-batches, divided
once by their number. DDP averages gradients over processes, so each backward pass is multiplied by the number of
processes.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from accelerate import Accelerator
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from distill.config import RunConfig
from distill.data.batches import CPU, PairedBatch, batches, batches_in_order, prefetched
from distill.loss.fused import LossTerms, Objective
from distill.loss.positions import ScoredBatch, find_positions
from distill.run.interrupt import SIGNALS, first_signal
from distill.run.learner import Learner
from distill.run.setup import Setup


def train_step(
    accelerator: Accelerator,
    config: RunConfig,
    learner: Learner,
    micro_batches: Sequence[ScoredBatch],
    received: int = 0,
) -> dict[str, Any]:
    """One optimizer step over this process's micro-batches; returns the step's means over all processes.

    received: the number of the signal that this process has received, or 0. `signal` is that of any process: it is
    summed up with everything else, because asking for it alone would be one more wait for the device. The other metrics
    are `means`, loss, grad_norm (before clipping), lr (of this step), and overflowed: whether the loss
    scaler skipped the step, as it does in fp16 when a gradient is not finite. Without a scaler, raises
    FloatingPointError when the loss or a gradient is not finite, before that reaches the weights.
    """
    device, model = accelerator.device, learner.model
    num_tokens = sum(positions.num_tokens for _, positions in micro_batches)
    counts = torch.tensor([num_tokens, *(received == number for number in SIGNALS)]).to(device, non_blocking=True)
    counts = accelerator.reduce(counts, "sum")
    scale = accelerator.num_processes / counts[0].clamp(min=1)
    totals = torch.zeros(1 + 2 * len(LossTerms._fields), device=device)
    for index, micro_batch in enumerate(micro_batches):
        # DDP reduces gradients once, after the last micro-batch. FSDP reduces after each: it would hold them whole.
        reduces = index == len(micro_batches) - 1 or isinstance(model, FSDPModule)
        with contextlib.nullcontext() if reduces else accelerator.no_sync(model):
            with accelerator.autocast():
                result = model(*micro_batch.to(device), scale)
            accelerator.backward(result.loss)
        totals += torch.stack([result.loss.detach(), *result.sums, *result.gendered_sums])
    grad_norm = accelerator.clip_grad_norm_(model.parameters(), config.optim.max_grad_norm or math.inf)
    if isinstance(grad_norm, DTensor):  # each process holds a part of a sharded student
        grad_norm = grad_norm.full_tensor()
    totals = accelerator.reduce(totals, "sum")
    values = torch.cat([totals, grad_norm.reshape(1), counts[1:]]).tolist()  # the only wait for the device
    (loss, *sums), norm, num_received = values[: len(totals)], values[len(totals)], values[len(totals) + 1 :]
    num_terms = len(LossTerms._fields)
    metrics: dict[str, Any] = {"loss": loss / accelerator.num_processes}
    metrics["signal"] = first_signal(num_received)
    metrics |= means(LossTerms(*sums[:num_terms]), LossTerms(*sums[num_terms:]))
    _check_finite(metrics, norm, config.optim.grad_norm_limit, has_scaler=accelerator.scaler is not None)
    # accelerate cannot tell us: a fused optimizer's step() runs anyway and skips the update
    overflowed = accelerator.scaler is not None and not math.isfinite(norm)
    metrics |= {"grad_norm": norm, "lr": learner.scheduler.get_last_lr()[0], "overflowed": overflowed}
    learner.optimizer.step()
    if not overflowed:
        learner.scheduler.step()
    learner.optimizer.zero_grad()
    return metrics


def steps_of(setup: Setup, step: int) -> Generator[list[ScoredBatch], None, None]:
    """This process's micro-batches of each optimizer step after `step`, which a background thread loads ahead."""
    config, device = setup.config, setup.accelerator.device
    loader: Iterable[PairedBatch]
    if setup.stream is None:
        indices = setup.block_indices(step)
        loader = batches(setup.blocks.train, indices, config.data.seq_len, setup.blocks.states, device)
    else:
        rows_per_micro = setup.schedule.rows_per_micro
        loader = batches_in_order(setup.stream.blocks(step), rows_per_micro, config.data.seq_len, device)
    stream = prefetched(scored_batches(loader, config, device), setup.schedule.micro_steps, device)
    while micro_batches := list(islice(stream, setup.schedule.micro_steps)):
        yield micro_batches


def scored_batches(
    batches: Iterable[PairedBatch], config: RunConfig, device: torch.device = CPU
) -> Iterator[ScoredBatch]:
    """Find the scored predictions of batches on the CPU under a run's configuration. device: where they will go.

    A run does it in the thread that loads the batches, so that a GPU does not wait for it.
    """
    compares_views = Objective(config.loss, config.perturb).compares_views
    for batch in batches:
        positions = find_positions(batch, config.augment.mode == "augment", compares_views)
        yield ScoredBatch(batch, positions.pin_memory() if device.type == "cuda" else positions)


def _check_finite(metrics: dict[str, Any], norm: float, norm_limit: float | None, has_scaler: bool) -> None:
    """Raise FloatingPointError for a step that must not reach the weights. A scaler deals with infinite gradients."""
    exploded = math.isfinite(norm) and norm > (norm_limit or math.inf)
    if exploded or not math.isfinite(metrics["loss"]) or not (math.isfinite(norm) or has_scaler):
        raise FloatingPointError(
            f"the loss is {metrics['loss']} (kd {metrics['kd']}, ce {metrics['ce']}, hidden {metrics['hidden']}), the "
            f"gradient norm {norm}; lower optim.lr, or train in float32 (mixed_precision: no). The last "
            "checkpoint is intact"
        )


def means(sums: LossTerms, gendered_sums: LossTerms) -> dict[str, Any]:
    """The terms of a step as means: over all scored predictions, over those of a gendered token, and over the others.

    share_gendered: the proportion of predictions that are of a gendered token.
    """
    ungendered_sums = LossTerms(*(a - b for a, b in zip(sums, gendered_sums, strict=True)))
    metrics: dict[str, Any] = {}
    for suffix, part in (("", sums), ("_gendered", gendered_sums), ("_ungendered", ungendered_sums)):
        terms = part._asdict()
        num_tokens = max(terms.pop("num_tokens"), 1)
        metrics |= {name + suffix: term / num_tokens for name, term in terms.items()}
    share_gendered = gendered_sums.num_tokens / max(sums.num_tokens, 1)
    return metrics | {"share_gendered": share_gendered, "num_tokens": round(sums.num_tokens)}
