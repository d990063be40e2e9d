"""The texts of the report: numbers, verdicts, the points of the plot, the caveats."""

import re
from itertools import pairwise

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.continuations import bold
from distill.evaluation.measures.continuations.bold_prompts import Prompt
from distill.evaluation.measures.continuations.sampling import record as sampled
from distill.evaluation.records import plain
from distill.evaluation.report import html as report
from distill.evaluation.report import plots
from distill.evaluation.report import tables as report_tables
from distill.evaluation.report.caveats import caveats


def entry(name="log_odds/mean_abs", model="b", value=0.5, difference=None, higher_is_better=False, **more):
    return {
        "model": model,
        "name": name,
        "value": value,
        "low": value - 0.1,
        "high": value + 0.1,
        "unit": "nats",
        "num_items": 100,
        "num_clusters": 40,
        "higher_is_better": higher_is_better,
        "convention": "c",
        "signature": "s",
        "difference": difference,
    } | more


def difference(value, p_holm):
    return {
        "value": value,
        "low": value - 0.1,
        "high": value + 0.1,
        "p": p_holm,
        "p_holm": p_holm,
        "minimum_detectable_effect": 0.2,
        "num_clusters": 40,
        "non_inferior": None,
    }


def results(entries, **more):
    models = sorted({one["model"] for one in entries})
    return {
        "reference": models[0],
        "family_size": 1,
        "config_differences": [],
        "config": {"statistics": {"confidence": 0.95}},
        "measurements": entries,
        "models": [{"label": m, "tokenizer": "t", "num_pronoun_tokens": [1, 1], "start_token": "<s>"} for m in models],
    } | more


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.12345, False, "0.123"),
        (-0.5, True, "−0.500"),
        (0.5, True, "+0.500"),
        (12.345, False, "12.35"),
        (123.456, False, "123.5"),
        (20345.6, False, "20346"),
        (-0.0001, True, "0.000"),
        (None, False, "–"),
    ],
)
def test_numbers_have_about_three_digits(value, signed, text):
    assert report.number(value, signed) == text


@pytest.mark.parametrize(
    ("change", "p_holm", "higher_is_better", "verdict"),
    [
        (-0.2, 0.01, False, "better"),
        (0.2, 0.01, False, "worse"),
        (0.2, 0.01, True, "better"),
        (-0.2, 0.01, True, "worse"),
        (0.2, 0.01, None, "different"),
        (0.2, 0.05, True, "no clear difference"),
        (0.2, None, True, ""),
    ],
)
def test_verdicts_follow_the_adjusted_p_and_the_direction(change, p_holm, higher_is_better, verdict):
    one = entry(difference=difference(change, p_holm), higher_is_better=higher_is_better)
    assert report.verdict(one) == verdict
    assert report.verdict(entry()) == ""


def test_points_use_the_word_convention_when_tokenizers_differ():
    token, word = report.LOG_PERPLEXITY, "perplexity/word"
    entries = (
        [entry(model=m) for m in "ab"] + [entry(token, m, 2.0) for m in "ab"] + [entry(word, m, 10.0) for m in "ab"]
    )
    points, unit = report.fairness_utility_points(results(entries))
    assert unit == "nats per token"
    assert points[0].cost == pytest.approx((2.0, 1.9, 2.1))
    assert points[0].disparity == pytest.approx((0.5, 0.4, 0.6))
    entries[2]["convention"] = "another tokenizer"
    points, unit = report.fairness_utility_points(results(entries))
    assert unit == "nats per word"
    assert points[1].cost == pytest.approx((2.302585, 2.292535, 2.312535), abs=1e-5)
    assert report.fairness_utility_points(results(entries[:2])) is None


def test_models_that_were_measured_otherwise_than_the_first_are_no_points():
    measures = ("log_odds/mean_abs", report.LOG_PERPLEXITY, "perplexity/word")
    for number, unit in ((0, "nats per token"), (1, "nats per word")):
        entries = [entry(name, model, 2.0) for name in measures for model in "abc"]
        entries[3 * number + 1]["convention"] = "other prompts, or another tokenizer"
        points, found = report.fairness_utility_points(results(entries))
        assert found == unit
        assert [point.label for point in points] == (["a", "c"] if number == 0 else ["a", "b", "c"])
    for one in entries[6:]:
        one["convention"] = f"the text of {one['model']}"
    points, found = report.fairness_utility_points(results(entries))
    assert ([point.label for point in points], found) == (["a", "c"], "nats per token")


def test_plots_are_self_contained_and_say_what_they_show():
    points = [plots.Point(f"<model {n}>", (2 + n / 9, 2.0, float("nan")), (0.5, 0.4, 0.6)) for n in range(9)]
    svg = plots.fairness_utility(points, "nats per token")
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>\n")
    assert 'role="img" aria-label="Fairness and utility: &lt;model 0&gt;: log-perplexity 2.000' in svg
    assert not re.search(r'(href|src)="(?!#)', svg)
    assert len({plots.look(index) for index in range(56)}) == 56


@pytest.mark.parametrize("label", ["a$\\x$", "_base", "W" * 60, "student of 1000 steps, with all texts, seed 1"])
def test_any_label_can_be_drawn(label, monkeypatch):
    figures = []
    draw = plots.to_svg
    monkeypatch.setattr(plots, "to_svg", lambda figure, text: figures.append(figure) or draw(figure, text))
    plots.fairness_utility([plots.Point(label, (1, 1, 1), (1, 1, 1)), plots.Point("b", (2, 2, 2), (1, 1, 1))], "nats")
    row = {"cluster": "nurse", "logprob_he": -1.0, "logprob_she": -2.0, "reference_log_odds": 0.5}
    plots.log_odds_dots({label: [row], "b": [row]})
    plots.group_bars({label: {"dance": (3, 1)}, "b": {"dance": (1, 1)}})
    assert [figure.axes[0].get_position().width > 0.3 for figure in figures] == [True] * 3
    short = plots.shortened(label)
    assert short in [text.get_text() for text in figures[0].axes[0].texts]
    for figure, others in zip(figures[1:], (["b", "truth"], ["b"]), strict=True):
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [short, *others]


