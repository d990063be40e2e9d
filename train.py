"""Distill a causal language model: accelerate launch train.py --config FILE [--dry-run] [key.sub=value ...]."""

from __future__ import annotations

import argparse
import logging
import os
import sys

import torch
from accelerate import Accelerator
from transformers.utils import logging as transformers_logging

from augment.lexicon import load_lexicon
from distill.checkpoint import is_complete, open_run, provenance
from distill.config import RunConfig, load_config
from distill.data import prepare_blocks
from distill.models import model_fingerprint
from distill.parts import load_parts
from distill.perturb import USES_CLASSES, gender_classes
from distill.plan import describe
from distill.tracking import check_trackers
from distill.trainer import check_supported, fit, plan_schedule


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, build the parts and train. Bad input raises ValueError or OSError with one message."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="YAML file with the settings that differ from the defaults")
    parser.add_argument("--dry-run", action="store_true", help="print what would happen, with sizes, memory and time")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="settings that win over the file")
    options = parser.parse_intermixed_args(arguments)
    config = load_config(RunConfig, options.config, options.overrides)
    if not options.dry_run and is_complete(config):
        print(f"{config.run_dir}/student is there: this run is complete; remove the folder to train again")
        return

    check_trackers(config.train.trackers)
    # without cpu=True two CPU processes would each believe to be alone
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),
        log_with=list(config.train.trackers) or None,
        project_dir=config.run_dir,
    )
    check_supported(accelerator)
    tokenizer, teacher, student = load_parts(config)
    lexicon = load_lexicon(config.augment.tiers, config.augment.lexicon)
    classes = gender_classes(tokenizer, lexicon) if config.perturb.operation in USES_CLASSES else None
    blocks = prepare_blocks(config.data, config.augment, lexicon, tokenizer, config.seed)
    schedule = plan_schedule(config, len(blocks.train), accelerator.num_processes)
    if options.dry_run:
        accelerator.print(describe(config, accelerator, schedule, blocks, teacher, student, classes))
        return

    origin = {}
    if accelerator.is_main_process:
        origin = provenance(
            blocks.info,
            model_fingerprint(config.teacher.path, teacher) if config.teacher and teacher else None,
            model_fingerprint(config.student.checkpoint, student) if config.student.checkpoint else None,
            tokenizer.backend_tokenizer.to_str(),
            accelerator.mixed_precision,
        )
        open_run(config, origin)
    accelerator.wait_for_everyone()
    fit(config, accelerator, schedule, blocks, tokenizer, teacher, student, classes, origin)
    accelerator.print(f"done: {config.run_dir}/student")
    if accelerator.device.type != "cpu":
        accelerator.state.destroy_process_group()


if __name__ == "__main__":
    transformers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)  # it warns of tied weights at every checkpoint
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        rank = os.environ.get("RANK", "0")
        sys.exit(f"error: {error}" if rank == "0" else f"error (process {rank}): {error}")
