"""Log-probabilities of a causal LM: rows of token ids in, natural log-probabilities out.

A score does not depend on the batch it was computed in: rows are padded on the right, where causal attention cannot see
the padding, and the softmax is taken in float32 over the scored positions only (the output embeddings are applied to
the hidden states of those positions, never to whole sequences).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distill.evaluation.processes import ALONE, Processes, message_of
from distill.evaluation.scoring.prefix_sharing import Tree, tree_states, trees
from distill.evaluation.statistics.resampling import FloatArray
from distill.loss.matmul import bfloat16_products
from distill.models.loading import num_positions

MAX_LOGITS = 1 << 23  # logits held at a time: 32 MiB of float32


class Row(NamedTuple):
    """Score log P(targets[j] | input_ids[: positions[j] + 1]) for every j. Positions may repeat."""

    input_ids: Sequence[int]
    positions: Sequence[int]
    targets: Sequence[int]


@dataclass(frozen=True)
class Scorer:
    """A model ready to be scored. start_id: the token that every text is conditioned on, or None for none.

    shares_prefixes: whether equal beginnings of rows are computed once (`can_share_prefixes` tells if they may be).
    processes: those that share the forward passes of `score_rows`; all of them must then call it with the same rows.
    """

    label: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    start_id: int | None
    max_batch_tokens: int
    shares_prefixes: bool = False
    processes: Processes = ALONE

    @property
    def context(self) -> int | None:
        """The longest input in tokens, or None when the model does not say."""
        return num_positions(self.model)

    @cached_property
    def head_weight(self) -> Tensor:
        """The output embeddings [V, H] in float32; a copy, made once, if the model is in another dtype."""
        return self.model.get_output_embeddings().weight.float()

    @property
    def start(self) -> list[int]:
        """The ids that precede every text."""
        return [] if self.start_id is None else [self.start_id]

    @property
    def start_convention(self) -> str:
        """How the beginning of a text is treated, for a measurement's convention."""
        if self.start_id is None:
            return "start:none"
        named = self.start_id != start_token(self.tokenizer)
        return f"start:{self.tokenizer.convert_ids_to_tokens(self.start_id)}" if named else "start:bos"


def start_token(tokenizer: PreTrainedTokenizerFast, name: str | None = None) -> int | None:
    """The id that stands before a text: the token of that name; by default BOS, else EOS (GPT-2's habit), else None.

    name: as in the vocabulary, or a text that is encoded as one token (a line break). Raises ValueError when the
    tokenizer has no such token.
    """
    if name is not None:
        if name in tokenizer.get_vocab():
            return tokenizer.get_vocab()[name]
        ids = tokenizer(name, add_special_tokens=False)["input_ids"]
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
            raise ValueError(
                f"scoring.start_token {name!r} is not a token of {tokenizer.name_or_path}; name one that is"
            )
        return int(ids[0])
    return tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id


# -- text ------------------------------------------------------------------------------------------------------------


def continuation_logprobs(scorer: Scorer, prompts: Sequence[str], continuations: Sequence[str]) -> FloatArray:
    """log P(continuation | prompt) in nats [num_prompts, num_continuations], summed over the continuation's tokens.

    Prompt and continuation are tokenised together and divided at the prompt's last character (a token across the
    boundary belongs to the continuation), so that the ids are those of running text in any tokenizer. Prompts must not
    end in a space; continuations usually begin with one. Raises as `pair_logprobs`.
    """
    pairs = [(prompt, continuation) for prompt in prompts for continuation in continuations]
    return pair_logprobs(scorer, pairs).reshape(len(prompts), len(continuations))


def pair_logprobs(scorer: Scorer, pairs: Sequence[tuple[str, str]]) -> FloatArray:
    """log P(continuation | prompt) in nats [num_pairs] of each (prompt, continuation), as `continuation_logprobs`.

    Raises as `pair_rows`.
    """
    return np.array([float(scores.sum()) for scores in score_rows(scorer, pair_rows(scorer, pairs))])


def pair_rows(scorer: Scorer, pairs: Sequence[tuple[str, str]], remedy: str = "use shorter prompts") -> list[Row]:
    """The rows that score the continuation of each (prompt, continuation), as `continuation_logprobs` divides them.

    Raises ValueError for a pair that is longer than the model's context (remedy: what the message advises), or whose
    prompt is, without a start token, empty.
    """
    rows = []
    for (prompt, continuation), (prefix, rest) in zip(pairs, split_ids(scorer, pairs), strict=True):
        inputs = prefix + rest[:-1]
        if not prefix:
            raise ValueError(f"{scorer.label}: nothing stands before {continuation!r}; set scoring.bos=true")
        _check_length(scorer, inputs, prompt, remedy)
        rows.append(Row(inputs, range(len(prefix) - 1, len(inputs)), rest))
    return rows


def num_continuation_tokens(scorer: Scorer, prompt: str, continuation: str) -> int:
    """How many tokens `continuation` takes after `prompt`."""
    return len(split_ids(scorer, [(prompt, continuation)])[0][1])


def split_ids(scorer: Scorer, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
    """For each (prompt, continuation) the ids of both, the start token included, from one tokenisation of both.

    A token across the boundary belongs to the continuation. Raises ValueError for a prompt that ends in a space and for
    a continuation without a token.
    """
    encoded = scorer.tokenizer(
        [prompt + continuation for prompt, continuation in pairs],
        add_special_tokens=False,
        return_offsets_mapping=True,
        verbose=False,
    )
    found = []
    for (prompt, rest), ids, offsets in zip(pairs, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        if prompt != prompt.rstrip():
            raise ValueError(f"prompt {prompt!r} ends in a space, which belongs to the next word; strip it")
        num_prefix = next((index for index, (_, end) in enumerate(offsets) if end > len(prompt)), len(ids))
        if num_prefix == len(ids):
            raise ValueError(f"{scorer.label}: the tokenizer gives no token for {rest!r} after {prompt!r}")
        found.append((scorer.start + ids[:num_prefix], ids[num_prefix:]))
    return found


def _check_length(scorer: Scorer, input_ids: Sequence[int], text: str, remedy: str) -> None:
    if scorer.context is not None and len(input_ids) > scorer.context:
        raise ValueError(
            f"{scorer.label}: a text of {len(input_ids)} tokens is longer than the model's context of "
            f"{scorer.context} ({text[:60]!r}...); {remedy}"
        )


def text_logprobs(scorer: Scorer, texts: Sequence[str]) -> list[FloatArray]:
    """log P of every token of each text, in nats; without a start token the first token is not scored.

    Raises ValueError for a text that is longer than the model's context or has no token to score.
    """
    rows = []
    encoded = scorer.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    for text, ids in zip(texts, encoded, strict=True):
        whole = scorer.start + ids
        if len(whole) < 2:
            raise ValueError(f"{scorer.label}: no token of {text!r} can be scored; set scoring.bos=true")
        _check_length(scorer, whole[:-1], text, "use shorter texts")
        rows.append(Row(whole[:-1], range(len(whole) - 1), whole[1:]))
    return score_rows(scorer, rows)


# -- rows ------------------------------------------------------------------------------------------------------------


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
