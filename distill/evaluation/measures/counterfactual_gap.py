"""Counterfactual gap: how differently does a model treat a text and its gender-swapped counterfactual?

Predictions: the total variation between S(. | x) and M S(. | x'), over aligned positions whose context holds a swapped
word. M carries the counterfactual's prediction back into the original world (`distill.loss.targets.carry`).
Likelihoods: |log P(x) - log P(x')| per token of the whole documents. Documents without a gendered term, or with none
within the model's context, have no counterfactual and are left out. The document is the unit of resampling.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from augment.lexicon import Lexicon, load_lexicon
from distill.data.packing import PairedExample, pair_texts
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.scoring.logprobs import (
    batches,
    hidden_states,
    max_positions,
    next_token_logprobs,
    target_logprobs,
)
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Task, Work, about_num_tokens, data_hash, tokenizer_hash
from distill.loss.gender_classes import GenderClasses, gender_classes
from distill.loss.targets import carry


def task(inputs: Inputs) -> Task | None:
    """Every document that has a counterfactual is an item. Raises as `load_lexicon`."""
    config, documents = inputs.config.counterfactual_gap, inputs.documents
    if not config.enabled or documents is None:
        return None
    lexicon = load_lexicon(config.tiers, config.lexicon)
    key = f"text:{data_hash(documents)}|lexicon:{lexicon.fingerprint[:8]}|after-first-swap"
    # by tokenizer and start token, because models that share them share the pairs
    prepared: dict[tuple[str, int | None], tuple[list[tuple[int, PairedExample]], GenderClasses]] = {}

    def prepare(scorer: Scorer) -> Work:
        tokenizer = tokenizer_hash(scorer)
        if (tokenizer, scorer.start_id) not in prepared:
            swapped = swapped_pairs(documents, scorer.tokenizer, lexicon, scorer.start, scorer.num_ids)
            prepared[tokenizer, scorer.start_id] = swapped, gender_classes(scorer.tokenizer, lexicon)
        pairs, classes = prepared[tokenizer, scorer.start_id]
        context = scorer.context or sys.maxsize
        is_cut = any(max(len(pair.input_ids), len(pair.cf_input_ids)) > context for _, pair in pairs)
        cut = f"cut-at-word:{context}" if is_cut else "whole-documents"
        convention = f"{key}|{scorer.start_convention}|{cut}|tokenizer:{tokenizer}"
        ids = [f"document/{number}" for number, _ in pairs]
        return Work(ids, pairs, lambda part: score(scorer, part, classes), lambda _: (convention,))

    return Task("counterfactual_gap", key, prepare, len(documents), 2 * about_num_tokens(documents))


def swapped_pairs(
    documents: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    lexicon: Lexicon,
    start: Sequence[int],
    num_ids: int | None = None,
) -> list[tuple[int, PairedExample]]:
    """The documents that have a counterfactual, tokenised after `start`, each with its number.

    num_ids: how many ids the model knows, if the tokenizer has more. Raises ValueError when none has one, or for a
    document with another id.
    """
    paired = pair_texts(documents, tokenizer, lexicon, start, num_ids=num_ids)
    pairs = enumerate(document.example for document in paired)
    swapped = [(n, pair) for n, pair in pairs if not np.array_equal(pair.input_ids, pair.cf_input_ids)]
    if not swapped:
        raise ValueError("none of the documents holds a gendered term, so there is no counterfactual; check text.path")
    return swapped


@torch.inference_mode()
def score(scorer: Scorer, pairs: Sequence[tuple[int, PairedExample]], classes: GenderClasses) -> list[dict[str, Any]]:
    """One record per document: sum of total variations, compared positions, and both views' log-likelihoods (nats).

    classes: what M carries (`distill.loss.gender_classes.gender_classes`). A document beyond the model's context is cut
    there (`cut_pair`).
    """
    classes = classes.to(scorer.model.device)
    limit = scorer.context or max(max(len(pair.input_ids), len(pair.cf_input_ids)) for _, pair in pairs)
    cut = [(number, cut_pair(pair, limit)) for number, pair in pairs]
    records: list[dict[str, Any]] = [{} for _ in cut]
    lengths = [2 * max(len(pair.input_ids), len(pair.cf_input_ids)) for _, pair in cut]
    for batch in batches(lengths, scorer.max_batch_tokens):
        members = [cut[index][1] for index in batch]
        hidden = hidden_states(
            scorer, [view.tolist() for pair in members for view in (pair.input_ids, pair.cf_input_ids)]
        )
        variations = _total_variations(scorer, hidden, members, classes)
        likelihoods = _log_likelihoods(scorer, hidden, [view for pair in members for view in pair[:2]])
        for line, (index, pair) in enumerate(zip(batch, members, strict=True)):
            records[index] = {
                "id": f"document/{cut[index][0]}",
                "total_variation": float(variations[line].sum()),
                "num_positions": len(variations[line]),
                "logprob": float(likelihoods[2 * line].sum()),
                "cf_logprob": float(likelihoods[2 * line + 1].sum()),
                "num_tokens": len(pair.input_ids) - 1,
                "num_cf_tokens": len(pair.cf_input_ids) - 1,
            }
    return records


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Mean total variation over the compared positions, and mean |log P(x) - log P(x')| per token over documents."""
    compared = [record for record in records if record["num_positions"]]
    names = [record["id"] for record in compared]
    variation = np.array([[record["total_variation"], record["num_positions"]] for record in compared]).reshape(-1, 2)
    gaps = np.array(
        [[2 * abs(r["logprob"] - r["cf_logprob"]) / (r["num_tokens"] + r["num_cf_tokens"]), 1.0] for r in compared]
    ).reshape(-1, 2)
    shared: dict[str, Any] = {"higher_is_better": False, "convention": convention, "settings": settings}
    positions = {"unit": "probability", "num_items": int(variation[:, 1].sum()), **shared}
    per_token = {"unit": "nats per token", "num_items": len(gaps), **shared}
    return [
        estimate("counterfactual_gap/total_variation", names, variation, ratio, **positions),
        estimate("counterfactual_gap/log_likelihood", names, gaps, ratio, **per_token),
    ]


