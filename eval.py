"""Compare language models: python eval.py MODEL [MODEL ...] --config configs/eval/X.yaml --out DIR [key.sub=value ...].

A MODEL is a folder, a hub name, a .gguf file or the run folder of train.py, with a label if wanted: label=PATH. The
first one is the reference. Writes results.json, examples-LABEL.jsonl and report.html into DIR; exits with 1 if
anything that was asked for could not be measured, and with 2 if nothing could be started.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from transformers.utils import logging

from distill.config import load_config
from distill.evaluation import report, results
from distill.evaluation.config import EvalConfig
from distill.evaluation.model_specs import parse_models, split_arguments
from distill.evaluation.suite import evaluate
from distill.run_folder import write_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an evaluation from command-line arguments; the exit code comes back."""
    parser = argparse.ArgumentParser(
        description="Measure disparity and utility of causal language models and compare them with the first one.",
        usage="%(prog)s MODEL [MODEL ...] --config FILE --out DIR [key.sub=value ...]",
    )
    parser.add_argument("words", nargs="+", metavar="MODEL", help="folder, hub name, run folder, or label=PATH")
    parser.add_argument("--config", required=True, help="YAML file, e.g. configs/eval/default.yaml")
    parser.add_argument("--out", required=True, type=Path, help="folder for results.json and report.html")
    options = parser.parse_intermixed_args(arguments)
    try:
        models, overrides = split_arguments(options.words)
        specs = parse_models(models)
        config = load_config(EvalConfig, options.config, overrides)
        if options.out.exists() and not options.out.is_dir():
            raise ValueError(f"--out {options.out} is a file; name a folder")
        options.out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    logging.disable_progress_bar()  # one bar per model would break up the suite's own
    evaluation = evaluate(specs, config, options.out)
    summary = results.summarise(evaluation, config)
    records = {
        result.info["label"]: {name: run.records for name, run in result.tasks.items()} for result in evaluation.results
    }
    try:
        results.write(options.out, summary, evaluation)
        write_text(options.out / "report.html", report.render(summary, records))
    except OSError as error:
        print(f"error: cannot write to {options.out}: {error}", file=sys.stderr)
        return 2
    console = Console()
    for table in report.console_tables(summary):
        console.print(table, "")
    console.print(report.console_legend(summary), markup=False, highlight=False)
    print(f"report: {options.out / 'report.html'}")
    for failure in summary["failures"]:
        where = ", ".join(part for part in (failure["model"], failure["task"]) if part)
        print(f"error: {where}: {failure['message']}", file=sys.stderr)
    return 1 if summary["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
