"""Report studies from their results files alone.

- RESULTS.md, the summary: the template results.md.jinja
- beside every results file NAME.json the full tables, NAME.md (study.md.jinja), its plots, NAME.svg and NAME_ARM.svg,
  and NAME_model_card.md for the arm that the study recommends (card.md.jinja)
- beside the results files front.svg, the picture at the top of a README (study/front.py)
- the marked part of a README (readme.md.jinja)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.evaluation.report.plots import Point, fairness_utility
from distill.evaluation.statistics.resampling import Interval
from distill.run.export import FRONT_MATTER
from distill.settings import apply_override, dump_yaml
from study import tables
from study.config import TEACHER, UNTRAINED
from study.front import front_pages
from study.numbers import value
from study.plan import base_of, branch_overrides, is_variant
from study.results import MAX_CLUSTERS, Results, load
from study.texts import filled

Section = tuple[str, Path | None, str]  # title, plot and table
README_BLOCK = "<!-- study: written by python -m study report -->\n", "<!-- end of study -->\n"


def pages(paths: Sequence[Path], out: Path, readme: Path | None = None) -> dict[Path, str]:
    """The files of the report, with their texts.

    out: where RESULTS.md will be. readme: a README whose marked part is filled. Raises ValueError for two files of one
    study, for a results file that is not below the folder of `out` and of `readme`, for a README without the marks,
    and for a fault in a template.
    """
    studies = [load(path) for path in paths]
    _check(studies, out)
    pages = {out: filled("results.md.jinja", studies, **_links(studies, out)).rstrip() + "\n"}
    if readme is not None:
        _check(studies, readme)
        pages[readme] = with_marked_part(
            readme, filled("readme.md.jinja", studies, report=_link(out, readme), **_links(studies, readme))
        )
    pages |= front_pages(studies)
    for results in studies:
        pages[results.path.with_suffix(".md")] = study_page(results, studies)
        pages |= plots(results)
        if recommended(results) is not None:
            pages[results.path.with_name(f"{results.path.stem}_model_card.md")] = card(results)
    return pages


def with_marked_part(readme: Path, text: str) -> str:
    """The README with this text between the lines of README_BLOCK. Raises ValueError unless it has each once."""
    old, (begin, end) = readme.read_text(encoding="utf-8"), README_BLOCK
    if old.count(begin) != 1 or old.count(end) != 1:
        raise ValueError(f"{readme} does not hold the lines {begin.strip()!r} and {end.strip()!r} once each; add them")
    return f"{old.split(begin)[0]}{begin}\n{text.strip()}\n\n{end}{old.split(end)[1]}"


def _check(studies: Sequence[Results], out: Path) -> None:
    names = [results.name for results in studies]
    for results in studies:
        if names.count(results.name) > 1:
            raise ValueError(
                f"{results.path} is not the only file of the study {results.name}; put them together with merge"
            )
        if not results.path.resolve().is_relative_to(out.resolve().parent):
            raise ValueError(
                f"{results.path} does not lie below {out.resolve().parent}, from where {out.name} links to its pages"
            )


def _links(studies: Sequence[Results], out: Path) -> dict[str, Any]:
    """The functions `page` and `plot` of templates: links from `out` to the page and the plot of a study."""
    paths = {results.name: results.path for results in studies}
    return {
        "page": lambda study: _link(paths[study].with_suffix(".md"), out),
        "plot": lambda study: _link(paths[study].with_suffix(".svg"), out),
        "max_clusters": MAX_CLUSTERS,
    }


def _link(path: Path, out: Path) -> str:
    return path.resolve().relative_to(out.resolve().parent).as_posix()


# -- the page of a study ---------------------------------------------------------------------------------------------


def study_page(results: Results, studies: Sequence[Results]) -> str:
    """The full tables of one study. studies: all studies of the report, which its notes may cite."""
    text = filled(
        "study.md.jinja",
        studies,
        results=results,
        content=results.content,
        missing=_missing(results),
        sections=_sections(results),
        overrides=tables.overrides_table(results),
        notes=f"{results.name}_notes.md.jinja",
        **_links(studies, results.path),
    )
    return text.rstrip() + "\n"


def _sections(results: Results) -> list[dict[str, Any]]:
    """The sections of a page: each has a title, a plot (or None) and a table."""
    plain, references = results.study["references"][0], results.study["references"]
    methods = [arm for arm in results.arms if not is_variant(arm)]
    variants = [arm for arm in results.arms if is_variant(arm)]
    sections: list[Section] = [("All arms", None, tables.values_table(results, methods, plain))]
    if results.distances:
        sections.append(("Distance to the teacher", None, tables.distances_table(results)))
    for reference in references:
        if reference in results.arms:
            table = tables.differences_table(results, methods, reference)
            sections.append((f"Differences to `{reference}`", None, table))
    if variants:
        sections.append(("Variants", None, tables.values_table(results, variants, plain)))
    for base, own_variants in _bases(results.arms).items():
        table, plot = (
            tables.differences_table(results, variants, base),
            _variants_plot(results.path, base, own_variants),
        )
        sections.append((f"Variants: differences to `{base}`", plot, table))
    sections += _other_sections(results, methods, plain)
    sections.append(("Items, clusters and conventions", None, tables.items_table(results, methods, plain)))
    return [{"title": title, "plot": plot and plot.name, "table": table} for title, plot, table in sections]


def _other_sections(results: Results, methods: Sequence[str], plain: str) -> list[Section]:
    varying, constant = tables.other_measures(results, methods)
    if not varying and not constant:
        return []
    alike = "".join(f"\nThe same in every arm: `{name}`, {shown}.\n" for name, shown in constant.items())
    sections: list[Section] = [
        ("All other measures", None, (tables.others_table(varying, methods) if varying else "") + alike)
    ]
    if varying and plain in results.arms:
        table = tables.other_differences_table(varying, methods, plain)
        sections.append((f"All other measures: differences to `{plain}`, with p", None, table))
    return sections


def _missing(results: Results) -> dict[str, list[str]]:
    """Arms that were not run at all, and arms that lack some of the study's seeds."""
    labels = [label.rpartition(" seed ")[0] for label in results.content["missing"]]
    return {
        "arms": [arm for arm in dict.fromkeys(labels) if arm not in results.arms],
        "seeds": [arm for arm in dict.fromkeys(labels) if arm in results.arms],
    }


