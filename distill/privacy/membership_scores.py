"""Scores of membership: numbers that should be higher for a text that a model was trained on. Pure NumPy.

loss: mean log-probability per token (Yeom et al. 2018).
zlib: the loss for each byte that zlib needs for the text (Carlini et al. 2021).
min_k: mean log-probability of the 20 % of tokens that are least likely (Shi et al. 2024).
min_k_pp: the same of log-probabilities that are standardised over the vocabulary (Zhang et al. 2024).
reference: how much likelier the text became by training, per token (Carlini et al. 2021). The reference is the student
before its training, so an untrained student scores exactly 0.
ez: of the changes by training at the tokens that the student still does not predict, the share that goes up
(EZ-MIA, arXiv 2601.12104, whose ratio of up to down puts texts in the same order); 1/2 if nothing changes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from distill.evaluation.statistics.estimators import FloatArray
from distill.privacy.token_statistics import TokenStatistics

LEAST_LIKELY = 0.2  # the proportion of tokens that min_k looks at


def model_scores(trained: Sequence[TokenStatistics], texts: Sequence[str]) -> dict[str, FloatArray]:
    """The scores [num_texts] that need only the model, by name. texts: what of each text was scored."""
    loss = np.array([float(own.logprobs.mean()) for own in trained])
    num_bytes = np.array([len(zlib.compress(text.encode("utf-8", "surrogatepass"))) for text in texts])
    return {
        "loss": loss,
        "zlib": loss / num_bytes,
        "min_k": np.array([_mean_of_lowest(own.logprobs) for own in trained]),
        "min_k_pp": np.array([_mean_of_lowest(_standardised(own)) for own in trained]),
    }


def training_scores(trained: Sequence[TokenStatistics], before: Sequence[TokenStatistics]) -> dict[str, FloatArray]:
    """The scores [num_texts] that compare the model with itself before its training, by name."""
    return {
        "reference": np.array([gain(own, old) for own, old in zip(trained, before, strict=True)]),
        "ez": np.array([_share_upwards(own, old) for own, old in zip(trained, before, strict=True)]),
    }


def gain(trained: TokenStatistics, before: TokenStatistics) -> float:
    """How much likelier training made a text, in nats per token."""
    return float((trained.logprobs - before.logprobs).mean())


def _mean_of_lowest(values: FloatArray) -> float:
    num = max(1, int(LEAST_LIKELY * len(values)))
    return float(np.partition(values, num - 1)[:num].mean())


def _standardised(own: TokenStatistics) -> FloatArray:
    """How many standard deviations a log-probability is above the mean; 0 where all tokens are equally likely."""
    above = own.logprobs - own.means
    return np.divide(above, own.deviations, out=np.zeros_like(above), where=own.deviations > 1e-6)


def _share_upwards(own: TokenStatistics, old: TokenStatistics) -> float:
    change = (own.logprobs - old.logprobs)[own.is_top == 0]
    up, all_changes = float(change[change > 0].sum()), float(np.abs(change).sum())
    return up / all_changes if all_changes > 0 else 0.5
