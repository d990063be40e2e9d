"""Training: blocks, a teacher and a student in; a trained student in a run folder out.

Reads top to bottom: `fit` is the run, `train_step` one optimizer step, `evaluate` the held-out perplexity.

Normalisation: a step's loss is the sum over its scored positions, on all processes and in all micro-batches, divided
once by their number. DDP averages gradients over processes, so each backward pass is scaled by their number again.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import PreTrainedModel, PreTrainedTokenizerFast, get_scheduler

from distill.checkpoint import TrainState, flatten, load_newest_checkpoint, model_card, save_checkpoint, save_student
from distill.config import RunConfig, to_dict
from distill.data import Blocks, PairedBatch, batches, heldout_indices, training_indices
from distill.distiller import Distiller, LossTerms, concatenate, teacher_views, weighted_sum
from distill.perturb import GenderClasses
from distill.tracking import RunLog


class Schedule(NamedTuple):
    """The length of a run. rows_*: blocks, per step over all processes and per micro-batch of one process."""

    max_steps: int
    num_samples: int | None
    rows_per_step: int
    rows_per_micro: int
    micro_steps: int


def plan_schedule(config: RunConfig, num_blocks: int, num_processes: int) -> Schedule:
    """Derive steps and accumulation. Raises ValueError when the batch sizes do not divide exactly."""
    rows_per_pair = 2 if config.augment.mode == "augment" else 1
    rows_per_step = config.train.global_batch_size // rows_per_pair
    rows_per_micro = config.train.micro_batch_size // rows_per_pair
    micro_steps, remainder = divmod(rows_per_step, rows_per_micro * num_processes)
    if remainder or micro_steps == 0:
        raise ValueError(
            f"train.global_batch_size {config.train.global_batch_size} is not a multiple of train.micro_batch_size "
            f"{config.train.micro_batch_size} x {num_processes} processes; change one of them"
        )
    if config.train.max_steps is not None:
        return Schedule(config.train.max_steps, None, rows_per_step, rows_per_micro, micro_steps)
    assert config.train.epochs is not None
    num_samples = max(1, round(config.train.epochs * num_blocks))
    return Schedule(math.ceil(num_samples / rows_per_step), num_samples, rows_per_step, rows_per_micro, micro_steps)


def check_supported(accelerator: Accelerator) -> None:
    """Raise ValueError for a launcher configuration whose checkpoints and students this trainer cannot write."""
    supported = {"NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU"}
    kind = accelerator.distributed_type.value
    if kind not in supported:
        raise ValueError(f"accelerate's distributed_type is {kind}; supported are {', '.join(sorted(supported))}")


# -- the run ---------------------------------------------------------------------------------------------------------


def fit(
    config: RunConfig,
    accelerator: Accelerator,
    schedule: Schedule,
    blocks: Blocks,
    tokenizer: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
    student: PreTrainedModel,
    classes: GenderClasses | None,
    origin: dict[str, Any],
) -> TrainState:
    """Train until the schedule ends, continuing from the newest checkpoint if there is one, and write student/.

    Raises FloatingPointError when the loss or a gradient is not finite; the last checkpoint stays as it is.
    """
    run_dir = Path(config.run_dir)
    distiller = build_distiller(config, accelerator, teacher, student, classes)
    optimizer = build_optimizer(config, distiller)
    distiller, optimizer = accelerator.prepare(distiller, optimizer)
    warmup = config.optim.warmup_steps
    scheduler = get_scheduler(  # not prepared: a prepared one advances once per process in each step
        config.optim.schedule,
        optimizer,
        num_warmup_steps=round(warmup * schedule.max_steps if warmup < 1 else warmup),
        num_training_steps=schedule.max_steps,
    )
    state = TrainState()
    accelerator.register_for_checkpointing(scheduler, state)
    set_seed(config.seed, device_specific=True)
    if load_newest_checkpoint(accelerator, run_dir):
        accelerator.print(f"continuing {run_dir} from step {state.step} of {schedule.max_steps}")

    if config.train.trackers:
        settings = {key: str(value) for key, value in flatten(to_dict(config)).items()}
        accelerator.init_trackers("evenhand", settings)
    with RunLog(accelerator, run_dir, state.step, schedule.max_steps, run_dir.name) as log:
        log.log(state.step, {"num_processes": accelerator.num_processes, "device": accelerator.device.type})
        if state.step == 0:
            log.log(0, evaluate(accelerator, distiller, blocks, config))
            log.restart_clock()
        loader = iter(_training_batches(config, accelerator, blocks, schedule, state.step))
        while state.step < schedule.max_steps:
            micro_batches = list(itertools.islice(loader, schedule.micro_steps))
            metrics = train_step(accelerator, distiller, teacher, micro_batches, optimizer, scheduler, config)
            state.step += 1
            state.tokens_seen += metrics["num_tokens"]
            log.advance(metrics["num_tokens"])
            last = state.step == schedule.max_steps
            if last or state.step % config.train.log_every == 0:
                metrics |= {"tokens_seen": state.tokens_seen, "tokens_per_second": log.tokens_per_second()}
                log.log(state.step, metrics)
                log.show(loss=metrics["loss"], kd=metrics["kd"], ce=metrics["ce"], tok_s=metrics["tokens_per_second"])
            if not last and state.step % config.train.eval_every == 0:
                log.log(state.step, evaluate(accelerator, distiller, blocks, config))
                log.restart_clock()
            if last or state.step % config.train.save_every == 0:
                save_checkpoint(accelerator, run_dir, state, config.train.keep_checkpoints)
                log.restart_clock()

        results = evaluate(accelerator, distiller, blocks, config)
        log.log(state.step, results)
        if accelerator.is_main_process:
            card = model_card(config, state, results, origin)
            save_student(run_dir, accelerator.unwrap_model(distiller).student, tokenizer, card)
        accelerator.wait_for_everyone()
    return state


def build_distiller(
    config: RunConfig,
    accelerator: Accelerator,
    teacher: PreTrainedModel | None,
    student: PreTrainedModel,
    classes: GenderClasses | None,
) -> Distiller:
    """The module to be trained, and the teacher, on this process's device."""
    head = None if teacher is None else teacher.to(accelerator.device).get_output_embeddings()
    classes = None if classes is None else classes.to(accelerator.device)
    return Distiller(student, config.loss, config.perturb, head, classes).to(accelerator.device)


