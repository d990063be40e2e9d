"""Sample continuations of prompts, so that they do not depend on how the prompts are batched.

Every continuation has its own random numbers, derived from the seed, the prompt's id and the index of the sample. Only
prompts with equally many tokens are batched, so there is no padding. A batch changes results through rounding only: a
random number that falls on the border between two tokens may select either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from distill.evaluation.scoring.logprobs import next_token_logprobs
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import TOO_LONG
from distill.evaluation.statistics.estimators import FloatArray

# A sampling step reads one token per row, far below the budget of a forward pass. The memory of the key-value cache
# limits the batch instead: it may hold the tokens of this many full passes, and no more than these bytes.
CACHED_PASSES = 8
MAX_CACHE_BYTES = 2**32
# Sorting a whole vocabulary is slow, so the nucleus is looked for among this many tokens first, then among WIDENING
# times as many, and so on. A model that is unsure needs some thousands of tokens.
MOST_LIKELY = 256
WIDENING = 8


@torch.inference_mode()
def sample(
    scorer: Scorer,
    prompts: Sequence[tuple[str, str]],
    *,
    num_samples: int,
    max_new_tokens: int,
    top_p: float,
    seed: int,
    top_k: int | None = None,
) -> list[list[str]]:
    """`num_samples` continuations of each prompt (id, text), without special tokens; `pick` chooses each token.

    A continuation ends at one of the `end_ids`, after max_new_tokens, or at the end of the model's context. Raises
    ValueError for a prompt that leaves no room in the context, and for a model without a key-value cache.
    """
    encoded = scorer.encode([text for _, text in prompts])["input_ids"]
    inputs = [scorer.start + ids for ids in encoded]
    for (name, _), ids in zip(prompts, inputs, strict=True):
        if not ids or (scorer.context is not None and len(ids) >= scorer.context):
            raise ValueError(
                f"{scorer.label}: prompt {name!r} has {len(ids)} tokens; it needs at least one and must leave room in "
                f"the model's context of {scorer.context}; {TOO_LONG}"
            )
    continuations: list[list[str]] = [[""] * num_samples for _ in prompts]
    for batch in _equal_lengths(inputs, num_samples, max_new_tokens, _max_cached_tokens(scorer)):
        uniforms = np.stack([_uniforms(seed, prompts[row][0], number, max_new_tokens) for row, number in batch])
        batch_inputs = [inputs[row] for row, _ in batch]
        generated = _continue(scorer, batch_inputs, uniforms, top_p, top_k)
        for (row, number), text in zip(batch, _texts(scorer, batch_inputs, generated), strict=True):
            continuations[row][number] = text
    return continuations


def end_ids(scorer: Scorer) -> set[int]:
    """The ids that end a continuation: the tokenizer's EOS, the start token, and those that the model's settings list.

    A chat model ends its turn with a token that only its generation_config.json lists. Without that file the setting is
    config.json's, or the default of the architecture. The default may be a word of this tokenizer, so then a token
    that is read as ordinary text does not count.
    """
    settings = scorer.model.generation_config
    listed = settings.eos_token_id
    ids = set(listed) if isinstance(listed, list | tuple) else {listed}
    if settings._from_model_config:
        ids &= scorer.tokenizer.added_tokens_decoder.keys()
    return (ids | {scorer.tokenizer.eos_token_id, scorer.start_id}) - {None}


def pick(logprobs: Tensor, uniforms: Tensor, top_p: float, top_k: int | None = None) -> Tensor:
    """Sample one token per row [N] at temperature 1. logprobs: [N, V]; uniforms: [N], in [0, 1).

    If top_k is given, only the top_k likeliest tokens are kept. Of these, the nucleus is kept: the smallest set of
    likeliest tokens whose share is at least top_p (Holtzman et al. 2020). transformers applies both in this order.
    """
    count = min(top_k or MOST_LIKELY, logprobs.shape[-1])
    if top_k is None:
        return _from_nucleus(logprobs, uniforms, top_p, count)
    probs, order = _likeliest(logprobs, count)
    return _draw(probs / probs.sum(dim=-1, keepdim=True), order, uniforms, top_p)


def _from_nucleus(logprobs: Tensor, uniforms: Tensor, top_p: float, count: int) -> Tensor:
    """Sample one token per row among the `count` likeliest; where the nucleus is larger, among more and more."""
    probs, order = _likeliest(logprobs, count)
    tokens = _draw(probs, order, uniforms, top_p)
    larger = (probs.sum(dim=-1) < top_p).nonzero()[:, 0]
    if count < logprobs.shape[-1] and len(larger):
        more = min(WIDENING * count, logprobs.shape[-1])
        tokens[larger] = _from_nucleus(logprobs[larger], uniforms[larger], top_p, more)
    return tokens


def _draw(probs: Tensor, order: Tensor, uniforms: Tensor, top_p: float) -> Tensor:
    """Sample one id per row of `order` [N, K], the likeliest first, with probabilities `probs` [N, K]."""
    mass = probs.cumsum(dim=-1)
    in_nucleus = mass - probs < top_p
    kept = torch.where(in_nucleus, probs, 0.0).cumsum(dim=-1)
    chosen = torch.searchsorted(kept, (uniforms.to(kept) * kept[:, -1])[:, None], right=True)
    last_kept = in_nucleus.sum(dim=-1, keepdim=True) - 1  # rounding may point past the nucleus
    return order.gather(-1, torch.minimum(chosen, last_kept))[:, 0]


def _likeliest(logprobs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The float64 probabilities of the `count` likeliest tokens of each row, and their ids, the likeliest first.

    Of equally likely tokens, the one with the smaller id comes first.
    """
    if count == logprobs.shape[-1]:
        probs, ids = logprobs.exp().double().sort(dim=-1, descending=True, stable=True)
        return probs, ids
    ids = logprobs.topk(count, dim=-1, sorted=False).indices.sort(dim=-1).values
    probs, order = logprobs.gather(-1, ids).exp().double().sort(dim=-1, descending=True, stable=True)
    return probs, ids.gather(-1, order)


