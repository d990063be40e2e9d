"""RESULTS.md from results files alone: what study_collect.py wrote in; Markdown, and one SVG per study, out.

A value is the mean over training seeds; in brackets its 95 % interval from a bootstrap over clusters and seeds
together. Differences are paired by cluster and by seed; their p-values come from swapping the labels of the two models
within clusters, with the seeds as they are, and are adjusted after Holm over all arms, or all variants, for each
measure and reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.evaluation.report.plots import Point, fairness_utility
from distill.evaluation.statistics.resampling import Interval, two_way_interval
from study import collect as study_collect
from study import prose as study_prose
from study.collect import MAX_CLUSTERS
from study.plan import UNTRAINED, base_of, is_variant
from study.tables import (
    differences_table,
    items_table,
    other_differences_table,
    other_measures,
    others_table,
    settings_table,
    values_table,
)

HEAD = """# Results

<!-- Written by python -m study report from the results files; edit those, or notes.md beside them. -->

"""
MAX_LISTED = 12
NOTES = "notes.md"
README_BLOCK = "<!-- study: written by python -m study report -->\n", "<!-- end of study -->\n"
HOW_TO_READ = f"""## How to read the tables

- A value is the mean over training seeds, in brackets its 95 % interval from a bootstrap over clusters and seeds
  together. Clusters are occupations for the log-odds and the occupation classifier, pairs of nouns (woman and man) for
  gender agreement, and prompts, terms, tests or documents for the other measures, in at most {MAX_CLUSTERS} random
  groups. With few seeds an interval is somewhat narrow in their direction; with one it says nothing about another
  training run. An interval such as [1.000, 1.000] comes from items that are all right (or, of a least ratio, from a
  group in which one gender never occurs): no resample can differ.
- The ratios of BOLD are biased under resampling, for the smaller of two counts becomes smaller by chance: their
  intervals are too low, and hold their value only because they are widened to it. They are no 95 % intervals, and the
  intervals of their differences lean towards 0. A group of professions without a gendered continuation counts as 0.
- A difference is arm minus reference, paired by cluster and seed. It uses the seeds that both have, where the means
  in the other tables use all. p is from swapping the labels of the two models within clusters, with the trained
  models as they are; it is adjusted after Holm over the arms of the table, for that measure and that reference, and
  so cannot be smaller than their number / 10,000 (with n clusters, fewer than 14, than their number / 2^(n - 1)).
  Nothing adjusts for the number of measures: one of twenty differs by chance.
- "Detectable" is the smallest true difference to the first reference, in the measure's unit, that a test at 5 % finds
  in four cases of five (the median over arms). A smaller one is easily missed.
- "Not inferior" says `yes` where the whole interval is better than the margin, `no` where all of it is worse, and
  `open` otherwise.
- Bias removed is 1 - (mean |log-odds| of the arm / that of the model named): 100 % is parity, 0 nothing, below 0
  more bias than there. `untrained` is the student before its training.

