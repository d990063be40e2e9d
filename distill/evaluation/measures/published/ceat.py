"""CEAT, the contextualised embedding association test (Guo and Caliskan 2021), on a causal model's representations.

As in WEAT (`association`), but a word is represented within a context: by the last layer's state at the word's last
token. In each of many samples every word of a test gets one of its contexts at random. A sample gives one effect size
d_i and its in-sample variance V_i (of s over both target sets, ddof = 1). The combined effect size is that of a
random-effects model (DerSimonian and Laird 1986): the mean of d_i weighted by 1 / (V_i + tau^2), where tau^2 is the
variance between samples. Contexts are sentences of a text up to the word, because a causal model sees no further, or
templates that end in the word. The summary is the mean |combined effect size| over the tests; a test is its unit of
resampling. All samples draw from the same contexts. As in the paper, the standard error and p of one test treat the
samples as independent, so they are too small; the summary's interval does not use them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.published import association
from distill.evaluation.measures.published.association import (
    NO_EFFECT_SIZE,
    NOT_GENERATED_TEXT,
    AssociationTest,
    represent,
)
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray
from distill.evaluation.statistics.measurement import Estimate
from distill.evaluation.task import Records, Task, data_hash, items_task

TEMPLATES = (
    "They talked about {word}",
    "The first word on the list was {word}",
    "Nobody there had mentioned {word}",
    "What do you know about {word}",
    "We read a long story about {word}",
    "It was all because of {word}",
    "The page begins with {word}",
    "I have often thought of {word}",
    "There was a short note about {word}",
    "In the end they chose {word}",
)
MAX_CONTEXT_CHARACTERS = 300


@dataclass(frozen=True)
class ContextTest:
    """A test and the contexts of each of its words: texts that end in the word. id: the test's name."""

    id: str
    test: AssociationTest
    contexts: dict[str, tuple[str, ...]]


def task(inputs: Inputs) -> Task | None:
    """Every test is an item. Raises as `association.read` and `context_tests`, and ValueError without its text."""
    folder, config, seed = inputs.config.benchmarks.association, inputs.config.ceat, inputs.config.statistics.seed
    if folder is None or not config.enabled:
        return None
    if config.contexts == "text" and inputs.documents is None:
        raise ValueError("ceat.contexts = text, but there is no text; set text.path, or ceat.contexts=templates")
    texts = inputs.documents if config.contexts == "text" else None
    tests = context_tests(association.read(folder), texts, config.num_contexts)
    key = f"data:{data_hash(tests)}|samples:{config.num_samples}|seed:{seed}|last-token|last-layer|random-effects"

    def score_tests(scorer: Scorer, part: Sequence[ContextTest]) -> Records:
        return score(scorer, part, config.num_samples, seed)

    texts_to_read = [text for test in tests for contexts in test.contexts.values() for text in contexts]
    return items_task("ceat", key, tests, score_tests, texts_to_read)


def reads_text(config: EvalConfig) -> bool:
    """Whether contexts are looked for in the documents of `text`."""
    return config.benchmarks.association is not None and config.ceat.enabled and config.ceat.contexts == "text"


def context_tests(
    tests: Sequence[AssociationTest], documents: Iterable[str] | None, num_contexts: int
) -> list[ContextTest]:
    """The tests of single words (their names do not begin with sent-) with at most `num_contexts` contexts per word.

    documents: where contexts are looked for, or None for templates. Raises ValueError when no test is of single words,
    or a word stands nowhere in the documents.
    """
    chosen = [test for test in tests if not test.name.startswith("sent-")]
    if not chosen:
        raise ValueError("ceat: the association tests are all of sentences (sent-*); add the tests of words")
    words = sorted({word for test in chosen for word in _words(test)})
    if documents is None:
        contexts = {word: tuple(template.format(word=word) for template in TEMPLATES[:num_contexts]) for word in words}
    else:
        contexts = find_contexts(documents, words, num_contexts)
        missing = [word for word in words if not contexts[word]]
        if missing:
            raise ValueError(
                f"ceat: the text has no sentence with {', '.join(missing[:8])} ({len(missing)} of {len(words)} words); "
                "raise text.max_documents, give a larger text, or set ceat.contexts=templates"
            )
    return [ContextTest(test.name, test, {word: contexts[word] for word in _words(test)}) for test in chosen]


