"""Command line of the augmenter: `python -m augment swap|explain|fit|audit|agree ...`.

A wrong input ends with one `error: ...` line on stderr and exit code 1.
"""

import argparse
import sys
from collections.abc import Sequence

from augment import commands

PROG = "python -m augment"


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    """The argument parser, with a sub-command for each job."""
    parser = argparse.ArgumentParser(prog=prog, description="Swap the gender of texts, explainably.")
    jobs = parser.add_subparsers(dest="job", required=True)
    commands.add_swap(jobs)
    commands.add_explain(jobs)
    commands.add_fit(jobs)
    commands.add_audit(jobs)
    commands.add_agree(jobs)
    return parser


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run a sub-command. Returns the exit code: 0, 1 after an error, 130 after Ctrl-C."""
    options = build_parser(prog).parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; run the same command again to resume", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
