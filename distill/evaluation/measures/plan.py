"""The tasks of a suite: a configuration in; families of measures with their data already read out.

A task whose data cannot be read becomes a failure with its reason, and the others are not affected.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

from augment.lexicon import load_lexicon
from distill.config import DataConfig
from distill.data.corpus import read_documents
from distill.data.packing import PairedExample
from distill.evaluation.config import EvalConfig, PerplexityConfig, TextConfig
from distill.evaluation.measures import (
    association,
    ceat,
    classification,
    counterfactual_gap,
    crows_pairs,
    gender_agreement,
    lambada,
    log_odds,
    occupation_gap,
    perplexity,
    stereoset,
    wikitext,
    winobias,
    winogender,
)
from distill.evaluation.measures import (
    continuations as continuation_tasks,
)
from distill.evaluation.measures.prompts import gendered_prompts, neutral_prompts
from distill.evaluation.processes import message_of
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.task import (
    Failure,
    Records,
    Summarise,
    Task,
    Work,
    about_num_tokens,
    data_hash,
    items_task,
    tokenizer_hash,
)
from distill.loss.targets import GenderClasses, gender_classes
from distill.settings import validate

# how the records of a task become estimates: (records, *conventions, settings)
SUMMARISE: dict[str, Summarise] = {
    "log_odds": log_odds.summarise,
    "agreement": gender_agreement.summarise,
    "occupation_gap": occupation_gap.summarise,
    "perplexity": perplexity.summarise,
    "counterfactual_gap": counterfactual_gap.summarise,
    "stereoset": stereoset.summarise,
    "crows_pairs": crows_pairs.summarise,
    "winobias": winobias.summarise,
    "association": association.summarise,
    "ceat": ceat.summarise,
    "lambada": lambada.summarise,
    "winogender": winogender.summarise,
    "wikitext": wikitext.summarise,
    "sst2": classification.summarise_sst2,
    "cola": classification.summarise_cola,
    **continuation_tasks.SUMMARISE,
}


def plan(config: EvalConfig) -> tuple[list[Task], list[Failure]]:
    """The tasks that the configuration switches on and whose data could be read, and the failures of the others."""
    tasks: list[Task] = []
    failures: list[Failure] = []
    wanted: list[tuple[str, Callable[[], Task]]] = []
    documents: list[str] = []
    if config.log_odds.enabled:
        wanted.append(("log_odds", lambda: _log_odds_task(config)))
    if config.agreement.enabled:
        wanted.append(("agreement", lambda: _agreement_task(config)))
    if config.occupation_gap.enabled:
        wanted.append(("occupation_gap", lambda: occupation_gap.task(config)))
    if config.text.path is not None and text_tasks(config):
        try:
            documents = _documents(config.text)
        except Exception as error:
            failures.append(Failure(None, "text", message_of(error)))
        else:
            if config.perplexity.enabled:
                wanted.append(("perplexity", lambda: _perplexity_task(config, documents)))
            if config.counterfactual_gap.enabled:
                wanted.append(("counterfactual_gap", lambda: _gap_task(config, documents)))
    builders: dict[str, tuple[str | None, Callable[[str], Task]]] = {
        "stereoset": (config.benchmarks.stereoset, _stereoset_task),
        "crows_pairs": (config.benchmarks.crows_pairs, _crows_pairs_task),
        "winobias": (config.benchmarks.winobias, _winobias_task),
        "winogender": (config.benchmarks.winogender, _winogender_task),
        "association": (config.benchmarks.association, partial(_association_task, config)),
        "lambada": (config.benchmarks.lambada, _lambada_task),
        "wikitext": (config.benchmarks.wikitext, partial(_wikitext_task, config)),
        "sst2": (config.benchmarks.sst2, lambda path: classification.task("sst2", path, config.fine_tuning)),
        "cola": (config.benchmarks.cola, lambda path: classification.task("cola", path, config.fine_tuning)),
    }
    wanted += [(name, partial(build, path)) for name, (path, build) in builders.items() if path is not None]
    if config.benchmarks.association is not None and config.ceat.enabled:
        wanted.append(("ceat", lambda: _ceat_task(config, str(config.benchmarks.association), documents)))
    tasks += _build([*wanted, *continuation_tasks.sampling(config)], failures)
    failures += continuation_tasks.without_prompts(config)
    sources = [task for task in tasks if task.name in continuation_tasks.SETS]
    tasks += _build(continuation_tasks.derived(config, sources), failures)
    return tasks, failures


def text_tasks(config: EvalConfig) -> set[str]:
    """The names of the tasks that read the documents of `text`, among those that the configuration switches on."""
    in_contexts = config.benchmarks.association is not None and config.ceat.enabled and config.ceat.contexts == "text"
    enabled = {
        "perplexity": config.perplexity.enabled,
        "counterfactual_gap": config.counterfactual_gap.enabled,
        "ceat": in_contexts,
    }
    return {name for name, is_enabled in enabled.items() if is_enabled}


def _build(wanted: Sequence[tuple[str, Callable[[], Task]]], failures: list[Failure]) -> list[Task]:
    """The tasks whose builders succeed; the failures of the others are appended to `failures`."""
    tasks = []
    for name, build in wanted:
        try:
            tasks.append(build())
        except Exception as error:  # whatever it is, the others can be measured
            failures.append(Failure(None, name, message_of(error)))
    return tasks


# -- one per family --------------------------------------------------------------------------------------------------


def _log_odds_task(config: EvalConfig) -> Task:
    prompts = neutral_prompts(config.log_odds, config.world)
    key = f"he-she|prompts:{data_hash(prompts)}|sum-over-tokens"
    return items_task("log_odds", key, prompts, log_odds.score, [prompt.text for prompt in prompts])


def _agreement_task(config: EvalConfig) -> Task:
    prompts = gendered_prompts(config.agreement, config.world)
    key = f"he-she|prompts:{data_hash(prompts)}|sum-over-tokens|tie:half"
    return items_task("agreement", key, prompts, gender_agreement.score, [prompt.text for prompt in prompts])


def _stereoset_task(path: str) -> Task:
    items = stereoset.read(path)
    key = f"intrasentence|data:{data_hash(items)}|mean-per-token|means-over-terms|tie:not-preferred"
    return items_task("stereoset", key, items, stereoset.score, [text for item in items for text in item.sentences])


def _crows_pairs_task(path: str) -> Task:
    pairs = crows_pairs.read(path)
    key = f"data:{data_hash(pairs)}|tie:not-preferred"
    texts = [text for pair in pairs for text in (pair.more, pair.less)]
    return items_task("crows_pairs", key, pairs, crows_pairs.score, texts)


def _winobias_task(folder: str) -> Task:
    pairs = winobias.read(folder)
    key = f"data:{data_hash(pairs)}|minimal-pairs|sum-over-tokens|tie:half"
    texts = [text for pair in pairs for text in (pair.pro, pair.anti)]
    return items_task("winobias", key, pairs, winobias.score, texts)


def _winogender_task(path: str) -> Task:
    frames = winogender.read(path)
    key = f"data:{data_hash(frames)}|sum-over-tokens|tie:half"
    texts = [text for frame in frames for text in frame.sentences]
    return items_task("winogender", key, frames, winogender.score, texts)


def _lambada_task(path: str) -> Task:
    passages = lambada.read(path)
    key = f"lambada_openai|data:{data_hash(passages)}|start:none|last-space"

    def prepare(scorer: Scorer) -> Work:
        def conventions(records: Records) -> tuple[str]:
            is_cut = any(record["num_cut_tokens"] for record in records)
            return (f"{key}|{f'cut-left:{scorer.context}' if is_cut else 'whole-passages'}",)

        return Work([item.id for item in passages], passages, partial(lambada.score, scorer), conventions)

    return Task("lambada", key, prepare, len(passages), about_num_tokens([item.context for item in passages]))


def _ceat_task(config: EvalConfig, folder: str, documents: list[str]) -> Task:
    how, seed = config.ceat, config.statistics.seed
    if how.contexts == "text" and not documents:
        raise ValueError("ceat.contexts = text, but there is no text; set text.path, or ceat.contexts=templates")
    texts = documents if how.contexts == "text" else None
    tests = ceat.context_tests(association.read(folder), texts, how.num_contexts)
    key = f"data:{data_hash(tests)}|samples:{how.num_samples}|seed:{seed}|last-token|last-layer|random-effects"

    def score(scorer: Scorer, part: Sequence[ceat.ContextTest]) -> Records:
        return ceat.score(scorer, part, how.num_samples, seed)

    contexts = [text for test in tests for found in test.contexts.values() for text in found]
    return items_task("ceat", key, tests, score, contexts)


def _association_task(config: EvalConfig, folder: str) -> Task:
    tests, settings = association.read(folder), config.statistics
    key = f"data:{data_hash(tests)}|last-token|last-layer|cosine|ddof:1"

    def prepare(scorer: Scorer) -> Work:
        convention = f"{key}|{scorer.start_convention}"
        return Work(
            [test.name for test in tests],
            tests,
            lambda part: association.score(scorer, part, settings),
            lambda _: (convention,),
        )

    texts = [
        text
        for test in tests
        for texts in (test.targets_x, test.targets_y, test.attributes_a, test.attributes_b)
        for text in texts
    ]
    permutations = f"|permutations:{settings.num_permutations}|seed:{settings.seed}"
    return Task("association", key + permutations, prepare, len(tests), about_num_tokens(texts))


def _wikitext_task(config: EvalConfig, path: str) -> Task:
    articles = wikitext.read(path)
    how = validate(PerplexityConfig, {"window": config.perplexity.window, "stride": config.perplexity.stride})
    key = f"lm-eval-wikitext|data:{data_hash(articles)}|raw-words|window:{how.window or 'own'}|stride:{how.stride}"

    def prepare(scorer: Scorer) -> Work:
        wikitext.check_start(scorer)  # also where all records are there already
        convention = f"{key}|{scorer.start_convention}"
        ids = [article.id for article in articles]
        return Work(ids, articles, lambda part: wikitext.score(scorer, part, how), lambda _: (convention,))

    return Task("wikitext", key, prepare, len(articles), about_num_tokens([article.raw for article in articles]))


def _perplexity_task(config: EvalConfig, documents: list[str]) -> Task:
    how = config.perplexity
    joined = "documents-apart" if how.separator is None else f"joined:{how.separator!r}"
    text = f"text:{data_hash(documents)}|{joined}"

    def prepare(scorer: Scorer) -> Work:
        window, stride = perplexity.window_and_stride(scorer, how)

        def conventions(records: Records) -> tuple[str, str]:
            # a window that no document fills changes nothing, so that models with other contexts can be compared
            whole = how.separator is None and all(record["num_tokens"] <= window for record in records)
            broken = "window:whole-documents" if whole else f"window:{window}|stride:{stride}"
            # per word, how much of the text a model sees is part of the model; a stride that was set is not
            own = "window:own" + (f"|stride:{how.stride}" if how.stride else "")
            start = f"{text}|{scorer.start_convention}"
            return (
                f"word|{start}|{own if how.window is None else broken}",
                f"token-stride|{start}|{broken}|tokenizer:{tokenizer_hash(scorer)}",
            )

        return Work(
            [f"document/{number}" for number in range(len(documents))],
            range(len(documents)),
            lambda part: perplexity.score(scorer, [documents[number] for number in part], how, part),
            conventions,
            divisible=how.separator is None,
        )

    key = f"{text}|window:{how.window}|stride:{how.stride}"
    return Task("perplexity", key, prepare, len(documents), about_num_tokens(documents))


def _gap_task(config: EvalConfig, documents: list[str]) -> Task:
    lexicon = load_lexicon(config.counterfactual_gap.tiers, config.counterfactual_gap.lexicon)
    key = f"text:{data_hash(documents)}|lexicon:{lexicon.fingerprint[:8]}|after-first-swap"
    # models that share a tokenizer share the pairs
    prepared: dict[tuple[str, int | None], tuple[list[tuple[int, PairedExample]], GenderClasses]] = {}

    def prepare(scorer: Scorer) -> Work:
        shared = (tokenizer_hash(scorer), scorer.start_id)
        if shared not in prepared:
            swapped = counterfactual_gap.swapped_pairs(documents, scorer.tokenizer, lexicon, scorer.start)
            prepared[shared] = swapped, gender_classes(scorer.tokenizer, lexicon)
        pairs, classes = prepared[shared]
        context = scorer.context or sys.maxsize
        is_cut = any(max(len(pair.input_ids), len(pair.cf_input_ids)) > context for _, pair in pairs)
        cut = f"cut-at-word:{context}" if is_cut else "whole-documents"
        convention = f"{key}|{scorer.start_convention}|{cut}|tokenizer:{shared[0]}"
        return Work(
            [f"document/{number}" for number, _ in pairs],
            pairs,
            lambda part: counterfactual_gap.score(scorer, part, classes),
            lambda _: (convention,),
        )

    return Task("counterfactual_gap", key, prepare, len(documents), 2 * about_num_tokens(documents))


# -- helpers ---------------------------------------------------------------------------------------------------------


def _documents(text: TextConfig) -> list[str]:
    settings = {"path": text.path, "text_field": text.text_field, "txt_document": text.txt_document}
    reading = validate(DataConfig, settings)
    try:
        return list(islice(read_documents(reading), text.max_documents))
    except (ValueError, FileNotFoundError) as error:
        # the corpus is read as training reads it, whose settings are called otherwise
        message = re.sub(r"\b(set|check) data\.(path|text_field)\b", r"\1 text.\2", str(error))
        message = re.sub(r"\bset data\.split$", "set text.path to the folder of one of them", message)
        raise type(error)(message) from error
