"""Log-probabilities of texts and of continuations: from characters to the token ids that are scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from distill.evaluation.scoring.logprobs import Row, score_rows
from distill.evaluation.scoring.prefix_sharing import num_shared
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray

SHORTER = "use shorter prompts"
TOO_LONG = "set this benchmark to null for this model, or score a copy of its file without that text"


def continuation_logprobs(scorer: Scorer, prompts: Sequence[str], continuations: Sequence[str]) -> FloatArray:
    """log P(continuation | prompt) in nats [num_prompts, num_continuations], summed over the continuation's tokens.

    Prompt and continuation are tokenised together, so the ids are those of running text with any tokenizer. They are
    divided at the prompt's last character; a token across the boundary belongs to the continuation. Prompts must not
    end in a space; continuations usually begin with one. Raises ValueError as `pair_rows` does.
    """
    pairs = [(prompt, continuation) for prompt in prompts for continuation in continuations]
    return pair_logprobs(scorer, pairs).reshape(len(prompts), len(continuations))


def pair_logprobs(scorer: Scorer, pairs: Sequence[tuple[str, str]], remedy: str = SHORTER) -> FloatArray:
    """log P(continuation | prompt) in nats [num_pairs] of each (prompt, continuation); see `continuation_logprobs`.

    remedy: as in `pair_rows`. Raises ValueError as that does.
    """
    return np.array([float(scores.sum()) for scores in score_rows(scorer, pair_rows(scorer, pairs, remedy))])


def pair_rows(scorer: Scorer, pairs: Sequence[tuple[str, str]], remedy: str = SHORTER) -> list[Row]:
    """The rows that score the continuation of each (prompt, continuation), divided as in `continuation_logprobs`.

    remedy: what the message advises for a pair that is longer than the model's context. Raises ValueError for such a
    pair, and for an empty prompt if there is no start token either.
    """
    rows = []
    for (prompt, continuation), (prefix, targets) in zip(pairs, split_ids(scorer, pairs), strict=True):
        inputs = prefix + targets[:-1]
        if not prefix:
            raise ValueError(f"{scorer.label}: nothing stands before {continuation!r}; set scoring.bos=true")
        _check_length(scorer, inputs, prompt, remedy)
        rows.append(Row(inputs, range(len(prefix) - 1, len(inputs)), targets))
    return rows


def num_continuation_tokens(scorer: Scorer, prompt: str, continuation: str) -> int:
    """How many tokens `continuation` takes after `prompt`."""
    return len(split_ids(scorer, [(prompt, continuation)])[0][1])


def split_ids(scorer: Scorer, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
    """The ids of each prompt, after the start token, and of its continuation, from one tokenisation of both together.

    A token across the boundary belongs to the continuation. Raises ValueError for a prompt that ends in a space, and
    for a continuation without a token of its own.
    """
    encoded = scorer.encode([prompt + continuation for prompt, continuation in pairs], return_offsets_mapping=True)
    divided = []
    for (prompt, continuation), ids, offsets in zip(
        pairs, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        if prompt != prompt.rstrip():
            raise ValueError(f"prompt {prompt!r} ends in a space, which belongs to the next word; strip it")
        num_prefix = next((index for index, (_, end) in enumerate(offsets) if end > len(prompt)), len(ids))
        if num_prefix == len(ids):
            raise ValueError(f"{scorer.label}: the tokenizer gives no token for {continuation!r} after {prompt!r}")
        divided.append((scorer.start + ids[:num_prefix], ids[num_prefix:]))
    return divided


def text_logprobs(scorer: Scorer, texts: Sequence[str]) -> list[FloatArray]:
    """log P of every token of each text, in nats. Without a start token, the first token is not scored.

    Raises ValueError for a text that is longer than the model's context, or that has no token to score.
    """
    return score_rows(scorer, [_end_row(scorer, text, ids, 1) for text, ids in _text_ids(scorer, texts)])


def version_logprobs(scorer: Scorer, texts: Sequence[Sequence[str]]) -> list[FloatArray]:
    """log P of each version of a text [num_versions], in nats, from the first token on in which the versions differ.

    What they have in common is equally likely in all of them, so it is left out: the difference between two versions is
    that of the whole texts. Raises ValueError as `text_logprobs`, and for versions that differ in the first token if
    there is no start token.
    """
    encoded = iter(_text_ids(scorer, [version for versions in texts for version in versions]))
    rows = []
    for versions in texts:
        own = list(islice(encoded, len(versions)))
        ids = [version_ids for _, version_ids in own]
        # of a version that is the beginning of another, the last token is scored
        first = min(min(num_shared(ids[0], other), len(other) - 1) for other in ids)
        rows += [_end_row(scorer, text, version_ids, first) for text, version_ids in own]
    scores = iter(score_rows(scorer, rows))
    return [np.array([float(next(scores).sum()) for _ in versions]) for versions in texts]


def _text_ids(scorer: Scorer, texts: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Each text with its ids after the start token. Raises ValueError for one without ids, or with too many."""
    for text, ids in zip(texts, scorer.encode(texts)["input_ids"], strict=True):
        if not ids:
            raise ValueError(f"{scorer.label}: the tokenizer gives no token for the text {text!r}; take it out")
        whole = scorer.start + ids
        _check_length(scorer, whole[:-1], text, TOO_LONG)
        yield text, whole


def _end_row(scorer: Scorer, text: str, ids: list[int], first: int) -> Row:
    """The row that scores the tokens of a text from `first` on. Raises ValueError if nothing stands before them."""
    if not 1 <= first < len(ids):
        raise ValueError(
            f"{scorer.label}: nothing stands before the first token to be scored of {text[:60]!r}; set "
            "scoring.bos=true, or name a token as scoring.start_token where the tokenizer has neither BOS nor EOS"
        )
    return Row(ids[:-1], range(first - 1, len(ids) - 1), ids[first:])


def _check_length(scorer: Scorer, input_ids: Sequence[int], text: str, remedy: str) -> None:
    if scorer.context is not None and len(input_ids) > scorer.context:
        raise ValueError(
            f"{scorer.label}: a text of {len(input_ids)} tokens is longer than the model's context of "
            f"{scorer.context} ({text[:60]!r}...); {remedy}"
        )
