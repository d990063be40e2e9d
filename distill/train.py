"""Distill a causal language model: accelerate launch train.py --config FILE [--dry-run] [key.sub=value ...]."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.blocks import prepare_blocks, separators
from distill.loss.targets import USES_CLASSES, gender_classes
from distill.models.document_mask import mask_documents
from distill.models.parts import load_parts, origin_of_parts
from distill.run.cached_states import cache_states
from distill.run.dry_run import describe
from distill.run.folder import is_complete, leave_note, open_run, provenance
from distill.run.interrupt import Stopped, StopRequest
from distill.run.launch import build_accelerator, leave, on_main
from distill.run.samples import check_prompts
from distill.run.schedule import accumulation_steps, plan_schedule
from distill.run.tracking import check_trackers
from distill.run.trainer import fit
from distill.settings import load_config


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, build the parts and train. Bad input raises ValueError or OSError with one message,
    a GPU that is too small MemoryError, and a signal Stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="YAML file with the settings that differ from the defaults")
    parser.add_argument("--dry-run", action="store_true", help="print what would happen, with sizes, memory and time")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="settings that win over the file")
    options = parser.parse_intermixed_args(arguments)
    config = load_config(RunConfig, options.config, options.overrides)
    if not options.dry_run and is_complete(config):
        print(f"{config.run_dir}/student is there: this run is complete; remove the folder to train again")
        return

    try:
        with StopRequest(at_once=True):  # until the steps begin, which are finished first
            run(config, options.dry_run)
    except Stopped as stopped:
        if stopped.step is None and not options.dry_run and os.environ.get("RANK", "0") == "0":
            leave_note(Path(config.run_dir), stopped.note())
        raise
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"the memory of the GPU does not suffice ({str(error).splitlines()[0]}); lower train.micro_batch_size "
            f"({config.train.micro_batch_size}), set train.gradient_checkpointing=true, teacher.dtype=bfloat16 or "
            "teacher.shard=true, or launch with configs/accelerate/fsdp2.yaml; the last checkpoint is intact, and goes "
            "on with the same teacher.dtype and precision only"
        ) from error


def run(config: RunConfig, dry_run: bool) -> None:
    """Build the parts of a run and train, or print what would happen."""
    check_trackers(config.train.trackers)
    accelerator = build_accelerator(config)
    accumulation_steps(config.train, accelerator.num_processes)  # refuses what does not divide before anything is read
    tokenizer, teacher, student = load_parts(config)
    check_prompts(student, tokenizer, config.train.sample_prompts)
    lexicon = load_lexicon(config.augment.tiers, config.augment.lexicon)
    loss = config.loss
    has_term = loss.pairing_weight > 0 or loss.counterpart_weight > 0 or not loss.ce_counterparts
    needs_classes = config.perturb.operation in USES_CLASSES or has_term
    classes = gender_classes(tokenizer, lexicon) if needs_classes else None
    blocks = prepare_blocks(config.data, config.augment, lexicon, tokenizer, config.seed)
    if config.data.mask_documents:
        for model in filter(None, (teacher, student)):
            mask_documents(model, separators(tokenizer, config.data.separator)[0][0])
    schedule = plan_schedule(config, len(blocks.train), accelerator.num_processes)
    if dry_run:
        accelerator.print(describe(config, accelerator, schedule, blocks, teacher, student, classes))
        return

    origin = on_main(
        accelerator,
        lambda: provenance(
            blocks.info, origin_of_parts(config, tokenizer, teacher, student), accelerator.mixed_precision
        ),
    )
    with contextlib.ExitStack() as held:
        on_main(accelerator, lambda: held.enter_context(open_run(config, origin)))
        if config.teacher and teacher and config.teacher.targets == "cached":
            blocks = blocks._replace(states=cache_states(config, accelerator, blocks, teacher, origin["teacher"]).read)
        fit(config, accelerator, schedule, blocks, tokenizer, teacher, student, classes, origin)
    accelerator.print(f"done: {config.run_dir}/student")


def program(arguments: list[str] | None = None) -> int:
    """`main` as a program: errors as one line on stderr, and the exit code (143 after SIGTERM, 130 after Ctrl-C)."""
    transformers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)  # it warns about tied weights at every checkpoint
    process = int(os.environ.get("RANK", "0"))
    try:
        main(arguments)
    except Stopped as stopped:
        if process == 0:
            sys.stderr.write(f"{stopped}\n")
        if stopped.step is not None:  # all processes stopped after the same step
            leave()
        return stopped.exit_code
    except (ValueError, OSError, FloatingPointError, MemoryError) as error:
        # one write, so that no other process writes into the line (print and sys.exit need two when unbuffered)
        sys.stderr.write(f"error (process {process}): {error}\n" if process else f"error: {error}\n")
        return 1
    leave()
    return 0


if __name__ == "__main__":
    sys.exit(program())
