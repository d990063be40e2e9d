"""Compare language models: evenhand eval MODEL [MODEL ...] [--config FILE] [--out DIR] [key.sub=value ...].

A MODEL is a folder, a hub name, a .gguf file or the run folder of a training, with a label if wanted: label=PATH. The
first model is the reference that the others are compared with. Without --config the measures run that need no data
(configs/eval/audit.yaml): which pronoun the model expects after an occupation, whether it follows a gender that the
text gives, and a small sample of long text. Without --out the results are printed and nothing is written. With --out,
results.json, examples-LABEL.jsonl, report.html and report.md go into DIR, and scores that DIR already holds are used
again, so the same command resumes an evaluation.

Exit code: 0; 1 if something that was asked for could not be measured; 2 if nothing could be started or loaded; 3 if a
measure is above a limit of --fail-above; 130 after Ctrl-C. The network is used for hub names only.

`accelerate launch -m distill.eval ...` divides the items among processes. Two sub-commands need no model:

    evenhand compare RESULTS [RESULTS ...] [--out DIR]       compare earlier evaluations from their records
    evenhand export RESULTS --layout lm-eval --out DIR       write an evaluation as lm-evaluation-harness does

RESULTS is a results.json or its folder. In a clone `python eval.py ...` is the same as `evenhand eval ...`, and
`python eval.py compare ...` the same as `evenhand compare ...`. (A model in a folder named compare is ./compare.)
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

from augment.command_line import print_any_text
from distill.data.folders import check_apart
from distill.evaluation import results
from distill.evaluation.comparison import load_evaluations
from distill.evaluation.config import EvalConfig
from distill.evaluation.dry_run import dry_run
from distill.evaluation.limits import Limit, check_limits, parse_limit
from distill.evaluation.processes import current_processes
from distill.evaluation.report.console import console_legend, console_tables
from distill.evaluation.report.finding import findings
from distill.evaluation.report.html import render_html
from distill.evaluation.report.lm_eval_layout import export
from distill.evaluation.report.markdown import render_markdown
from distill.evaluation.scoring.model_specs import parse_models, split_arguments
from distill.evaluation.suite import Evaluation, evaluate
from distill.files import write_text, writing
from distill.run.launch import leave
from distill.settings import load_config
from distill.shipped import check_needs, config_path

NOT_MEASURED, NOT_STARTED, ABOVE_LIMIT, INTERRUPTED = 1, 2, 3, 130  # exit codes


def main(arguments: Sequence[str] | None = None, prog: str = "eval.py") -> int:
    """Evaluate models, or `compare` or `export` earlier evaluations. Returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    print_any_text()
    command = {"compare": _compare, "export": _export}.get(words[0]) if words else None
    try:
        return _evaluate(words, prog) if command is None else command(words[1:], f"{prog} {words[0]}")
    except KeyboardInterrupt:
        _print_error("interrupted; with --out, the same command continues where this one stopped")
        return INTERRUPTED
    except (ValueError, OSError) as error:
        _print_error(str(error))
        return NOT_STARTED


def _print_error(message: str) -> None:
    """Print an error with a single write, so that no other process writes into the line."""
    sys.stderr.write(f"error: {message}\n")


