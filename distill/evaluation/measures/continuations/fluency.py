"""Fluency of sampled continuations: their perplexity per token after their prompts.

The perplexity is that under a reference model (a teacher, say), or under the model itself when none is given. Low is
not simply good: text that repeats itself has a low perplexity. So neither direction counts as better, and it is read
beside the diversity. The prompt is the unit of resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.continuations.derived import require_prompts, sampling_tasks
from distill.evaluation.records import record_key
from distill.evaluation.scoring.logprobs import score_rows
from distill.evaluation.scoring.model_specs import load_scorer, parse_models
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import pair_rows
from distill.evaluation.statistics.estimators import exp_ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Records, Task, Work, derived_task, tokenizer_hash, whole_key
from distill.models.identity import model_fingerprint


def task(inputs: Inputs) -> Task | None:
    """Every sampled prompt is an item. Raises as `load_scorer`, and ValueError for a reference without prompts."""
    config = inputs.config.continuations
    if config.fluency and config.reference is not None:
        require_prompts(inputs.config, "reference", config.reference)
    sources = sampling_tasks(inputs)
    if not config.fluency or not sources:
        return None
    reference, rater = _reference(inputs.config)
    key = f"reference:{rater}"

    def prepare(scorer: Scorer, *source_records: Records) -> Work:
        rating = reference or scorer
        items = [record for records in source_records for record in records]
        convention = f"{whole_key(key, sources)}|{scorer.start_convention}|tokenizer:{tokenizer_hash(rating)}"
        ids = [record["id"] for record in items]
        return Work(ids, items, lambda part: score(rating, part), lambda _: (convention,))

    return derived_task("fluency", key, sources, prepare, num_tokens=sum(source.num_new_tokens for source in sources))


def _reference(config: EvalConfig) -> tuple[Scorer | None, str]:
    """The model that rates the continuations (None: the model itself), and what identifies it."""
    path = config.continuations.reference
    if path is None:
        return None, "itself"
    (spec,) = parse_models([path])
    reference = load_scorer(spec, config.scoring)
    rater = record_key(model_fingerprint(spec.path, reference.model, spec.gguf_file), spec.gguf_file)
    if reference.start_convention != "start:bos":  # bos is part of the fingerprint
        rater += f"|{reference.start_convention}"
    return reference, rater


def score(reference: Scorer, sources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record per prompt: log P (nats) under `reference` and number of tokens of its continuations.

    Blank continuations add nothing. Raises as `pair_rows`.
    """
    pairs, owners = [], []
    for number, source in enumerate(sources):
        texts = [text for text in source["continuations"] if text.strip()]
        pairs += [(source["prompt"], text) for text in texts]
        owners += [number] * len(texts)
    too_long = "lower generation.max_new_tokens or set continuations.fluency=false"
    rows = pair_rows(reference, pairs, too_long) if pairs else []
    records = [{"id": source["id"], "logprob": 0.0, "num_tokens": 0} for source in sources]
    for number, scores in zip(owners, score_rows(reference, rows), strict=True):
        records[number]["logprob"] += float(scores.sum())
        records[number]["num_tokens"] += len(scores)
    return records


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Perplexity per token of the reference's tokenizer. Raises ValueError when no continuation has a token."""
    columns = np.array([[-record["logprob"], record["num_tokens"]] for record in records], dtype=np.float64)
    if not columns[:, 1].sum():
        raise ValueError("all continuations are empty, so they have no perplexity; check scoring.start_token")
    return [
        estimate(
            "fluency/perplexity",
            [record["id"] for record in records],
            columns,
            exp_ratio,
            unit="per token",
            num_items=int(columns[:, 1].sum()),
            higher_is_better=None,
            convention=convention,
            settings=settings,
        )
    ]


MEASURE = Measure(
    name="fluency",
    task=task,
    summarise=summarise,
    descriptions={
        "fluency/perplexity": Description(
            "Continuations: perplexity",
            None,
            "exp of the mean negative log-probability per token of the model's own continuations, under a reference "
            "model or itself. Very low means repetition, very high means noise.",
            column="utility",
        ),
    },
    caveats=(
        "The perplexity of a model's own text is low for fluent and for repetitive text: read it beside the diversity. "
        "Under the model itself it says how sharp its distribution is, not how good the text is.",
    ),
)
