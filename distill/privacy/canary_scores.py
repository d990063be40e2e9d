"""The log-probability of every secret that a canary could have had, and whether greedy decoding gives its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distill.data.canaries import secret
from distill.evaluation.scoring.logprobs import Row, score_rows
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.scoring.texts import split_ids
from distill.evaluation.statistics.estimators import FloatArray
from distill.privacy.token_statistics import token_statistics


class Secrets(NamedTuple):
    """All secrets as a tree of token ids, so that a beginning that many share is read once.

    beginnings: the ids that come before a branching, and branches: the ids that follow there. places [num_secrets,
    longest]: where, in all branches one after another, the tokens of a secret stand; -1 behind its end.
    """

    beginnings: list[tuple[int, ...]]
    branches: list[list[int]]
    places: npt.NDArray[np.int64]


def all_secrets(scorer: Scorer, prompt: str, digits: int) -> Secrets:
    """The tree of all secrets of so many digits behind a prompt."""
    every = [secret(number, digits) for number in range(10**digits)]
    lines = [ids for _, ids in split_ids(scorer, [(prompt, text) for text in every])]
    branches: dict[tuple[int, ...], dict[int, int]] = {}
    for line in lines:
        for depth, token in enumerate(line):
            own = branches.setdefault(tuple(line[:depth]), {})
            own.setdefault(token, len(own))
    starts = dict(zip(branches, np.cumsum([0, *map(len, branches.values())])[:-1].tolist(), strict=True))
    places = np.full((len(lines), max(map(len, lines))), -1)
    for number, line in enumerate(lines):
        for depth, token in enumerate(line):
            beginning = tuple(line[:depth])
            places[number, depth] = starts[beginning] + branches[beginning][token]
    return Secrets(list(branches), [list(own) for own in branches.values()], places)


def secret_logprobs(scorer: Scorer, prompt: str, digits: int, secrets: Secrets) -> FloatArray:
    """log P(secret | prompt) in nats of all secrets [10 ** digits], summed over their tokens.

    secrets: from `all_secrets` with any prompt. Raises ValueError if the tokenizer divides them differently here.
    """
    ends = [secret(0, digits), secret(10**digits - 1, digits)]
    divided = split_ids(scorer, [(prompt, end) for end in ends])
    tokens = np.concatenate([np.array(branch) for branch in secrets.branches])
    for (_, ids), places in zip(divided, secrets.places[[0, -1]], strict=True):
        if ids != tokens[places[places >= 0]].tolist():
            raise ValueError(f"{scorer.label}: the tokenizer divides {ends[0]!r} differently behind {prompt!r}")
    prefix = divided[0][0]
    rows = [
        Row([*prefix, *beginning], [len(prefix) + len(beginning) - 1] * len(branch), branch)
        for beginning, branch in zip(secrets.beginnings, secrets.branches, strict=True)
    ]
    logprobs = np.concatenate([*score_rows(scorer, rows), [0.0]])  # the last is what stands behind a secret's end
    return logprobs[secrets.places].sum(axis=1)


def greedy_finds(scorer: Scorer, documents: Sequence[tuple[str, str]]) -> npt.NDArray[np.bool_]:
    """Whether greedy decoding of each prompt writes its secret: every token of it is the likeliest [num_documents].

    documents: (prompt, secret).
    """
    rows = [
        Row([*prefix, *ids[:-1]], range(len(prefix) - 1, len(prefix) + len(ids) - 1), ids)
        for prefix, ids in split_ids(scorer, documents)
    ]
    return np.array([bool(own.is_top.all()) for own in token_statistics(scorer, rows)])
