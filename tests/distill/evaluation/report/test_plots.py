"""The plots: what they show, and that they can show any label."""

import re
from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from distill.evaluation.report import plots
from distill.evaluation.report.plots import Point


def test_plots_are_self_contained_and_say_what_they_show():
    points = [Point(f"<model {n}>", (2 + n / 9, 2.0, float("nan")), (0.5, 0.4, 0.6)) for n in range(9)]
    svg = plots.fairness_utility(points, "nats per token")
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>\n")
    assert 'role="img" aria-label="Fairness and utility: &lt;model 0&gt;: log-perplexity 2.000' in svg
    assert not re.search(r'(href|src)="(?!#)', svg)
    assert len({plots.look(index) for index in range(56)}) == 56


def test_group_bars_say_how_many_groups_there_are():
    svg = plots.group_bars({"a": {"x": (3, 1), "y": (0, 0)}, "b & c": {"x": (0, 2)}})
    assert svg.startswith("<svg")
    assert "women and men in 2 groups of professions" in svg
    assert not re.search(r'(href|src)="(?!#)', svg)


@pytest.mark.parametrize("label", ["a$\\x$", "_base", "W" * 60, "student of 1000 steps, with all texts, seed 1"])
def test_any_label_can_be_drawn(label, monkeypatch):
    figures = []
    draw = plots.to_svg
    monkeypatch.setattr(plots, "to_svg", lambda figure, text: figures.append(figure) or draw(figure, text))
    plots.fairness_utility([Point(label, (1, 1, 1), (1, 1, 1)), Point("b", (2, 2, 2), (1, 1, 1))], "nats")
    plots.log_odds_dots({label: {"nurse": 1.0}, "b": {"nurse": 1.0}}, {"nurse": 0.5})
    plots.group_bars({label: {"dance": (3, 1)}, "b": {"dance": (1, 1)}})
    assert [figure.axes[0].get_position().width > 0.3 for figure in figures] == [True] * 3
    short = plots.shortened(label)
    assert short in [text.get_text() for text in figures[0].axes[0].texts]
    for figure, others in zip(figures[1:], (["b", "truth"], ["b"]), strict=True):
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [short, *others]


def test_occupations_are_ordered_by_their_known_log_odds_otherwise_by_the_first_model(monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "to_svg", lambda figure, text: figures.append(figure) or "")
    means = {"a": {"nurse": 5.0, "pilot": 0.0, "clerk": 1.0}, "b": {"pilot": 2.0}}
    plots.log_odds_dots(means, {"nurse": -3.0, "pilot": 4.0, "clerk": None})
    axes = figures[0].axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["nurse", "clerk", "pilot"]
    drawn = [list(zip(*line.get_data(), strict=True)) for line in axes.lines[1:]]  # the first line is parity
    assert drawn == [[(5.0, 0), (1.0, 1), (0.0, 2)], [(2.0, 2)], [(-3.0, 0), (4.0, 2)]]


def test_long_labels_keep_their_beginning_and_their_end():
    assert plots.shortened("x" * 28) == "x" * 28
    assert plots.shortened("equivariant and weighted, seed 1") == "equivariant a…ighted, seed 1"


def test_the_frontier_holds_the_points_that_no_other_point_beats_on_both_axes():
    places = {"best": (1.0, 0.5), "same cost": (1.0, 0.6), "fair": (1.2, 0.1), "beaten": (1.3, 0.2), "tie": (1.4, 0.1)}
    points = [Point(name, (x, x, x), (y, y, y)) for name, (x, y) in reversed(places.items())]
    assert [point.label for point in plots.frontier(points)] == ["best", "fair"]
    for point in points:  # by the definition
        others = [other for other in points if other is not point]
        beaten = any(o.cost[0] <= point.cost[0] and o.disparity[0] <= point.disparity[0] for o in others)
        assert beaten == (point not in plots.frontier(points))


def test_labels_beside_the_plot_keep_their_distance():
    disparities = (0.99, 0.98, 0.97, 0.5, 0.5, 0.5, 0.01)
    heights = plots.spaced_heights(disparities)
    assert heights[3:] == pytest.approx([0.5, 0.565, 0.63, 0.01])
    assert min(b - a for a, b in pairwise(sorted(heights))) > 0.064
    assert min(heights) >= 0
    assert max(heights) <= 1


def test_the_labels_beside_the_plot_have_these_heights():
    axes = Figure().subplots()
    axes.set_ylim(0, 2)
    plots.label_at_the_side(axes, [Point(str(d), (1, 1, 1), (d, d, d)) for d in (0.5, 1.0, 1.9)])
    assert {text.get_text(): text.xyann[1] for text in axes.texts} == pytest.approx(
        {"0.5": 0.25, "1.0": 0.5, "1.9": 0.95}
    )
