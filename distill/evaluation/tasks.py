"""The tasks of a suite: a configuration in; families of measures with their data already read out.

A task whose data cannot be read becomes a failure with its reason, and the others are not affected.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from itertools import islice
from typing import Any

from augment.lexicon import load_lexicon
from distill.config import DataConfig, validate
from distill.corpus import read_documents
from distill.evaluation import (
    association,
    bold,
    counterfactual_gap,
    crows_pairs,
    gender_agreement,
    log_odds,
    perplexity,
    stereoset,
    winobias,
)
from distill.evaluation.config import EvalConfig, StatisticsConfig, TextConfig
from distill.evaluation.generation import sample
from distill.evaluation.measurement import Estimate
from distill.evaluation.prompts import gendered_prompts, neutral_prompts
from distill.evaluation.scoring import Scorer
from distill.packing import PairedExample
from distill.perturb import GenderClasses, gender_classes

Records = list[dict[str, Any]]
Run = Callable[[Scorer], tuple[Records, list[Estimate]]]


@dataclass(frozen=True)
class Task:
    """A family of measures, ready to be run on one scorer after another."""

    name: str
    run: Run


@dataclass(frozen=True)
class Failure:
    """What could not be measured, and why. model: None if no model is to blame; task: None if a model did not load."""

    model: str | None
    task: str | None
    message: str


def plan(config: EvalConfig) -> tuple[list[Task], list[Failure]]:
    """The tasks that the configuration switches on and whose data could be read, and the failures of the others."""
    tasks, failures = [], []
    documents: list[str] = []
    wanted: list[tuple[str, Callable[[], Run]]] = []
    if config.log_odds.enabled:
        wanted.append(("log_odds", lambda: _log_odds_run(config)))
    if config.agreement.enabled:
        wanted.append(("agreement", lambda: _agreement_run(config)))
    if config.text.path is not None and (config.perplexity.enabled or config.counterfactual_gap.enabled):
        try:
            documents = _documents(config.text)
        except (ValueError, OSError) as error:
            failures.append(Failure(None, "text", message_of(error)))
        else:
            if config.perplexity.enabled:
                wanted.append(("perplexity", lambda: _perplexity_run(config, documents)))
            if config.counterfactual_gap.enabled:
                wanted.append(("counterfactual_gap", lambda: _gap_run(config, documents)))
    if config.benchmarks.stereoset is not None:
        wanted.append(("stereoset", lambda: _stereoset_run(config, str(config.benchmarks.stereoset))))
    if config.benchmarks.crows_pairs is not None:
        wanted.append(("crows_pairs", lambda: _crows_pairs_run(config, str(config.benchmarks.crows_pairs))))
    if config.benchmarks.winobias is not None:
        wanted.append(("winobias", lambda: _winobias_run(config, str(config.benchmarks.winobias))))
    if config.benchmarks.association is not None:
        wanted.append(("association", lambda: _association_run(config, str(config.benchmarks.association))))
    if config.benchmarks.bold is not None:
        wanted.append(("bold", lambda: _bold_run(config, str(config.benchmarks.bold))))
    for name, build in wanted:
        try:
            tasks.append(Task(name, build()))
        except (ValueError, OSError) as error:
            failures.append(Failure(None, name, message_of(error)))
    return tasks, failures


# -- one runner per family -------------------------------------------------------------------------------------------


def _log_odds_run(config: EvalConfig) -> Run:
    prompts = neutral_prompts(config.log_odds, config.world)
    parts = f"he-she|prompts:{_hash(prompts)}|sum-over-tokens"

    def run(scorer: Scorer) -> tuple[Records, list[Estimate]]:
        records = log_odds.score(scorer, prompts)
        return records, log_odds.summarise(records, f"{parts}|{scorer.start_convention}", config.statistics)

    return run


def _agreement_run(config: EvalConfig) -> Run:
    prompts = gendered_prompts(config.agreement, config.world)
    parts = f"he-she|prompts:{_hash(prompts)}|sum-over-tokens|tie:half"

    def run(scorer: Scorer) -> tuple[Records, list[Estimate]]:
        records = gender_agreement.score(scorer, prompts)
        return records, gender_agreement.summarise(records, f"{parts}|{scorer.start_convention}", config.statistics)

    return run


def _perplexity_run(config: EvalConfig, documents: list[str]) -> Run:
    joined = "documents-apart" if config.perplexity.separator is None else f"joined:{config.perplexity.separator!r}"

    def run(scorer: Scorer) -> tuple[Records, list[Estimate]]:
        window, stride = perplexity.window_and_stride(scorer, config.perplexity)
        records = perplexity.score(scorer, documents, config.perplexity)
        text = f"text:{_hash(documents)}|{joined}|{scorer.start_convention}"
        # a window that no document fills changes nothing, so that models with other contexts can be compared
        whole = config.perplexity.separator is None and all(record["num_tokens"] <= window for record in records)
        broken = "window:whole-documents" if whole else f"window:{window}|stride:{stride}"
        tokens = f"token-stride|{text}|{broken}|tokenizer:{tokenizer_hash(scorer)}"
        own = config.perplexity.window is None  # per word, how much of the text a model sees is part of the model
        words = f"word|{text}|{'window:own' if own else broken}"
        return records, perplexity.summarise(records, words, tokens, config.statistics)

    return run


def _gap_run(config: EvalConfig, documents: list[str]) -> Run:
    lexicon = load_lexicon(config.counterfactual_gap.tiers, config.counterfactual_gap.lexicon)
    # models that share a tokenizer share the pairs
    prepared: dict[tuple[str, int | None], tuple[list[tuple[int, PairedExample]], GenderClasses]] = {}

    def run(scorer: Scorer) -> tuple[Records, list[Estimate]]:
        key = (tokenizer_hash(scorer), scorer.start_id)
        if key not in prepared:
            swapped = counterfactual_gap.swapped_pairs(documents, scorer.tokenizer, lexicon, scorer.start)
            prepared[key] = swapped, gender_classes(scorer.tokenizer, lexicon)
        pairs, classes = prepared[key]
        records = counterfactual_gap.score(scorer, pairs, classes)
        context = scorer.context or sys.maxsize
        is_cut = any(max(len(pair.input_ids), len(pair.cf_input_ids)) > context for _, pair in pairs)
        convention = (
            f"text:{_hash(documents)}|lexicon:{lexicon.fingerprint[:8]}|after-first-swap|{scorer.start_convention}"
            f"|{f'cut:{context}' if is_cut else 'whole-documents'}|tokenizer:{key[0]}"
        )
        return records, counterfactual_gap.summarise(records, convention, config.statistics)

    return run


def _stereoset_run(config: EvalConfig, path: str) -> Run:
    items = stereoset.read(path)
    parts = f"intrasentence|data:{_hash(items)}|mean-per-token|means-over-terms"
    return _benchmark_run(config, partial(stereoset.score, items=items), stereoset.summarise, parts)


def _crows_pairs_run(config: EvalConfig, path: str) -> Run:
    pairs = crows_pairs.read(path)
    parts = f"data:{_hash(pairs)}|tie:not-preferred"
    return _benchmark_run(config, partial(crows_pairs.score, pairs=pairs), crows_pairs.summarise, parts)


def _winobias_run(config: EvalConfig, folder: str) -> Run:
    pairs = winobias.read(folder)
    parts = f"data:{_hash(pairs)}|minimal-pairs|sum-over-tokens|tie:half"
    return _benchmark_run(config, partial(winobias.score, pairs=pairs), winobias.summarise, parts)


def _association_run(config: EvalConfig, folder: str) -> Run:
    tests = association.read(folder)
    parts = f"data:{_hash(tests)}|last-token|last-layer|cosine|ddof:1"
    score = partial(association.score, tests=tests, settings=config.statistics)
    return _benchmark_run(config, score, association.summarise, parts)


def _benchmark_run(
    config: EvalConfig,
    score: Callable[[Scorer], Records],
    summarise: Callable[[Records, str, StatisticsConfig], list[Estimate]],
    parts: str,
) -> Run:
    """A published benchmark whose data is read: score it on one model, under `parts` and the model's start token."""

    def run(scorer: Scorer) -> tuple[Records, list[Estimate]]:
        records = score(scorer)
        return records, summarise(records, f"{parts}|{scorer.start_convention}", config.statistics)

    return run


