"""Compare language models: python eval.py MODEL [MODEL ...] --config configs/eval/X.yaml --out DIR [key.sub=value ...].

A MODEL is a folder, a hub name, a .gguf file or the run folder of train.py, with a label if wanted: label=PATH. The
first one is the reference. Writes results.json, examples-LABEL.jsonl, report.html and report.md into DIR; exits with 1
if anything that was asked for could not be measured, and with 2 if nothing could be started. What was scored before is
in DIR and is not scored again: an evaluation that was interrupted continues. `accelerate launch eval.py ...` divides
the items among its processes. --dry-run shows what would be done, and how long it takes.

    python eval.py compare RESULTS [RESULTS ...] [--out DIR]     compares earlier evaluations, without their models
    python eval.py export RESULTS --layout lm-eval --out DIR     writes them as lm-evaluation-harness does

RESULTS is a results.json or its folder. (A model in a folder called compare is ./compare.)
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers.utils import logging

from distill.evaluation import results
from distill.evaluation.comparison import load_evaluations
from distill.evaluation.config import EvalConfig
from distill.evaluation.dry_run import dry_run
from distill.evaluation.processes import current_processes
from distill.evaluation.report.console import console_legend, console_tables
from distill.evaluation.report.html import render_html
from distill.evaluation.report.lm_eval_layout import export
from distill.evaluation.report.markdown import render_markdown
from distill.evaluation.scoring.model_specs import parse_models, split_arguments
from distill.evaluation.suite import Evaluation, evaluate
from distill.files import write_text
from distill.run.launch import leave
from distill.settings import load_config


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an evaluation, or `compare` or `export` earlier ones, from command-line arguments; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = {"compare": _compare, "export": _export}.get(words[0]) if words else None
    try:
        return _evaluate(words) if command is None else command(words[1:])
    except KeyboardInterrupt:
        _print_error("interrupted; the same command continues where this one stopped")
        return 130
    except (ValueError, OSError) as error:
        _print_error(str(error))
        return 2


def _print_error(message: str) -> None:
    """In one write, so that no other process writes into the line."""
    sys.stderr.write(f"error: {message}\n")


def _evaluate(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description="Measure disparity and utility of causal language models and compare them with the first one.",
        usage="%(prog)s MODEL [MODEL ...] --config FILE --out DIR [--dry-run] [--fresh] [key.sub=value ...]\n"
        "       %(prog)s compare RESULTS [RESULTS ...] [--out DIR]\n"
        "       %(prog)s export RESULTS --layout lm-eval --out DIR",
    )
    parser.add_argument("words", nargs="+", metavar="MODEL", help="folder, hub name, run folder, or label=PATH")
    parser.add_argument("--config", required=True, help="YAML file, e.g. configs/eval/default.yaml")
    parser.add_argument("--out", required=True, type=Path, help="folder for results.json, the records and the report")
    parser.add_argument("--dry-run", action="store_true", help="show tasks, items, models and time; write nothing")
    parser.add_argument("--fresh", action="store_true", help="score everything again, even what is in --out already")
    options = parser.parse_intermixed_args(words)
    models, overrides = split_arguments(options.words)
    specs = parse_models(models)
    config = load_config(EvalConfig, options.config, overrides)
    _check_folder(options.out)
    processes = current_processes()
    logging.disable_progress_bar()  # one bar per model would break up the suite's own
    if options.dry_run:
        tables, failures = dry_run(specs, config, options.out, processes.count)
        leave()
        if not processes.is_main:
            return 0
        _print_tables(tables)
        return _failed([asdict(failure) for failure in failures])
    options.out.mkdir(parents=True, exist_ok=True)
    if options.fresh and processes.is_main:
        for path in options.out.glob("examples-*.jsonl"):
            path.unlink()
    processes.gather(None)
    evaluation = evaluate(specs, config, options.out)
    leave()
    if not processes.is_main:
        return 0
    if not evaluation.results:  # nothing is written over what may be there
        _failed([asdict(failure) for failure in evaluation.failures])
        return 2
    return _write(evaluation, config, options.out)


def _compare(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="eval.py compare",
        description="Compare evaluations that were made before: paired, from their records, without any model.",
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="a results.json, or its folder")
    parser.add_argument("--out", type=Path, help="folder for the comparison's results.json, records and report")
    options = parser.parse_args(words)
    if options.out is not None:
        _check_folder(options.out)
    evaluation, config = load_evaluations(options.results)
    return _write(evaluation, config, options.out)


def _export(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="eval.py export", description="Write an evaluation in the layout of another tool's results."
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a results.json, or its folder")
    parser.add_argument("--layout", required=True, choices=["lm-eval"], help="lm-eval: EleutherAI's harness")
    parser.add_argument("--out", required=True, type=Path, help="folder; each model gets one in it")
    options = parser.parse_args(words)
    _check_folder(options.out)
    for path in export(options.results, options.out):
        print(path)
    return 0


def _check_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")


def _write(evaluation: Evaluation, config: EvalConfig, out: Path | None) -> int:
    """Write the files into `out`, if there is one, and print the tables; the exit code."""
    summary = results.summarise(evaluation, config)
    records = {
        result.info["label"]: {name: run.records for name, run in result.tasks.items()} for result in evaluation.results
    }
    if out is not None:
        try:
            results.write(out, summary, evaluation)
            write_text(out / "report.html", render_html(summary, records))
            write_text(out / "report.md", render_markdown(summary))
        except OSError as error:
            raise OSError(f"cannot write to {out}: {error}") from error
    _print_tables(console_tables(summary))
    Console().print(console_legend(summary), markup=False, highlight=False)
    if out is not None:
        print(f"report: {out / 'report.html'}")
    return _failed(summary["failures"])


def _print_tables(tables: Sequence[Any]) -> None:
    console = Console(width=max(80, shutil.get_terminal_size().columns))
    for table in tables:
        console.print(table, "")


def _failed(failures: Sequence[dict[str, Any]]) -> int:
    """Print what could not be measured; the exit code."""
    for failure in failures:
        where = ", ".join(part for part in (failure["model"], failure["task"]) if part)
        _print_error(f"{where}: {failure['message']}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
