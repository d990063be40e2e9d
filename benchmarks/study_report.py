"""RESULTS.md from results files alone: what study_collect.py wrote in; Markdown, and one SVG per study, out.

A value is the mean over training seeds; in brackets its 95 % interval from a bootstrap over clusters and seeds
together. Differences are paired by cluster and by seed; their p-values come from swapping the labels of the two models
within clusters, with the seeds as they are, and are adjusted after Holm over all arms for each measure and reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import study_collect
from benchmarks.study_collect import Measure
from benchmarks.study_plan import TEACHER, UNTRAINED
from distill.evaluation.descriptions import DESCRIPTIONS
from distill.evaluation.plots import Point, fairness_utility
from distill.evaluation.statistics import (
    FloatArray,
    Interval,
    Statistic,
    difference_of,
    holm,
    mean_over_seeds,
    non_inferior,
    paired_permutation_p,
    removed_share,
    two_way_interval,
)
from distill.run_folder import write_text

HEAD = """# Results

<!-- Written by benchmarks/study.py report from the results files; edit those, or notes.md beside them. -->

"""
MAX_LISTED = 12
README_BLOCK = "<!-- study: written by benchmarks/study.py report -->\n", "<!-- end of study -->\n"
HOW_TO_READ = """## How to read the tables

A value is the mean over training seeds, in brackets its 95 % interval from a bootstrap over clusters (occupations,
prompts, documents) and seeds together. With few seeds such an interval is somewhat narrow in their direction. A
difference is arm minus reference, paired by cluster and seed; p is from permutation within clusters with the seeds as
they are, Holm-adjusted over all arms for that measure and reference. "Not inferior" says `yes` where the whole interval
is better than the margin, `no` where all of it is worse, and `open` otherwise. `untrained` is the student before its
training. Share removed is 1 - (disparity of the arm / that of the model named): 1 is parity, 0 nothing, below 0 more
bias than there.

