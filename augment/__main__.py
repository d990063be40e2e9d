"""Command line of the augmenter: `python -m augment swap|explain|fit|audit|agree ...`.

Bad input gives one `error: ...` line on stderr and exit code 1.
"""

import argparse
import sys
from collections.abc import Sequence

from augment import commands
from augment.command_line import exit_code

PROG = "python -m augment"


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    """The parser of the command line, with one sub-command for each job."""
    parser = argparse.ArgumentParser(prog=prog, description="Swap the gender of texts, explainably.")
    jobs = parser.add_subparsers(dest="job", required=True)
    commands.add_swap(jobs)
    commands.add_explain(jobs)
    commands.add_fit(jobs)
    commands.add_audit(jobs)
    commands.add_agree(jobs)
    return parser


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run a sub-command and return its exit code: 0, 1 after an error, 130 after Ctrl-C."""
    options = build_parser(prog).parse_args(arguments)
    return exit_code(lambda: options.run(options), "interrupted; run the same command again to resume")


if __name__ == "__main__":
    sys.exit(main())