# -- plots -----------------------------------------------------------------------------------------------------------


def plots(results: Results) -> dict[Path, str]:
    """Plots of disparity against cost as SVG, by path: of the headline's models, and of every arm with its variants.

    A variant is labelled by what it adds to the arm's name. Without a headline all arms are shown, variants left out.
    """
    headline = results.study["headline"] or [arm for arm in results.arms if not is_variant(arm) and arm != UNTRAINED]
    shown_in = {results.path.with_suffix(".svg"): headline}
    for base, variants in _bases(results.arms).items():
        if (path := _variants_plot(results.path, base, variants)) is not None:
            shown_in[path] = [base, *variants]
    return {path: fairness_utility(_points(results, arms), results.cost.unit) + "\n" for path, arms in shown_in.items()}


def _points(results: Results, arms: Sequence[str]) -> list[Point]:
    both = (results.cost, results.disparity)
    return [
        Point(arm.removeprefix(base_of(arm)) or arm, *(_triple(value(measure, arm)) for measure in both))
        for arm in arms
        if all(arm in measure.columns for measure in both)
    ]


def _bases(arms: Sequence[str]) -> dict[str, list[str]]:
    """The arms that have variants, each with its variants."""
    bases: dict[str, list[str]] = {}
    for arm in arms:
        if is_variant(arm) and base_of(arm) in arms:
            bases.setdefault(base_of(arm), []).append(arm)
    return bases


def _variants_plot(path: Path, base: str, variants: Sequence[str]) -> Path | None:
    """The file of the plot of an arm with its variants; None for a single variant, because the table says as much."""
    return path.with_name(f"{path.stem}_{base}.svg") if len(variants) > 1 else None


def _triple(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


# -- the model card --------------------------------------------------------------------------------------------------


def recommended(results: Results) -> str | None:
    """The arm that the study recommends, if it has been measured."""
    arm = results.study["recommended"]
    return arm if arm in results.arms else None


def card(results: Results) -> str:
    """The model card of the recommended arm. Raises ValueError when there is none."""
    arm, study = recommended(results), results.study
    if arm is None:
        raise ValueError(f"{results.name}: no results of a recommended arm; name one in the study and run it")
    references = [name for name in study["references"] if name in results.arms]
    shown = [name for name in (TEACHER, *references, arm) if name in results.arms]
    varying, _ = tables.other_measures(results, shown)
    return filled(
        "card.md.jinja",
        [results],
        front_matter=FRONT_MATTER,
        results=results,
        content=results.content,
        arm=arm,
        values=tables.values_table(results, shown, study["references"][0]),
        differences={name: tables.differences_table(results, [arm], name) for name in references if name != arm},
        others=tables.others_table(varying, shown) if varying else "",
        settings=dump_yaml(_settings(results, arm)),
    )


def _settings(results: Results, arm: str) -> dict[str, Any]:
    """The resolved settings of the arm's first seed."""
    seed, run_dir = results.study["seeds"][0], results.study["run_dir"]
    settings = copy.deepcopy(results.content["training"])
    start = branch_overrides(run_dir, seed) if results.study.get("healing") else ()
    for override in (*start, *results.content["arms"][arm], f"seed={seed}", f"run_dir={run_dir}/{arm}/seed{seed}"):
        apply_override(settings, override)
    return settings
