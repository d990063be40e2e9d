"""Perplexity of the user's text (the setting `text`), with its convention; one log-likelihood per document.

`token-stride`: exp of the mean negative log-likelihood per token of the model's own tokenizer, computed in windows of
at most `window` tokens of which the last `stride` are new. `word`: the same log-likelihood per white-space word,
comparable across tokenizers; it is given only when every token is scored, and that takes a start token. The document is
the unit of resampling.

With a start token, every token is scored once: the text follows the start token, and a window begins with the last
token before its new ones even if stride = window (the convention of lm-evaluation-harness). Without one, the first
token of the text is not scored, nor, if stride = window, is the first of any window (the convention of the Hugging Face
documentation and of GPT-2's published 29.94 on WikiText-2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import PerplexityConfig, StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.scoring.logprobs import Row, score_rows
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import exp_ratio, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Records, Task, Work, about_num_tokens, data_hash, tokenizer_hash

LOG_PERPLEXITY = "log_perplexity/token-stride"
DEFAULT_WINDOW = 1024  # for a model that does not say how long its context is


def task(inputs: Inputs) -> Task | None:
    """Every document is an item; a joined text can only be scored as a whole."""
    config, documents = inputs.config.perplexity, inputs.documents
    if not config.enabled or documents is None:
        return None
    joined = "documents-apart" if config.separator is None else f"joined:{config.separator!r}"
    text = f"text:{data_hash(documents)}|{joined}"

    def prepare(scorer: Scorer) -> Work:
        window_and_stride(scorer, config)  # raises if they do not fit this model
        return Work(
            [f"document/{number}" for number in range(len(documents))],
            range(len(documents)),
            lambda part: score(scorer, [documents[number] for number in part], config, part),
            lambda records: _conventions(scorer, config, text, records),
            divisible=config.separator is None,
        )

    key = f"{text}|window:{config.window}|stride:{config.stride}"
    return Task("perplexity", key, prepare, len(documents), about_num_tokens(documents))


def _conventions(scorer: Scorer, config: PerplexityConfig, text: str, records: Records) -> tuple[str, str]:
    """The conventions per word and per token.

    Per word, the context that a model sees is part of the model, so `own` stands for any default window. Per token, the
    window is named, unless every document fits into it and it changes nothing: then models with different contexts can
    be compared.
    """
    window, stride = window_and_stride(scorer, config)
    fits = config.separator is None and all(record["num_tokens"] <= window for record in records)
    named = "window:whole-documents" if fits else f"window:{window}|stride:{stride}"
    own = "window:own" + (f"|stride:{config.stride}" if config.stride else "")
    start = f"{text}|{scorer.start_convention}"
    return (
        f"word|{start}|{own if config.window is None else named}",
        f"token-stride|{start}|{named}|tokenizer:{tokenizer_hash(scorer)}",
    )


def score(
    scorer: Scorer, documents: Sequence[str], config: PerplexityConfig, numbers: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """One record per document: sum of log-probabilities (nats), scored tokens, words and all tokens.

    numbers: the documents' numbers, for the ids of their records; by default 0, 1, ...

    With a separator the documents are one text, and a token counts to the document that its last character is in (the
    separator to the one before it). Raises ValueError when the window exceeds the model's context.
    """
    window, stride = window_and_stride(scorer, config)
    if config.separator is None:
        encoded = scorer.encode(documents)["input_ids"]
        texts = [(ids, np.full(len(ids), number)) for number, ids in enumerate(encoded)]
    else:
        texts = [_joined(scorer, documents, config.separator)]
    rows: list[Row] = []
    owners = []
    for ids, owner in texts:
        for row, targets in windows(scorer.start, ids, window, stride):
            rows.append(row)
            owners.append(owner[targets])
    logprobs, num_scored, num_tokens = (np.zeros(len(documents)) for _ in range(3))
    for owner, scores in zip(owners, score_rows(scorer, rows), strict=True):
        np.add.at(logprobs, owner, scores)
        np.add.at(num_scored, owner, 1)
    for _, owner in texts:
        np.add.at(num_tokens, owner, 1)
    return [
        {
            "id": f"document/{number if numbers is None else numbers[number]}",
            "logprob": float(logprobs[number]),
            "num_scored_tokens": int(num_scored[number]),
            "num_tokens": int(num_tokens[number]),
            "num_words": len(re.findall(r"\S+", document)),
        }
        for number, document in enumerate(documents)
    ]


def summarise(
    records: Sequence[dict[str, Any]], convention: str, token_convention: str, settings: StatisticsConfig
) -> list[Estimate]:
    """Perplexity per token, its logarithm in nats and, if every token was scored, perplexity per word.

    token_convention: the convention with everything that a value per token depends on (window, stride, tokenizer).
    Raises ValueError when no token was scored.
    """
    if not any(record["num_scored_tokens"] for record in records):
        raise ValueError("no token could be scored; the documents are too short without scoring.bos=true")
    clusters = [record["id"] for record in records]
    cost = -np.array([record["logprob"] for record in records])
    num_tokens = np.array([record["num_scored_tokens"] for record in records], dtype=np.float64)
    num_words = np.array([record["num_words"] for record in records], dtype=np.float64)
    per_token = np.stack([cost, num_tokens], axis=1)
    shared: dict[str, Any] = {"higher_is_better": False, "settings": settings}
    tokens: dict[str, Any] = {"num_items": int(num_tokens.sum()), "convention": token_convention, **shared}
    words: dict[str, Any] = {"num_items": int(num_words.sum()), "convention": convention, **shared}
    estimates = [
        estimate("perplexity/token-stride", clusters, per_token, exp_ratio, unit="per token", **tokens),
        estimate(LOG_PERPLEXITY, clusters, per_token, ratio, unit="nats per token", **tokens),
    ]
    if all(record["num_scored_tokens"] == record["num_tokens"] for record in records):
        per_word = np.stack([cost, num_words], axis=1)
        estimates.append(estimate("perplexity/word", clusters, per_word, exp_ratio, unit="per word", **words))
    return estimates


def window_and_stride(scorer: Scorer, config: PerplexityConfig) -> tuple[int, int]:
    """Tokens of context and newly scored tokens per window. Raises ValueError when they do not fit the model."""
    window = config.window or scorer.context or DEFAULT_WINDOW
    stride = config.stride or window
    if scorer.context is not None and window > scorer.context:
        raise ValueError(
            f"{scorer.label}: perplexity.window = {window}, but the model's context is {scorer.context} tokens; "
            f"set perplexity.window to at most {scorer.context}"
        )
    if stride > window:
        raise ValueError(
            f"perplexity.stride = {stride} is larger than the window of {window}, so tokens would be left out; set it "
            f"to at most {window}"
        )
    return window, stride


def windows(start: Sequence[int], ids: Sequence[int], window: int, stride: int) -> Iterator[tuple[Row, np.ndarray]]:
    """The rows that score a text of token ids, each with the indices into `ids` of its targets.

    A row reads at most `window` tokens. Every index is scored at most once, and exactly once with a start token.
    """
    text = [*start, *ids]
    num_start = len(start)
    done, stop = 0, window
    while done < len(ids):
        if num_start:  # the last window reaches back as far as it may
            end = min(stop, len(ids)) + num_start
            begin = max(0, end - 1 - window)
            targets = np.arange(done + num_start, end)
        else:  # every window begins at a multiple of the stride, and nothing predicts its first token
            end = min(stop, len(ids))
            begin = stop - window
            targets = np.arange(max(done, begin + 1), end)
        if len(targets):
            positions = (targets - 1 - begin).tolist()
            yield Row(text[begin : end - 1], positions, [text[target] for target in targets]), targets - num_start
        done, stop = min(stop, len(ids)), stop + stride


def _joined(scorer: Scorer, documents: Sequence[str], separator: str) -> tuple[list[int], np.ndarray]:
    """The ids of the joined text, and the number of the document to which each belongs."""
    encoded = scorer.encode([separator.join(documents)], return_offsets_mapping=True)
    starts = np.cumsum([0, *(len(document) + len(separator) for document in documents)])[:-1]
    last = np.array([end - 1 for _, end in encoded["offset_mapping"][0]], dtype=np.int64)
    return encoded["input_ids"][0], np.maximum(np.searchsorted(starts, last, side="right") - 1, 0)


MEASURE = Measure(
    name="perplexity",
    task=task,
    summarise=summarise,
    descriptions={
        "perplexity/token-stride": Description(
            "Perplexity per token",
            "perplexity",
            "exp of the mean negative log-likelihood per token. Depends on the tokenizer, the window and the stride.",
            column="utility",
        ),
        "perplexity/word": Description(
            "Perplexity per word",
            None,
            "The same log-likelihood per white-space word: comparable between tokenizers.",
            column="utility",
        ),
        LOG_PERPLEXITY: Description(
            "Log-perplexity",
            None,
            "Mean negative log-likelihood per token; its paired difference decides non-inferiority.",
            column="utility",
        ),
    },
    reads_text=lambda config: config.perplexity.enabled,
)
