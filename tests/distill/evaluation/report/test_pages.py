"""The three layouts of one results.json: HTML, Markdown and the terminal."""

import io
import re
from itertools import pairwise

import pytest
from rich.console import Console

from distill.evaluation.report.console import console_legend, console_tables
from distill.evaluation.report.finding import findings
from distill.evaluation.report.html import render_html
from distill.evaluation.report.markdown import render_markdown

NAMES = ("log_odds/mean_abs", "agreement/accuracy")


@pytest.fixture
def two_models(entry, difference, results):
    """A reference <a> and a model b|c, which was compared with it by one of two measures."""
    compared = {"difference": difference(-0.25, 0.01)}
    return results(
        [entry(name, "<a>") for name in NAMES] + [entry(NAMES[0], "b|c", **compared), entry(NAMES[1], "b|c")],
        failures=[{"model": "b|c", "task": None, "message": "'<s>' & `a\\|b` *gone*"}],
    )


@pytest.fixture
def records():
    row = {"id": "0", "cluster": "nurse", "logprob_he": -2.0, "logprob_she": -1.0, "reference_log_odds": None}
    return {label: {"log_odds": [row]} for label in ("<a>", "b|c")}


def test_html_shows_every_measurement_and_escapes_what_it_is_given(two_models, records):
    page = render_html(two_models, records, findings(two_models, records))
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert "<a>" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    assert page.count('<th scope="row">&lt;a&gt;</th>') == 2  # in both sections
    assert page.count("<h3>&lt;a&gt;") == 1  # in the summary
    assert "<li><strong>b|c:</strong> &#39;&lt;s&gt;&#39; &amp; `a\\|b` *gone*</li>" in page
    assert "<td>−0.250<small>−0.350 to −0.150</small></td>" in page
    assert page.count("<svg") == 1
    assert page.count("<code>log_odds/mean_abs|b|c</code>") == 1


def test_the_summary_has_a_paragraph_and_three_columns_for_each_model(two_models, records):
    page = render_html(two_models, records, findings(two_models, records))
    summary = page[page.index('<h2 class="first">Summary</h2>') : page.index("<h3>What these numbers cannot say")]
    for model in summary.split("<h3>")[1:3]:
        assert re.findall("<caption>(.*?)</caption>", model) == ["Disparity", "Utility", "Collateral"]
        assert model.count("nothing measured") == 1
        assert "<p>" in model and "Its distance from parity is 0.50 [0.40, 0.60] nats: " in model
    assert "Profession log-odds: distance from parity<small>▲ better by 0.250 [0.150, 0.350]</small></th>" in summary
    assert summary.count("<small>▲") == 1


def test_headings_do_not_skip_a_level_and_every_table_has_a_name_and_headers(two_models, records):
    page = render_html(two_models, records, findings(two_models, records))
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    regions = re.findall(r'<div class="scroll" tabindex="0" role="region" aria-label="(.*?)">', page)
    assert len(set(regions)) == len(regions)
    tables = re.findall(r"<table.*?</table>", page, flags=re.DOTALL)
    assert len(tables) == len(regions) + page.count("<caption>")
    assert all('scope="col"' in table and 'scope="row"' in table for table in tables if "nothing measured" not in table)
    ids = re.findall(r'\sid="(.*?)"', page)
    assert len(set(ids)) == len(ids)


def test_html_of_nothing_says_so(two_models):
    empty = two_models | {"measurements": [], "family_size": 0}
    page = render_html(empty, {label: {} for label in ("<a>", "b|c")}, [])
    assert "Nothing was measured; see what failed below." in page
    assert "<svg" not in page


def test_markdown_is_a_paragraph_per_model_and_a_table_with_a_column_per_model(two_models, records):
    lines = render_markdown(two_models, findings(two_models, records)).splitlines()
    assert lines[0].startswith("&lt;a>: Its distance from parity is 0.50 [0.40, 0.60] nats: ")
    assert lines[2].startswith("b\\|c: Its distance ")
    assert lines[2].endswith(" Against &lt;a>, in the numbers of the summary: disparity: 1 better.")
    critic = lines.index("<details><summary>What these numbers cannot say</summary>")
    assert any("RUTEd" in line for line in lines[critic + 2 : critic + 10])
    assert lines[4:critic] + lines[lines.index("</details>") + 2 :] == [
        "| measurement | &lt;a> | b\\|c |",
        "| --- | ---: | ---: |",
        "| **Disparity** | | |",
        "| Profession log-odds: distance from parity (nats) ↓ | 0.500 [0.400, 0.600] | 0.500 [0.400, 0.600] ▲ |",
        "| **Utility** | | |",
        "| Gender agreement: accuracy (nats) ↓ | 0.500 [0.400, 0.600] | 0.500 [0.400, 0.600] |",
        "",
        "In brackets: 95 % bootstrap intervals. ↑ higher is better, ↓ lower is better. Against &lt;a>: ▲ better, "
        "▼ worse, ◆ different, ≈ no clear difference (paired test, p < 0.05 after Holm's adjustment over 1 "
        "comparisons). Measured with evenhand 0.1.0, 2026-01-02.",
        "- Not measured: b\\|c: '&lt;s>' &amp; \\`a\\\\\\|b\\` \\*gone\\*",
        "",
        "<details><summary>How each number was measured</summary>",
        "",
        "- `log_odds/mean_abs|<a>`",
        "- `log_odds/mean_abs|b|c`",
        "- `agreement/accuracy|<a>`",
        "- `agreement/accuracy|b|c`",
        "",
        "</details>",
    ]


def test_markdown_says_what_was_not_measured_and_how_evaluations_differ(two_models, records):
    del two_models["measurements"][1]
    two_models["measurements"][1]["difference"] = None
    two_models |= {"config_differences": ["scoring.dtype"], "family_size": 0}
    text = render_markdown(two_models, findings(two_models, records))
    assert "| – | 0.500 [0.400, 0.600] |" in text
    assert "differ in scoring.dtype." in text
    assert "Against" not in text


def test_the_terminal_shows_a_table_per_headline_measurement(two_models):
    stream = io.StringIO()
    console = Console(file=stream, width=80)
    for table in console_tables(two_models):
        console.print(table)
    text = stream.getvalue()
    assert "mean |log-odds|" in text
    assert re.search(r"b\|c +0\.500 \[0\.400, 0\.600\] +−0\.250 \[−0\.350, −0\.150\] +0\.010 ▲", text)
    assert max(map(len, text.splitlines())) <= 80
    assert console_legend(two_models).startswith("In brackets: 95 % intervals. Differences are to <a>: ▲ better, ")
    assert console_legend(two_models | {"family_size": 0}) == "In brackets: 95 % intervals."
