"""Studies: train and measure all methods with the same budget, then report them.

    python -m study plan CONFIG                               print what would be run, and with which settings
    python -m study run CONFIG [--jobs N] [--only ARM ...] [--seeds S ...]
    python -m study collect CONFIG --out docs/results/NAME.json
    python -m study merge PART.json ... --out docs/results/NAME.json   for a study that ran on several machines
    python -m study report docs/results/*.json --out RESULTS.md [--readme README.md]

CONFIG is a file of configs/study. `run` resumes a study where it was stopped. `plan`, `run` and `collect` take
`--set key=value` for settings of the study, such as --set budget_hours=2; give the same ones to all three.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from distill.files import write_text
from study import collect, merge, report, results, run
from study.config import HEALED, UNTRAINED, load_study
from study.plan import plan_study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0, 1 if a run failed, 2 if nothing could be started, or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except KeyboardInterrupt:
        print("error: interrupted; the same command resumes where this one stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("plan", _plan, "print what would be run, and with which settings"),
        ("run", _run, "train and measure all arms"),
        ("collect", _collect, "write the results file"),
        (UNTRAINED, _untrained, "write the untrained student (run does this itself)"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.set_defaults(command=command)
        sub.add_argument("config", help="a file of configs/study")
        sub.add_argument(
            "--set", action="append", default=[], metavar="key=value", help="change a setting of the study"
        )
        if name in ("plan", "run"):
            several: dict[str, Any] = {"nargs": "+", "action": "extend", "default": []}
            sub.add_argument("--only", **several, metavar="ARM", help="run these arms alone, with their variants")
            sub.add_argument("--seeds", **several, type=int, help="run these of the study's seeds alone")
        if name == "run":
            sub.add_argument(
                "--jobs", type=_positive, default=1, help="how many models to run at a time; they share the cores"
            )
        if name == "collect":
            sub.add_argument("--out", type=Path, required=True, help="the results file to write")
    sub = commands.add_parser("merge", help="join the results files of several machines")
    sub.set_defaults(command=_merge)
    sub.add_argument(
        "results", nargs="+", type=Path, help="results files; if several hold a model, the first of them counts"
    )
    sub.add_argument("--out", type=Path, required=True, help="the results file to write")
    sub = commands.add_parser("report", help="write RESULTS.md, full tables, plots and model cards from results files")
    sub.set_defaults(command=_report)
    sub.add_argument("results", nargs="+", type=Path, help="results files")
    sub.add_argument("--out", type=Path, required=True, help="the summary to write, RESULTS.md")
    sub.add_argument("--readme", type=Path, help="a README; the report writes the part between its two marks")
    return parser


def _plan(options: argparse.Namespace) -> None:
    plan = plan_study(load_study(options.config, options.set), options.only, options.seeds)
    study = plan.study
    if plan.teacher.training is not None:
        print(f"the teacher is trained with: {study.teacher_config} {' '.join(study.teacher_overrides)}")
    print(f"all arms are trained with: {study.train_config} {' '.join(study.train_overrides)}")
    if study.healing is not None:
        print(f"all arms start from {HEALED} of their seed, which is trained first")
    for planned in plan.every_run:
        print(f"  {planned.label}: {' '.join(planned.overrides[len(study.train_overrides) :])}")
    runs = f"{sum(run.arm != HEALED for run in plan.runs)} runs of {study.budget_tokens:,} tokens"
    if study.healing is not None:
        runs += f", after {len(plan.healing)} of {study.healing.budget_tokens:,} that heal"
    print(f"{runs}; {study.budget_hours:g} h on {study.budget_machine}")


def _run(options: argparse.Namespace) -> int:
    plan = plan_study(load_study(options.config, options.set), options.only, options.seeds)
    words = (options.config, *(word for setting in options.set for word in ("--set", setting)))
    return run.run_study(plan, words, options.jobs)


def _untrained(options: argparse.Namespace) -> None:
    (untrained,) = plan_study(load_study(options.config, options.set), [UNTRAINED]).runs
    run.write_untrained(untrained)


def _collect(options: argparse.Namespace) -> None:
    _write(collect.collect(plan_study(load_study(options.config, options.set))), options.out)


def _merge(options: argparse.Namespace) -> None:
    _write(reduce(merge.merge, map(results.read, options.results)), options.out)


def _write(content: dict[str, Any], out: Path) -> None:
    results.write(content, out)
    print(f"{out}: {len(content['arms'])} arms, {len(content['missing'])} models missing")


def _report(options: argparse.Namespace) -> None:
    pages = report.pages(options.results, options.out, options.readme)
    for path, text in pages.items():  # if anything is wrong, no file is written
        write_text(path, text)
    num_plots = sum(path.suffix == ".svg" for path in pages)
    print(f"{options.out}, {len(pages) - num_plots - 1} other pages and {num_plots} plots written")


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
