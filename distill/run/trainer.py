"""Training: blocks, a teacher and a student in; a trained student in a run folder out.

Reads top to bottom: `fit` is the run, `_step` one optimizer step (distill/run/step.py), `evaluate` the held-out
perplexity.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distill.config import RunConfig
from distill.data.batches import PairedBatch, batches, heldout_indices, prefetched
from distill.data.blocks import Blocks
from distill.files import write_text
from distill.loss.distiller import Distiller
from distill.loss.positions import find_positions
from distill.loss.targets import GenderClasses
from distill.run.checkpoint import Parts, TrainState, load_newest_checkpoint, save_checkpoint
from distill.run.export import model_card, push_student, save_student
from distill.run.failed_steps import Streaks, abandon_step, failing_blocks
from distill.run.folder import STOPPED_FILE
from distill.run.interrupt import Stopped, StopRequest
from distill.run.launch import checkpoint_activations, prepare, shard_teacher
from distill.run.samples import samples
from distill.run.schedule import Schedule, blocks_from, build_scheduler
from distill.run.step import forward_pairs, positions_of, train_step
from distill.run.throughput import flops_per_token
from distill.run.tracking import RunLog, start_trackers

MAX_EXPONENT = 709  # of e, in float64

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

    Raises FloatingPointError when the loss or a gradient is not finite (the last checkpoint stays as it is), Stopped
    after SIGTERM or SIGINT, when the step has been finished and a checkpoint written.
    """
    run_dir = Path(config.run_dir)
    head = place_teacher(config, accelerator, teacher, reads=blocks.states is None)
    distiller = build_distiller(config, accelerator, head, student, classes)
    optimizer = build_optimizer(config, distiller)
    flops = flops_per_token(student, teacher, cached=blocks.states is not None)
    distiller, optimizer = prepare(accelerator, distiller, optimizer)
    parts = Parts(distiller, optimizer, build_scheduler(config.optim, optimizer, schedule.max_steps), TrainState())
    state = parts.state
    set_seed(config.seed, device_specific=True)
    if load_newest_checkpoint(accelerator, run_dir, parts, config.seed):
        accelerator.print(f"continuing {run_dir} from step {state.step} of {schedule.max_steps}")

    start_trackers(accelerator, config)
    run = Run(config, accelerator, schedule, blocks, tokenizer, teacher, parts)
    if accelerator.is_main_process:
        (run_dir / STOPPED_FILE).unlink(missing_ok=True)
    with RunLog(accelerator, run_dir, state.step, schedule.max_steps, flops) as log, StopRequest() as stop:
        log.log(state.step, {"num_processes": accelerator.num_processes, "device": accelerator.device.type})
        results = _train(run, log, stop)
        card = model_card(config, state, results, origin) if accelerator.is_main_process else ""
        save_student(accelerator, run_dir, distiller, tokenizer, card)
    if config.train.push_to_hub is not None and accelerator.is_main_process:
        print(f"uploaded to {push_student(run_dir, config.train.push_to_hub)}")
    return state


class Run(NamedTuple):
    """What the loop reads: the arguments of `fit`, prepared."""

    config: RunConfig
    accelerator: Accelerator
    schedule: Schedule
    blocks: Blocks
    tokenizer: PreTrainedTokenizerFast
    teacher: PreTrainedModel | None
    parts: Parts


def _train(run: Run, log: RunLog, stop: StopRequest) -> dict[str, float]:
    """The steps that are left, with logs, evaluations and checkpoints; returns the held-out results at the end."""
    config, accelerator, state, train = run.config, run.accelerator, run.parts.state, run.config.train
    max_steps = run.schedule.max_steps
    batches_to_come = batches(run.blocks.train, _indices(run), config.data.seq_len, run.blocks.states)
    loader = prefetched(iter(batches_to_come), run.schedule.micro_steps)
    if state.step == max_steps or (state.heldout_nats_per_token is None and state.step % train.eval_every == 0):
        results = _look(run, log)
    streaks = Streaks()
    while state.step < max_steps:
        metrics = _step(run, list(itertools.islice(loader, run.schedule.micro_steps)), log)
        streaks.count(state.step, metrics)
        last = state.step == max_steps
        progress = {name: getattr(state, name) for name in ("tokens_seen", "num_skipped", "num_overflowed")}
        signal_number = stop.agreed(accelerator)
        if metrics is not None and (last or state.step % train.log_every == 0):
            log.log_step(state.step, metrics | progress)
        state.heldout_nats_per_token = None
        if last or (not signal_number and state.step % train.eval_every == 0):
            results = _look(run, log)
        if signal_number or last or state.step % train.save_every == 0:
            save_checkpoint(accelerator, Path(config.run_dir), run.parts, train.keep_checkpoints)
            log.restart_clock()
        if signal_number and not last:
            stopped = Stopped(signal_number, state.step, max_steps)
            if accelerator.is_main_process:
                write_text(Path(config.run_dir) / STOPPED_FILE, stopped.note())
            raise stopped
    return results


