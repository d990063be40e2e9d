"""Distill on text that is divided among clients: evenhand federated --config FILE [--dry-run] [key.sub=value ...].

The clients are parts of one corpus on this machine, and train one after another in this process.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.folders import check_only_text
from distill.federated.documents import divide, read_training_documents
from distill.federated.dry_run import describe
from distill.federated.in_turn import client_blocks, in_turn, sizes_of
from distill.federated.server import fit_federated
from distill.run.setup import add_provenance, hold_run_folder, set_up
from distill.settings import load_config
from distill.shipped import check_needs, config_path
from distill.train import exit_code_of, explained, is_left_to_train


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.federated") -> int:
    """`federated` as a program; returns its exit code."""
    return exit_code_of(lambda: federated(arguments, prog))


def federated(arguments: Sequence[str] | None = None, prog: str = "python -m distill.federated") -> None:
    """Parse the command line, print the clients, and train. Raises what training raises, with one message."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("--config", required=True, action="append", help="YAML file or shipped name; a later one wins")
    parser.add_argument(
        "--dry-run", action="store_true", help="only print the clients and how gendered their texts are"
    )
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="settings that win over the file")
    options = parser.parse_intermixed_args(arguments)
    paths = [config_path("train", name) for name in options.config]
    config = load_config(RunConfig, paths, options.overrides)
    for path in paths:
        check_needs(path, config)
    if config.federated is None:
        raise ValueError("the configuration has no section federated; add one, or give it to evenhand train")
    if not options.dry_run and not is_left_to_train(config):
        return
    check_only_text({"data.path": config.data.path, "data.heldout_path": config.data.heldout_path})
    lexicon = load_lexicon(config.augment.tiers, config.augment.lexicon)
    with explained(config, options.dry_run):
        documents = read_training_documents(config.data, lexicon, config.federated.clients.field)
        partition = divide(documents, config.federated.clients, config.seed)
        print(describe(config, documents, partition))
        if options.dry_run:
            return
        setup = set_up(config)
        if setup.accelerator.num_processes > 1:
            raise ValueError("federated training has one process here; start it without accelerate launch")
        setup = add_provenance(setup)
        with hold_run_folder(setup):
            blocks = client_blocks(setup, partition)
            fit_federated(setup, sizes_of(setup, blocks), in_turn(setup, blocks))
        print(f"done: {config.run_dir}/student")


if __name__ == "__main__":
    sys.exit(main())
