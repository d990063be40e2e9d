"""The dry run: describe what a run would do, with memory and time measured on this machine.

It writes nothing but the data cache.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import time
from collections.abc import Iterable

import torch

from distill.data.batches import PairedBatch, batches, batches_in_order
from distill.data.corpus import describe_files
from distill.data.stream import BlockStream
from distill.loss.distiller import Distiller
from distill.models.choose_layers import guessing_loss
from distill.models.sizes import num_parameters
from distill.run.cached_states import size_bytes
from distill.run.export import loss_line
from distill.run.heldout import evaluate_heldout
from distill.run.learner import build_distiller, place_teacher
from distill.run.private.statement import describe_privacy
from distill.run.schedule import training_indices
from distill.run.setup import Setup
from distill.run.step import scored_batches
from distill.run.throughput import peak_memory_bytes
from distill.settings import replace

NUM_PROBE_MICRO_STEPS = 3
NUM_START_TOKENS = 2048  # of held-out text that the start loss is measured on


def describe(setup: Setup) -> str:
    """What a run would do, as lines of text. Runs a few micro-steps of this process to measure memory and time."""
    place_teacher(setup)
    distiller = build_distiller(setup)
    seconds, peak_bytes = _probe(setup, distiller)
    config, accelerator, schedule = setup.config, setup.accelerator, setup.schedule
    num_rows = len(setup.blocks.train) if setup.privacy is None else setup.privacy.num_documents
    sequences = f"{config.train.global_batch_size} sequences"
    if setup.stream is None:
        num_epochs = schedule.max_steps * schedule.rows_per_step / num_rows
        sequences += f" ({num_epochs:.2f} epochs)"
    num_timed, timed = schedule.micro_steps, "micro-step"
    if setup.privacy is not None:
        sequences = f"{schedule.rows_per_step} documents on average ({num_epochs:.2f} passes)"
        num_timed, timed = math.ceil(schedule.rows_per_step / accelerator.num_processes), "document"
    about = _describe_data(setup) if setup.stream is None else _describe_stream(setup, setup.stream, seconds)
    rows = about | {
        "teacher": _describe_teacher(setup),
        "student": _describe_student(setup),
        "start loss": _describe_start(setup, distiller),
        "objective": _describe_objective(setup),
        "processes": f"{accelerator.num_processes} on {accelerator.device.type}, {schedule.micro_steps} micro-steps "
        f"each, mixed precision {accelerator.mixed_precision}",
        "steps": f"{schedule.max_steps:,} optimizer steps of {sequences}",
        **({} if setup.privacy is None else describe_privacy(setup)),
        "memory": f"about {peak_bytes / 1e9:.1f} GB per process (measured on {NUM_PROBE_MICRO_STEPS} micro-steps, plus "
        f"optimizer states{', with the whole student on each process' if accelerator.is_fsdp2 else ''})",
        "time": f"about {_duration(seconds * num_timed * schedule.max_steps)} ({seconds:.2f} s per {timed})",
        "run folder": config.run_dir,
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _describe_stream(setup: Setup, stream: BlockStream, seconds: float) -> dict[str, str]:
    """What is known of a text that is read as a stream, and how many cores prepare it as fast as steps read it.

    seconds: per micro-step.
    """
    data, heldout = setup.config.data, setup.blocks.info["heldout"]
    alone = dataclasses.replace(stream, data=replace(data, num_proc=1))
    started = time.perf_counter()
    with contextlib.closing(alone.blocks(0)) as blocks:
        next(blocks)  # a window has been prepared
    per_second = stream.blocks_per_window / (time.perf_counter() - started)
    needed = setup.schedule.rows_per_micro / seconds
    return {
        "corpus": ", ".join(filter(None, (data.path, describe_files(data.path)))),
        "documents": f"read as a stream, divided among {stream.num_processes} processes; {heldout['num_documents']:,} "
        "held out",
        "blocks": f"of at most {data.seq_len} tokens, prepared while the run reads them, shuffled within "
        f"{stream.blocks_per_window:,}; {heldout['num_blocks']:,} held out",
        "preparation": f"{per_second:,.0f} blocks per second and core; a process reads {needed:,.0f} per second, so "
        f"set data.num_proc ({data.num_proc}) to {math.ceil(needed / per_second)} or more",
    }


def _describe_data(setup: Setup) -> dict[str, str]:
    data, train, heldout = setup.config.data, setup.blocks.info["train"], setup.blocks.info["heldout"]
    num_tokens = train["num_tokens"]
    num_scored = train.get("num_scored", num_tokens - train["num_blocks"])  # nothing predicts the first of a block
    return {
        "corpus": ", ".join(filter(None, (data.path, describe_files(data.path)))),
        "documents": f"{train['num_documents']:,} to train on, {heldout['num_documents']:,} held out; "
        f"{train['num_words']:,} words",
        "pairs": f"{train['num_pairs']:,} documents with a counterfactual "
        f"({train['num_pairs'] / train['num_documents']:.1%}), {train['num_edits']:,} words swapped",
        "blocks": f"{train['num_blocks']:,} of at most {data.seq_len} tokens ({num_tokens:,} tokens); "
        f"{heldout['num_blocks']:,} held out",
        "scored": f"{num_scored:,} of {num_tokens:,} tokens ({num_scored / num_tokens:.1%})",
    }


def _describe_teacher(setup: Setup) -> str:
    config, teacher = setup.config, setup.models.teacher
    if config.teacher is None or teacher is None:
        return "none"
    text = f"{num_parameters(teacher):,} parameters ({config.teacher.path})"
    if config.teacher.targets == "online":
        return text
    num_bytes = size_bytes(len(setup.blocks.train), config, teacher)
    return (
        f"{text}, its states cached: up to {num_bytes / 1e9:.1f} GB in {config.data.cache_dir} (memory and time are "
        "measured with a teacher that reads in every step, so they are upper bounds)"
    )


def _describe_student(setup: Setup) -> str:
    student, lora, layers = setup.models.student, setup.config.student.lora, setup.config.student.layers
    text = f"{num_parameters(student):,} parameters"
    if lora is None:
        return text if layers is None or layers == "all" else f"{text}, layers {list(layers)} of the teacher"
    trained = sum(parameter.numel() for parameter in student.parameters() if parameter.requires_grad)
    return f"{text}, of which the adapter has {trained:,} (rank {lora.rank}); the base under it is the teacher"


def _describe_start(setup: Setup, distiller: Distiller) -> str:
    """The student's held-out loss before the first step, with a warning if its weights are worth less than none."""
    config, student = setup.config, setup.models.student
    num_blocks = min(max(1, NUM_START_TOKENS // config.data.seq_len), config.train.eval_blocks)
    first_blocks = replace(config, train=replace(config.train, eval_blocks=num_blocks))
    loss = evaluate_heldout(setup.accelerator, distiller, setup.blocks, first_blocks)["heldout_nats_per_token"]
    guessing = guessing_loss(student)
    text = f"{loss:.2f} nats per token on {min(num_blocks, len(setup.blocks.heldout))} held-out blocks"
    if loss <= guessing or config.student.config is not None:  # random weights guess
        return text
    return (
        f"{text}. WARNING: guessing gives {guessing:.2f}, so these weights are worse than random ones; choose other "
        "layers (evenhand layers, or student.layers=auto student.keep=N), or another checkpoint"
    )


def _describe_objective(setup: Setup) -> str:
    config, classes, perturb = setup.config, setup.classes, setup.config.perturb
    return (
        f"{perturb.operation} (scope {perturb.scope}, strength {perturb.strength:g}, gain {perturb.gain:g}), "
        f"augmentation {config.augment.mode}; loss: {loss_line(config)}"
        + ("" if classes is None else f"; {len(classes.ids)} gendered tokens (evenhand terms)")
    )


def _probe(setup: Setup, distiller: Distiller) -> tuple[float, float]:
    """Seconds per micro-step (without the first one), or per document of a private run, and bytes per process."""
    config, device = setup.config, setup.accelerator.device
    every_micro_batch = setup.schedule._replace(num_samples=None, rows_per_step=setup.schedule.rows_per_micro)
    if setup.privacy is not None:  # each document is read alone
        every_micro_batch = every_micro_batch._replace(rows_per_step=1, rows_per_micro=1)
    scale = torch.ones((), device=device)
    durations = []
    loader: Iterable[PairedBatch]
    if setup.stream is None:
        indices = training_indices(every_micro_batch, len(setup.blocks.train), config.seed, 0, 0, 1)
        loader = batches(setup.blocks.train, indices, config.data.seq_len)
    else:
        rows_per_micro = setup.schedule.rows_per_micro
        loader = batches_in_order(setup.stream.blocks(0), rows_per_micro, config.data.seq_len)
    if setup.privacy is not None:
        loader = (batch.trimmed() for batch in loader)
    for micro_batch in itertools.islice(scored_batches(loader, config, device), NUM_PROBE_MICRO_STEPS):
        started = time.perf_counter()
        with setup.accelerator.autocast():
            loss = distiller(*micro_batch.to(device), scale).loss
        loss.backward()
        loss.item()  # waits for the device
        durations.append(time.perf_counter() - started)
    optimizer_bytes = sum(2 * parameter.numel() * 4 for parameter in distiller.parameters() if parameter.requires_grad)
    return min(durations[1:]), peak_memory_bytes(device) + optimizer_bytes


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
