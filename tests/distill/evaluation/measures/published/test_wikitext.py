"""WikiText: articles, detokenised text, and its perplexity by hand."""

import gzip
import math

import numpy as np
import pytest

from distill.evaluation.config import EvalConfig, PerplexityConfig, StatisticsConfig
from distill.evaluation.measures import perplexity
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.measures.published import wikitext
from distill.settings import validate

RAW = (
    " \n = The Bell = \n \n The bell , cast in 1 @,@ 204 ( or later ) , rang twice . \n"
    ' = = Sound = = \n It was " loud " ; the nurses \' ears hurt . \n \n = A Second = \n \n N more .\n'
)


def test_articles_begin_at_first_level_headings():
    first, second = wikitext.divide(RAW)
    assert first.startswith(" = The Bell = \n")
    assert " = = Sound = = " in first
    assert second == " = A Second = \n \n N more .\n"
    assert "".join(f"{article}\n" for article in (" ", first, second))[:-1] == RAW


def test_detokenised_text_is_spaced_as_in_print():
    assert wikitext.detokenise(wikitext.divide(RAW)[0]) == (
        " = The Bell =\n\nThe bell, cast in 1,204 (or later), rang twice.\n"
        '== Sound ==\nIt was "loud"; the nurses\' ears hurt.\n'
    )


@pytest.mark.data
def test_wikitext_2_has_its_published_articles(shared_data):
    folder = shared_data / "corpora" / "wikitext2"
    assert len(wikitext.read(str(folder / "test.raw.txt.gz"))) == 62
    assert len(wikitext.read(str(folder / "valid.raw.txt.gz"))) == 60


def test_perplexity_counts_raw_words_and_bytes(tiny_scorer, values, tmp_path):
    path = tmp_path / "wiki.raw.gz"
    path.write_bytes(gzip.compress(RAW.encode()))
    articles, scorer = wikitext.read(str(path)), tiny_scorer()
    records = wikitext.score(scorer, articles, PerplexityConfig())
    texts = [wikitext.detokenise(article.raw) for article in articles]
    logprob = sum(record["logprob"] for record in perplexity.score(scorer, texts, PerplexityConfig()))
    assert [record["num_words"] for record in records] == [39, 9]  # the empty words at the ends are counted
    assert sum(record["num_bytes"] for record in records) == len(RAW.encode()) - len(" \n\n")
    measured = values(wikitext.summarise(records, "c", StatisticsConfig()))
    assert measured["wikitext/word_perplexity"] == pytest.approx(math.exp(-logprob / 48))
    assert measured["wikitext/bits_per_byte"] == pytest.approx(-logprob / np.log(2) / (len(RAW.encode()) - 3))


def test_a_file_without_text_is_refused(tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text(" \n \n")
    with pytest.raises(ValueError, match="benchmarks.wikitext"):
        wikitext.read(str(path))
    with pytest.raises(FileNotFoundError, match="benchmarks.wikitext"):
        wikitext.read(str(tmp_path / "none"))


def test_without_a_start_token_nothing_is_scored(tiny_scorer):
    articles = [wikitext.Article("article/0", RAW)]
    with pytest.raises(ValueError, match="gpt2-0: without a start token .*scoring.bos=true"):
        wikitext.score(tiny_scorer(bos=False), articles, PerplexityConfig())
    assert wikitext.score(tiny_scorer(), articles, PerplexityConfig())[0]["num_words"] == 46


def test_records_on_disk_are_not_summarised_without_a_start_token(tiny_scorer, tmp_path):
    path = tmp_path / "wiki.raw"
    path.write_text(RAW)
    settings = {"benchmarks": {"wikitext": str(path)}, "log_odds": {"enabled": False}, "agreement": {"enabled": False}}
    (task,), failures = plan_tasks(validate(EvalConfig, settings))
    assert failures == []
    with pytest.raises(ValueError, match="without a start token"):
        task.prepare(tiny_scorer(bos=False))
