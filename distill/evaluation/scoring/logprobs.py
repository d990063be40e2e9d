"""Natural log-probabilities of token ids under a causal language model.

A score does not depend on its batch. Rows are padded on the right, where causal attention cannot see the padding. The
softmax is taken in float32 and over the scored positions only: the output embeddings are applied to the hidden states
of those positions, never to whole sequences.
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
from distill.loss.matmul import bfloat16_matmul
from distill.models.logit_transform import logit_transform
from distill.models.sizes import num_predicted_ids

# Logits held at a time: 32 MiB of float32 on a CPU, 512 MiB on a GPU, which the host waits for after each such part
MAX_LOGITS, MAX_LOGITS_ON_GPU = 1 << 23, 1 << 27


class Row(NamedTuple):
    """Score log P(targets[j] | input_ids[: positions[j] + 1]) for every j. Positions may repeat."""

    input_ids: Sequence[int]
    positions: Sequence[int]
    targets: Sequence[int]


class ForwardPass(NamedTuple):
    """Hidden states [num_lines, longest, H], and which rows of hidden.flatten(0, 1) belong to the tokens of an input.

    places: by the index of the input, [num_tokens].
    """

    hidden: Tensor
    places: dict[int, npt.NDArray[np.int64]]


@torch.inference_mode()
def score_rows(scorer: Scorer, rows: Sequence[Row]) -> list[FloatArray]:
    """The log-probabilities of every row's targets, in nats: float64 arrays [num_targets] in the order of the rows.

    Rows with the same ids share one forward pass; so do rows with equal beginnings, if the model allows it. Raises
    ValueError on all of the scorer's processes if a log-probability is not a number.
    """
    rows_of: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        rows_of.setdefault(tuple(row.input_ids), []).append(index)
    inputs = list(rows_of)
    own: dict[int, FloatArray] = {}
    own_message = None
    try:
        for hidden, places in _forward_passes(scorer, inputs):
            members = {index: places[number] for number in places for index in rows_of[inputs[number]]}
            own |= _score_members(scorer, hidden, rows, members)
    except Exception as error:
        if scorer.processes.count == 1:
            raise
        own_message = message_of(error)  # raised below: the other processes wait for this one
    scores: dict[int, FloatArray] = {}
    for part, message in scorer.processes.gather((own, own_message)):
        if message is not None:
            raise ValueError(message)
        scores |= part
    return [scores[index] for index in range(len(rows))]


def _score_members(
    scorer: Scorer, hidden: Tensor, rows: Sequence[Row], members: dict[int, npt.NDArray[np.int64]]
) -> dict[int, FloatArray]:
    """The log-probabilities of the rows that one forward pass has read. members: by row, the places of its tokens."""
    where = np.concatenate([places[np.asarray(rows[index].positions, dtype=int)] for index, places in members.items()])
    targets = np.concatenate([np.asarray(rows[index].targets, dtype=np.int64) for index in members])
    logprobs = target_logprobs(scorer, hidden.flatten(0, 1), torch.from_numpy(where), torch.from_numpy(targets))
    ends = np.cumsum([len(rows[index].targets) for index in members])
    return dict(zip(members, np.split(logprobs, ends[:-1]), strict=True))


def _forward_passes(scorer: Scorer, inputs: Sequence[tuple[int, ...]]) -> Iterator[ForwardPass]:
    """This process's share of the forward passes over all inputs."""
    if scorer.shares_prefixes:
        joined = trees(inputs)
    else:
        joined = [Tree(list(ids), [], [], {number: list(range(len(ids)))}) for number, ids in enumerate(inputs)]
    single = [tree for tree in joined if len(tree.paths) == 1]
    shared = [tree for tree in joined if len(tree.paths) > 1]
    passes = [
        [family[index] for index in batch]
        for family in (single, shared)
        for batch in batches([len(tree.ids) for tree in family], scorer.max_batch_tokens)
    ]
    for batch in passes[scorer.processes.index :: scorer.processes.count]:
        if len(batch[0].paths) > 1:
            hidden = tree_states(scorer.model, batch)
        else:
            hidden = hidden_states(scorer, [tree.ids for tree in batch])
        places = {
            number: line * hidden.shape[1] + np.asarray(path, dtype=int)
            for line, tree in enumerate(batch)
            for number, path in tree.paths.items()
        }
        yield ForwardPass(hidden, places)


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
    """The last hidden states [num_rows, longest, H] of rows padded on the right; those of the padding mean nothing.

    No attention mask is needed, because causal attention never looks to the right.
    """
    ids = padded(rows).to(scorer.model.device)
    return scorer.model.base_model(input_ids=ids, use_cache=False).last_hidden_state


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Token ids [num_rows, longest]: each row, filled up with its last token."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *([row[-1]] * (longest - len(row)))] for row in rows])


def next_token_logprobs(scorer: Scorer, hidden: Tensor) -> Tensor:
    """Log-softmax [N, V] over the vocabulary from hidden states [N, H]; both it and the matrix product are in float32.

    Raises ValueError if the model gives NaN or infinite logits.
    """
    logits, normaliser = _logits(scorer, hidden)
    return logits.sub_(normaliser[:, None])


def _logits(scorer: Scorer, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """float32 logits [N, V] and their logsumexp [N]."""
    head = scorer.model.get_output_embeddings()
    bias = None if getattr(head, "bias", None) is None else head.bias.float()
    exact = {hidden.dtype, head.weight.dtype} == {torch.bfloat16}  # rounding does not change them
    with bfloat16_matmul(exact):
        values = torch.nn.functional.linear(hidden.float(), scorer.head_weight, bias)
    logits = logit_transform(scorer.model, scorer.label).apply_(values)
    normaliser = logits.logsumexp(dim=-1)
    if not torch.isfinite(normaliser).all():
        raise ValueError(f"{scorer.label}: the model gives NaN or infinite logits; its weights are damaged or overflow")
    return logits, normaliser


def max_positions(scorer: Scorer) -> int:
    """How many distributions over the vocabulary may be held at a time."""
    num_logits = MAX_LOGITS if scorer.model.device.type == "cpu" else MAX_LOGITS_ON_GPU
    return max(1, num_logits // num_predicted_ids(scorer.model))


def target_logprobs(scorer: Scorer, hidden: Tensor, where: Tensor, targets: Tensor) -> FloatArray:
    """log P of `targets` [N] at rows `where` [N] of `hidden` [M, H], in nats; each row's softmax is taken once."""
    unique, inverse = torch.unique(where, return_inverse=True)
    logprobs = np.empty(len(targets))
    chunk = max_positions(scorer)
    for start in range(0, len(unique), chunk):
        logits, normaliser = _logits(scorer, hidden[unique[start : start + chunk].to(hidden.device)])
        chosen = (inverse >= start) & (inverse < start + chunk)
        rows = (inverse[chosen] - start).to(hidden.device)
        chosen_logits = logits[rows, targets[chosen].to(hidden.device)].double()
        logprobs[chosen.numpy()] = (chosen_logits - normaliser[rows].double()).cpu().numpy()
    return logprobs
