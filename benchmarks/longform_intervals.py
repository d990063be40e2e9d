"""Are the intervals and tests of the long-form measure right? A simulation with the measure's own functions.

    python -m benchmarks.longform_intervals [--part coverage|repeated|power] [--model NAME] [--replicates 2000]

A replicate draws occupations with a share of women, for each of their prompts the probability of she and of a gendered
continuation (`Model`), and from these the continuations of a model. There are as many occupations as in the built-in
list, and the shares of as many of them are known. Printed are

- coverage: how often the 95 % interval holds the value of the infinite population of occupations,
- repeated: how often the paired test at 5 % finds a difference between two samplings of one model, how often the
  interval of the difference leaves out 0, and the minimum detectable difference (median over replicates),
- power: how often the test finds a difference when the second model's log-odds of she are a fraction of the first
  one's.

No model is run. The tables of docs/evaluation.md are from this program.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations.longform import CONTEXTS, parity_estimates, shares_estimates
from distill.evaluation.statistics.estimators import FloatArray
from distill.evaluation.statistics.measurement import Estimate, compare

SETTINGS = StatisticsConfig(num_permutations=999)  # enough for a decision at 5 %
NUM_OCCUPATIONS, NUM_KNOWN = 64, 29
LARGE = 400_000  # occupations that stand for all
NAMES = (
    *("neutrality", "distance_from_shares", "skew", "stereotype_slope", "stereotype_correlation"),
    "gendered",
)
PARTS = ("coverage", "repeated", "power")
STRENGTHS = (0.9, 0.8, 0.65, 0.5, 0.0)  # of the second model, as a fraction of the first


@dataclass(frozen=True)
class Model:
    """How a model writes: the log-odds of she are lean + slope * logit(share of women) + noise, per prompt.

    occupation_sd, prompt_sd: of the noise that an occupation's prompts share, and of that of each. gendered: the
    typical probability that a continuation has a gender.
    """

    slope: float = 0.0
    lean: float = 0.0
    occupation_sd: float = 0.0
    prompt_sd: float = 0.0
    gendered: float = 0.6


MODELS = {
    "fair": Model(),
    "fair, few gendered": Model(gendered=0.25),
    "slight": Model(0.15, -0.2, 0.1, 0.2),
    "strong": Model(1.0, -1.0, 0.8, 0.6),
    "strong, few gendered": Model(1.0, -1.0, 0.8, 0.6, 0.25),
    "strong, nearly all gendered": Model(1.0, -1.0, 0.8, 0.6, 0.95),
    "nearly always he": Model(0.3, -3.0, 0.5, 0.5),
}


class Population(NamedTuple):
    """Of N occupations: shares of women [N], log-odds of she and probability of a gender [N, number of contexts]."""

    shares: FloatArray
    log_odds: FloatArray
    gendered: FloatArray


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="what to print; all if none is named")
    parser.add_argument("--model", choices=MODELS, action="append", help="which simulated model; all if none is named")
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=10, help="continuations per prompt")
    options = parser.parse_args(arguments)
    parts = options.part or PARTS
    size = (options.samples, options.replicates)
    models = {name: MODELS[name] for name in options.model or MODELS}
    if "coverage" in parts:
        _table("coverage, % (value)", ((name, coverage(model, *size)) for name, model in models.items()))
    for name, model in models.items():
        if "repeated" in parts:
            _table(f"{name}: two samplings", repeated(model, *size).items())
        if "power" in parts:
            _table(f"{name}: difference (found, %)", power(model, *size))
    return 0


def coverage(model: Model, num_samples: int, num_replicates: int) -> dict[str, str]:
    """Of each measurement: how often its interval holds the truth in percent, and the truth."""
    rng = np.random.default_rng(1)
    truth = true_values(model, num_samples)
    held = np.zeros(len(NAMES))
    for _ in tqdm(range(num_replicates), disable=None):
        own = estimates(population(model, NUM_OCCUPATIONS, rng), num_samples, rng)
        held += [own[name].measurement.low <= truth[name] <= own[name].measurement.high for name in NAMES]
    return {
        name: f"{100 * share:.1f} ({truth[name]:.3f})" for name, share in zip(NAMES, held / num_replicates, strict=True)
    }


def repeated(model: Model, num_samples: int, num_replicates: int) -> dict[str, dict[str, str]]:
    """Of two samplings of a model: tests that find a difference, intervals without 0, minimum detectable difference."""
    found, outside, effects = compared(model, 1.0, num_samples, num_replicates)
    rows = {
        "found, %": [f"{100 * share:.1f}" for share in found],
        "intervals without 0, %": [f"{100 * share:.1f}" for share in outside],
        "minimum detectable difference": [f"{effect:.3f}" for effect in effects],
    }
    return {row: dict(zip(NAMES, cells, strict=True)) for row, cells in rows.items()}


def power(model: Model, num_samples: int, num_replicates: int) -> Iterator[tuple[str, dict[str, str]]]:
    """By strength of the second model: the true difference to the first, and how often it is found, in percent."""
    truth = true_values(model, num_samples)
    for strength in STRENGTHS:
        other = true_values(model, num_samples, strength)
        found, _, _ = compared(model, strength, num_samples, num_replicates)
        cells = {
            name: f"{other[name] - truth[name]:+.3f} ({100 * share:.0f})"
            for name, share in zip(NAMES, found, strict=True)
        }
        yield f"{strength:g} of the log-odds", cells


def compared(
    model: Model, strength: float, num_samples: int, num_replicates: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares of significant tests and of intervals without 0, and the median minimum detectable difference [NAMES]."""
    rng = np.random.default_rng(2)
    found, outside, effects = np.zeros(len(NAMES)), np.zeros(len(NAMES)), []
    for _ in tqdm(range(num_replicates), disable=None):
        first = population(model, NUM_OCCUPATIONS, rng)
        second = first._replace(log_odds=strength * first.log_odds)
        own, other = (estimates(each, num_samples, rng) for each in (second, first))
        results = [compare(own[name], other[name], SETTINGS) for name in NAMES]
        found += [result.p_value <= 0.05 for result in results]
        outside += [not result.difference.low <= 0 <= result.difference.high for result in results]
        effects.append([result.minimum_detectable_effect for result in results])
    return found / num_replicates, outside / num_replicates, np.median(effects, axis=0)


