"""The front picture of a README: what a few methods of one study remove of the bias, and what that costs.

The file front.yaml in the folder `templates` beside the results files says which study and which arms it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field, StrictStr

from distill.evaluation.report.plots import STYLE, errors, look, to_svg
from distill.evaluation.statistics.resampling import Interval
from distill.settings import load_config, section
from study.config import TEACHER
from study.numbers import cell, change_percent, value
from study.results import Results

NAME = "front"  # of front.yaml, and of front.svg, which is written beside the results files
SIZE = (6.4, 3.7)  # inches
INK = "#1b1b1f"
STYLE_OF_FRONT = STYLE | {"font.size": 11.5}  # still readable when the picture is 600 pixels wide


@section
class PointConfig:
    """An arm in the picture. label: its name for a newcomer. side: where the label stands. bold: makes it stand out."""

    arm: StrictStr
    label: StrictStr
    side: Literal["left", "right"] = "right"
    bold: bool = False


@section
class FrontConfig:
    """The picture: the name of the study, its title, and the arms. The first arm is the one whose cost is 0 %."""

    study: StrictStr
    title: StrictStr
    points: Annotated[tuple[PointConfig, ...], Field(min_length=2)]


def front_pages(studies: Sequence[Results]) -> dict[Path, str]:
    """The picture as SVG, by its path, for each folder of results files that asks for one.

    Raises ValueError when a study or an arm of the picture has no results.
    """
    pages = {}
    for folder in dict.fromkeys(results.path.parent for results in studies):
        file = folder / "templates" / f"{NAME}.yaml"
        if file.is_file():
            config = load_config(FrontConfig, file)
            chosen = [results for results in studies if results.name == config.study]
            if not chosen:
                raise ValueError(f"{file}: there are no results of the study {config.study}; name another one")
            for arm in (TEACHER, *(point.arm for point in config.points)):
                if arm not in chosen[0].arms:
                    raise ValueError(f"{file}: {config.study} has no results of {arm}; take it out")
            pages[folder / f"{NAME}.svg"] = draw(config, chosen[0]) + "\n"
    return pages


def draw(config: FrontConfig, results: Results) -> str:
    """Draw mean |log-odds| (nats) against the change of perplexity (%), with the teacher's |log-odds| as a line."""
    disparity, (first, *_) = results.disparity, config.points
    teacher = value(disparity, TEACHER)
    spoken = [f"teacher: bias {cell(teacher)} nats"]
    with matplotlib.rc_context(STYLE_OF_FRONT):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        axes.axhline(teacher.value, color=INK, linestyle="--", linewidth=1.2)
        line: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate("teacher", (0.99, teacher.value), (0, 4), **line, ha="right", color=INK)
        for index, point in enumerate(config.points):
            bias, cost = value(disparity, point.arm), change_percent(results.cost, point.arm, first.arm)
            _add_point(axes, index, point, cost, bias)
            spoken.append(f"{point.label}: bias {cell(bias)} nats, perplexity {cell(cost, 2)} %")
        axes.set_ylim(bottom=0)
        axes.margins(x=0.14)
        axes.set_title(config.title, loc="left", fontsize=12.5)
        axes.set_xlabel(f"rise of perplexity over {first.label} (%)")
        axes.set_ylabel("gender bias: mean |log-odds|\nhe : she, nats (0 is parity)")
        return to_svg(figure, f"{config.title}. {'; '.join(spoken)}", transparent=False)


def _add_point(axes: Axes, index: int, point: PointConfig, cost: Interval, bias: Interval) -> None:
    """Add a point with error bars, and its label beside the end of the horizontal one."""
    colour, marker = look(index)
    bars: dict[str, Any] = {"xerr": errors(_triple(cost)), "yerr": errors(_triple(bias))}
    axes.errorbar(cost.value, bias.value, **bars, color=colour, marker=marker, markersize=9, capsize=3)
    is_right = point.side == "right"
    axes.annotate(
        point.label,
        (cost.high if is_right else cost.low, bias.value),
        (9 if is_right else -9, 0),
        textcoords="offset points",
        ha="left" if is_right else "right",
        va="top" if cost.low == cost.high else "center",  # the first arm lies close to the teacher's line
        color=colour if point.bold else INK,
        fontweight="bold" if point.bold else "normal",
    )


def _triple(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high
