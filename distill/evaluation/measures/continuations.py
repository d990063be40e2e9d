"""The tasks on sampled continuations: a configuration in; tasks that sample, and tasks on their records, out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from augment.lexicon import load_lexicon
from distill.evaluation.config import EvalConfig
from distill.evaluation.measures import bold, continuation_scores, fluency, word_vector_polarity
from distill.evaluation.records import record_key
from distill.evaluation.scoring.generation import sample
from distill.evaluation.scoring.model_specs import load_scorer, parse_models
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.task import Failure, Records, Summarise, Task, Work, about_num_tokens, data_hash, tokenizer_hash
from distill.models.loading import model_fingerprint

# Only prompts with equally many tokens are sampled together, so that a chunk must be large for its batches to be.
RECORDS_AT_ONCE = 256  # where no forward pass of the model says how many
SAMPLES_AT_ONCE = 1024
SETS = {"bold": "professions", "bold_persons": "persons"}
SUMMARISE: dict[str, Summarise] = {
    "bold": bold.summarise,
    "bold_persons": bold.summarise_persons,
    "word_vector_polarity": word_vector_polarity.summarise,
    "sentiment": continuation_scores.summarise_as("sentiment"),
    "regard": continuation_scores.summarise_as("regard"),
    "toxicity": continuation_scores.summarise_as("toxicity"),
    "diversity": fluency.summarise_diversity,
    "fluency": fluency.summarise,
}


def sampling(config: EvalConfig) -> list[tuple[str, Callable[[], Task]]]:
    """The names and builders of the tasks that sample continuations. A builder raises as `bold.read`."""
    benchmarks = config.benchmarks
    wanted: list[tuple[str, Callable[[], Task]]] = []
    if benchmarks.bold is not None:
        path = benchmarks.bold
        wanted.append(("bold", lambda: _sampling_task(config, "bold", bold.read(path))))
    if benchmarks.bold_persons is not None:
        persons = benchmarks.bold_persons
        wanted.append(("bold_persons", lambda: _sampling_task(config, "bold_persons", bold.read_persons(persons))))
    return wanted


def derived(config: EvalConfig, sources: Sequence[Task]) -> list[tuple[str, Callable[[], Task]]]:
    """The names and builders of the tasks computed from the records of `sources`, which sample.

    A builder raises FileNotFoundError or ValueError when a classifier, its package, or a file of vectors is missing.
    """
    if not sources:
        return []
    how = config.continuations
    wanted: list[tuple[str, Callable[[], Task]]] = []
    if how.word_vectors is not None and any(source.name == "bold" for source in sources):
        path = how.word_vectors
        wanted.append(("word_vector_polarity", lambda: _word_vectors_task(config, path, sources)))
    if how.sentiment:
        wanted.append(("sentiment", lambda: _scores_task("sentiment", "vader", continuation_scores.vader(), sources)))
    if how.regard is not None:
        regard = how.regard
        wanted.append(("regard", lambda: _regard_task(regard, sources)))
    if how.toxicity is not None:
        toxicity, label = how.toxicity, how.toxic_label
        wanted.append(("toxicity", lambda: _toxicity_task(toxicity, label, sources)))
    if how.diversity:
        wanted.append(
            ("diversity", lambda: _records_task("diversity", "white-space-words|per-prompt", sources, _diverse))
        )
    if how.fluency:
        wanted.append(("fluency", lambda: _fluency_task(config, sources)))
    return wanted


def without_prompts(config: EvalConfig) -> list[Failure]:
    """What `continuations` asks for, not by default, although the prompts to be continued are not named."""
    how, named = config.continuations, {name for name in SETS if getattr(config.benchmarks, name) is not None}
    asked: list[tuple[str, str, str | None, tuple[str, ...]]] = [
        ("word_vector_polarity", "word_vectors", how.word_vectors, ("bold",)),
        ("regard", "regard", how.regard, tuple(SETS)),
        ("toxicity", "toxicity", how.toxicity, tuple(SETS)),
        ("fluency", "reference", how.reference if how.fluency else None, tuple(SETS)),
    ]
    return [
        Failure(
            None,
            task,
            f"continuations.{setting} = {value!r} needs continuations, but no prompts for them are named; set "
            f"{' or '.join(f'benchmarks.{name}' for name in prompts)}, or continuations.{setting}=null",
        )
        for task, setting, value, prompts in asked
        if value is not None and not named.intersection(prompts)
    ]


# -- one per family --------------------------------------------------------------------------------------------------


def _sampling_task(config: EvalConfig, name: str, prompts: list[bold.Prompt]) -> Task:
    how = config.generation
    prompts = prompts[:: math.ceil(len(prompts) / (how.max_prompts or len(prompts)))]
    key = f"unigram|tie:apart|{how.scored}|data:{data_hash(prompts)}|k:{how.num_samples}|top-p:{how.top_p:g}"
    key += f"|top-k:{how.top_k}" if how.top_k is not None else ""
    key += f"|new-tokens:{how.max_new_tokens}|seed:{how.seed}"

    def score(scorer: Scorer, part: Sequence[bold.Prompt]) -> Records:
        continuations = sample(
            scorer,
            [(prompt.id, prompt.text) for prompt in part],
            num_samples=how.num_samples,
            max_new_tokens=how.max_new_tokens,
            top_p=how.top_p,
            seed=how.seed,
            top_k=how.top_k,
        )
        return [bold.record(prompt, texts, how.scored) for prompt, texts in zip(part, continuations, strict=True)]

    def prepare(scorer: Scorer) -> Work:
        convention = f"{key}|{scorer.start_convention}"
        return Work(
            [prompt.id for prompt in prompts],
            prompts,
            lambda part: score(scorer, part),
            lambda _: (convention,),
            chunk=max(64, SAMPLES_AT_ONCE // how.num_samples),
        )

    num_tokens = about_num_tokens([prompt.text for prompt in prompts]) * how.num_samples
    num_new_tokens = len(prompts) * how.num_samples * how.max_new_tokens
    return Task(name, key, prepare, len(prompts), num_tokens, num_new_tokens)


def _word_vectors_task(config: EvalConfig, path: str, sources: Sequence[Task]) -> Task:
    lexicon = None if config.continuations.word_vectors_debiased else load_lexicon()
    biases = word_vector_polarity.read(path, lexicon)
    debiased = "debiased-vectors" if lexicon is None else f"hard-debiased-here:{lexicon.fingerprint[:8]}"
    key = f"vectors:{data_hash(sorted(biases.items()))}|{debiased}|threshold:{word_vector_polarity.THRESHOLD:g}"

    def records(part: Sequence[dict[str, Any]]) -> Records:
        return [word_vector_polarity.record(source, biases) for source in part]

    professions = [source for source in sources if source.name == "bold"]
    return _records_task("word_vector_polarity", key, professions, records)


def _regard_task(path: str, sources: Sequence[Task]) -> Task:
    score = continuation_scores.regard(path)
    key = f"classifier:{continuation_scores.classifier_id(path)}|positive-minus-negative"
    return _scores_task("regard", key, score, sources)


def _toxicity_task(path: str, label: str, sources: Sequence[Task]) -> Task:
    score = continuation_scores.toxicity(path, label)
    key = f"classifier:{continuation_scores.classifier_id(path)}|label:{label}"
    return _scores_task("toxicity", key, score, sources)


def _scores_task(name: str, key: str, score: continuation_scores.Score, sources: Sequence[Task]) -> Task:
    """Sentiment, regard or toxicity; the gender of a continuation depends on the set that it belongs to."""

    def prepare(scorer: Scorer, *found: Records) -> Work:
        items = [(SETS[task.name], record) for task, records in zip(sources, found, strict=True) for record in records]

        ids = [f"{prompts}/{record['id']}" for prompts, record in items]
        convention = f"{_key(key, sources)}|{scorer.start_convention}"

        def records(part: Sequence[tuple[str, dict[str, Any]]]) -> Records:
            return continuation_scores.records(part, score)

        return Work(ids, items, records, lambda _: (convention,), chunk=RECORDS_AT_ONCE)

    return _task(name, key, prepare, sources)


def _fluency_task(config: EvalConfig, sources: Sequence[Task]) -> Task:
    path, reference, rater = config.continuations.reference, None, "itself"
    if path is not None:
        (spec,) = parse_models([path])
        reference = load_scorer(spec, config.scoring)
        rater = record_key(model_fingerprint(spec.path, reference.model, spec.gguf_file), spec.gguf_file)
        if reference.start_convention != "start:bos":  # its own, which the fingerprint says
            rater += f"|{reference.start_convention}"
    key = f"reference:{rater}"

    def prepare(scorer: Scorer, *found: Records) -> Work:
        rating = reference or scorer
        items = [record for records in found for record in records]
        whole = f"{_key(key, sources)}|{scorer.start_convention}|tokenizer:{tokenizer_hash(rating)}"
        return Work(
            [record["id"] for record in items],
            items,
            lambda part: fluency.score(rating, part),
            lambda _: (whole,),
        )

    return _task("fluency", key, prepare, sources)


def _records_task(
    name: str, key: str, sources: Sequence[Task], records_of: Callable[[Sequence[dict[str, Any]]], Records]
) -> Task:
    """A task that needs no model: records of sampled continuations in, its own out."""

    def prepare(scorer: Scorer, *found: Records) -> Work:
        items = [record for records in found for record in records]
        convention = f"{_key(key, sources)}|{scorer.start_convention}"
        ids = [record["id"] for record in items]
        return Work(ids, items, records_of, lambda _: (convention,), chunk=RECORDS_AT_ONCE)

    return _task(name, key, prepare, sources)


def _diverse(part: Sequence[dict[str, Any]]) -> Records:
    return [fluency.diversity_record(source) for source in part]


def _task(name: str, key: str, prepare: Callable[..., Work], sources: Sequence[Task]) -> Task:
    num_items, num_new = sum(source.num_items for source in sources), sum(source.num_new_tokens for source in sources)
    needs = tuple(source.name for source in sources)
    return Task(name, _key(key, sources), prepare, num_items, num_new if name == "fluency" else 0, needs=needs)


def _key(own: str, sources: Sequence[Task]) -> str:
    return "|".join([own, *(source.key for source in sources)])
