"""Merge two results files of one study whose arms or seeds ran on different machines.

The parts must agree in the weights of the teacher and of each seed's healed student, in corpora, tokenizer, lexicon and
precision, in what all arms share, in how they are measured, and in the overrides of an arm that both have. The
description of the study (its references, margins, headline) is taken from the first file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from distill.run.folder import flatten
from study.config import TEACHER, UNTRAINED
from study.plan import label_of
from study.results import FloatArray, Measure, measures, stored_columns, without_repeats

SHARED_SETTINGS = (  # settings of the study that all its parts have in common
    "name",
    "mixed_precision",
    "budget_tokens",
    "eval_config",
    "eval_overrides",
    "variant_eval_overrides",
    "measures",
    "healing",  # older files do not have it
)


def merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Make the content of a results file with the models of both parts. If both have a model, the first part counts.

    Raises ValueError when they are not parts of one study.
    """
    _check(first, second)
    for arm in first["arms"].keys() & second["arms"].keys():
        if first["arms"][arm] != second["arms"][arm]:
            raise ValueError(f"arm {arm} is {first['arms'][arm]} in one file and {second['arms'][arm]} in the other")
    arms = {**first["arms"], **second["arms"]}
    ours, theirs = measures(first), measures(second)
    models = _models([*ours.values(), *theirs.values()])
    have_results = {label_of(arm, seed) for arm, seed in models}
    without_seed = tuple(f"{arm} seed" for arm, _ in models if arm in (TEACHER, UNTRAINED))
    missing = dict.fromkeys([*first["missing"], *second["missing"]])
    return {
        **first,
        "study": {**first["study"], "seeds": sorted({*first["study"]["seeds"], *second["study"]["seeds"]})},
        "created": max(first["created"], second["created"]),
        "git_revision": _both(first["git_revision"], second["git_revision"]),
        "versions": {key: _both(value, second["versions"].get(key)) for key, value in first["versions"].items()},
        "hardware": _both(first["hardware"], second["hardware"]),
        "origin": _origin(first, second),
        "hours": {key: round(hours + second["hours"][key], 2) for key, hours in first["hours"].items()},
        "missing": [label for label in missing if label not in have_results and not label.startswith(without_seed)],
        "arms": arms,
        "distances": _distances(first, second),
        "measures": without_repeats(
            {name: _measure(first["measures"][name], ours[name], theirs[name], list(arms)) for name in ours}
        ),
    }


def _check(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Raise ValueError for the first difference that parts of one study cannot have."""
    ours, theirs = (_common_facts(part) for part in (first, second))
    origins = [part.get("origin", {}) for part in (first, second)]
    for name in origins[0]:
        if name in origins[1] and name != "git_revisions":  # a part without students knows little of its origin
            ours[f"its {name}"], theirs[f"its {name}"] = (origin[name] for origin in origins)
    for key in dict.fromkeys([*ours, *theirs]):
        if ours.get(key) != theirs.get(key):
            raise ValueError(
                f"these are not parts of one study: {key} is {ours.get(key)!r} in one file and {theirs.get(key)!r} in "
                "the other; collect both with one version from one study file, and take one teacher to all machines, "
                "and one healed student per seed"
            )
    if first.get("teacher") is None:
        raise ValueError("these files do not say which teacher they belong to; collect both with this version")


def _common_facts(part: dict[str, Any]) -> dict[str, Any]:
    """What every part states and what must be equal in all parts of one study, by name."""
    training = {key: value for key, value in part["training"].items() if key not in ("run_dir", "seed")}
    how = ("convention", "statistic", "num_items", "num_clusters")
    return {
        **{key: part["study"].get(key) for key in SHARED_SETTINGS},
        "the teacher's fingerprint": part.get("teacher"),
        **flatten(training),
        **flatten({name: {key: measure[key] for key in how} for name, measure in part["measures"].items()}),
    }


def _origin(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """What the runs of both parts were made with. Only their git revisions may differ, so these are joined."""
    ours, theirs = (part.get("origin", {}) for part in (first, second))
    revisions = {*ours.get("git_revisions", []), *theirs.get("git_revisions", [])}
    return {**theirs, **ours, "git_revisions": sorted(revisions)}


def _distances(first: dict[str, Any], second: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """The distances of both parts."""
    ours, theirs = (part.get("distances", {}) for part in (first, second))
    return {arm: theirs.get(arm, {}) | ours.get(arm, {}) for arm in theirs | ours}


def _measure(description: dict[str, Any], ours: Measure, theirs: Measure, arms: list[str]) -> dict[str, Any]:
    """A measure in stored form with the columns of both parts, in the order of arms and seeds."""
    first = _models([ours])
    # a study has one teacher and one untrained student, whatever seed a part gives them
    without_seed = {arm for arm, _ in first if arm in (TEACHER, UNTRAINED)}
    columns = {model: array for model, array in _models([theirs]).items() if model[0] not in without_seed} | first
    ordered = sorted(columns, key=lambda model: (arms.index(model[0]), model[1]))
    about = {key: value for key, value in description.items() if key not in ("constant", "values", "columns_of")}
    return {**about, **stored_columns({model: columns[model] for model in ordered})}


def _models(several: Iterable[Measure]) -> dict[tuple[str, int], FloatArray]:
    """The columns of each model by arm and seed."""
    return {
        (arm, seed): columns
        for measure in several
        for arm, seeds in measure.seeds.items()
        for seed, columns in zip(seeds, measure.columns[arm], strict=True)
    }


def _both(ours: str | None, theirs: str | None) -> str:
    """Join two texts by `and`; what both hold comes once."""
    words = [part for word in (ours, theirs) for part in (word or "unknown").split(" and ")]
    return " and ".join(dict.fromkeys(words))
