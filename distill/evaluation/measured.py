"""A measure of several models side by side, with the training seeds of each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from distill.evaluation.statistics.estimators import FloatArray, OverDraws, Statistic
from distill.evaluation.statistics.measurement import Estimate
from distill.evaluation.suite import Evaluation

APART = ("teacher", "untrained")  # far from all students, so that one of them alone can make a correlation


@dataclass(frozen=True)
class Measured:
    """A measure of several models, all measured in the same way.

    larger_is_worse: None if neither direction is better. clusters: a text that names them; measures with the same are
    resampled together. columns: {model: {seed: [num_clusters, num_columns]}}.
    """

    name: str
    unit: str
    larger_is_worse: bool | None
    convention: str
    statistic: Statistic
    clusters: str
    columns: Mapping[str, Mapping[str, FloatArray]]

    def runs(self, seeds: Mapping[str, Sequence[str]]) -> tuple[list[FloatArray], Statistic]:
        """The columns [num_runs, num_clusters, num_columns] of each model, and the statistic of a run.

        seeds: of each model. A run is a training seed. If every model has but one, the draws of a measure stand for
        runs; otherwise their variance is a part of that of the seeds.
        """
        models = [np.stack([self.columns[model][seed] for seed in chosen]) for model, chosen in seeds.items()]
        if not isinstance(self.statistic, OverDraws) or any(len(model) > 1 for model in models):
            return models, self.statistic
        num_draws = len(self.statistic.by_draw(models[0][0].sum(axis=0)))
        return [np.stack(np.split(model[0], num_draws, axis=1)) for model in models], self.statistic.of


def from_evaluation(evaluation: Evaluation, names: Sequence[str]) -> dict[str, Measured]:
    """The named measures of all models of an evaluation.

    Labels that differ only in the number after the last @ are training seeds of one model (plain@0, plain@1). Raises
    ValueError if no model has a measure, or if models were not measured in the same way.
    """
    by_label = {result.info["label"]: result.estimates for result in evaluation.results}
    known = dict.fromkeys(name for estimates in by_label.values() for name in estimates)
    check_known(names, list(known))
    return {
        name: _measured({label: estimates[name] for label, estimates in by_label.items() if name in estimates})
        for name in names
    }


def check_known(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise ValueError, which lists what is known, if one of the measures is not known."""
    for name in names:
        if name not in known:
            raise ValueError(f"no model has the measure {name}; there are {', '.join(known)}")


def _measured(estimates: Mapping[str, Estimate]) -> Measured:
    """One measure. estimates: by label."""
    (first_label, first), *others = estimates.items()
    own = first.measurement
    for label, estimate in others:
        convention = estimate.measurement.convention
        if convention != own.convention:
            how = f"as {convention!r} and {own.convention!r}"
        elif sorted(estimate.clusters) != sorted(first.clusters):
            how = "on the same items"
        else:
            continue
        raise ValueError(
            f"{own.name}: {label} and {first_label} were not measured {how}; evaluate both with the same settings"
        )
    columns: dict[str, dict[str, FloatArray]] = {}
    for label, estimate in estimates.items():
        model, seed = model_and_seed(label)
        if seed in columns.get(model, {}):
            raise ValueError(f"two models are labelled as seed {seed} of {model}; give one of them another label")
        order = sorted(range(len(estimate.clusters)), key=lambda row: estimate.clusters[row])
        columns.setdefault(model, {})[seed] = estimate.columns[order]
    worse = None if own.higher_is_better is None else not own.higher_is_better
    clusters = "\n".join(sorted(first.clusters))
    return Measured(own.name, own.unit, worse, own.convention, first.statistic, clusters, columns)


def model_and_seed(label: str) -> tuple[str, str]:
    """`plain@1` is seed 1 of the model plain. A label without a number after an @ is a model with one seed."""
    match = re.fullmatch(r"(.+)@(\d+)", label)
    return (match[1], match[2]) if match else (label, "0")


def common_seeds(measures: Sequence[Measured]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The seeds of each model with which it has all measures; for every other model, the measures that it lacks."""
    seeds: dict[str, list[str]] = {}
    lacking: dict[str, list[str]] = {}
    for model in dict.fromkeys(model for measure in measures for model in measure.columns):
        by_measure = [set(measure.columns.get(model, ())) for measure in measures]
        common = set.intersection(*by_measure)
        if common:
            seeds[model] = sorted(common, key=lambda seed: (len(seed), seed))
        else:
            missing = [measure.name for measure, own in zip(measures, by_measure, strict=True) if not own]
            lacking[model] = missing or ["a seed with all measures"]
    return seeds, lacking


def check_distinct(measures: Sequence[Measured], seeds: Mapping[str, Sequence[str]]) -> None:
    """Raise ValueError if one measure, or one trained model, is there under two names: it would agree with itself."""
    runs = [(model, seed) for model, own in seeds.items() for seed in own]
    content = {(measure.name, *run): measure.columns[run[0]][run[1]].tobytes() for measure in measures for run in runs}
    for one, other in itertools.combinations(runs, 2):
        if all(content[measure.name, *one] == content[measure.name, *other] for measure in measures):
            raise ValueError(
                f"{one[0]} (seed {one[1]}) and {other[0]} (seed {other[1]}) have the same results to the last digit: "
                "one model under two names would count twice; leave one of them out"
            )
    for first, second in itertools.combinations(measures, 2):
        same = all(content[first.name, *run] == content[second.name, *run] for run in runs)
        if same and first.statistic is second.statistic:
            raise ValueError(f"{first.name} and {second.name} are the same numbers; a measure agrees with itself")


def is_apart(model: str) -> bool:
    """Whether a model is the teacher or the untrained student of a study, by its name."""
    return model.rpartition("/")[2] in APART
