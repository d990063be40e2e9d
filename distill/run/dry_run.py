"""The dry run: the parts of a run in, a description of what it would do out. Nothing is written but the data cache."""

from __future__ import annotations

import itertools
import time

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from distill.config import RunConfig
from distill.data.batches import batches, training_indices
from distill.data.blocks import Blocks
from distill.data.corpus import corpus_size_bytes
from distill.loss.distiller import Distiller
from distill.loss.targets import GenderClasses
from distill.models.loading import num_parameters
from distill.run.cached_states import size_bytes
from distill.run.export import loss_line
from distill.run.schedule import Schedule
from distill.run.step import forward_pairs, positions_of
from distill.run.throughput import peak_memory_bytes
from distill.run.trainer import build_distiller, place_teacher

PROBE_MICRO_STEPS = 3


def describe(
    config: RunConfig,
    accelerator: Accelerator,
    schedule: Schedule,
    blocks: Blocks,
    teacher: PreTrainedModel | None,
    student: PreTrainedModel,
    classes: GenderClasses | None,
) -> str:
    """The plan of a run as text, with memory and time measured on a few micro-steps of this process."""
    head = place_teacher(config, accelerator, teacher, reads=True)
    distiller = build_distiller(config, accelerator, head, student, classes)
    seconds, peak_bytes = _probe(config, accelerator, schedule, blocks, teacher, distiller)
    train, heldout = blocks.info["train"], blocks.info["heldout"]
    size = corpus_size_bytes(config.data.path)
    rows = {
        "corpus": f"{config.data.path}" + ("" if size is None else f", {size / 1e6:,.1f} MB on disk"),
        "documents": f"{train['num_documents']:,} to train on, {heldout['num_documents']:,} held out; "
        f"{train['num_words']:,} words",
        "pairs": f"{train['num_pairs']:,} documents with a counterfactual "
        f"({train['num_pairs'] / train['num_documents']:.1%}), {train['num_edits']:,} words swapped",
        "blocks": f"{train['num_blocks']:,} of at most {config.data.seq_len} tokens ({train['num_tokens']:,} tokens); "
        f"{heldout['num_blocks']:,} held out",
        "teacher": "none" if teacher is None else _teacher(config, len(blocks.train), teacher),
        "student": f"{num_parameters(student):,} parameters",
        "objective": f"{config.perturb.operation} (strength {config.perturb.strength:g}, "
        f"gain {config.perturb.gain:g}), augmentation {config.augment.mode}; loss: {loss_line(config)}"
        + ("" if classes is None else f"; {len(classes.ids)} gendered tokens (python -m distill.terms)"),
        "processes": f"{accelerator.num_processes} on {accelerator.device.type}, {schedule.micro_steps} micro-steps "
        f"each, mixed precision {accelerator.mixed_precision}",
        "steps": f"{schedule.max_steps:,} optimizer steps of {config.train.global_batch_size} sequences "
        f"({schedule.max_steps * schedule.rows_per_step / len(blocks.train):.2f} epochs)",
        "memory": f"about {peak_bytes / 1e9:.1f} GB per process (measured on {PROBE_MICRO_STEPS} micro-steps, plus "
        f"optimizer states{', with the whole student on each process' if accelerator.is_fsdp2 else ''})",
        "time": f"about {_duration(seconds * schedule.micro_steps * schedule.max_steps)} "
        f"({seconds:.2f} s per micro-step)",
        "run folder": config.run_dir,
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _teacher(config: RunConfig, num_blocks: int, teacher: PreTrainedModel) -> str:
    assert config.teacher is not None
    text = f"{num_parameters(teacher):,} parameters ({config.teacher.path})"
    if config.teacher.targets == "online":
        return text
    num_bytes = size_bytes(num_blocks, config.data.seq_len, teacher, config.teacher.dtype)
    return (
        f"{text}, its states cached: up to {num_bytes / 1e9:.1f} GB in {config.data.cache_dir} (memory and time are "
        "measured with a teacher that reads in every step: the most that it can be)"
    )


def _probe(
    config: RunConfig,
    accelerator: Accelerator,
    schedule: Schedule,
    blocks: Blocks,
    teacher: PreTrainedModel | None,
    distiller: Distiller,
) -> tuple[float, float]:
    """Seconds per micro-step, without the first, and bytes per process."""
    rows = schedule.rows_per_micro
    indices = training_indices(len(blocks.train), None, config.seed, 0, rows, rows, 0, 1)
    scale = torch.ones((), device=accelerator.device)
    durations = []
    for batch in itertools.islice(batches(blocks.train, indices, config.data.seq_len), PROBE_MICRO_STEPS):
        started = time.perf_counter()
        positions = positions_of(batch, teacher, config).to(accelerator.device)
        with accelerator.autocast():
            loss = forward_pairs(distiller, teacher, batch.to(accelerator.device), positions, scale).loss
        loss.backward()
        loss.item()
        durations.append(time.perf_counter() - started)
    optimizer_bytes = sum(2 * parameter.numel() * 4 for parameter in distiller.parameters())
    return min(durations[1:]), peak_memory_bytes(accelerator.device) + optimizer_bytes


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
