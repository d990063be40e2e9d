"""Does a student give away what it was trained on? evenhand audit-privacy RUN [--out DIR] [--documents N].

RUN is the folder of a finished run; its text and its teacher must be where they were. DIR, by default
RUN/privacy_audit, gets privacy_audit.json and privacy_audit.html. If RUN promises an epsilon (`privacy`) and the audit
proves a larger one, the exit code is 3.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from augment.command_line import exit_code
from distill.files import write_text, writing
from distill.privacy.audit import DELTA, Options, audit_run
from distill.privacy.members import MIN_DOCUMENTS
from distill.privacy.report import all_sentences, audit_table, render_audit

BROKEN = 3  # exit code: the audit is done, and a bound of epsilon is above what the run promises


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.audit_privacy") -> int:
    """Parse the command line, audit, print and write. Returns BROKEN if the run's promise is broken, otherwise 0.

    Raises ValueError or OSError with one message.
    """
    options = parser(prog).parse_args(arguments)
    if options.documents < MIN_DOCUMENTS:
        raise ValueError(f"--documents {options.documents} are too few; give {MIN_DOCUMENTS} or more")
    if options.delta is not None and not 0 <= options.delta < 1:
        raise ValueError(f"--delta {options.delta:g} is no probability below 1; give a small one, such as 1e-5")
    out = options.out or options.run / "privacy_audit"
    content = audit_run(options.run, Options(options.documents, options.delta, corpus=options.corpus))
    with writing("the audit", out, "--out"):
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        write_text(out / "privacy_audit.json", text + "\n")
        write_text(out / "privacy_audit.html", render_audit(content))
    console = Console(width=max(80, shutil.get_terminal_size().columns))
    if content["membership"]["models"]:
        console.print(audit_table(content), "")
    for sentence in [*all_sentences(content), *content["notes"]]:
        print(sentence)
    print(f"report: {out / 'privacy_audit.html'}")
    return BROKEN if content["promise"] is not None and content["promise"]["is_broken"] else 0


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog=prog, description="Measure what a student gives away of its training text.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the report (default: RUN/privacy_audit)")
    parser.add_argument("--documents", type=int, default=Options().documents, metavar="N", help="of each group at most")
    default = f"that of the run's promise, or {DELTA:g}"
    parser.add_argument("--delta", type=float, help=f"of the bounds of epsilon (default: {default})")
    parser.add_argument("--corpus", metavar="PATH", help="where the run's text is now, if it was moved")
    return parser


if __name__ == "__main__":
    sys.exit(exit_code(main))
