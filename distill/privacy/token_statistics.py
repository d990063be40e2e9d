"""What a model says about each token of a text: its log-probability, and how that compares with all other tokens'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distill.evaluation.scoring.logprobs import Row, batches, hidden_states, max_positions, next_token_logprobs
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray


class TokenStatistics(NamedTuple):
    """Of the scored tokens of a text, four rows [4, num_tokens].

    logprobs: log P of the token in nats. means, deviations: mean and standard deviation of log P over the vocabulary,
    under the model's own prediction. is_top: 1 where the token is the likeliest one, else 0.
    """

    logprobs: FloatArray
    means: FloatArray
    deviations: FloatArray
    is_top: FloatArray


def text_row(ids: Sequence[int]) -> Row:
    """The row that scores every token of a text but the first, which the others are conditioned on."""
    return Row(ids[:-1], range(len(ids) - 1), ids[1:])


@torch.inference_mode()
def token_statistics(scorer: Scorer, rows: Sequence[Row]) -> list[TokenStatistics]:
    """The statistics of every row's targets, in the order of the rows.

    Raises ValueError if the model gives NaN or infinite logits.
    """
    found: dict[int, TokenStatistics] = {}
    for batch in batches([len(row.input_ids) for row in rows], scorer.max_batch_tokens):
        hidden = hidden_states(scorer, [rows[index].input_ids for index in batch])
        states = torch.cat([hidden[line, list(rows[index].positions)] for line, index in enumerate(batch)])
        targets = torch.tensor([target for index in batch for target in rows[index].targets], device=states.device)
        parts = np.concatenate(list(_in_parts(scorer, states, targets)), axis=1)
        ends = np.cumsum([len(rows[index].targets) for index in batch])[:-1]
        for index, part in zip(batch, np.split(parts, ends, axis=1), strict=True):
            found[index] = TokenStatistics(*part)
    return [found[index] for index in range(len(rows))]


def _in_parts(scorer: Scorer, states: Tensor, targets: Tensor) -> Iterator[FloatArray]:
    """The four statistics [4, n] of so many predictions at a time that their logits fit into memory."""
    size = max_positions(scorer)
    for own_states, own_targets in zip(states.split(size), targets.split(size), strict=True):
        logprobs = next_token_logprobs(scorer, own_states)
        chosen = logprobs.gather(1, own_targets[:, None])[:, 0]
        is_top = chosen == logprobs.max(dim=1).values
        probs = logprobs.exp()
        finite = logprobs.nan_to_num(neginf=0.0)  # a token that is ruled out has probability 0, and counts nothing
        means = (probs * finite).sum(dim=1)
        squares = (probs * (finite - means[:, None]) ** 2).sum(dim=1)
        yield torch.stack([chosen, means, squares.sqrt(), is_top.to(chosen)]).double().cpu().numpy()