def build_optimizer(config: RunConfig, distiller: Distiller) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, not on norms and biases."""
    parameters = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.optim.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.optim.lr, betas=config.optim.betas, eps=config.optim.eps, fused=True)


def _training_batches(
    config: RunConfig, accelerator: Accelerator, blocks: Blocks, schedule: Schedule, start_step: int
) -> Iterator[PairedBatch]:
    indices = training_indices(
        len(blocks.train),
        schedule.num_samples,
        config.seed,
        start_step,
        schedule.rows_per_step,
        schedule.rows_per_micro,
        accelerator.process_index,
        accelerator.num_processes,
    )
    return iter(batches(blocks.train, indices, config.data.seq_len))


# -- one optimizer step ----------------------------------------------------------------------------------------------


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

    Raises FloatingPointError when the loss or a gradient is not finite, before that reaches the weights. (Under fp16 a
    gradient may be: the scaler then skips the step.)
    """
    both = config.augment.mode == "augment"
    scored = sum(int(b.loss_mask.sum()) + (int(b.cf_loss_mask.sum()) if both else 0) for b in micro_batches)
    num_tokens = accelerator.reduce(torch.tensor(scored, device=accelerator.device), "sum").clamp(min=1)
    sums = torch.zeros(len(LossTerms._fields), device=accelerator.device)
    for index, batch in enumerate(micro_batches):
        last = index == len(micro_batches) - 1
        with contextlib.nullcontext() if last else accelerator.no_sync(distiller):
            with accelerator.autocast():  # the prepared student has it anyway, the teacher has not
                terms = forward_pairs(distiller, teacher, batch.to(accelerator.device), config, both)
            loss = weighted_sum(terms, config.loss) * (accelerator.num_processes / num_tokens)
            accelerator.backward(loss)
        sums += torch.stack([term.detach().float() for term in terms])
    grad_norm = accelerator.clip_grad_norm_(distiller.parameters(), config.optim.max_grad_norm or math.inf)
    totals = LossTerms(*accelerator.reduce(sums, "sum"))
    means = LossTerms(*(term / num_tokens for term in totals))
    values = torch.stack([weighted_sum(means, config.loss), *means, grad_norm]).tolist()
    loss_value, kd, ce, hidden, entropy, _, norm = values
    exploded = math.isfinite(norm) and norm > (config.optim.grad_norm_limit or math.inf)
    if exploded or not math.isfinite(loss_value) or not (math.isfinite(norm) or accelerator.scaler is not None):
        raise FloatingPointError(
            f"the loss is {loss_value} (kd {kd}, ce {ce}, hidden {hidden}), the gradient norm {norm}; "
            "lower optim.lr, or train in float32 (mixed_precision: no). The last checkpoint is intact"
        )
    optimizer.step()
    if not accelerator.optimizer_step_was_skipped:
        scheduler.step()
    optimizer.zero_grad()
    return {
        "loss": loss_value,
        "kd": kd,
        "ce": ce,
        "hidden": hidden,
        "target_entropy": entropy,
        "grad_norm": norm,
        "lr": scheduler.get_last_lr()[0],
        "num_tokens": int(totals.num_tokens),
    }


