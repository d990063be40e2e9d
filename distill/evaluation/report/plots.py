"""The report's plots, as SVG text that loads nothing from elsewhere.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart; each model also has its own marker.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5B4B9A")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo", "---")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "path",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e8",
    "axes.axisbelow": True,
    "text.parse_math": False,  # a label may have a dollar sign
}
LABEL_GAP = 0.065  # between labels beside the axes, as a fraction of their height; less if there are many
LONGEST_LABEL = 28  # characters; a longer model label would leave no room for the plot


@dataclass(frozen=True)
class Point:
    """A model in a plot of two measures: (value, low, high) on each axis, cost across; low and high may be NaN."""

    label: str
    cost: tuple[float, float, float]
    disparity: tuple[float, float, float]


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points whose values no other point beats on both axes, the cheapest first."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost[0], point.disparity[0])):
        if not kept or point.disparity[0] < kept[-1].disparity[0]:
            kept.append(point)
    return kept


def fairness_utility(points: Sequence[Point], cost_label: str) -> str:
    """Mean |log-odds| against log-perplexity: a labelled point with error bars per model. Lower is better on both axes.

    A dashed line joins the models that no other model beats on both axes.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.9), layout="constrained")
        axes = figure.subplots()
        for index, point in enumerate(points):
            colour, marker = look(index)
            axes.errorbar(
                point.cost[0],
                point.disparity[0],
                xerr=errors(point.cost),
                yerr=errors(point.disparity),
                color=colour,
                marker=marker,
                markersize=7,
                capsize=3,
                elinewidth=1.2,
                linestyle="none",
            )
        best = frontier(points)
        axes.plot(
            [point.cost[0] for point in best],
            [point.disparity[0] for point in best],
            color="#9a9aa2",
            linestyle="--",
            linewidth=1,
            drawstyle="steps-post",
            zorder=1,
        )
        axes.margins(x=0.1, y=0.1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"log-perplexity, {cost_label} (lower is better)")
        axes.set_ylabel("mean |log-odds| he : she, nats\n(0 is parity)")
        label_at_the_side(axes, points)
        label = "Fairness and utility: " + "; ".join(
            f"{point.label}: log-perplexity {point.cost[0]:.3f}, mean absolute log-odds {point.disparity[0]:.3f}"
            for point in points
        )
        return to_svg(figure, label)


def log_odds_dots(means: dict[str, dict[str, float]], known: dict[str, float | None]) -> str:
    """The mean log P(he) - log P(she) of every occupation, a marker per model, and the known log-odds as black bars.

    means: by model label, by occupation, in nats. known: by occupation, None where nobody knows them.
    """
    first = next(iter(means.values()))
    truths = {name: truth for name, truth in known.items() if truth is not None and name in first}
    order = sorted(first, key=lambda name: (truths.get(name, first[name]), first[name], name))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.8, 1.3 + 0.17 * len(order) + 0.17 * math.ceil(len(means) / 2)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color="#55555c", linewidth=1)
        shown: list[tuple[str, Any]] = []
        for index, (label, values) in enumerate(means.items()):
            colour, marker = look(index)
            rows = [row for row, name in enumerate(order) if name in values]
            (line,) = axes.plot(
                [values[order[row]] for row in rows],
                rows,
                color=colour,
                marker=marker,
                markersize=4.5,
                linestyle="none",
                alpha=0.9,
            )
            shown.append((label, line))
        if truths:
            rows = [row for row, name in enumerate(order) if name in truths]
            (line,) = axes.plot(
                [truths[order[row]] for row in rows],
                rows,
                color="black",
                marker="|",
                markersize=11,
                markeredgewidth=2.2,
                linestyle="none",
            )
            shown.append(("truth", line))
        axes.set_yticks(range(len(order)), order)
        axes.set_ylim(-0.8, len(order) - 0.2)
        axes.set_xlabel("log P(he) - log P(she), nats: left of 0 she is likelier, right of 0 he")
        _legend(figure, shown)
        return to_svg(figure, f"Log-odds of he against she after {len(order)} occupations, one marker per model")


