"""WikiText perplexity, defined as in lm-evaluation-harness's `wikitext` task so that both can be compared.

The raw file is divided into articles at its first-level headings. An article is scored in its detokenised form, after
the start token and in windows of the model's whole context. Its words and bytes are counted in the raw form: the
perplexity is per raw white-space word (including the empty words around an article's ends). Since every word counts,
every token must be scored, and that takes a start token. The article is the unit of resampling. GPT-2 (124M) has 37.37
on the test part of WikiText-2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill.evaluation.config import PerplexityConfig, StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures import perplexity
from distill.evaluation.measures.published.benchmark_files import check_columns, hub_data_set, read_hub, read_text
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import exp_ratio, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Task, Work, about_num_tokens, data_hash

KEY = "benchmarks.wikitext"
SOURCE = "evenhand data get wikitext"
HUB_NAME = "EleutherAI/wikitext_document_level"

# (pattern, replacement), in the order of the harness. Its rule for "' 1" is left out: it matches nothing there either.
DETOKENISE = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        ("s '", "s'"),
        *((f" @{re.escape(mark)}@ ", mark) for mark in "-,."),
        *((f" {re.escape(mark)} ", f"{mark} ") for mark in ":;.!?,"),
        (r"\(\s*([^)]*?)\s*\)", r"(\1)"),
        (r"\[\s*([^\]]*?)\s*\]", r"[\1]"),
        (r"{\s*([^}]*?)\s*}", r"{\1}"),
        (r'"\s*([^"]*?)\s*"', r'"\1"'),
        (r"'\s*([^']*?)\s*'", r"'\1'"),
        ("= = = =", "===="),
        ("= = =", "==="),
        ("= =", "=="),
        (" ° ", "°"),
        (" \n", "\n"),
        ("\n ", "\n"),
        (" N ", " 1 "),
        (" 's", "'s"),
    )
)


@dataclass(frozen=True)
class Article:
    """An article in the raw form of the file."""

    id: str
    raw: str


def task(inputs: Inputs) -> Task | None:
    """Every article is an item. Window and stride are those of the perplexity. Raises as `read`."""
    path = inputs.config.benchmarks.wikitext
    if path is None:
        return None
    articles = read(path)
    own = inputs.config.perplexity
    config = PerplexityConfig(window=own.window, stride=own.stride)  # without a separator: articles are never joined
    window = f"window:{config.window or 'own'}|stride:{config.stride}"
    key = f"lm-eval-wikitext|data:{data_hash(articles)}|raw-words|{window}"

    def prepare(scorer: Scorer) -> Work:
        check_start(scorer)  # here too, because all records may be read from disk
        convention = f"{key}|{scorer.start_convention}"
        ids = [article.id for article in articles]
        return Work(ids, articles, lambda part: score(scorer, part, config), lambda _: (convention,))

    return Task("wikitext", key, prepare, len(articles), about_num_tokens([article.raw for article in articles]))


def read(path: str) -> list[Article]:
    """The articles of a raw WikiText file, gzipped or not, or of the hub's data set of articles.

    Raises FileNotFoundError or ValueError with the remedy.
    """
    name = hub_data_set(path, HUB_NAME)
    if name is not None:
        rows = read_hub(name, KEY, SOURCE, subset="wikitext-2-raw-v1", split="test")
        check_columns(rows, ("page",), path, KEY, SOURCE)
        raw = [str(row["page"]) for row in rows]
    else:
        raw = divide(read_text(path, KEY, SOURCE))
    if not raw:
        raise ValueError(f"{KEY}: {path} holds no text; get it again: {SOURCE}")
    return [Article(f"article/{number}", text) for number, text in enumerate(raw)]


def divide(text: str) -> list[str]:
    """The articles of a file: each begins with the line of its first-level heading. Blank ones are left out."""
    articles: list[list[str]] = [[]]
    for line in text.split("\n"):
        stripped = line.strip().replace("= =", "==")
        if stripped.startswith("= ") and stripped.endswith(" ="):
            articles.append([])
        articles[-1].append(line)
    return [article for article in map("\n".join, articles) if article.strip()]


def detokenise(raw: str) -> str:
    """Running text: no space before punctuation or inside brackets and quotes, no @ around separators."""
    for pattern, replacement in DETOKENISE:
        raw = pattern.sub(replacement, raw)
    return raw


def score(scorer: Scorer, articles: Sequence[Article], config: PerplexityConfig) -> list[dict[str, Any]]:
    """One record per article: log-likelihood (nats), scored tokens, and the words and bytes of its raw form.

    Raises ValueError as `check_start` and `perplexity.score`.
    """
    check_start(scorer)
    scored = perplexity.score(scorer, [detokenise(article.raw) for article in articles], config)
    return [
        {
            "id": article.id,
            "logprob": record["logprob"],
            "num_tokens": record["num_tokens"],
            "num_words": len(re.split(r"\s+", article.raw)),
            "num_bytes": len(article.raw.encode()),
        }
        for article, record in zip(articles, scored, strict=True)
    ]


def check_start(scorer: Scorer) -> None:
    """Raise ValueError without a start token: first tokens would have no cost, and the perplexity would be too low."""
    if scorer.start_id is None:
        raise ValueError(
            f"{scorer.label}: without a start token the first token of an article is not scored, but WikiText's "
            "perplexity is over all its words; set scoring.bos=true, or name a token as scoring.start_token where the "
            "tokenizer has neither BOS nor EOS"
        )


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Perplexity per word, and bits per byte."""
    cost = -np.array([record["logprob"] for record in records])
    words = np.array([record["num_words"] for record in records], dtype=np.float64)
    bits = np.log(2) * np.array([record["num_bytes"] for record in records], dtype=np.float64)
    names = [record["id"] for record in records]
    shared: dict[str, Any] = {"higher_is_better": False, "convention": convention, "settings": settings}
    shared["num_items"] = int(words.sum())
    return [
        estimate("wikitext/word_perplexity", names, np.stack([cost, words], 1), exp_ratio, unit="per word", **shared),
        estimate("wikitext/bits_per_byte", names, np.stack([cost, bits], 1), ratio, unit="bits per byte", **shared),
    ]


MEASURE = Measure(
    name="wikitext",
    task=task,
    summarise=summarise,
    descriptions={
        "wikitext/word_perplexity": Description(
            "WikiText: perplexity per word",
            "WikiText perplexity",
            "As in lm-evaluation-harness's task wikitext: each article by itself, detokenised text, words counted in "
            "the raw text.",
            column="utility",
        ),
        "wikitext/bits_per_byte": Description(
            "WikiText: bits per byte",
            None,
            "The same log-likelihood per byte of the raw text, in bits.",
            column="utility",
        ),
    },
)