def population(model: Model, num_occupations: int, rng: np.random.Generator) -> Population:
    """Occupations, and how the model writes about each."""
    size = (num_occupations, len(CONTEXTS))
    shares = rng.beta(0.7, 0.8, num_occupations)  # many of mostly men, many of mostly women, as among workers
    shares = 0.01 + 0.98 * shares
    log_odds = model.lean + model.slope * np.log(shares / (1 - shares))
    log_odds = log_odds + model.occupation_sd * rng.normal(size=num_occupations)
    gendered = _sigmoid(np.log(model.gendered / (1 - model.gendered)) + 0.5 * rng.normal(size=size))
    return Population(shares, log_odds[:, None] + model.prompt_sd * rng.normal(size=size), gendered)


def estimates(drawn: Population, num_samples: int, rng: np.random.Generator) -> dict[str, Estimate]:
    """The measurements of one sampling, by the ends of their names."""
    num_gendered = rng.binomial(num_samples, drawn.gendered)
    num_female = rng.binomial(num_gendered, _sigmoid(drawn.log_odds))
    records: list[dict[str, Any]] = [
        {
            "id": f"{row}/{context}",
            "group": context,
            "num_female": num_female[row, column],
            "num_male": num_gendered[row, column] - num_female[row, column],
            "num_neutral": num_samples - num_gendered[row, column],
            "num_tie": 0,
        }
        for row in range(len(drawn.shares))
        for column, context in enumerate(CONTEXTS)
    ]
    shares = {str(row): share for row, share in enumerate(drawn.shares[:NUM_KNOWN])}
    measured = [
        *parity_estimates("longform", records, "", SETTINGS),
        *shares_estimates(records, "", shares, SETTINGS),
    ]
    return {estimate.measurement.name.removeprefix("longform/"): estimate for estimate in measured}


def true_values(model: Model, num_samples: int, strength: float = 1.0) -> dict[str, float]:
    """The values of the infinite population. A prompt counts as often as it has the continuations that it needs.

    Slope and correlation are those of sampled shares, which have more noise than the probabilities.
    """
    rng = np.random.default_rng(0)
    drawn = population(model, LARGE, rng)
    chance, shares = _sigmoid(strength * drawn.log_odds), drawn.shares[:, None]
    none = (1 - drawn.gendered) ** num_samples
    one = num_samples * drawn.gendered * (1 - drawn.gendered) ** (num_samples - 1)
    num_gendered = rng.binomial(num_samples, drawn.gendered)
    sampled = rng.binomial(num_gendered, chance) / np.maximum(num_gendered, 1)
    has = (num_gendered > 0).sum(axis=1)
    means, known = (sampled.sum(axis=1) / np.maximum(has, 1))[has > 0], drawn.shares[has > 0]
    return {
        "neutrality": float(np.sqrt(np.average((chance - 0.5) ** 2, weights=1 - none - one))),
        "distance_from_shares": float(np.sqrt(np.average((chance - shares) ** 2, weights=1 - none - one))),
        "skew": float(np.average(chance - 0.5, weights=1 - none)),
        "stereotype_slope": float(np.cov(known, means)[0, 1] / known.var(ddof=1)),
        "stereotype_correlation": float(np.corrcoef(known, means)[0, 1]),
        "gendered": float(drawn.gendered.mean()),
    }


def _sigmoid(x: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-x))


def _table(title: str, rows: Iterable[tuple[str, dict[str, str]]]) -> None:
    print(f"| {title} | {' | '.join(NAMES)} |\n|{' --- |' * (len(NAMES) + 1)}")
    for name, row in rows:
        print(f"| {name} | {' | '.join(row[column] for column in NAMES)} |", flush=True)
    print()


if __name__ == "__main__":
    sys.exit(main())