def _look(run: Run, log: RunLog) -> dict[str, float]:
    """Evaluate on the held-out blocks and let the student write samples; returns the held-out results.

    A run that is continued at its last step has logged them.
    """
    state, prompts = run.parts.state, run.config.train.sample_prompts
    results = evaluate(run.accelerator, run.parts.model, run.blocks, run.config)
    if state.heldout_nats_per_token is not None:
        return results
    state.heldout_nats_per_token = results["heldout_nats_per_token"]
    log.log(state.step, results)
    if prompts:
        log.log_samples(state.step, samples(run.accelerator, run.parts.model, run.tokenizer, prompts))
    log.restart_clock()
    return results


def _step(run: Run, micro_batches: list[PairedBatch], log: RunLog) -> dict[str, Any] | None:
    """One optimizer step; None if it failed and was skipped (train.on_nonfinite)."""
    config, accelerator, parts, state = run.config, run.accelerator, run.parts, run.parts.state
    try:
        metrics = train_step(
            accelerator, parts.model, run.teacher, micro_batches, parts.optimizer, parts.scheduler, config
        )
    except FloatingPointError as error:
        where = failing_blocks(
            accelerator,
            lambda batch: _loss_of(run, batch),
            micro_batches,
            list(itertools.islice(_indices(run), run.schedule.micro_steps)),
            run.tokenizer,
        )
        message = f"step {state.step + 1}: {error}. {where}"
        if config.train.on_nonfinite == "stop":
            raise FloatingPointError(message) from error
        accelerator.print(f"skipped: {message}")
        abandon_step(accelerator, parts.optimizer, parts.scheduler)
        state.step += 1
        state.num_skipped += 1
        log.advance(0)
        return None
    state.step += 1
    state.tokens_seen += metrics["num_tokens"]
    state.num_overflowed += metrics["overflowed"]
    log.advance(metrics["num_tokens"])
    return metrics


def _loss_of(run: Run, batch: PairedBatch) -> torch.Tensor:
    """The loss of a batch on the CPU."""
    device, positions = run.accelerator.device, positions_of(batch, run.teacher, run.config)
    scale = torch.ones((), device=device)
    return forward_pairs(run.parts.model, run.teacher, batch.to(device), positions.to(device), scale).loss


def _indices(run: Run) -> Iterator[list[int]]:
    return blocks_from(run.schedule, len(run.blocks.train), run.config.seed, run.parts.state.step, run.accelerator)


def place_teacher(
    config: RunConfig, accelerator: Accelerator, teacher: PreTrainedModel | None, reads: bool
) -> torch.nn.Module | None:
    """Put the teacher on this process's device, sharded if configured so; its output layer, or None without a teacher.

    reads: whether it reads text there. Where its states are cached, the output layer is all of it that is needed.
    """
    if teacher is None:
        return None
    if reads:
        if config.teacher and config.teacher.shard and accelerator.num_processes > 1:
            shard_teacher(teacher, accelerator)
        teacher.to(accelerator.device)
    return teacher.get_output_embeddings().to(accelerator.device)


def build_distiller(
    config: RunConfig,
    accelerator: Accelerator,
    teacher_head: torch.nn.Module | None,
    student: PreTrainedModel,
    classes: GenderClasses | None,
) -> Distiller:
    """The module to be trained, on this process's device, set up to save memory as configured."""
    if config.train.gradient_checkpointing:
        checkpoint_activations(student)
    classes = None if classes is None else classes.to(accelerator.device)
    return Distiller(student, config.loss, config.perturb, teacher_head, classes).to(accelerator.device)


def build_optimizer(config: RunConfig, distiller: Distiller) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, not on norms and biases."""
    parameters = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.optim.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.optim.lr, betas=config.optim.betas, eps=config.optim.eps, fused=True)


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
    scale = torch.ones((), device=accelerator.device)
    distiller.eval()
    for batch in batches(blocks.heldout, indices, config.data.seq_len):
        positions = find_positions(batch, both=False, paired=False).to(accelerator.device)
        with accelerator.autocast():
            terms = distiller(batch.input_ids.to(accelerator.device), positions, scale)
        sums += torch.stack([terms.sums.ce, terms.sums.num_tokens]).cpu()
    distiller.train()
    exact = torch.float32 if accelerator.device.type == "mps" else torch.float64  # MPS has no float64
    ce_sum, num_tokens = accelerator.reduce(sums.to(accelerator.device, exact), "sum").tolist()
    return heldout_results(ce_sum / max(num_tokens, 1))


def heldout_results(nats_per_token: float) -> dict[str, float]:
    """A held-out cross-entropy and its exponential, by the names of metrics.jsonl."""
    perplexity = math.exp(nats_per_token) if nats_per_token < MAX_EXPONENT else math.inf
    return {"heldout_nats_per_token": nats_per_token, "heldout_perplexity": perplexity}
