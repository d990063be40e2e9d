"""Distill a causal language model: accelerate launch train.py --config FILE [--dry-run] [key.sub=value ...]."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from augment.command_line import print_any_text
from distill.config import RunConfig
from distill.run.cached_states import add_cached_states
from distill.run.dry_run import describe
from distill.run.folder import check_rules, is_complete, leave_note
from distill.run.interrupt import Stopped, StopRequest
from distill.run.launch import leave
from distill.run.setup import add_provenance, hold_run_folder, set_up
from distill.run.trainer import fit
from distill.settings import load_config


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, set the run up and train. Raises ValueError or OSError with one message for bad input,
    MemoryError for a GPU that is too small, FloatingPointError for a step that fails, and Stopped after a signal.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    help_of_config = "YAML file with the settings that differ from the defaults; of several, a later one wins"
    parser.add_argument("--config", required=True, action="append", help=help_of_config)
    parser.add_argument("--dry-run", action="store_true", help="print what would happen, with sizes, memory and time")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="settings that win over the file")
    options = parser.parse_intermixed_args(arguments)
    config = load_config(RunConfig, options.config, options.overrides)
    if config.federated is not None:
        raise ValueError("the configuration has a section federated; give it to evenhand federated, or federated=null")
    if not options.dry_run and not is_left_to_train(config):
        return

    with explained(config, options.dry_run):
        setup = set_up(config)
        if options.dry_run:
            setup.accelerator.print(describe(setup))
            return
        setup = add_provenance(setup)
        with hold_run_folder(setup):
            fit(add_cached_states(setup))
        setup.accelerator.print(f"done: {config.run_dir}/student")


def is_left_to_train(config: RunConfig) -> bool:
    """Whether the run is not complete yet; says so if it is. Raises as `check_rules`."""
    if is_complete(config):
        print(f"{config.run_dir}/student exists: this run is complete; remove the folder to train again")
        return False
    check_rules(config)
    return True


@contextlib.contextmanager
def explained(config: RunConfig, dry_run: bool) -> Iterator[None]:
    """In this context a signal ends the run at once and leaves a note in the run folder; `fit` stops in its own way.

    If the memory of the GPU does not suffice, raises MemoryError with the remedy.
    """
    try:
        with StopRequest(at_once=True):
            yield
    except Stopped as stopped:
        if stopped.step is None and not dry_run and os.environ.get("RANK", "0") == "0":
            leave_note(Path(config.run_dir), stopped.note())
        raise
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"the memory of the GPU does not suffice ({str(error).splitlines()[0]}); lower train.micro_batch_size "
            f"({config.train.micro_batch_size}), set train.gradient_checkpointing=true, teacher.dtype=bfloat16 or "
            "teacher.shard=true, or launch with configs/accelerate/fsdp2.yaml; the last checkpoint is intact, but "
            "can be resumed only with the same teacher.dtype and precision"
        ) from error


def program(arguments: Sequence[str] | None = None) -> int:
    """`main` as a program."""
    return exit_code_of(lambda: main(arguments))


def exit_code_of(train: Callable[[], None]) -> int:
    """Train: errors as one line on stderr, and the exit code (143 after SIGTERM, 130 after Ctrl-C)."""
    transformers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)  # it warns about tied weights at every checkpoint
    process = int(os.environ.get("RANK", "0"))
    print_any_text()
    try:
        train()
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
