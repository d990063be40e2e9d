"""The table of where benchmark files are published, and what the documentation says about fetching them."""

import dataclasses
import gzip
import re
import shlex
from pathlib import Path

import pytest

from distill.benchmark_downloads import checksum, main, published
from distill.evaluation.config import BenchmarksConfig, EvalConfig
from distill.settings import load_config

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))


# the development data has one category of BBQ, because most are too large
NOT_THERE = {*published()["bbq"].files} - {"Sexual_orientation.jsonl"}
IN_PART = {"dataset.json", "post_id_divisions.json"}  # without the training part of HateXplain


def test_the_list_has_every_benchmark_with_its_licence(capsys):
    main(["list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(published())
    assert all(line.endswith(f"Licence: {row.licence}") for line, row in zip(lines, published().values(), strict=True))


@pytest.mark.parametrize("name", published())
def test_a_row_of_the_table_is_complete_and_its_settings_exist(name):
    row = published()[name]
    assert re.match(r"https://\S+(/|\.zip)$", row.url)
    if "raw.githubusercontent.com" in row.url:  # of one commit: a branch would change under its checksum
        owner, repository, commit = row.url.split("/")[3:6]
        assert re.fullmatch("[0-9a-f]{40}", commit)
        assert row.home == f"https://github.com/{owner}/{repository}"
    assert all(re.fullmatch("[0-9a-f]{64}|git:[0-9a-f]{40}", checksum) for checksum in row.files.values())
    names = [Path(file).name for file in row.files]
    assert len(set(names)) == len(names)
    assert set(row.settings.values()) <= {*names, "."}
    load_config(EvalConfig, None, [f"{setting}={value}" for setting, value in row.settings.items()])


def test_every_benchmark_can_be_fetched():
    fetched = {setting for row in published().values() for setting in row.settings}
    assert fetched >= {f"benchmarks.{field.name}" for field in dataclasses.fields(BenchmarksConfig)}


def test_the_configuration_of_all_benchmarks_reads_what_is_fetched():
    config = load_config(EvalConfig, ROOT / "configs" / "eval" / "published.yaml")
    places = {
        setting.removeprefix("benchmarks."): Path("data") / name / value
        for name, row in published().items()
        for setting, value in row.settings.items()
    }
    named = {name: value for name, value in vars(config.benchmarks).items() if value is not None}
    assert named == {name: str(places[name]) for name in named}


def test_commands_in_the_documentation_name_benchmarks_that_exist():
    commands = [
        command for page in PAGES for command in re.findall(r"evenhand data get ([a-z][^\n`]*)", page.read_text())
    ]
    assert commands
    for command in commands:
        assert set(shlex.split(command, comments=True)) <= set(published()), command


def test_nothing_else_opens_a_connection():
    opens = re.compile(r"^\s*(from|import) (urllib|http|requests|httpx|aiohttp|ftplib)\b", re.MULTILINE)
    sources = [path for room in ("augment", "distill", "study") for path in (ROOT / room).rglob("*.py")]
    found = [path.name for path in sources if opens.search(path.read_text("utf-8"))]
    assert found == ["benchmark_downloads.py"]


@pytest.mark.data
@pytest.mark.parametrize("name", published())
def test_checksums_are_those_of_the_development_data(shared_data, name):
    """Some copies there have another name, most are gzipped, and one has the line ends of another system."""
    other_names = {"lambada_test.jsonl": "test.jsonl.gz", "wiki.test.raw": "test.raw.txt.gz"}
    for gender in ("female", "male"):
        own = f"gender_{gender}_biased_test_reduced.csv"
        other_names[f"reddit_comments_{own}"] = own
    for remote, expected in published()[name].files.items():
        base = Path(remote).name
        found = []
        for path in [*shared_data.rglob(base), *shared_data.rglob(other_names.get(base, f"{base}.gz"))]:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            found += [checksum(content, expected), checksum(content.replace(b"\r\n", b"\n"), expected)]
        assert expected in found or (base in NOT_THERE and not found) or base in IN_PART, remote