def find_contexts(documents: Iterable[str], words: Sequence[str], num_contexts: int) -> dict[str, tuple[str, ...]]:
    """For each word the first `num_contexts` beginnings of sentences that end in it, at most 300 characters each.

    Only whole words in the same spelling count.
    """
    contexts: dict[str, list[str]] = {word: [] for word in words}
    open_words = set(words)
    for document in documents:
        for sentence in re.split(r"(?<=[.!?])\s+|\n+", document):
            for match in re.finditer(r"\w+", sentence):
                if match[0] in open_words:
                    contexts[match[0]].append(_end_of(sentence[: match.end()]))
                    if len(contexts[match[0]]) == num_contexts:
                        open_words.remove(match[0])
        if not open_words:
            break
    return {word: tuple(texts) for word, texts in contexts.items()}


def score(scorer: Scorer, tests: Sequence[ContextTest], num_samples: int, seed: int) -> list[dict[str, Any]]:
    """One record per test: combined effect size, its standard error and two-sided p, tau^2, samples and contexts.

    The same seed draws the same contexts for every model.
    """
    texts = list(dict.fromkeys(text for item in tests for contexts in item.contexts.values() for text in contexts))
    vectors = represent(scorer, texts)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    row = {text: number for number, text in enumerate(texts)}
    records = []
    for item in tests:
        rows = {word: np.array([row[text] for text in contexts]) for word, contexts in item.contexts.items()}
        effects, variances = sampled_effects(cosines, item.test, rows, num_samples, _seed(seed, item.id))
        combined = random_effects(effects, variances)
        records.append(
            {
                "id": item.id,
                "effect_size": combined.effect,
                "standard_error": combined.standard_error,
                "p": combined.p,
                "between_variance": combined.between_variance,
                "num_samples": num_samples,
                "min_contexts": min(len(contexts) for contexts in item.contexts.values()),
            }
        )
    return records


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Mean |combined effect size| over the tests."""
    return [association.mean_effect_size("ceat/mean_abs", records, convention, settings)]


# -- the test --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Combined:
    """A combined effect size with its standard error, two-sided p, and the variance between samples (tau^2)."""

    effect: float
    standard_error: float
    p: float
    between_variance: float


def random_effects(effects: FloatArray, variances: FloatArray) -> Combined:
    """DerSimonian and Laird's random-effects mean of `effects` [N] with in-sample `variances` [N]."""
    weights = 1 / variances
    total = weights.sum()
    heterogeneity = float((weights * effects**2).sum() - (weights * effects).sum() ** 2 / total)
    excess = heterogeneity - (len(effects) - 1)
    between = max(0.0, excess / float(total - (weights**2).sum() / total)) if len(effects) > 1 else 0.0
    weights = 1 / (variances + between)
    effect, error = float((weights * effects).sum() / weights.sum()), float(1 / math.sqrt(weights.sum()))
    return Combined(effect, error, float(2 * stats.norm.sf(abs(effect / error))), between)


def sampled_effects(
    cosines: FloatArray, test: AssociationTest, rows: dict[str, np.ndarray], num_samples: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Effect sizes and in-sample variances [num_samples]; every sample draws each word's context anew.

    cosines: between all contexts [num_contexts, num_contexts]; rows: the contexts of each word. Raises ValueError when
    all targets are associated alike in a sample.
    """
    rng = np.random.default_rng(seed)
    drawn = {word: contexts[rng.integers(len(contexts), size=num_samples)] for word, contexts in rows.items()}
    x, y, a, b = (  # each [num_samples, num_words]
        np.stack([drawn[word] for word in words], axis=1) for words in test.groups()
    )
    s_x, s_y = (
        cosines[words[:, :, None], a[:, None]].mean(axis=2) - cosines[words[:, :, None], b[:, None]].mean(axis=2)
        for words in (x, y)
    )
    variances = np.concatenate([s_x, s_y], axis=1).var(axis=1, ddof=1)
    if not (variances > 0).all():
        raise ValueError(NO_EFFECT_SIZE)
    return (s_x.mean(axis=1) - s_y.mean(axis=1)) / np.sqrt(variances), variances


def _end_of(text: str) -> str:
    """The whole words among the last 300 characters of a text."""
    return text if len(text) <= MAX_CONTEXT_CHARACTERS else text[-MAX_CONTEXT_CHARACTERS:].partition(" ")[2]


def _seed(seed: int, name: str) -> int:
    """A seed for one test: its samples must not depend on which tests are scored together."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def _words(test: AssociationTest) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for group in test.groups() for word in group))


MEASURE = Measure(
    name="ceat",
    task=task,
    summarise=summarise,
    descriptions={
        "ceat/mean_abs": Description(
            "Contextualised embedding association (CEAT)",
            "CEAT",
            "Mean |combined effect size| over the tests, each combined over many samples of contexts. 0: no "
            "association.",
        ),
    },
    caveats=(
        NOT_GENERATED_TEXT,
        "CEAT: the contexts are few and all samples share them; read only the difference between models.",
    ),
    reads_text=reads_text,
)
