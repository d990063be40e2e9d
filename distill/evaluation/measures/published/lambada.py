"""LAMBADA (Paperno et al. 2016): can the model guess the last word of a passage, for which it needs the whole passage?

The convention is that of lm-evaluation-harness's `lambada_openai`, so both can be compared passage by passage. The text
is divided at its last space; context and " word" are tokenised together; no start token stands before the context; and
what does not fit the model's context is cut on the left. A passage counts as right when each token of the word is the
likeliest one (greedy decoding would give it). The perplexity is exp(-mean log P(word)), per word and not per token. The
passage is the unit of resampling. GPT-2 (124M) has an accuracy of 0.3256 and a perplexity of 40.06 (lm-eval issue
2159).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.published.benchmark_files import check_columns, hub_data_set, read_hub, read_jsonl
from distill.evaluation.scoring.logprobs import batches, hidden_states, max_positions, next_token_logprobs
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import TOO_LONG, split_ids
from distill.evaluation.statistics.estimators import exp_ratio, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Records, Task, Work, about_num_tokens, data_hash

SOURCE = "evenhand data get lambada"
HUB_NAME = "EleutherAI/lambada_openai"
KEY = "benchmarks.lambada"


@dataclass(frozen=True)
class Passage:
    """A text divided before the space that precedes its last word."""

    id: str
    context: str
    target: str


def task(inputs: Inputs) -> Task | None:
    """Every passage is an item. The convention also says whether a passage was cut. Raises as `read`."""
    path = inputs.config.benchmarks.lambada
    if path is None:
        return None
    passages = read(path)
    key = f"lambada_openai|data:{data_hash(passages)}|start:none|last-space"

    def prepare(scorer: Scorer) -> Work:
        def conventions(records: Records) -> tuple[str]:
            is_cut = any(record["num_cut_tokens"] for record in records)
            return (f"{key}|{f'cut-left:{scorer.context}' if is_cut else 'whole-passages'}",)

        return Work([item.id for item in passages], passages, partial(score, scorer), conventions)

    return Task("lambada", key, prepare, len(passages), about_num_tokens([item.context for item in passages]))


def read(path: str) -> list[Passage]:
    """The passages of a .jsonl(.gz) file with the field `text`, or of the hub.

    Raises FileNotFoundError or ValueError with the remedy.
    """
    name = hub_data_set(path, HUB_NAME)
    if name is not None:
        rows = read_hub(name, KEY, SOURCE, subset="default", split="test")
        check_columns(rows, ("text",), path, KEY, SOURCE)
    else:
        rows = read_jsonl(path, KEY, SOURCE, ("text",))
    return [
        passage(f"passage/{number}", str(row["text"]), f"{path}: row {number + 1}") for number, row in enumerate(rows)
    ]


def passage(name: str, text: str, place: str = "a passage") -> Passage:
    """Divide a text. Space at the end of the context goes to the target; line ends after the text do not belong to it.

    place: what the message names. Raises ValueError for a text of one word.
    """
    text = text.rstrip("\r\n")
    before, space, word = text.rpartition(" ")
    context = before.rstrip()
    if not space or not context or not word:
        raise ValueError(
            f"{KEY}: {place} ({text[:40]!r}) is not a text of several words that ends in one; repair or remove it"
        )
    return Passage(name, context, text[len(context) :])


@torch.inference_mode()
def score(scorer: Scorer, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """One record per passage: log P(word | context) in nats, its number of tokens, whether it is the greedy choice.

    num_cut_tokens: how many tokens of the context did not fit. Raises ValueError for NaN or infinite logits.
    """
    rows, records = _rows(scorer, passages)
    for batch in batches([len(ids) - 1 for ids, _ in rows], scorer.max_batch_tokens):
        hidden = hidden_states(scorer, [rows[index][0][:-1] for index in batch])
        where = [
            line * hidden.shape[1] + position
            for line, index in enumerate(batch)
            for position in range(len(rows[index][0]) - 1 - rows[index][1], len(rows[index][0]) - 1)
        ]
        targets = torch.tensor([token for index in batch for token in rows[index][0][-rows[index][1] :]])
        scores = _target_scores(scorer, hidden.flatten(0, 1)[torch.tensor(where, device=hidden.device)], targets)
        ends = np.cumsum([rows[index][1] for index in batch])
        for index, word_scores in zip(batch, np.split(scores, ends[:-1]), strict=True):
            records[index] |= {"logprob": float(word_scores[:, 0].sum()), "is_greedy": bool(word_scores[:, 1].all())}
    return records


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """Accuracy (a proportion) and perplexity per target word."""
    names = [record["id"] for record in records]
    ones = np.ones(len(records))
    right = np.stack([np.array([float(record["is_greedy"]) for record in records]), ones], axis=1)
    cost = np.stack([-np.array([record["logprob"] for record in records]), ones], axis=1)
    shared: dict[str, Any] = {"num_items": len(records), "convention": convention, "settings": settings}
    return [
        estimate("lambada/accuracy", names, right, ratio, unit="proportion", higher_is_better=True, **shared),
        estimate("lambada/perplexity", names, cost, exp_ratio, unit="per word", higher_is_better=False, **shared),
    ]


def _rows(scorer: Scorer, passages: Sequence[Passage]) -> tuple[list[tuple[list[int], int]], list[dict[str, Any]]]:
    """For each passage: the ids that fit, the number of target tokens at their end, and the record so far.

    Raises ValueError for a last word so long that no context is left.
    """
    without_start = replace(scorer, start_id=None)
    rows, records = [], []
    pairs = [(item.context, item.target) for item in passages]
    for item, (context, target) in zip(passages, split_ids(without_start, pairs), strict=True):
        ids = context + target
        kept = ids if scorer.context is None else ids[-(scorer.context + 1) :]
        if len(target) >= len(kept):
            raise ValueError(
                f"{scorer.label}: the last word of {item.id} has {len(target)} tokens, which leaves no room for "
                f"context; {TOO_LONG}"
            )
        rows.append((kept, len(target)))
        records.append({"id": item.id, "num_tokens": len(target), "num_cut_tokens": len(ids) - len(kept)})
    return rows, records


def _target_scores(scorer: Scorer, hidden: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """(log P, is the likeliest token) [N, 2] of targets [N] from hidden states [N, H]."""
    scores = []
    chunk = max_positions(scorer)
    for states, wanted in zip(hidden.split(chunk), targets.to(hidden.device).split(chunk), strict=True):
        logprobs = next_token_logprobs(scorer, states)
        chosen = logprobs.gather(-1, wanted[:, None])[:, 0]
        scores.append(torch.stack([chosen.double(), (logprobs.argmax(-1) == wanted).double()], dim=1).cpu())
    return torch.cat(scores).numpy()


MEASURE = Measure(
    name="lambada",
    task=task,
    summarise=summarise,
    descriptions={
        "lambada/accuracy": Description(
            "LAMBADA: accuracy",
            "LAMBADA",
            "How often the last word of a passage is what the model would write.",
            column="utility",
        ),
        "lambada/perplexity": Description(
            "LAMBADA: perplexity",
            None,
            "exp of the mean negative log-probability of the last word, per word.",
            column="utility",
        ),
    },
    caveats=(
        "LAMBADA accepts only one spelling of one word, after passages from novels: a model of other texts scores low.",
    ),
)