def _continue(
    scorer: Scorer, inputs: Sequence[Sequence[int]], uniforms: FloatArray, top_p: float, top_k: int | None
) -> list[list[int]]:
    """The new ids of rows of equal length, up to their end token, which is left out. Equal rows are read once."""
    device = scorer.model.device
    numbers = torch.from_numpy(uniforms).to(device)
    ends = end_ids(scorer)
    room = numbers.shape[1] if scorer.context is None else min(numbers.shape[1], scorer.context - len(inputs[0]))
    generated: list[list[int]] = [[] for _ in inputs]
    running = list(range(len(inputs)))  # rows that have not ended, in the order of the batch
    places = {row: place for place, row in enumerate(dict.fromkeys(map(tuple, inputs)))}
    ids, cache = torch.tensor(list(places), device=device), None
    for step in range(room):
        output = scorer.model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
        hidden, cache = output.last_hidden_state[:, -1], getattr(output, "past_key_values", None)
        if cache is None:
            raise ValueError(
                f"{scorer.label}: {type(scorer.model).__name__} gives no key-value cache, which sampling needs; leave "
                "out benchmarks.bold, benchmarks.bold_persons and longform for it"
            )
        if step == 0 and len(places) < len(inputs):
            first = torch.tensor([places[tuple(row)] for row in inputs], device=device)
            hidden = hidden[first]
            cache.batch_select_indices(first)
        ids = pick(next_token_logprobs(scorer, hidden), numbers[running, step], top_p, top_k)
        kept = []
        for place, (row, token) in enumerate(zip(running, ids.tolist(), strict=True)):
            if token not in ends:
                generated[row].append(token)
                kept.append(place)
        if not kept:
            break
        if len(kept) < len(running):
            running = [running[place] for place in kept]
            chosen = torch.tensor(kept, device=device)
            ids = ids[chosen]
            cache.batch_select_indices(chosen)
        ids = ids[:, None]
    return generated


def _texts(scorer: Scorer, inputs: Sequence[Sequence[int]], generated: Sequence[Sequence[int]]) -> list[str]:
    """What the generated ids add to the text of the prompt.

    They are decoded together with the prompt, because many tokenizers drop the space before a text's first word.
    """
    decode = partial(scorer.tokenizer.batch_decode, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    before = decode(list(inputs))
    whole = decode([[*prompt, *new] for prompt, new in zip(inputs, generated, strict=True)])
    alone = decode(list(generated))  # used if the continuation completes the prompt's last character
    return [
        text.removeprefix(prompt) if text.startswith(prompt) else continuation
        for prompt, text, continuation in zip(before, whole, alone, strict=True)
    ]


def _max_cached_tokens(scorer: Scorer) -> int:
    """How many tokens the key-value cache may hold."""
    return min(CACHED_PASSES * scorer.max_batch_tokens, MAX_CACHE_BYTES // max(1, scorer.cache_bytes_per_token))


def _equal_lengths(
    inputs: Sequence[Sequence[int]], num_samples: int, max_new_tokens: int, max_cached_tokens: int
) -> Iterator[list[tuple[int, int]]]:
    """Batches of (index of the prompt, index of the sample) whose prompts have equally many tokens."""
    by_length: dict[int, list[tuple[int, int]]] = {}
    for row, ids in enumerate(inputs):
        by_length.setdefault(len(ids), []).extend((row, number) for number in range(num_samples))
    for length, members in sorted(by_length.items()):
        size = max(1, max_cached_tokens // (length + max_new_tokens))
        for start in range(0, len(members), size):
            yield members[start : start + size]


def _uniforms(seed: int, name: str, number: int, count: int) -> FloatArray:
    """`count` numbers in [0, 1) that depend on the seed, the prompt's id and the index of the sample only."""
    digest = hashlib.sha256(f"{seed}/{name}/{number}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big"))).random(count)