"""


def report(paths: Sequence[Path], out: Path) -> str:
    """The text of RESULTS.md from results files, in that order, with the text of notes.md beside the first on top.

    out: where it will be, for links to the plots, which lie beside the results files under the same names.
    """
    notes = paths[0].parent / "notes.md"
    parts = [HEAD, notes.read_text(encoding="utf-8").strip() + "\n\n" if notes.is_file() else "", HOW_TO_READ]
    for path in paths:
        results = study_collect.read(path)
        link = path.with_suffix(".svg").resolve().relative_to(out.resolve().parent)
        parts.append(section(results, link.as_posix()))
    return "".join(parts).rstrip() + "\n"


def with_headline(readme: Path, paths: Sequence[Path], out: Path) -> str:
    """The text of a README in which the part between the marks of README_BLOCK is what the results files say.

    out: where the report is; it and the results files lie below the README's folder. Raises ValueError without marks.
    """

    def link(path: Path) -> str:
        return path.resolve().relative_to(readme.resolve().parent).as_posix()

    text, (begin, end) = readme.read_text(encoding="utf-8"), README_BLOCK
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{readme} does not hold the lines {begin.strip()!r} and {end.strip()!r} once each; add them")
    parts = []
    for path in paths:
        results = study_collect.read(path)
        found = study_collect.measures(results)
        arms = [arm for arm in results["study"]["headline"] if arm in next(iter(found.values())).columns]
        plot = f"![Disparity against cost, all arms]({link(path.with_suffix('.svg'))})"
        parts.append(f"{results['world']}\n\n{values_table(found, arms, results['study'])}\n{plot}\n")
    parts.append(f"All arms, differences, and how to read them: [{out.name}]({link(out)}).\n")
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n" + "\n".join(parts) + f"\n{end}{after}"


def write_plot(path: Path) -> None:
    """Write the frontier plot of a results file beside it: disparity against cost, one point per arm (no variants)."""
    results = study_collect.read(path)
    disparity, cost = list(study_collect.measures(results).values())[:2]
    points = [
        Point(arm, *(_triple(two_way_interval(one.columns[arm], one.statistic)) for one in (cost, disparity)))
        for arm in results["arms"]
        if "+" not in arm and arm != UNTRAINED and arm in disparity.columns and arm in cost.columns
    ]
    write_text(path.with_suffix(".svg"), fairness_utility(points, cost.unit) + "\n")


def section(results: dict[str, Any], plot: str) -> str:
    """The part of RESULTS.md about one study."""
    study, found = results["study"], study_collect.measures(results)
    arms = [arm for arm in results["arms"] if arm in next(iter(found.values())).columns]
    methods, variants = ([arm for arm in arms if ("+" in arm) == is_variant] for is_variant in (False, True))
    lines = [f"## {results['name']}\n", _what(results), f"![Disparity against cost]({plot})\n"]
    lines += ["### Arms\n", values_table(found, methods, study)]
    for reference in study["references"]:
        if reference in arms:
            lines += [f"### Differences to `{reference}`\n", differences_table(found, arms, reference, study)]
    if variants:
        lines += ["### Variants\n", values_table(found, variants, study)]
    rest = [name for name in list(found)[2:] if name not in study["margins"]]
    if rest:
        lines += ["### All other measures\n", others_table(found, rest, methods)]
    if rest and study["references"][0] in arms:
        lines += [
            f"### All other measures: differences to `{study['references'][0]}`, with p\n",
            other_differences_table(found, rest, methods, study["references"][0]),
        ]
    lines += ["### Settings\n", _settings(results)]
    return "\n".join(lines) + "\n"


# -- numbers ---------------------------------------------------------------------------------------------------------


def paired(measure: Measure, arm: str, reference: str) -> tuple[FloatArray, FloatArray]:
    """The columns [num_seeds, num_clusters, num_columns] of both on the seeds that they share.

    A model with a single seed (teacher, untrained) stands beside every seed of the other. Raises ValueError without
    a common seed.
    """
    mine, theirs = measure.seeds[arm], measure.seeds[reference]
    if TEACHER in (arm, reference) or UNTRAINED in (arm, reference):
        num_seeds = max(len(mine), len(theirs))
        return tuple(  # type: ignore[return-value]
            np.broadcast_to(measure.columns[name], (num_seeds, *measure.columns[name].shape[1:]))
            for name in (arm, reference)
        )
    common = [seed for seed in mine if seed in theirs]
    if not common:
        raise ValueError(f"{measure.name}: {arm} and {reference} have no seed in common; run both with the same seeds")
    return tuple(  # type: ignore[return-value]
        measure.columns[name][[measure.seeds[name].index(seed) for seed in common]] for name in (arm, reference)
    )


def compare(measure: Measure, arm: str, reference: str, kind: str = "difference") -> Interval:
    """The paired difference of an arm to another, or the share that it removes of it (`kind` removed)."""
    mine, theirs = paired(measure, arm, reference)
    how = {"difference": difference_of, "removed": removed_share}[kind]
    return two_way_interval(np.concatenate([mine, theirs], axis=2), how(measure.statistic, mine.shape[2]))


def p_value(measure: Measure, arm: str, reference: str) -> float:
    """Two-sided p of no difference, from swapping labels within clusters."""
    mine, theirs = (_side_by_side(columns) for columns in paired(measure, arm, reference))
    statistic: Statistic = mean_over_seeds(measure.statistic, len(paired(measure, arm, reference)[0]))
    return paired_permutation_p(mine, theirs, statistic)


def holm_p_values(measure: Measure, arms: Sequence[str], reference: str) -> dict[str, float]:
    """Holm-adjusted p-values of the arms against a reference; teacher, untrained and reference are none."""
    tested = [
        arm for arm in arms if arm not in (TEACHER, UNTRAINED, reference) and {arm, reference} <= measure.columns.keys()
    ]
    return dict(zip(tested, holm([p_value(measure, arm, reference) for arm in tested]), strict=True))


def not_inferior(measure: Measure, difference: Interval, margin: float) -> str:
    """`yes`, `no` or `open`: whether a difference is within the margin, in the direction in which more is worse."""
    if measure.higher_is_better is None or math.isnan(difference.low):
        return "open"
    if measure.higher_is_better:
        difference = Interval(-difference.value, -difference.high, -difference.low, difference.standard_error)
    if non_inferior(difference, margin):
        return "yes"
    return "no" if difference.low > margin else "open"


def _side_by_side(columns: FloatArray) -> FloatArray:
    """[num_seeds, num_clusters, num_columns] as [num_clusters, num_seeds * num_columns]."""
    return columns.transpose(1, 0, 2).reshape(columns.shape[1], -1)


# -- tables ----------------------------------------------------------------------------------------------------------


def values_table(found: dict[str, Measure], arms: Sequence[str], study: dict[str, Any]) -> str:
    """Per arm the shares removed, the disparity, the cost, and the measures that have a margin."""
    disparity = next(iter(found.values()))
    shown = list(dict.fromkeys([*list(found)[:2], *study["margins"]]))
    bases = [base for base in (TEACHER, study["references"][0]) if base in disparity.columns]
    header = ["arm", "seeds", *(f"share removed of {base}" for base in bases), *map(_title, map(found.get, shown))]
    rows = []
    for arm in arms:
        shares = ["–" if arm in (TEACHER, base) else _cell(compare(disparity, arm, base, "removed")) for base in bases]
        rows.append([arm, str(len(disparity.seeds[arm])), *shares, *(_value(found[name], arm) for name in shown)])
    return _table(header, rows)


def differences_table(found: dict[str, Measure], arms: Sequence[str], reference: str, study: dict[str, Any]) -> str:
    """Per arm the paired differences of the disparity and of every measure with a margin, with the verdict on it."""
    shown = list(dict.fromkeys([next(iter(found)), *study["margins"]]))
    header = ["arm"]
    for name in shown:
        margin = study["margins"].get(name)
        header += [_title(found[name]), "p"] + ([f"not inferior by {margin:g}"] if margin else [])
    adjusted = {name: holm_p_values(found[name], arms, reference) for name in shown}
    rows = []
    for arm in arms:
        if arm not in adjusted[shown[0]]:
            continue
        row = [arm]
        for name in shown:
            if arm not in adjusted[name]:
                row += ["–"] * (3 if name in study["margins"] else 2)
                continue
            difference = compare(found[name], arm, reference)
            row += [_cell(difference), _p(adjusted[name][arm])]
            if name in study["margins"]:
                row.append(not_inferior(found[name], difference, study["margins"][name]))
        rows.append(row)
    return _table(header, rows)


def others_table(found: dict[str, Measure], names: Sequence[str], arms: Sequence[str]) -> str:
    """Per measure a row, per arm a column."""
    rows = [[_title(found[name]), *(_value(found[name], arm) for arm in arms)] for name in names]
    return _table(["measure", *arms], rows)


def other_differences_table(
    found: dict[str, Measure], names: Sequence[str], arms: Sequence[str], reference: str
) -> str:
    """Per measure a row, per arm the paired difference to a reference with its Holm-adjusted p-value."""
    tested = [arm for arm in arms if arm not in (TEACHER, UNTRAINED, reference)]
    rows = []
    for name in names:
        adjusted = holm_p_values(found[name], tested, reference)
        cells = [
            f"{_cell(compare(found[name], arm, reference))}; {_p(adjusted[arm])}" if arm in adjusted else "–"
            for arm in tested
        ]
        rows.append([_title(found[name]), *cells])
    return _table(["measure", *tested], rows)


def _what(results: dict[str, Any]) -> str:
    study, hours = results["study"], results["hours"]
    names = results["missing"]
    listed = f"{', '.join(names[:MAX_LISTED])}{' and others' if len(names) > MAX_LISTED else ''}"
    missing = f" Without results ({len(names)}): {listed}." if names else ""
    return (
        f"{results['world']}\n\nEvery arm trained on {study['budget_tokens']:,} tokens; seeds "
        f"{', '.join(map(str, study['seeds']))}. Collected {results['created'][:10]}, revision "
        f"{(results['git_revision'] or 'unknown')[:12]}, {results['hardware']}, torch {results['versions']['torch']}, "
        f"transformers {results['versions']['transformers']}. Time summed over jobs: {hours['teacher_and_data']:g} h "
        f"for teacher and data, {hours['students']:g} h for students (budget {study['budget_hours']:g} h on "
        f"{study['budget_machine']}).{missing}\n"
    )


def _settings(results: dict[str, Any]) -> str:
    study = results["study"]
    common = f"`{study['train_config']}`, measured with `{study['eval_config']}`"
    rows = [[arm, " ".join(f"`{one}`" for one in overrides) or "–"] for arm, overrides in results["arms"].items()]
    return f"All arms: {common}; the resolved settings are in the results file.\n\n" + _table(
        ["arm", "overrides"], rows
    )


def _title(measure: Measure | None) -> str:
    assert measure is not None
    description = DESCRIPTIONS.get(measure.name)
    return f"{description.title if description else measure.name} ({measure.unit or 'without unit'})".replace(
        "|", "\\|"
    )


def _value(measure: Measure, arm: str) -> str:
    return _cell(two_way_interval(measure.columns[arm], measure.statistic)) if arm in measure.columns else "–"


def _cell(interval: Interval) -> str:
    if math.isnan(interval.value):
        return "not defined"
    digits = 1 if abs(interval.value) >= 100 else 3
    value = f"{interval.value:.{digits}f}"
    return value if math.isnan(interval.low) else f"{value} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _p(p: float) -> str:
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines) + "\n"


def _triple(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high
