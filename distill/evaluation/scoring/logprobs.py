"""Log-probabilities of a causal LM: rows of token ids in, natural log-probabilities out.

A score does not depend on the batch it was computed in: rows are padded on the right, where causal attention cannot see
the padding, and the softmax is taken in float32 over the scored positions only (the output embeddings are applied to
the hidden states of those positions, never to whole sequences).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from distill.evaluation.processes import message_of
from distill.evaluation.scoring.prefix_sharing import Tree, tree_states, trees
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray
from distill.loss.matmul import bfloat16_products

MAX_LOGITS = 1 << 23  # logits held at a time: 32 MiB of float32


class Row(NamedTuple):
    """Score log P(targets[j] | input_ids[: positions[j] + 1]) for every j. Positions may repeat."""

    input_ids: Sequence[int]
    positions: Sequence[int]
    targets: Sequence[int]


@torch.inference_mode()
def score_rows(scorer: Scorer, rows: Sequence[Row]) -> list[FloatArray]:
    """The log-probabilities of every row's targets, in nats, as float64 arrays [num_targets] in the order of the rows.

    Rows that read the same ids share one forward pass; so do equal beginnings, where the model allows it. Raises
    ValueError for log-probabilities that are not numbers, on all of the scorer's processes.
    """
    sharing: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        sharing.setdefault(tuple(row.input_ids), []).append(index)
    inputs = list(sharing)
    mine: dict[int, FloatArray] = {}
    message = None
    try:
        for hidden, places in _forward_passes(scorer, inputs):
            members = [(index, where) for number, where in places for index in sharing[inputs[number]]]
            where = np.concatenate([places[np.asarray(rows[index].positions, dtype=int)] for index, places in members])
            targets = np.concatenate([np.asarray(rows[index].targets, dtype=np.int64) for index, _ in members])
            found = target_logprobs(scorer, hidden.flatten(0, 1), torch.from_numpy(where), torch.from_numpy(targets))
            ends = np.cumsum([len(rows[index].targets) for index, _ in members])
            mine |= {index: part for (index, _), part in zip(members, np.split(found, ends[:-1]), strict=True)}
    except Exception as error:  # the other processes wait for this one
        if scorer.processes.count == 1:
            raise
        message = message_of(error)
    scores: dict[int, FloatArray] = {}
    for found_there, message_there in scorer.processes.gather((mine, message)):
        if message_there is not None:
            raise ValueError(message_there)
        scores |= found_there
    return [scores[index] for index in range(len(rows))]


def _forward_passes(
    scorer: Scorer, inputs: Sequence[tuple[int, ...]]
) -> Iterator[tuple[Tensor, list[tuple[int, npt.NDArray[np.int64]]]]]:
    """This process's share of the forward passes over all inputs: hidden states [num_lines, longest, H], and for each
    input in them its number and where its tokens are in hidden.flatten(0, 1)."""
    if scorer.shares_prefixes:
        joined = trees(inputs)
    else:
        joined = [Tree(list(ids), [], [], {number: list(range(len(ids)))}) for number, ids in enumerate(inputs)]
    alone, together = ([tree for tree in joined if (len(tree.paths) > 1) == several] for several in (False, True))
    passes = [
        [family[index] for index in batch]
        for family in (alone, together)
        for batch in batches([len(tree.ids) for tree in family], scorer.max_batch_tokens)
    ]
    for batch in passes[scorer.processes.index :: scorer.processes.count]:
        if len(batch[0].paths) > 1:
            hidden = tree_states(scorer.model, batch)
        else:
            hidden = hidden_states(scorer, [tree.ids for tree in batch])
        found = [(number, line, path) for line, tree in enumerate(batch) for number, path in tree.paths.items()]
        yield hidden, [(number, line * hidden.shape[1] + np.asarray(path, dtype=int)) for number, line, path in found]


def batches(lengths: Sequence[int], max_batch_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, the longest first, with at most `max_batch_tokens` padded tokens each.

    A row that exceeds the budget alone is a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        longest = lengths[batch[0]] if batch else 0
        if batch and longest * (len(batch) + 1) > max_batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def hidden_states(scorer: Scorer, rows: Sequence[Sequence[int]]) -> Tensor:
    """The last hidden states [num_rows, longest, H] of rows padded on the right; what lies over padding is meaningless.

    No attention mask is needed: causal attention never looks to the right.
    """
    ids = padded(rows).to(scorer.model.device)
    return scorer.model.base_model(input_ids=ids, use_cache=False).last_hidden_state


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Token ids [num_rows, longest]: each row followed by its last token again and again."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *([row[-1]] * (longest - len(row)))] for row in rows])


def next_token_logprobs(scorer: Scorer, hidden: Tensor) -> Tensor:
    """float32 log-softmax [N, V] over the vocabulary from hidden states [N, H]; the matrix product is float32 too.

    Raises ValueError when the model gives NaN or infinite logits.
    """
    logits, normaliser = _logits(scorer, hidden)
    return logits.sub_(normaliser[:, None])


def _logits(scorer: Scorer, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """float32 logits [N, V] and their logsumexp [N]."""
    head = scorer.model.get_output_embeddings()
    bias = None if getattr(head, "bias", None) is None else head.bias.float()
    exact = {hidden.dtype, head.weight.dtype} == {torch.bfloat16}  # operands that rounding leaves as they are
    with bfloat16_products(exact):
        logits = torch.nn.functional.linear(hidden.float(), scorer.head_weight, bias)
    normaliser = logits.logsumexp(dim=-1)
    if not torch.isfinite(normaliser).all():
        raise ValueError(f"{scorer.label}: the model gives NaN or infinite logits; its weights are damaged or overflow")
    return logits, normaliser


def max_positions(scorer: Scorer) -> int:
    """How many positions' distributions over the vocabulary may be held at a time."""
    return max(1, MAX_LOGITS // scorer.model.get_output_embeddings().weight.shape[0])


def target_logprobs(scorer: Scorer, hidden: Tensor, where: Tensor, targets: Tensor) -> FloatArray:
    """log P of `targets` [N] at rows `where` [N] of `hidden` [M, H]; each row's distribution is computed once."""
    unique, inverse = torch.unique(where, return_inverse=True)
    result = np.empty(len(targets))
    chunk = max_positions(scorer)
    for start in range(0, len(unique), chunk):
        logits, normaliser = _logits(scorer, hidden[unique[start : start + chunk].to(hidden.device)])
        chosen = (inverse >= start) & (inverse < start + chunk)
        rows = (inverse[chosen] - start).to(hidden.device)
        found = logits[rows, targets[chosen].to(hidden.device)].double() - normaliser[rows].double()
        result[chosen.numpy()] = found.cpu().numpy()
    return result
