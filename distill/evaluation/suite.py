"""The suite: models and a configuration in; per-example records, estimates and failures out.

A task is one family of measures with its data already read. One that cannot be set up, or that fails on one model, is
reported and the others go on.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from safetensors import SafetensorError
from tqdm.auto import tqdm

from augment.lexicon import load_lexicon
from distill.config import DataConfig, validate
from distill.corpus import read_documents
from distill.evaluation import counterfactual_gap, gender_agreement, log_odds, perplexity
from distill.evaluation.config import EvalConfig, TextConfig
from distill.evaluation.measurement import Estimate
from distill.evaluation.model_specs import ModelSpec, load_scorer
from distill.evaluation.prompts import GenderedPrompt, NeutralPrompt, gendered_prompts, neutral_prompts
from distill.evaluation.scoring import Scorer, num_continuation_tokens
from distill.models import model_fingerprint, num_parameters
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


@dataclass(frozen=True)
class ModelResult:
    """All about one model: what it is, its records by task, and its estimates by name."""

    info: dict[str, Any]
    records: dict[str, Records]
    estimates: dict[str, Estimate]


@dataclass(frozen=True)
class Evaluation:
    """The outcome of the suite. reference: the label of the first model named, whether or not it could be loaded."""

    reference: str
    results: list[ModelResult]
    failures: list[Failure]


def evaluate(specs: Sequence[ModelSpec], config: EvalConfig) -> Evaluation:
    """Run every task of the configuration on every model, with a progress bar."""
    tasks, failures = plan(config)
    results = []
    with tqdm(total=len(specs) * (1 + len(tasks)), unit="task", disable=None) as bar:
        for spec in specs:
            bar.set_description(f"{spec.label}: loading")
            try:
                scorer = load_scorer(spec, config.scoring)
            except (ValueError, OSError, RuntimeError, SafetensorError) as error:
                failures.append(Failure(spec.label, None, _message(error)))
                bar.update(1 + len(tasks))
                continue
            bar.update()
            records: dict[str, Records] = {}
            estimates: dict[str, Estimate] = {}
            for task in tasks:
                bar.set_description(f"{spec.label}: {task.name}")
                try:
                    records[task.name], found = task.run(scorer)
                except (ValueError, OSError, RuntimeError) as error:
                    failures.append(Failure(spec.label, task.name, _message(error)))
                else:
                    estimates |= {one.measurement.name: one for one in found}
                bar.update()
            results.append(ModelResult(_describe(spec, scorer, config), records, estimates))
    return Evaluation(specs[0].label, results, failures)


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
            failures.append(Failure(None, "text", _message(error)))
        else:
            if config.perplexity.enabled:
                wanted.append(("perplexity", lambda: _perplexity_run(config, documents)))
            if config.counterfactual_gap.enabled:
                wanted.append(("counterfactual_gap", lambda: _gap_run(config, documents)))
    for name, build in wanted:
        try:
            tasks.append(Task(name, build()))
        except (ValueError, OSError) as error:
            failures.append(Failure(None, name, _message(error)))
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


# -- helpers ---------------------------------------------------------------------------------------------------------


def tokenizer_hash(scorer: Scorer) -> str:
    """Eight hex digits of the SHA-256 of the tokenizer's full definition."""
    return hashlib.sha256(scorer.tokenizer.backend_tokenizer.to_str().encode()).hexdigest()[:8]


def _hash(items: Sequence[str | NeutralPrompt | GenderedPrompt]) -> str:
    """Eight hex digits of the SHA-256 of a data set, in order."""
    plain = [item if isinstance(item, str) else asdict(item) for item in items]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()[:8]


def _documents(text: TextConfig) -> list[str]:
    settings = {"path": text.path, "text_field": text.text_field, "txt_document": text.txt_document}
    reading = validate(DataConfig, settings)
    documents: Iterable[str] = read_documents(reading)
    return list(islice(documents, text.max_documents))


def _describe(spec: ModelSpec, scorer: Scorer, config: EvalConfig) -> dict[str, Any]:
    return {
        "label": spec.label,
        "path": spec.path,
        "gguf_file": spec.gguf_file,
        "fingerprint": model_fingerprint(spec.path, scorer.model),
        "architecture": type(scorer.model).__name__,
        "num_parameters": num_parameters(scorer.model),
        "dtype": config.scoring.dtype,
        "device": str(scorer.model.device),
        "context_tokens": scorer.context,
        "tokenizer": tokenizer_hash(scorer),
        "start_token": None if scorer.start_id is None else scorer.tokenizer.convert_ids_to_tokens(scorer.start_id),
        "num_pronoun_tokens": [num_continuation_tokens(scorer, "The nurse said that", p) for p in log_odds.PRONOUNS],
    }


def _message(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