def _evaluation_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Measure the gender bias and the quality of causal language models, and compare the models with "
        "the first one. Without --config the measures run that need no data. Without --out nothing is written.",
        usage="%(prog)s MODEL [MODEL ...] [--config FILE] [--out DIR] [--fail-above MEASURE=VALUE] [--dry-run] "
        "[--fresh] [key.sub=value ...]",
    )
    parser.add_argument("words", nargs="+", metavar="MODEL", help="folder, hub name, run folder, or label=PATH")
    parser.add_argument(
        "--config",
        default="audit",
        help="YAML file, or the name of a shipped one: audit (the default), default, classifiers, published, ...",
    )
    parser.add_argument("--out", type=Path, help="folder for results.json, the records and the report")
    parser.add_argument(
        "--fail-above",
        action="append",
        default=[],
        metavar="MEASURE=VALUE",
        help="exit with 3 if this measure's value (not its interval) is above VALUE for any model; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="show tasks, items, models and time; write nothing")
    parser.add_argument("--fresh", action="store_true", help="score everything again, even what is in --out already")
    return parser


def _evaluate(words: list[str], prog: str) -> int:
    """Evaluate models. Returns the exit code."""
    options = _evaluation_parser(prog).parse_intermixed_args(words)
    models, overrides = split_arguments(options.words)
    specs = parse_models(models)
    path = config_path("eval", options.config)
    config = load_config(EvalConfig, path, overrides)
    check_needs(path, config)
    limits = [parse_limit(text) for text in options.fail_above]
    _check_folder(options.out)
    if options.out is not None:
        check_apart("--out", options.out, {"text.path": config.text.path})
    processes = current_processes()
    logging.disable_progress_bar()  # a bar for each model would interrupt the suite's bar
    if options.dry_run:
        tables, failures = dry_run(specs, config, options.out, processes.count)
        leave()
        if not processes.is_main:
            return 0
        _print_tables(tables)
        return _report_failures([asdict(failure) for failure in failures])
    if options.out is not None:
        with writing("the records", options.out, "--out"):
            options.out.mkdir(parents=True, exist_ok=True)
            if options.fresh and processes.is_main:
                for path in options.out.glob("examples-*.jsonl"):
                    path.unlink()
    processes.gather(None)
    evaluation = evaluate(specs, config, options.out)
    leave()
    if not processes.is_main:
        return 0
    if not evaluation.results:  # leave earlier results in the folder as they are
        _report_failures([asdict(failure) for failure in evaluation.failures])
        return NOT_STARTED
    return _report(evaluation, config, options.out, limits)


def _compare(words: list[str], prog: str) -> int:
    """Compare earlier evaluations. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Compare earlier evaluations, paired, from their records. No model is loaded."
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="a results.json, or its folder")
    parser.add_argument("--out", type=Path, help="folder for the comparison's results.json, records and report")
    options = parser.parse_args(words)
    _check_folder(options.out)
    evaluation, config = load_evaluations(options.results)
    return _report(evaluation, config, options.out)


def _export(words: list[str], prog: str) -> int:
    """Write an evaluation in another layout. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Write an evaluation in the layout of another tool's results."
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a results.json, or its folder")
    parser.add_argument("--layout", required=True, choices=["lm-eval"], help="lm-eval: EleutherAI's harness")
    parser.add_argument("--out", required=True, type=Path, help="folder, in which each model gets a folder")
    options = parser.parse_args(words)
    _check_folder(options.out)
    with writing("the results", options.out, "--out"):
        for path in export(options.results, options.out):
            print(path)
    return 0


def _check_folder(out: Path | None) -> None:
    if out is not None and out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")


def _report(evaluation: Evaluation, config: EvalConfig, out: Path | None, limits: Sequence[Limit] = ()) -> int:
    """Write the files into `out` unless it is None, print tables, findings and verdicts. Returns the exit code."""
    summary = results.summarise(evaluation, config)
    records = {
        result.info["label"]: {name: run.records for name, run in result.tasks.items()} for result in evaluation.results
    }
    found = findings(summary, records)
    if out is not None:
        with writing("the results", out, "--out"):
            results.write(out, summary, evaluation)
            write_text(out / "report.html", render_html(summary, records, found))
            write_text(out / "report.md", render_markdown(summary, found))
    _print_tables(console_tables(summary))
    Console().print(console_legend(summary), markup=False, highlight=False)
    for finding in found:
        print(finding.text)
    if out is not None:
        print(f"report: {out / 'report.html'}")
    verdicts, is_above = check_limits(limits, summary["measurements"])
    for verdict in verdicts:
        print(verdict)
    code = _report_failures(summary["failures"])
    return ABOVE_LIMIT if is_above else code


def _print_tables(tables: Sequence[Any]) -> None:
    console = Console(width=max(80, shutil.get_terminal_size().columns))
    for table in tables:
        console.print(table, "")


def _report_failures(failures: Sequence[dict[str, Any]]) -> int:
    """Print what could not be measured. Returns the exit code."""
    for failure in failures:
        where = ", ".join(part for part in (failure["model"], failure["task"]) if part)
        _print_error(f"{where}: {failure['message']}")
    return NOT_MEASURED if failures else 0


if __name__ == "__main__":
    sys.exit(main())
