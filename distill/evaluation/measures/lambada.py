"""LAMBADA (Paperno et al. 2016): can the model guess the last word of a passage, which needs all of it?

The convention is lm-evaluation-harness's `lambada_openai`, so that both can be compared passage by passage: the text is
divided at its last space; context and " word" are tokenised together; no start token stands before the context; what
does not fit the model's context is cut on the left. A passage counts as right when each token of the word is the
likeliest one (greedy decoding would give it). The perplexity is exp(-mean log P(word)), per word and not per token. The
passage is the unit of resampling. The accuracy of GPT-2 (124M) is 0.3256, its perplexity 40.06 (lm-eval issue 2159).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.benchmark_files import check_columns, hub_name, read_hub, read_jsonl
from distill.evaluation.scoring.logprobs import batches, hidden_states, max_positions, next_token_logprobs
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import split_ids
from distill.evaluation.statistics.estimators import exp_ratio, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate

SOURCE = "hf download EleutherAI/lambada_openai data/lambada_test.jsonl --repo-type dataset --local-dir ."
HUB_NAME = "EleutherAI/lambada_openai"
KEY = "benchmarks.lambada"


@dataclass(frozen=True)
class Passage:
    """A text divided before the space that precedes its last word."""

    id: str
    context: str
    target: str


def read(path: str) -> list[Passage]:
    """The passages of a .jsonl(.gz) file with the field `text`, or of the hub.

    Raises FileNotFoundError or ValueError with the remedy.
    """
    name = hub_name(path, HUB_NAME)
    if name is not None:
        rows = read_hub(name, KEY, SOURCE, subset="default", split="test")
        check_columns(rows, ("text",), path, KEY, SOURCE)
    else:
        rows = read_jsonl(path, KEY, SOURCE, ("text",))
    return [passage(f"passage/{number}", str(row["text"])) for number, row in enumerate(rows)]


def passage(name: str, text: str) -> Passage:
    """Divide a text. Space at the end of the context goes to the target. Raises ValueError for a text of one word."""
    before, space, word = text.rpartition(" ")
    context = before.rstrip()
    if not space or not context or not word:
        raise ValueError(f"{KEY}: {name} ({text[:40]!r}) is not a text of several words that ends in one")
    return Passage(name, context, text[len(context) :])


@torch.inference_mode()
def score(scorer: Scorer, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """One record per passage: log P(word | context) in nats, its number of tokens, whether it is the greedy choice.

    num_cut_tokens: how many tokens of the context did not fit. Raises ValueError for NaN or infinite logits.
    """
    bare = replace(scorer, start_id=None)
    rows, records = [], []
    for item, (prefix, rest) in zip(passages, split_ids(bare, [(p.context, p.target) for p in passages]), strict=True):
        whole = prefix + rest
        kept = whole if scorer.context is None else whole[-(scorer.context + 1) :]
        if len(rest) >= len(kept):
            raise ValueError(
                f"{scorer.label}: the last word of {item.id} has {len(rest)} tokens, which leaves no context before it"
            )
        rows.append((kept, len(rest)))
        records.append({"id": item.id, "num_tokens": len(rest), "num_cut_tokens": len(whole) - len(kept)})
    for batch in batches([len(ids) - 1 for ids, _ in rows], scorer.max_batch_tokens):
        hidden = hidden_states(scorer, [rows[index][0][:-1] for index in batch])
        where = [
            line * hidden.shape[1] + position
            for line, index in enumerate(batch)
            for position in range(len(rows[index][0]) - 1 - rows[index][1], len(rows[index][0]) - 1)
        ]
        targets = torch.tensor([token for index in batch for token in rows[index][0][-rows[index][1] :]])
        found = _target_scores(scorer, hidden.flatten(0, 1)[torch.tensor(where, device=hidden.device)], targets)
        ends = np.cumsum([rows[index][1] for index in batch])
        for index, part in zip(batch, np.split(found, ends[:-1]), strict=True):
            records[index] |= {"logprob": float(part[:, 0].sum()), "is_greedy": bool(part[:, 1].all())}
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


def _target_scores(scorer: Scorer, hidden: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """(log P, is the likeliest token) [N, 2] of targets [N] from hidden states [N, H]."""
    parts = []
    chunk = max_positions(scorer)
    for states, wanted in zip(hidden.split(chunk), targets.to(hidden.device).split(chunk), strict=True):
        logprobs = next_token_logprobs(scorer, states)
        chosen = logprobs.gather(-1, wanted[:, None])[:, 0]
        parts.append(torch.stack([chosen.double(), (logprobs.argmax(-1) == wanted).double()], dim=1).cpu())
    return torch.cat(parts).numpy()