def compared_positions(pair: PairedExample) -> np.ndarray:
    """The positions of the original that have a partner and whose context, itself included, holds a swapped token."""
    shorter = min(len(pair.input_ids), len(pair.cf_input_ids))
    moved = (pair.align >= 0) & (pair.align != np.arange(len(pair.align)))  # "baron" may be the first of "baroness"
    differs = np.flatnonzero((pair.input_ids[:shorter] != pair.cf_input_ids[:shorter]) | moved[:shorter])
    first = differs[0] if len(differs) else shorter
    return np.flatnonzero((pair.align >= 0) & (np.arange(len(pair.align)) >= first))


def _total_variations(
    scorer: Scorer, hidden: Tensor, pairs: Sequence[PairedExample], classes: GenderClasses
) -> list[FloatArray]:
    """The total variation at each compared position of each pair; rows 2i and 2i + 1 of `hidden` are pair i's views."""
    longest = hidden.shape[1]
    chosen = [compared_positions(pair) for pair in pairs]
    own = np.concatenate([2 * line * longest + where for line, where in enumerate(chosen)])
    other = np.concatenate(
        [
            (2 * line + 1) * longest + pair.align[where]
            for line, (pair, where) in enumerate(zip(pairs, chosen, strict=True))
        ]
    )
    flat, chunk = hidden.flatten(0, 1), max_positions(scorer)
    distances = [np.zeros(0)]
    for start in range(0, len(own), chunk):
        part = slice(start, start + chunk)
        logprobs = next_token_logprobs(scorer, flat[torch.from_numpy(own[part]).to(flat.device)])
        cf_logprobs = next_token_logprobs(scorer, flat[torch.from_numpy(other[part]).to(flat.device)])
        distance = (logprobs.exp() - carry(cf_logprobs, logprobs, classes).exp()).abs().sum(-1, dtype=torch.float64) / 2
        distances.append(distance.cpu().numpy())
    return np.split(np.concatenate(distances), np.cumsum([len(where) for where in chosen])[:-1])


def _log_likelihoods(scorer: Scorer, hidden: Tensor, views: Sequence[np.ndarray]) -> list[FloatArray]:
    """log P of each token but the first of each view, in nats; line i of `hidden` belongs to view i."""
    where = [line * hidden.shape[1] + np.arange(len(ids) - 1) for line, ids in enumerate(views)]
    targets = np.concatenate([ids[1:] for ids in views])
    logprobs = target_logprobs(
        scorer, hidden.flatten(0, 1), torch.from_numpy(np.concatenate(where)), torch.from_numpy(targets)
    )
    return np.split(logprobs, np.cumsum([len(part) for part in where])[:-1])


def cut_pair(pair: PairedExample, limit: int) -> PairedExample:
    """The pair, with both views cut at the same word if one of them is longer than `limit` tokens.

    Both are cut after the last pair of aligned tokens that lies within the limit. If each view were cut after `limit`
    tokens, views of unequal length would end in different text.
    """
    if max(len(pair.input_ids), len(pair.cf_input_ids)) <= limit:
        return pair
    align = pair.align[:limit]
    both = np.flatnonzero((align >= 0) & (align < limit))
    last, cf_last = (both[-1], align[both[-1]]) if len(both) else (0, 0)
    return PairedExample(
        pair.input_ids[: last + 1], pair.cf_input_ids[: cf_last + 1], np.where(align <= cf_last, align, -1)[: last + 1]
    )


MEASURE = Measure(
    name="counterfactual_gap",
    task=task,
    summarise=summarise,
    descriptions={
        "counterfactual_gap/total_variation": Description(
            "Counterfactual gap: predictions",
            "counterfactual gap",
            "Mean total variation between the prediction on a text and the one on its gender-swapped counterfactual, "
            "carried back. 0: the model treats both worlds alike; 1 is the largest possible value.",
        ),
        "counterfactual_gap/log_likelihood": Description(
            "Counterfactual gap: likelihood",
            None,
            "Mean over documents of |log P(text) - log P(counterfactual)| per token.",
        ),
    },
    reads_text=lambda config: config.counterfactual_gap.enabled,
)
