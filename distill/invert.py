"""Can a classifier's training text be read from it? evenhand invert MODEL [--repeats 1 3 10] [--out FILE.json].

MODEL is fine-tuned to classify requests to an assistant (or --texts FILE.tsv, with the columns label and text). Among
them are made-up codes: "the code of my red box is 4 8 2". An attacker who knows the words before a code, its class and
the classifier looks for the code. Codes that were not planted show what guessing gives.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm
from transformers.utils import logging

from augment.command_line import exit_code
from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.config import ScoringConfig
from distill.evaluation.measures.classifiers.fine_tuning import Problem, classifiers
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier
from distill.evaluation.scoring.model_specs import load_scorer, parse_models
from distill.evaluation.scoring.scorer import Scorer
from distill.files import write_text, writing
from distill.privacy.canary_audit import mean_exposure, share_found
from distill.privacy.exposure import exposure, null_exposure, rank_among
from distill.privacy.intents import LabelledCanary, built_in, from_file, labelled_canaries, planted
from distill.privacy.inversion import enumerated, searched, secret_space
from distill.settings import validate

CONFIDENCE = 0.95


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.invert") -> None:
    """Parse the command line, fine-tune, attack, print and write. Raises ValueError or OSError with one message."""
    options = parser(prog).parse_args(arguments)
    if min(options.repeats) < 1 or options.digits < 1:
        raise ValueError(f"--repeats {options.repeats}, --digits {options.digits}: give 1 or more")
    settings = {"epochs": options.epochs, "lr": options.lr, "dropout": options.dropout, "seed": options.seed}
    config = validate(FineTuningConfig, settings)
    problem = built_in(options.seed) if options.texts is None else from_file(options.texts, options.seed)
    canaries = labelled_canaries(options.count, options.digits, len(problem.classes), options.seed)
    logging.disable_progress_bar()
    (spec,) = parse_models([options.model])
    scorer = load_scorer(spec, ScoringConfig())
    if scorer.is_classifier:
        raise ValueError(
            f"{options.model} is a text classifier; give a language model, which is fine-tuned on the codes"
        )
    results = [attack(scorer, problem, canaries, repeats, config) for repeats in options.repeats]
    Console(width=100).print(table(results, options.digits))
    if options.out is not None:
        content = {"model": options.model, "digits": options.digits, "fine_tuning": settings, "results": results}
        with writing("the results", options.out.parent, "--out"):
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_text(options.out, json.dumps(content, indent=1, allow_nan=False) + "\n")


def attack(
    scorer: Scorer, problem: Problem, canaries: Sequence[LabelledCanary], repeats: int, config: FineTuningConfig
) -> dict[str, Any]:
    """Fine-tune on the problem with the planted canaries, look for the secret of each, and count what was found."""
    (classifier,) = classifiers(scorer, planted(problem, canaries, repeats), config)
    digits = len(canaries[0].secret.split())
    found, exposures, first = [], [], []
    for row, canary in enumerate(tqdm(canaries, f"repeated {repeats} times", unit=" codes", leave=False)):
        number = int(canary.secret.replace(" ", ""))
        space = secret_space(classifier, canary.prompt, digits)
        logprobs = enumerated(classifier, space, canary.label)
        rank = rank_among(logprobs[number], np.delete(logprobs, number))
        exposures.append(exposure(rank, 10**digits))
        first.append(rank == 1)
        found.append(searched(classifier, space, canary.label, config.seed + row) == number)
    is_planted = np.array([canary.is_planted for canary in canaries])
    return {
        "repeats": repeats,
        "accuracy": accuracy(classifier, problem),
        "chance": 10.0**-digits,
        "expected_null": null_exposure(10**digits),
    } | {
        name: {
            "searched": share_found(np.array(found)[chosen], CONFIDENCE),
            "enumerated": share_found(np.array(first)[chosen], CONFIDENCE),
            "exposure": mean_exposure(np.array(exposures)[chosen], CONFIDENCE),
        }
        for name, chosen in (("planted", is_planted), ("not_planted", ~is_planted))
    }


def accuracy(classifier: TextClassifier, problem: Problem) -> float:
    """The share of the test texts whose class is the most probable."""
    probs = classifier.probs([text.text for text in problem.test])
    return float((probs.argmax(axis=1) == [text.label for text in problem.test]).mean())


def table(results: Sequence[dict[str, Any]], digits: int) -> Table:
    """The results, a row for each number of repeats and each group of codes."""
    shown = Table(title=f"codes of {digits} digits: guessing finds 1 in {10**digits:,}")
    for column in ("times", "codes", "search finds", "most probable of all", "exposure, bits", "accuracy"):
        shown.add_column(column, justify="left" if column == "codes" else "right")
    for result in results:
        for name, words in (("planted", "planted"), ("not_planted", "not planted")):
            group = result[name]
            shown.add_row(
                str(result["repeats"]) if name == "planted" else "",
                words,
                *(_share(group[kind]) for kind in ("searched", "enumerated")),
                "{value:.2f} [{low:.2f}, {high:.2f}]".format(**group["exposure"]),
                f"{result['accuracy']:.3f}" if name == "planted" else "",
            )
    shown.caption = (
        f"exposure: {results[0]['expected_null']:.2f} bits without planting, {math.log2(10**digits):.2f} at most; "
        "accuracy: on requests that were held out"
    )
    return shown


def _share(found: dict[str, Any]) -> str:
    return "{num} of {of} [{low:.3f}, {high:.3f}]".format(**found)


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(prog=prog, description=(__doc__ or "").partition("\n\n")[2])
    words.add_argument("model", metavar="MODEL", help="a language model: folder, hub name or .gguf file")
    words.add_argument("--texts", type=Path, metavar="FILE.tsv", help="your own labelled texts")
    words.add_argument("--repeats", type=int, nargs="+", default=[1, 3, 10], metavar="N", help="of a planted code")
    words.add_argument("--count", type=int, default=40, metavar="N", help="codes, half of them planted (%(default)s)")
    words.add_argument("--digits", type=int, default=3, metavar="N", help="of a code (%(default)s)")
    words.add_argument("--epochs", type=int, default=10, metavar="N", help="of fine-tuning (%(default)s)")
    words.add_argument("--lr", type=float, default=1e-3, help="of fine-tuning (%(default)s)")
    words.add_argument("--dropout", type=float, default=0.0, metavar="P", help="in fine-tuning (%(default)s)")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--out", type=Path, metavar="FILE.json", help="write the results there, too")
    return words


if __name__ == "__main__":
    sys.exit(exit_code(main))