def forward_pairs(
    distiller: torch.nn.Module, teacher: PreTrainedModel | None, batch: PairedBatch, config: RunConfig, both: bool
) -> LossTerms:
    """Loss terms of a micro-batch: of the original view, or with `both` of the two views in one forward pass."""
    sides = [batch, batch.exchanged()] if both else [batch]
    view = None
    if teacher is not None:
        operation = config.perturb.operation if config.perturb.strength > 0 else "none"
        views = teacher_views(teacher, batch, operation, both)
        view = views[0] if len(views) == 1 else concatenate(*views)
    return distiller(torch.cat([s.input_ids for s in sides]), torch.cat([s.loss_mask for s in sides]), view)


# -- held-out perplexity ---------------------------------------------------------------------------------------------


@torch.no_grad()
def evaluate(
    accelerator: Accelerator, distiller: torch.nn.Module, blocks: Blocks, config: RunConfig
) -> dict[str, float]:
    """Cross-entropy per token, and its exponential, over the first `train.eval_blocks` held-out blocks (original view).

    Convention: block-wise, each block read from its own start, its first token not scored.
    """
    micro_size = config.train.micro_batch_size
    num_blocks = min(len(blocks.heldout), config.train.eval_blocks)
    indices = heldout_indices(num_blocks, micro_size, accelerator.process_index, accelerator.num_processes)
    sums = torch.zeros(2, dtype=torch.float64)
    distiller.eval()
    for batch in batches(blocks.heldout, indices, config.data.seq_len):
        terms = distiller(batch.input_ids.to(accelerator.device), batch.loss_mask.to(accelerator.device))
        sums += torch.stack([terms.ce_sum, terms.num_tokens]).cpu()
    distiller.train()
    exact = torch.float32 if accelerator.device.type == "mps" else torch.float64  # MPS has no float64
    ce_sum, num_tokens = accelerator.reduce(sums.to(accelerator.device, exact), "sum").tolist()
    nats_per_token = ce_sum / max(num_tokens, 1)
    return {"heldout_nats_per_token": nats_per_token, "heldout_perplexity": math.exp(nats_per_token)}