def _bold_run(config: EvalConfig, path: str) -> Run:
    how, prompts = config.generation, bold.read(path)
    prompts = prompts[:: math.ceil(len(prompts) / (how.max_prompts or len(prompts)))]
    parts = f"unigram|continuation-only|data:{_hash(prompts)}|k:{how.num_samples}|top-p:{how.top_p:g}"
    parts += f"|new-tokens:{how.max_new_tokens}|seed:{how.seed}"

    def run(scorer: Scorer) -> tuple[Records, list[Estimate]]:
        continuations = sample(
            scorer,
            [(prompt.id, prompt.text) for prompt in prompts],
            num_samples=how.num_samples,
            max_new_tokens=how.max_new_tokens,
            top_p=how.top_p,
            seed=how.seed,
        )
        records = [bold.record(prompt, texts) for prompt, texts in zip(prompts, continuations, strict=True)]
        return records, bold.summarise(records, f"{parts}|{scorer.start_convention}", config.statistics)

    return run


# -- helpers ---------------------------------------------------------------------------------------------------------


def tokenizer_hash(scorer: Scorer) -> str:
    """Eight hex digits of the SHA-256 of the tokenizer's full definition."""
    return hashlib.sha256(scorer.tokenizer.backend_tokenizer.to_str().encode()).hexdigest()[:8]


def message_of(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _hash(items: Sequence[Any]) -> str:
    """Eight hex digits of the SHA-256 of a data set (texts or dataclasses), in order."""
    plain = [asdict(item) if is_dataclass(item) and not isinstance(item, type) else item for item in items]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()[:8]


def _documents(text: TextConfig) -> list[str]:
    settings = {"path": text.path, "text_field": text.text_field, "txt_document": text.txt_document}
    reading = validate(DataConfig, settings)
    documents: Iterable[str] = read_documents(reading)
    return list(islice(documents, text.max_documents))
