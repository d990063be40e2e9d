"""Write a small world: evenhand smallworld --out DIR [--documents N] [--heldout N] [--seed S] [--vocab-size V]."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from augment.command_line import exit_code
from augment.files.safe import writing
from distill.smallworld.default_world import default_world
from distill.smallworld.folder import CorpusParameters, build_corpus


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.smallworld") -> int:
    """Write the corpus folder of the default world; return the exit status."""
    defaults = CorpusParameters()
    parser = argparse.ArgumentParser(prog=prog, description="Write a small-world corpus folder.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--documents", type=int, default=defaults.num_documents, help="number of train documents")
    parser.add_argument("--heldout", type=int, default=defaults.num_heldout, help="number of held-out documents")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--vocab-size", type=int, default=defaults.vocab_size, help="upper bound on the vocabulary")
    args = parser.parse_args(arguments)
    return exit_code(lambda: _write(args))


def _write(args: argparse.Namespace) -> None:
    parameters = CorpusParameters(
        num_documents=args.documents, num_heldout=args.heldout, seed=args.seed, vocab_size=args.vocab_size
    )
    with writing("the texts", args.out, "--out"):
        written = build_corpus(args.out, default_world(), parameters)
    print(f"{args.out}: written" if written else f"{args.out}: exists with the same parameters, nothing to do")


if __name__ == "__main__":
    sys.exit(main())
