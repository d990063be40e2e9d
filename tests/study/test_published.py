"""The committed pages of results: they follow from their results files, keep their length, and no number is typed."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from study import report

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docs" / "results").glob("*.json"))
TEMPLATES = sorted((ROOT / "docs" / "results" / "templates").glob("*.jinja"))
CODE_OR_LINK = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|\]\(.*?\)|`.*?`", re.DOTALL)
SHOWN_IN_A_PLOT = re.compile('aria-label="(.*?)"')  # how values are drawn depends on matplotlib


def test_every_page_is_what_its_results_files_give(monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **options: file.write("<svg></svg>"))
    pages = report.pages(FILES, ROOT / "RESULTS.md", ROOT / "README.md")
    for path, text in pages.items():
        committed = path.read_text(encoding="utf-8")
        if path.suffix == ".svg":
            committed, text = (SHOWN_IN_A_PLOT.findall(drawn) for drawn in (committed, text))
        assert committed == text, f"{path} is not up to date; run make results"
    stale = {path for path in (ROOT / "docs" / "results").iterdir() if path.is_file()} - pages.keys() - {*FILES}
    assert not stale, "no results file gives these"


def test_the_summary_is_short():
    assert (ROOT / "RESULTS.md").stat().st_size <= 25_000


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "results" / "templates").glob("*.jinja")), ids=lambda p: p.name
)
def test_no_template_states_a_result_by_hand(path):
    """Numbers with a decimal point or a percent sign come from results files; settings and thresholds are listed."""
    text = re.sub(
        r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|\]\(.*?\)|`.*?`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    by_hand = {*re.findall(r"\d+\.\d+", text), *re.findall(r"[\d.]+ %", text)}
    settings = {"1.5", "0.25", "0.5", "0.75"}  # gains, strengths, and the accuracy of a coin
    thresholds = {"95 %", "90 %", "80 %", "50 %", "1 %", "0.05", "0.025"}
    assert by_hand <= settings | thresholds