def group_bars(counts: dict[str, dict[str, tuple[int, int]]]) -> str:
    """The share of continuations about women among the gendered ones: a block of bars per group, a bar per model.

    A bar begins at parity, so its length is the distance from parity. A group without gendered continuations has no
    bar. counts: by model label, by group, how many continuations are about men and about women.
    """
    labels, groups = list(counts), list(dict.fromkeys(group for by_group in counts.values() for group in by_group))
    height = 0.8 / len(labels)
    with matplotlib.rc_context(STYLE):
        size = (5.8, 1.0 + len(groups) * (0.1 + 0.13 * len(labels)) + 0.17 * math.ceil(len(labels) / 2))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        shown: list[tuple[str, Any]] = []
        for index, label in enumerate(labels):
            colour, _ = look(index)
            known = [
                (row, *counts[label][group])
                for row, group in enumerate(groups)
                if sum(counts[label].get(group, (0, 0)))
            ]
            places = [row + (index - (len(labels) - 1) / 2) * height for row, _, _ in known]
            bars = axes.barh(
                places,
                [female / (male + female) - 0.5 for _, male, female in known],
                height,
                left=0.5,
                color=colour,
                edgecolor="white",
                linewidth=0.4,
                hatch=HATCHES[index % len(HATCHES)],
            )
            shown.append((label, bars))
            for place, (_, male, female) in zip(places, known, strict=True):
                axes.annotate(f"{male} : {female}", (1.01, place), va="center", fontsize=6.5, annotation_clip=False)
        axes.axvline(0.5, color="#55555c", linewidth=1)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.set_ylim(len(groups) - 0.4, -0.6)
        axes.set_yticks(range(len(groups)), [group.replace("_", " ") for group in groups])
        axes.set_xlabel(
            "share about women among gendered continuations (0.5 is parity)\nright: number about men : women"
        )
        _legend(figure, shown)
        return to_svg(
            figure, f"Continuations about women and men in {len(groups)} groups of professions, a bar per model"
        )


def look(index: int) -> tuple[str, str]:
    """The colour and marker of the model with this index; no two of the first 56 models share both."""
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]


def shortened(label: str) -> str:
    """A label cut to LONGEST_LABEL characters: its beginning and its end remain."""
    half = LONGEST_LABEL // 2
    return label if len(label) <= LONGEST_LABEL else f"{label[: half - 1]}…{label[-half:]}"


def to_svg(figure: Figure, label: str, transparent: bool = True) -> str:
    """An <svg> element that scales with the page. label: what a screen reader says. transparent: the background."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": label, **STYLE}):  # ids differ between the plots of one page
        figure.savefig(buffer, format="svg", transparent=transparent, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", text[: text.index(">")])
    return f'{opening} role="img" aria-label="{escape(label)}"' + text[text.index(">") :]


def errors(value: tuple[float, float, float]) -> list[list[float]] | None:
    """The error bar of (value, low, high) as Matplotlib takes it; None if low or high is NaN."""
    middle, low, high = value
    if math.isnan(low) or math.isnan(high):
        return None
    return [[max(0.0, middle - low)], [max(0.0, high - middle)]]


def _legend(figure: Figure, shown: Sequence[tuple[str, Any]]) -> None:
    """A legend above the axes. shown: (label, what Matplotlib drew for it)."""
    labels, handles = zip(*shown, strict=True)
    figure.legend(handles, [shortened(label) for label in labels], loc="outside upper center", ncols=2, frameon=False)


def label_at_the_side(axes: Axes, points: Sequence[Point]) -> None:
    """Write the labels in a column right of the axes, apart from each other, with a line from each to its point."""
    low, high = axes.get_ylim()
    heights = spaced_heights([(point.disparity[0] - low) / (high - low) for point in points])
    for index in sorted(range(len(points)), key=lambda index: heights[index]):
        axes.annotate(
            shortened(points[index].label),
            xy=(points[index].cost[0], points[index].disparity[0]),
            xytext=(1.04, heights[index]),
            textcoords="axes fraction",
            va="center",
            color="#1b1b1f",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": look(index)[0],
                "linewidth": 0.7,
                "relpos": (0, 0.5),  # the line begins left of the label
                "shrinkA": 1,
                "shrinkB": 4,
            },
        )


def spaced_heights(heights: Sequence[float]) -> list[float]:
    """The heights, as fractions of the axes, moved up until a gap lies between them, then down to stay below 1."""
    gap = min(LABEL_GAP, 1 / max(1, len(heights) - 1))
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    spaced: list[float] = []
    for index in order:
        spaced.append(max(heights[index], spaced[-1] + gap) if spaced else heights[index])
    if spaced and spaced[-1] > 1:
        ceiling = 1.0
        for rank in reversed(range(len(spaced))):
            spaced[rank] = min(spaced[rank], ceiling)
            ceiling = spaced[rank] - gap
    return [spaced[order.index(index)] for index in range(len(heights))]
