"""Does a student give away what it was trained on? evenhand audit-privacy RUN [--out DIR] [--documents N].

RUN is the folder of a finished run; its text and its teacher must be where they were. DIR, by default
RUN/privacy_audit, gets privacy_audit.json and privacy_audit.html.
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
from distill.privacy.audit import Options, audit_run
from distill.privacy.members import MIN_DOCUMENTS
from distill.privacy.report import audit_sentences, audit_table, canary_sentences, render_audit


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.audit_privacy") -> None:
    """Parse the command line, audit, print and write. Raises ValueError or OSError with one message."""
    options = parser(prog).parse_args(arguments)
    if options.documents < MIN_DOCUMENTS:
        raise ValueError(f"--documents {options.documents} are too few; give {MIN_DOCUMENTS} or more")
    if not 0 <= options.delta < 1:
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
    for sentence in [*audit_sentences(content), *canary_sentences(content["canaries"]), *content["notes"]]:
        print(sentence)
    print(f"report: {out / 'privacy_audit.html'}")


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog=prog, description="Measure what a student gives away of its training text.")
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the report (default: RUN/privacy_audit)")
    parser.add_argument("--documents", type=int, default=Options().documents, metavar="N", help="of each group at most")
    parser.add_argument("--delta", type=float, default=Options().delta, help="of the bounds of epsilon (default: 1e-5)")
    parser.add_argument("--corpus", metavar="PATH", help="where the run's text is now, if it was moved")
    return parser


if __name__ == "__main__":
    sys.exit(exit_code(main))
