"""One results file of a study that ran in parts on several machines: two results files in; one out.

What parts cannot differ in: the teacher's weights, corpora, tokenizer, lexicon and precision, what all arms share, how
they are measured, and the overrides of an arm that both have. What is said of the study (its arms, references, margins,
headline) is that of the first file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from distill.run.folder import flatten
from study import collect as study_collect
from study.collect import Measure
from study.plan import TEACHER, UNTRAINED, label_of

OF_STUDY = (  # what parts of one study have in common
    "name",
    "mixed_precision",
    "budget_tokens",
    "eval_config",
    "eval_overrides",
    "variant_eval_overrides",
    "measures",
)


def merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The content of a results file with the models of both; of a model that is in both (the teacher), the first's.

    Raises ValueError when they are not parts of one study.
    """
    _check(first, second)
    for arm in first["arms"].keys() & second["arms"].keys():
        if first["arms"][arm] != second["arms"][arm]:
            raise ValueError(f"arm {arm} is {first['arms'][arm]} in the one and {second['arms'][arm]} in the other")
    arms = {**first["arms"], **second["arms"]}
    ours, theirs = study_collect.measures(first), study_collect.measures(second)
    models = _models([*ours.values(), *theirs.values()])
    there = {label_of(arm, seed) for arm, seed in models}
    of_one_seed = tuple(f"{arm} seed" for arm, _ in models if arm in (TEACHER, UNTRAINED))
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
        "missing": [label for label in missing if label not in there and not label.startswith(of_one_seed)],
        "arms": arms,
        "measures": study_collect.without_repeats(
            {name: _measure(first["measures"][name], ours[name], theirs[name], list(arms)) for name in ours}
        ),
    }


def _check(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Raise ValueError for the first thing that parts of one study cannot differ in."""
    one, other = (_alike(part) for part in (first, second))
    origins = [part.get("origin", {}) for part in (first, second)]
    for name in origins[0]:
        if name in origins[1] and name != "git_revisions":  # a part without students has few of them
            one[f"its {name}"], other[f"its {name}"] = (origin[name] for origin in origins)
    for key in dict.fromkeys([*one, *other]):
        if one.get(key) != other.get(key):
            raise ValueError(
                f"these are not parts of one study: {key} is {one.get(key)!r} in the one and {other.get(key)!r} in the "
                "other; collect both with one version from one study file, and take one teacher to all machines"
            )
    if first.get("teacher") is None:
        raise ValueError("these files do not say which teacher they are of; collect both with this version")


def _alike(part: dict[str, Any]) -> dict[str, Any]:
    """What every part has, and has to be the same in all parts of one study, by name."""
    training = {key: value for key, value in part["training"].items() if key not in ("run_dir", "seed")}
    measured = ("convention", "statistic", "num_items", "num_clusters")
    return {
        **{key: part["study"][key] for key in OF_STUDY},
        "the teacher's fingerprint": part.get("teacher"),
        **flatten(training),
        **flatten({name: {key: one[key] for key in measured} for name, one in part["measures"].items()}),
    }


def _origin(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """What the runs of both were made with: the same, but for the revisions."""
    one, other = (part.get("origin", {}) for part in (first, second))
    revisions = {*one.get("git_revisions", []), *other.get("git_revisions", [])}
    return {**other, **one, "git_revisions": sorted(revisions)}


def _measure(described: dict[str, Any], ours: Measure, theirs: Measure, arms: list[str]) -> dict[str, Any]:
    """A measure as it is stored, with the columns of both, in the order of the arms and of the seeds."""
    first = _models([ours])
    have = {arm for arm, _ in first if arm in (TEACHER, UNTRAINED)}  # there is one, whatever its seed
    columns = {key: one for key, one in _models([theirs]).items() if key[0] not in have} | first
    ordered = sorted(columns, key=lambda key: (arms.index(key[0]), key[1]))
    about = {key: value for key, value in described.items() if key not in ("constant", "values", "columns_of")}
    return {**about, **study_collect.stored_columns({key: columns[key] for key in ordered})}


def _models(measures: Iterable[Measure]) -> dict[tuple[str, int], study_collect.FloatArray]:
    """The columns of each model by arm and seed."""
    return {
        (arm, seed): one
        for measure in measures
        for arm, seeds in measure.seeds.items()
        for seed, one in zip(seeds, measure.columns[arm], strict=True)
    }


def _both(one: str | None, other: str | None) -> str:
    return " and ".join(dict.fromkeys(part for word in (one, other) for part in (word or "unknown").split(" and ")))
