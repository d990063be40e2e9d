"""The study of all methods: one YAML file of configs/study in; runs, one results file, and RESULTS.md out.

    python -m study plan CONFIG                               what would be run
    python -m study run CONFIG [--jobs N] [--only ARM ...] [--seeds S ...]
    python -m study collect CONFIG --out docs/results/NAME.json
    python -m study merge PART.json ... --out docs/results/NAME.json   of a study on several machines
    python -m study report docs/results/*.json --out RESULTS.md [--readme README.md]

`run` goes on where it was stopped. `plan`, `run` and `collect` take `--set key=value` for settings of the study, e.g.
--set budget_hours=2; give the same ones to all three.
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
from study import card, collect, merge, report, run
from study.plan import UNTRAINED, load_study, plan_runs, teacher_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands; the exit code: 1 if a run failed, 2 if nothing could be started."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except KeyboardInterrupt:
        print("error: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("plan", _plan, "say what would be run"),
        ("run", _run, "train and measure all arms"),
        ("collect", _collect, "write the results file"),
        (UNTRAINED, _untrained, "write the student before its training (a part of run)"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.set_defaults(command=command)
        sub.add_argument("config", help="a file of configs/study")
        sub.add_argument("--set", action="append", default=[], metavar="key=value", help="a setting of the study")
        if name in ("plan", "run"):
            several: dict[str, Any] = {"nargs": "+", "action": "extend", "default": []}
            sub.add_argument("--only", **several, metavar="ARM", help="these arms, with their variants")
            sub.add_argument("--seeds", **several, type=int, help="some of the study's seeds")
        if name == "run":
            sub.add_argument("--jobs", type=_positive, default=1, help="how many at a time; the cores are shared out")
        if name == "collect":
            sub.add_argument("--out", type=Path, required=True)
    sub = commands.add_parser("merge", help="one results file from those of several machines")
    sub.set_defaults(command=_merge)
    sub.add_argument("results", nargs="+", type=Path, help="of a model that is in several, the first counts")
    sub.add_argument("--out", type=Path, required=True)
    sub = commands.add_parser("report", help="write RESULTS.md, plots and model cards from results files")
    sub.set_defaults(command=_report)
    sub.add_argument("results", nargs="+", type=Path)
    sub.add_argument("--out", type=Path, required=True)
    sub.add_argument("--readme", type=Path, help="a README beside it whose marked part is written anew")
    return parser


def _plan(options: argparse.Namespace) -> None:
    study = load_study(options.config, options.set)
    runs = plan_runs(study, options.only, options.seeds)
    teacher = teacher_run(study)
    if teacher is not None:
        print(f"teacher: {study.teacher_config} {' '.join(study.teacher_overrides)}")
    print(f"arms share: {study.train_config} {' '.join(study.train_overrides)}")
    for one in runs:
        print(f"  {one.label}: {' '.join(one.overrides[len(study.train_overrides) :])}")
    print(f"{len(runs)} runs of {study.budget_tokens:,} tokens; {study.budget_hours:g} h on {study.budget_machine}")


def _run(options: argparse.Namespace) -> int:
    study = load_study(options.config, options.set)
    settings = (options.config, *(word for one in options.set for word in ("--set", one)))
    return run.run_study(settings, study, options.only, options.seeds, options.jobs)


def _untrained(options: argparse.Namespace) -> None:
    study = load_study(options.config, options.set)
    run.write_untrained(plan_runs(study, [UNTRAINED])[0])


def _collect(options: argparse.Namespace) -> None:
    _write(collect.collect(load_study(options.config, options.set)), options.out)


def _merge(options: argparse.Namespace) -> None:
    _write(reduce(merge.merge, map(collect.read, options.results)), options.out)


def _write(results: dict[str, Any], out: Path) -> None:
    collect.write(results, out)
    print(f"{out}: {len(results['arms'])} arms, {len(results['missing'])} models missing")


def _report(options: argparse.Namespace) -> None:
    texts = {options.out: report.report(options.results, options.out)}
    if options.readme is not None:
        texts[options.readme] = report.with_headline(options.readme, options.results, options.out)
    num_plots = 0
    for path in options.results:
        plots = report.plots(path)
        num_plots += len(plots)
        results = collect.read(path)
        texts |= plots
        if card.recommended(results) is not None:
            texts[path.with_name(f"{path.stem}_model_card.md")] = card.card(results)
    for path, text in texts.items():  # all or, where something is not right, nothing
        write_text(path, text)
    print(f"{options.out} and {num_plots} plots written")


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
