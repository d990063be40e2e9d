"""Do measures agree? evenhand correlate RESULTS... --intrinsic M... --extrinsic M... [--given M] [--out DIR].

RESULTS are evaluations (results.json or its folder, with the records beside it), or results files of studies. Every
intrinsic measure is correlated with every extrinsic one over the models that have all of them. Of evaluations, models
labelled plain@0 and plain@1 are two training seeds of one model. No model is loaded. DIR gets correlation.json and
correlation.html, with a scatter plot of each pair.

A measure that has no worse direction, such as stereoset/gender/ss, is named with one: stereoset/gender/ss:high.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from augment.command_line import exit_code
from distill.evaluation.comparison import load_evaluations
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.correlation import Question, correlate
from distill.evaluation.measured import Measured, check_known, from_evaluation
from distill.evaluation.report.correlation import correlation_sentences, correlation_tables, render_correlation
from distill.evaluation.statistics.estimators import FloatArray
from distill.files import write_text, writing

WORSE = {"high": True, "low": False}  # what a measure's direction is called on the command line


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.correlate") -> None:
    """Parse the command line, correlate, print and write. Raises ValueError or OSError with one message."""
    options = parser(prog).parse_args(arguments)
    parts = (options.intrinsic, options.extrinsic, filter(None, [options.given]))
    intrinsic, extrinsic, given = ([parse_measure(word) for word in part] for part in parts)
    directions = dict([*intrinsic, *extrinsic, *given])
    first, second = (tuple(name for name, _ in part) for part in (intrinsic, extrinsic))
    question = Question(first, second, given[0][0] if given else None)
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise ValueError(f"--out {options.out} is a file; name a folder")
    measures, settings = load(options.results, question.names)
    measures = {name: directed(measure, directions[name]) for name, measure in measures.items()}
    content = correlate(measures, question, settings, [str(path) for path in options.results])
    if options.out is not None:
        with writing("the correlation", options.out, "--out"):
            options.out.mkdir(parents=True, exist_ok=True)
            text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
            write_text(options.out / "correlation.json", text + "\n")
            write_text(options.out / "correlation.html", render_correlation(content))
    console = Console(width=max(80, shutil.get_terminal_size().columns))
    for table in correlation_tables(content):
        console.print(table, "")
    for sentence in correlation_sentences(content):
        print(sentence)
    if options.out is not None:
        print(f"report: {options.out / 'correlation.html'}")


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Correlate measures over the models of earlier evaluations or of studies. No model is loaded.",
        epilog="A measure without a worse direction gets one: stereoset/gender/ss:high or :low.",
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="evaluations, or results of studies")
    for name, text in (("intrinsic", "measures of the model itself"), ("extrinsic", "measures of what it is used for")):
        parser.add_argument(f"--{name}", nargs="+", action="extend", required=True, metavar="MEASURE", help=text)
    parser.add_argument("--given", metavar="MEASURE", help="a measure whose part in the agreement is taken out")
    parser.add_argument("--out", type=Path, help="folder for correlation.json and correlation.html")
    return parser


def parse_measure(word: str) -> tuple[str, bool | None]:
    """The name of a measure, and whether its larger values are worse: None if the word does not say."""
    name, colon, direction = word.rpartition(":")
    if not colon:
        return word, None
    if direction not in WORSE:
        raise ValueError(
            f"{word}: {direction!r} is no direction; write {name}:high if a larger value is worse, or :low"
        )
    return name, WORSE[direction]


def directed(measure: Measured, larger_is_worse: bool | None) -> Measured:
    """The measure with the direction of the command line. Raises ValueError if it has one of its own."""
    if larger_is_worse is None:
        return measure
    if measure.larger_is_worse is not None:
        worse = "larger" if measure.larger_is_worse else "smaller"
        raise ValueError(f"{measure.name} has a direction of its own ({worse} is worse); name it without :high or :low")
    return replace(measure, larger_is_worse=larger_is_worse)


def load(paths: Sequence[Path], names: Sequence[str]) -> tuple[dict[str, Measured], StatisticsConfig]:
    """The named measures, and the settings of the statistics. Raises ValueError for evaluations beside studies."""
    studies = [path for path in paths if is_study(path)]
    if not studies:
        evaluation, config = load_evaluations(paths)
        return from_evaluation(evaluation, names), config.statistics
    if len(studies) < len(paths):
        other = next(path for path in paths if path not in studies)
        raise ValueError(f"{studies[0]} is of a study and {other} is not; give evaluations, or results of studies")
    return from_studies(paths, names), StatisticsConfig()


def is_study(path: Path) -> bool:
    """Whether a file has the fields of a study's results; if it cannot be read, it has not."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"study", "arms"} <= content.keys()


def from_studies(paths: Sequence[Path], names: Sequence[str]) -> dict[str, Measured]:
    """The named measures of all models of studies. Of several studies, models are called STUDY/ARM.

    Raises ValueError if a study lacks a measure, or if studies measured it in different ways.
    """
    try:
        from study.results import load as load_study  # here: the package study is not in the wheel
    except ModuleNotFoundError as error:
        raise ValueError(f"{paths[0]} is of a study, which only a clone of the project can read ({error})") from error
    studies = [load_study(path) for path in paths]
    measures: dict[str, Measured] = {}
    for study in studies:
        check_known(names, list(study.measures))
        for name in names:
            stored, convention = study.measures[name], study.content["measures"][name]["convention"]
            columns: dict[str, dict[str, FloatArray]] = {
                arm if len(studies) == 1 else f"{study.name}/{arm}": dict(
                    zip(map(str, stored.seeds[arm]), runs, strict=True)
                )
                for arm, runs in stored.columns.items()
            }
            worse = None if stored.higher_is_better is None else not stored.higher_is_better
            num_clusters = next(iter(stored.columns.values())).shape[1]
            clusters = f"{name.partition('/')[0]}:{num_clusters}"  # the file does not name them
            own = Measured(name, stored.unit, worse, convention, stored.statistic, clusters, columns)
            earlier = measures.setdefault(name, own)
            if (earlier.convention, earlier.clusters) != (own.convention, own.clusters):
                raise ValueError(
                    f"{name}: {paths[0]} and {study.path} did not measure it in the same way ({earlier.convention!r}, "
                    f"{own.convention!r}); give one of them"
                )
            measures[name] = replace(earlier, columns={**earlier.columns, **own.columns})
    return measures


if __name__ == "__main__":
    sys.exit(exit_code(main))
