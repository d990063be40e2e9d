"""The page and the tables of a correlation between measures, with a scatter plot of the models for each pair."""

from __future__ import annotations

import math
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from rich.markup import escape
from rich.table import Table

from distill.evaluation.report import plots
from distill.evaluation.report.cells import number, p_value
from distill.templates import render

MOST_LABELS = 30  # more labels beside a plot could not be read


def render_correlation(content: dict[str, Any]) -> str:
    """The page for the content of correlation.json; it loads nothing from elsewhere."""
    titles = ["Spearman", "Pearson", "Kendall", "Pearson without error", "p", "detectable"]
    if content["given"] is not None:
        titles.append(f"Spearman given {content['given']}")
    if content["apart"]:
        titles.append(f"Spearman with {', '.join(content['apart'])}")
    return render(
        "distill.evaluation.report",
        "correlation.html",
        content=content,
        confidence=f"{100 * content['statistics']['confidence']:g} %",
        titles=titles,
        rows=[(pair, _cells(pair)) for pair in content["pairs"]],
        plots=[(pair, scatter(content, pair)) for pair in content["pairs"]],
        measures=[(name, _measure_cells(measure)) for name, measure in content["measures"].items()],
    )


def correlation_tables(content: dict[str, Any]) -> list[Table]:
    """Two tables for a terminal: the pairs, and the reliability of each measure."""
    pairs = Table(box=None, padding=(0, 1), header_style="bold")
    for title in ("pair", "Spearman", "Pearson", "p"):
        pairs.add_column(title, overflow="fold")
    for pair in content["pairs"]:
        names = f"{pair['intrinsic']} ~ {pair['extrinsic']}"
        pairs.add_row(escape(names), escape(_cell(pair["spearman"])), escape(_cell(pair["pearson"])), _p(pair))
    measures = Table(box=None, padding=(0, 1), header_style="bold")
    for title in ("measure", "reliability", "models differ by", "error"):
        measures.add_column(title, overflow="fold")
    for name, measure in content["measures"].items():
        measures.add_row(escape(name), *map(escape, _measure_cells(measure)[:3]))
    return [pairs, measures]


def correlation_sentences(content: dict[str, Any]) -> list[str]:
    """For each pair what was found; then what a reader must not overlook."""
    found = []
    for pair in content["pairs"]:
        more = ""
        if pair["without_error"] is not None:
            more += f" Without error, Pearson's would be {_cell(pair['without_error'])}."
        if pair["partial"] is not None:
            more += f" Given {content['given']}, Spearman's is {_cell(pair['partial'])}."
        if pair["with_apart"] is not None:
            more += f" With {', '.join(content['apart'])} it is {number(pair['with_apart']['spearman'])}."
        found.append(
            f"{pair['intrinsic']} and {pair['extrinsic']}, {pair['num_models']} models: {pair['verdict']}.{more}"
        )
    return [*found, *content["notes"]]


def scatter(content: dict[str, Any], pair: dict[str, Any]) -> str:
    """A point with error bars per model; right and up is worse, so an axis of which more is better runs backwards."""
    x_name, y_name = pair["intrinsic"], pair["extrinsic"]
    x, y = content["measures"][x_name], content["measures"][y_name]
    with matplotlib.rc_context(plots.STYLE):
        figure = Figure(figsize=(6.8, 4.8), layout="constrained")
        axes = figure.subplots()
        points = [
            plots.Point(model, *(_numbers(measure["values"][model]) for measure in (x, y))) for model in x["values"]
        ]
        for index, point in enumerate(points):
            colour, marker = plots.look(index)
            axes.errorbar(
                point.cost[0],
                point.disparity[0],
                xerr=plots.errors(point.cost),
                yerr=plots.errors(point.disparity),
                color=colour,
                marker=marker,
                markerfacecolor="white" if point.label in content["apart"] else colour,
                markersize=5,
                capsize=2,
                elinewidth=0.6,
                linestyle="none",
            )
        for name, measure, set_label, invert in (
            (x_name, x, axes.set_xlabel, axes.invert_xaxis),
            (y_name, y, axes.set_ylabel, axes.invert_yaxis),
        ):
            unit = f", {measure['unit']}" if measure["unit"] else ""
            set_label(f"{name}{unit}" + ("" if measure["larger_is_worse"] else " (more is better)"))
            if not measure["larger_is_worse"]:
                invert()
        if len(points) <= MOST_LABELS:
            plots.label_at_the_side(axes, points)
        spoken = f"{x_name} against {y_name} for {pair['num_models']} models: Spearman's correlation is "
        return plots.to_svg(figure, spoken + _cell(pair["spearman"]))


def _cells(pair: dict[str, Any]) -> list[str]:
    """The cells of a pair's row, in the order of the titles."""
    cells = [_cell(pair[name]) for name in ("spearman", "pearson", "kendall")]
    cells += [
        "–" if pair["without_error"] is None else _cell(pair["without_error"]),
        _p(pair),
        number(pair["detectable"]),
    ]
    cells += [] if pair["partial"] is None else [_cell(pair["partial"])]
    return cells + ([] if pair["with_apart"] is None else [number(pair["with_apart"]["spearman"])])


def _measure_cells(measure: dict[str, Any]) -> list[str]:
    spread, error = (f"{measure[name]:.2g}" for name in ("spread", "error"))
    worse = "more" if measure["larger_is_worse"] else "less"
    return [_cell(measure["reliability"]), spread, error, measure["unit"], worse, measure["convention"]]


def _cell(triple: dict[str, Any]) -> str:
    """`value [low, high]` with two decimals: a correlation is not known better."""
    value, low, high = _numbers(triple)
    if math.isnan(value):
        return "not defined"
    middle = f"{value:.2f}"
    text = middle if math.isnan(low) else f"{middle} [{low:.2f}, {high:.2f}]"
    return text.replace("-", "\N{MINUS SIGN}")


def _numbers(triple: dict[str, Any]) -> tuple[float, float, float]:
    value, low, high = (math.nan if triple[key] is None else triple[key] for key in ("value", "low", "high"))
    return value, low, high


def _p(pair: dict[str, Any]) -> str:
    return p_value(pair["p_holm"]) or "–"
