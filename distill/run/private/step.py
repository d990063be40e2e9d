"""One private step: clip the gradient of each record alone, sum them over all processes, add noise once.

    gradient = (sum over the drawn records of clip(gradient of the record, C) + N(0, (noise C)^2)) / B

B is the number of records that a step reads on average. Dividing by what was drawn, or by the number of predictions,
would make everything depend on every document. A record is read by itself, in a forward and a backward pass of its own.
So it is exact for every architecture, with tied weights, with the fused loss and with LoRA: a weight has one gradient,
however often the model uses it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from distill.config import RunConfig
from distill.loss.distiller import Distiller
from distill.loss.fused import LossTerms
from distill.run.interrupt import SIGNALS, first_signal
from distill.run.learner import Learner
from distill.run.private.canaries import NUM_CANARIES, TOO_LONG, canaries_in, metrics_of
from distill.run.private.plan import PrivacyPlan
from distill.run.private.records import Share, record_scale
from distill.run.private.secret import gaussian_noise
from distill.run.step import means

NUM_SUMS = 2 * len(LossTerms._fields)


class ClippedSum(NamedTuple):
    """values [P + M]: the sum of the clipped gradients, of all trained weights one after another, and then of the
    canaries. sums [2, 7]: the loss's terms over all and over gendered predictions. counts [4]: the summed loss;
    records, those that were clipped, those that were not finite and count as 0.
    """

    values: Tensor
    sums: Tensor
    counts: Tensor


def trained_weights(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The weights that are trained; a tied one once."""
    return [weight for weight in module.parameters() if weight.requires_grad]


def clipped_sum(
    accelerator: Accelerator,
    distiller: Distiller,
    shares: Sequence[Share],
    max_norm: float,
    scale: float,
    canaries: Sequence[bool] = (),
) -> ClippedSum:
    """The sum over this process's records of `scale` times the gradient of their loss, each clipped to `max_norm`.

    The norm is over all trained weights together, and over both views: a document and its counterfactual are one
    record. A gradient that is not finite counts as 0. Leaves the weights without gradients. canaries [M]: which of them
    this process adds.
    """
    device, weights = accelerator.device, trained_weights(distiller)
    num_values = sum(weight.numel() for weight in weights)
    total = torch.zeros(num_values + len(canaries), device=device)
    sums, counts = torch.zeros(2, len(LossTerms._fields), dtype=torch.float64, device=device), [0.0] * 4
    places = _views(total[:num_values], weights)
    factor = torch.tensor(scale, device=device)
    for share in shares:
        with accelerator.autocast():
            table = distiller.read_by_teacher(share.batch.to(device), share.swapped.to(device))
        for record in share.with_teacher(table):
            with accelerator.autocast():
                result = distiller(*record.to(device), factor)
            result.loss.backward()
            reached = [(place, w.grad) for place, w in zip(places, weights, strict=True) if w.grad is not None]
            norm = add_clipped_([place for place, _ in reached], [gradient for _, gradient in reached], max_norm)
            if math.isfinite(norm):
                sums += torch.stack([torch.stack(result.sums), torch.stack(result.gendered_sums)]).detach()
                counts[0] += float(result.loss.detach()) / scale
            counts[1] += 1
            counts[2] += norm > max_norm
            counts[3] += not math.isfinite(norm)
            for weight in weights:
                weight.grad = None
    for place in (total[index : index + 1] for index, is_in in enumerate(canaries, num_values) if is_in):
        add_clipped_([place], [torch.full_like(place, TOO_LONG * max_norm)], max_norm)
    return ClippedSum(total, sums, torch.tensor(counts, dtype=torch.float64, device=device))


def add_clipped_(places: list[Tensor], gradients: list[Tensor], max_norm: float) -> float:
    """Add a record's gradients to the sum, in place, together scaled down to `max_norm` if they are longer.

    Returns their norm; if it is not finite, nothing is added.
    """
    norm = float(torch.nn.utils.get_total_norm(gradients))
    if math.isfinite(norm):
        alpha = max_norm / norm if norm > max_norm else 1.0
        torch._foreach_add_(places, gradients, alpha=alpha)
    return norm


def add_noise_(values: Tensor, plan: PrivacyPlan, secret: str, step: int) -> None:
    """Add the noise of the step after `step` to a sum of clipped gradients [P + M], in place; the same everywhere."""
    if plan.noise_std == 0:
        return
    noise = torch.from_numpy(gaussian_noise(secret, step, values.numel())).to(values.device)
    values.add_(noise, alpha=plan.noise_std)


def private_step(
    accelerator: Accelerator,
    config: RunConfig,
    plan: PrivacyPlan,
    learner: Learner,
    steps: Sequence[Sequence[Share]],
    received: int = 0,
) -> dict[str, Any]:
    """One optimizer step over this process's records; returns the metrics of `train_step`, over all processes.

    steps: the shares of this step alone. Besides: num_records, clipped (the proportion of them whose gradient was
    longer than the clip), num_nonfinite, and what the canaries show. Only grad_norm is covered by the promise: it is
    that of the noisy gradient.
    """
    (shares,), state = steps, learner.state
    assert state.secret is not None
    is_in = canaries_in(state.secret, state.step)
    our_canaries = is_in & (np.arange(NUM_CANARIES) % accelerator.num_processes == accelerator.process_index)
    found = clipped_sum(
        accelerator,
        learner.model,  # type: ignore[arg-type]
        shares,
        plan.max_record_norm,
        record_scale(config),
        our_canaries.tolist(),
    )
    released = accelerator.reduce(found.values, "sum")  # the only reduction of gradients, after all clips
    add_noise_(released, plan, state.secret, state.step)
    values, canaries = released[:-NUM_CANARIES], released[-NUM_CANARIES:].double() / plan.max_record_norm
    values /= plan.documents_per_step
    weights = trained_weights(learner.model)
    for weight, gradient in zip(weights, _views(values, weights), strict=True):
        weight.grad = gradient
    signals = torch.tensor([float(received == number) for number in SIGNALS], dtype=torch.float64)
    others = torch.cat([found.sums.flatten(), found.counts, signals.to(found.counts.device)])
    numbers = [*accelerator.reduce(others, "sum").tolist(), float(values.norm())]
    sums, gendered = (LossTerms(*part) for part in (numbers[: NUM_SUMS // 2], numbers[NUM_SUMS // 2 : NUM_SUMS]))
    loss, num_records, num_clipped, num_nonfinite, *num_received, grad_norm = numbers[NUM_SUMS:]
    metrics: dict[str, Any] = {"loss": loss / max(sums.num_tokens, 1), "signal": first_signal(num_received)}
    metrics |= means(sums, gendered)
    metrics |= {"num_records": round(num_records), "clipped": num_clipped / max(num_records, 1)}
    metrics |= {"num_nonfinite": round(num_nonfinite), "grad_norm": grad_norm, "overflowed": False}
    metrics |= metrics_of(canaries.cpu().numpy(), is_in)
    metrics["lr"] = learner.scheduler.get_last_lr()[0]
    learner.optimizer.step()
    learner.scheduler.step()
    learner.optimizer.zero_grad()
    return metrics


def _views(values: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Parts of values [P] in the shapes of the weights."""
    parts = values.split([weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]