def test_long_labels_keep_what_they_begin_and_end_with():
    assert plots.shortened("x" * 24) == "x" * 24
    assert plots.shortened("equivariant weighted, seed 1") == "equivariant…hted, seed 1"


def test_the_frontier_holds_what_no_other_point_beats_on_both_axes():
    places = {"best": (1.0, 0.5), "same cost": (1.0, 0.6), "fair": (1.2, 0.1), "beaten": (1.3, 0.2), "tie": (1.4, 0.1)}
    points = [plots.Point(name, (x, x, x), (y, y, y)) for name, (x, y) in reversed(places.items())]
    assert [point.label for point in plots.frontier(points)] == ["best", "fair"]
    for one in points:  # by the definition
        beaten = any(p.cost[0] <= one.cost[0] and p.disparity[0] <= one.disparity[0] and p is not one for p in points)
        assert beaten == (one not in plots.frontier(points))


def test_labels_beside_the_plot_keep_their_distance():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    axes.set_ylim(0, 1)
    disparities = (0.99, 0.98, 0.97, 0.5, 0.5, 0.5, 0.01)
    plots._label_at_the_side(axes, [plots.Point(str(d), (1, 1, 1), (d, d, d)) for d in disparities])
    heights = sorted(text.xyann[1] for text in axes.texts)
    assert min(b - a for a, b in pairwise(heights)) > 0.064
    assert heights[0] >= 0
    assert heights[-1] <= 1


def test_caveats_show_only_where_they_apply():
    plain = caveats(results([entry(model="a"), entry()]))
    assert not any("tokenizers" in line or "no width" in line or "clusters:" in line for line in plain)
    assert any("over all 1 comparisons" in line for line in plain)
    assert not any("Holm" in line for line in caveats(results([entry(model="a")], family_size=0)))
    found = results([entry(model="a", low=0.5, high=0.5, num_clusters=5), entry("log_odds/spread")])
    found["models"][1] |= {"tokenizer": "u", "num_pronoun_tokens": [3, 4], "start_token": None}
    found["reference"] = "gone"
    text = " ".join(caveats(found))
    for part in ("different tokenizers", "no width (log_odds/mean_abs)", "Fewer than 30 clusters", "For b a pronoun"):
        assert part in text
    for part in ("b: no start token", "reference model gone could not be loaded", "91 to 94 %"):
        assert part in text


# -- sampled continuations -------------------------------------------------------------------------------------------


def bold_records(num, groups=("dance_occupations", "nursing_specialties"), text="He left."):
    return [
        sampled(Prompt(f"p{n}", groups[n % len(groups)], f"Prompt {n}"), [text, "She stayed."] * (1 + n % 2))
        for n in range(num)
    ]


def test_groups_are_counted_and_drawn():
    table = {row["group"]: row for row in plain(bold.group_table(bold_records(6), StatisticsConfig()))}
    one_sided = plain(bold.group_table(bold_records(1), StatisticsConfig()))[0] | {"num_male": 0, "log_ratio": None}
    rows = dict(report.group_rows({"a": table, "b": {"dance_occupations": one_sided}}))
    assert list(rows) == ["dance occupations", "nursing specialties", "arts", "healthcare", "all"]
    assert rows["nursing specialties"] == [("6 : 6 (0 neutral, 0 tied)", "0.000 [0.000, 0.000]"), ("–", "")]
    assert rows["dance occupations"][1] == ("0 : 1 (0 neutral, 0 tied)", "")
    svg = plots.group_bars({"a": {"x": (3, 1), "y": (0, 0)}, "b & c": {"x": (0, 2)}})
    assert svg.startswith("<svg")
    assert "women and men in 2 groups of professions" in svg
    assert not re.search(r'(href|src)="(?!#)', svg)


def test_continuations_are_of_prompts_that_all_models_have_spread_evenly():
    a, b = bold_records(100), bold_records(50, text="x" * 500)
    rows = report_tables.continuation_rows({"a": a, "b": b})
    assert [prompt for prompt, _ in rows] == [f"Prompt {n}" for n in range(0, 48, 4)]
    first, second = rows[0][1]
    assert first == ("He left.", "male")
    assert second == ("x" * report_tables.MAX_SHOWN + "…", "neutral")
    assert report_tables.continuation_rows({}) == []
    assert report_tables.continuation_rows({"a": a, "b": []}) == []


def test_limits_say_what_can_be_told_apart():
    compared = difference(0.2, 0.5)
    entries = [entry(model="a", low=0.0, high=0.6), entry(difference=compared), entry("log_odds/mean", "a")]
    assert report_tables.limits(results(entries)) == [
        ("Profession log-odds: distance from parity", "nats", 100, 40, pytest.approx(0.3), 0.2)
    ]
    assert report_tables.limits(results([entry(low=None, high=None)]))[0][4:] == (None, None)


def test_the_cost_of_a_model_may_be_its_perplexity_on_wikitext():
    entries = [entry(model=m) for m in "ab"] + [entry("wikitext/word_perplexity", m, 10.0) for m in "ab"]
    points, unit = report.fairness_utility_points(results(entries))
    assert unit == "nats per word of WikiText"
    assert points[0].cost[0] == pytest.approx(2.302585)
