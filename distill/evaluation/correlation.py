"""Do measures agree? Correlations between measures of the same models, from evaluations or the results of a study.

The content of correlation.json (schema_version 1; numbers in natural units, null where not defined):

- schema_version, created (UTC), version, sources (the files), statistics (the resolved settings)
- models: {name: [its training seeds]}; apart: the models that are shown, but not counted (teacher and untrained);
  left_out: {model: the measures that it lacks}
- measures: {name: {unit, larger_is_worse, convention, num_clusters, reliability: {value, low, high}, spread (the
  standard deviation over models), error (that of the measure), differs,
  values: {model: {value, low, high}}}}
- pairs: [{intrinsic, extrinsic, num_models, spearman, pearson, kendall: {value, low, high}, without_error (Pearson's
  correlation without the errors of the measures), p, p_holm (of Spearman's, over all pairs), detectable, partial
  (Spearman's, with `given` taken out), with_apart: {spearman, pearson}, verdict}]
- given: the measure that is taken out, or null; notes: sentences on how to read the numbers
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

import distill
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measured import Measured, check_distinct, common_seeds, is_apart
from distill.evaluation.records import plain
from distill.evaluation.statistics.correlation import (
    correlation_p,
    detectable_correlation,
    kendall,
    partial_spearman,
    pearson,
    spearman,
)
from distill.evaluation.statistics.reliability import (
    Draws,
    Scores,
    coefficient_interval,
    disattenuated,
    draw_models,
    reliability,
    resampled_scores,
)
from distill.evaluation.statistics.resampling import Interval, two_way_interval
from distill.evaluation.statistics.significance import holm
from distill.settings import to_dict

SCHEMA_VERSION = 1
LEAST_MODELS = 4  # Fisher's z needs more than three


@dataclass(frozen=True)
class Question:
    """What is asked: every intrinsic measure against every extrinsic one. given: a measure to take out, or None."""

    intrinsic: tuple[str, ...]
    extrinsic: tuple[str, ...]
    given: str | None = None

    @property
    def names(self) -> list[str]:
        """All measures. Raises ValueError if one stands twice."""
        names = [*self.intrinsic, *self.extrinsic, *(() if self.given is None else (self.given,))]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]} is named twice; a measure agrees with itself, so name it once")
        return names


@dataclass(frozen=True)
class _Models:
    """The models of a correlation with their seeds, those apart, the measures, and the draws of models."""

    seeds: dict[str, list[str]]
    apart: dict[str, list[str]]
    measures: dict[str, Measured]
    draws: Draws
    settings: StatisticsConfig

    def scores(self, name: str) -> Scores:
        """The scores of all models but those apart; larger is worse."""
        measure, settings = self.measures[name], self.settings
        runs, statistic = measure.runs(self.seeds)
        scores = resampled_scores(
            runs,
            statistic,
            num_resamples=settings.num_resamples,
            cluster_seed=(settings.seed, zlib.crc32(measure.clusters.encode())),
            seed=settings.seed,
        )
        sign = 1 if measure.larger_is_worse else -1
        return Scores(sign * scores.values, sign * scores.resampled)

    def values(self, name: str) -> dict[str, Interval]:
        """The value of every model, also of those apart, with its interval over items and seeds."""
        measure, settings = self.measures[name], self.settings
        seeds = self.seeds | self.apart
        runs, statistic = measure.runs(seeds)
        return {
            model: two_way_interval(
                columns,
                statistic,
                num_resamples=settings.num_resamples,
                confidence=settings.confidence,
                seed=settings.seed,
            )
            for model, columns in zip(seeds, runs, strict=True)
        }


def correlate(
    measures: Mapping[str, Measured], question: Question, settings: StatisticsConfig, sources: Sequence[str]
) -> dict[str, Any]:
    """The content of correlation.json. measures: those of the question.

    Raises ValueError for a measure without a worse direction, for a measure with itself, for one model under two names,
    and for fewer than LEAST_MODELS models.
    """
    chosen = {name: measures[name] for name in question.names}
    seeds, left_out = common_seeds(list(chosen.values()))
    counted = {model: own for model, own in seeds.items() if not is_apart(model)}
    apart = {model: own for model, own in seeds.items() if model not in counted}
    _check(chosen, counted, left_out)
    check_distinct(list(chosen.values()), seeds)
    draws = draw_models(len(counted), settings.num_resamples, settings.seed)
    models = _Models(counted, apart, chosen, draws, settings)
    scores = {name: models.scores(name) for name in chosen}
    described = {name: _describe(models, name, scores[name]) for name in chosen}
    pairs = [
        _pair(models, (x, y, question.given), scores, described)
        for x, y in itertools.product(question.intrinsic, question.extrinsic)
    ]
    for pair, p_holm in zip(pairs, holm([pair["p"] for pair in pairs]), strict=True):
        pair |= {"p_holm": p_holm, "verdict": _verdict(pair | {"p_holm": p_holm}, described, settings)}
    content = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": distill.__version__,
        "sources": list(sources),
        "statistics": to_dict(settings),
        "models": counted,
        "apart": list(apart),
        "left_out": left_out,
        "measures": described,
        "pairs": pairs,
        "given": question.given,
        "notes": [*_notes(models, question), *_left_out(left_out)],
    }
    return dict(plain(content))


def _check(measures: Mapping[str, Measured], counted: Mapping[str, object], left_out: Mapping[str, object]) -> None:
    for name, measure in measures.items():
        if measure.larger_is_worse is None:
            raise ValueError(
                f"{name} has no worse direction of its own; say {name}:high if a larger value counts as worse, or "
                f"{name}:low. (Its distance from parity is no way out: noise alone makes that large.)"
            )
    if len(counted) < LEAST_MODELS:
        without = f"; {', '.join(left_out)} lack one of the measures" if left_out else ""
        raise ValueError(
            f"{len(counted)} models have all measures{without}: a correlation needs at least {LEAST_MODELS}, besides "
            "teacher and untrained, and is worth little below 10"
        )


def _describe(models: _Models, name: str, scores: Scores) -> dict[str, Any]:
    """A measure and how much of its differences between models is error."""
    measure = models.measures[name]
    share = reliability(scores, models.draws, models.settings.confidence)
    return {
        "unit": measure.unit,
        "larger_is_worse": measure.larger_is_worse,
        "convention": measure.convention,
        "reliability": _triple(share),
        "spread": float(scores.values.std(ddof=1)),
        "error": float(np.sqrt((scores.errors**2).mean())),
        "differs": share.low > 0,
        "values": {model: _triple(interval) for model, interval in models.values(name).items()},
    }


def _pair(
    models: _Models,
    names: tuple[str, str, str | None],
    scores: Mapping[str, Scores],
    described: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """Everything about one pair but what needs all pairs. names: intrinsic, extrinsic, given."""
    intrinsic, extrinsic, given = names
    x, y, settings = scores[intrinsic], scores[extrinsic], models.settings
    rest = (models.draws, settings.confidence)
    both_differ = described[intrinsic]["differs"] and described[extrinsic]["differs"]
    partial = None if given is None else coefficient_interval(partial_spearman, [x, y, scores[given]], *rest)
    return {
        "intrinsic": intrinsic,
        "extrinsic": extrinsic,
        "num_models": len(models.seeds),
        **{
            coefficient.__name__: _triple(coefficient_interval(coefficient, [x, y], *rest))
            for coefficient in (spearman, pearson, kendall)
        },
        "without_error": _triple(disattenuated(x, y, *rest)) if both_differ else None,
        "p": correlation_p(x.values, y.values, num_permutations=settings.num_permutations, seed=settings.seed),
        "detectable": detectable_correlation(len(models.seeds), confidence=settings.confidence),
        "partial": None if partial is None else _triple(partial),
        "with_apart": _with_apart(models, intrinsic, extrinsic, described) if models.apart else None,
    }


def _with_apart(
    models: _Models, intrinsic: str, extrinsic: str, described: Mapping[str, dict[str, Any]]
) -> dict[str, float]:
    """The coefficients with the models apart among the others."""
    x, y = (
        np.array([value["value"] for value in described[name]["values"].values()])
        * (1 if models.measures[name].larger_is_worse else -1)
        for name in (intrinsic, extrinsic)
    )
    return {coefficient.__name__: float(coefficient(x, y)) for coefficient in (spearman, pearson)}


def _verdict(pair: Mapping[str, Any], described: Mapping[str, dict[str, Any]], settings: StatisticsConfig) -> str:
    same = [name for name in (pair["intrinsic"], pair["extrinsic"]) if not described[name]["differs"]]
    if same:
        how = "; ".join(
            f"the models do not differ in {name} by more than its error ({described[name]['spread']:.2g} against "
            f"{described[name]['error']:.2g})"
            for name in same
        )
        return f"{how}: a correlation with it says nothing"
    if pair["p_holm"] < 1 - settings.confidence:
        return "agree" if pair["spearman"]["value"] > 0 else "disagree: what is worse in one is better in the other"
    return f"no clear relation; a true correlation below {pair['detectable']:.2f} is easily missed"


def _notes(models: _Models, question: Question) -> list[str]:
    """What a reader must not overlook."""
    num_single = sum(len(own) == 1 for own in models.seeds.values())
    notes = [
        "Models that share a teacher, texts or a method are not independent; intervals and p take them for independent."
    ]
    if num_single:
        notes.append(
            f"{num_single} of {len(models.seeds)} models have one training seed: their error lacks what another "
            "training would change, so reliability is too high."
        )
    if question.given is None:
        notes.append(
            "A model can look fair because it is weak. --given log_perplexity/token-stride takes that out, as far as "
            "ranks can."
        )
    for x, y in itertools.product(question.intrinsic, question.extrinsic):
        if x.partition("/")[0] == y.partition("/")[0]:
            notes.append(f"{x} and {y} come from the same records: part of their agreement is built in.")
    return notes


def _left_out(lacking: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for all models that lack the same measures."""
    models: dict[str, list[str]] = {}
    for model, names in lacking.items():
        models.setdefault(", ".join(names), []).append(model)
    return [f"Left out, because they lack {names}: {', '.join(labels)}." for names, labels in models.items()]


def _triple(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