"""


def report(paths: Sequence[Path], out: Path) -> str:
    """The text of RESULTS.md from results files, in that order, below `notes`.

    out: where it will be, for links to the plots, which lie beside the results files under the same names. Raises
    ValueError for two files of one study, or a file that is not below the folder of `out`.
    """
    every = [study_collect.read(path) for path in paths]
    names = [results["name"] for results in every]
    for path, results in zip(paths, every, strict=True):
        if names.count(results["name"]) > 1:
            raise ValueError(
                f"{path} is not the only file of the study {results['name']}; put them together with merge"
            )
        if not path.resolve().is_relative_to(out.resolve().parent):
            raise ValueError(
                f"{path} does not lie below {out.resolve().parent}, from where {out.name} links to its plot"
            )
    parts = [HEAD, notes(paths[0].parent, every), HOW_TO_READ]
    for path, results in zip(paths, every, strict=True):
        parts.append(section(results, path.resolve().relative_to(out.resolve().parent)))
    return "".join(parts).rstrip() + "\n"


def notes(folder: Path, every: Sequence[dict[str, Any]], only_summary: bool = False) -> str:
    """The text of notes.md in the folder, its placeholders filled with the numbers of results files; "" without it.

    only_summary: what stands before its first heading.
    """
    if not (folder / NOTES).is_file():
        return ""
    text = (folder / NOTES).read_text(encoding="utf-8")
    studies = {results["name"]: study_collect.measures(results) for results in every}
    return study_prose.filled((text.partition("\n## ")[0] if only_summary else text).strip(), studies) + "\n\n"


def with_headline(readme: Path, paths: Sequence[Path], out: Path) -> str:
    """The text of a README in which the part between the marks of README_BLOCK is what the results files say: the notes
    up to their first heading, and of each study that has a headline a table and the plot.

    out: where the report is; it and the results files lie below the README's folder. Raises ValueError without marks.
    """

    def link(path: Path) -> str:
        return path.resolve().relative_to(readme.resolve().parent).as_posix()

    text, (begin, end) = readme.read_text(encoding="utf-8"), README_BLOCK
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{readme} does not hold the lines {begin.strip()!r} and {end.strip()!r} once each; add them")
    every = [study_collect.read(path) for path in paths]
    parts = [notes(paths[0].parent, every, only_summary=True).rstrip() + "\n"]
    for path, results in zip(paths, every, strict=True):
        if not results["study"]["headline"]:
            continue
        found = study_collect.measures(results)
        arms = [arm for arm in results["study"]["headline"] if arm in next(iter(found.values())).columns]
        plot = f"![Disparity against cost]({link(path.with_suffix('.svg'))})"
        parts.append(f"{results['world']}\n\n{values_table(found, arms, results['study']['references'][0])}\n{plot}\n")
    parts.append(f"All arms, differences, and how to read them: [{out.name}]({link(out)}).\n")
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n" + "\n".join(parts) + f"\n{end}{after}"


def plots(path: Path) -> dict[Path, str]:
    """The plots of a results file, to be written beside it, disparity against cost: of the headline's models, and of
    every arm with its variants.

    Without a headline all arms are shown, variants left out.
    """
    results = study_collect.read(path)
    disparity, cost = list(study_collect.measures(results).values())[:2]
    arms = results["study"]["headline"] or [arm for arm in results["arms"] if not is_variant(arm) and arm != UNTRAINED]
    bases = _bases([arm for arm in results["arms"] if arm in disparity.columns])
    shown_in = {path.with_suffix(".svg"): arms}
    shown_in |= {_variants_plot(path, base): [base, *variants] for base, variants in bases.items()}
    drawn = {}
    for file, shown in shown_in.items():
        points = [
            Point(arm, *(_triple(two_way_interval(one.columns[arm], one.statistic)) for one in (cost, disparity)))
            for arm in shown
            if arm in disparity.columns and arm in cost.columns
        ]
        drawn[file] = fairness_utility(points, cost.unit) + "\n"
    return drawn


def section(results: dict[str, Any], path: Path) -> str:
    """The part of RESULTS.md about one study. path: from there, of the results file, beside which the plots are."""
    study, found = results["study"], study_collect.measures(results)
    plain = study["references"][0]
    arms = [arm for arm in results["arms"] if arm in next(iter(found.values())).columns]
    methods = [arm for arm in arms if not is_variant(arm)]
    variants = [arm for arm in arms if is_variant(arm)]
    plot = path.with_suffix(".svg").as_posix()
    lines = [f"## {results['name']}\n", _what(results), f"![Disparity against cost]({plot})\n"]
    lines += ["### Arms\n", values_table(found, methods, plain)]
    for reference in study["references"]:
        if reference in arms:
            lines += [f"### Differences to `{reference}`\n", differences_table(found, methods, reference)]
    if variants:
        lines += ["### Variants\n", values_table(found, variants, plain)]
    for base in _bases(arms):
        plot = _variants_plot(path, base).as_posix()
        lines += [f"### Variants: differences to `{base}`\n", f"![Disparity against cost]({plot})\n"]
        lines += [differences_table(found, variants, base)]
    rest = other_measures(found)
    if rest:
        lines += ["### All other measures\n", others_table(found, rest, methods)]
    if rest and plain in arms:
        lines += [
            f"### All other measures: differences to `{plain}`, with p\n",
            other_differences_table(found, rest, methods, plain),
        ]
    lines += [
        "### What was measured on what\n",
        items_table(results, found, methods, plain),
        "### Settings\n",
        settings_table(results),
    ]
    return "\n".join(lines) + "\n"


def _what(results: dict[str, Any]) -> str:
    study, hours = results["study"], results["hours"]
    names = results["missing"]
    listed = f"{', '.join(names[:MAX_LISTED])}{' and others' if len(names) > MAX_LISTED else ''}"
    missing = f" Without results ({len(names)}): {listed}." if names else ""
    revisions = ", ".join(results.get("origin", {}).get("git_revisions", []))
    trained = f" Trained at revision {revisions}." if revisions else ""
    teacher = f"{hours['teacher_and_data']:g} h for teacher and data"
    if not study["teacher_config"]:
        teacher = "no teacher to train"
    elif not hours["teacher_and_data"]:
        teacher = "for the teacher not recorded"
    return (
        f"{results['world']}\n\nEvery arm trained on {study['budget_tokens']:,} tokens; seeds "
        f"{', '.join(map(str, study['seeds']))}. Collected {results['created'][:10]} at revision "
        f"{results['git_revision'] or 'unknown'}, {results['hardware']}, torch {results['versions']['torch']}, "
        f"transformers {results['versions']['transformers']}.{trained} Time summed over jobs, of which several may run "
        f"at once: {teacher}, {hours['students']:g} h for students. Budget, of wall-clock time: "
        f"{study['budget_hours']:g} h on {study['budget_machine']}.{missing}\n"
    )


def _bases(arms: Sequence[str]) -> dict[str, list[str]]:
    """The arms that have variants, with these."""
    bases: dict[str, list[str]] = {}
    for arm in arms:
        if is_variant(arm) and base_of(arm) in arms:
            bases.setdefault(base_of(arm), []).append(arm)
    return bases


def _variants_plot(path: Path, base: str) -> Path:
    return path.with_name(f"{path.stem}_{base}.svg")


def _triple(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high
