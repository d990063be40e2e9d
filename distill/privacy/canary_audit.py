"""What a student tells of the canaries of its run: exposure, extraction, and a lower bound of epsilon.

A coin decided which canaries were planted, so the others are what the student knows without having read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from distill.config import CanaryConfig, RunConfig
from distill.data.canaries import FORMS, Canary, canaries
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray, mean_columns, ratio
from distill.evaluation.statistics.resampling import bootstrap_interval
from distill.privacy.canary_scores import all_secrets, greedy_finds, secret_logprobs
from distill.privacy.epsilon import Bounds, clopper_pearson, one_run_epsilon
from distill.privacy.exposure import exposure, null_exposure, rank_among, right_guesses
from distill.privacy.members import view_in_training


def canary_result(student: Scorer, config: RunConfig, confidence: float, bounds: Bounds) -> dict[str, Any]:
    """The part of the audit about canaries. config: of a run that has some. confidence: of the intervals."""
    assert config.canaries is not None
    every = canaries(config.canaries, config.seed)
    read = [form_in_training(canary, config) for canary in every]
    other = [next(form for form in FORMS if form != own) for own in read]
    ranks = secret_ranks(student, every, config.canaries)
    num_secrets = 10**config.canaries.digits
    own, counterpart = (
        np.array([exposure(by_form[form], num_secrets) for by_form, form in zip(ranks, forms, strict=True)])
        for forms in (read, other)
    )
    planted = np.array([canary.is_planted for canary in every])
    is_she = np.array([form == "she" for form in read])
    greedy = greedy_finds(student, [(c.prompts[form], c.secret) for c, form in zip(every, read, strict=True)])
    num_guesses = 2 * (len(every) // 4)
    num_right = right_guesses(own, planted, num_guesses)

    def mean(values: FloatArray) -> dict[str, Any] | None:
        return mean_exposure(values, confidence) if len(values) > 1 else None

    return {
        "count": len(every),
        "num_planted": int(planted.sum()),
        "repeats": config.canaries.repeats,
        "digits": config.canaries.digits,
        "both_forms_read": config.augment.mode == "augment",
        "highest_exposure": float(np.log2(num_secrets)),
        "expected_null": null_exposure(num_secrets),
        "null": mean(own[~planted]),
        "planted": mean(own[planted]),
        "other_form": mean(counterpart[planted]),
        "other_form_null": mean(counterpart[~planted]),
        "by_form": {
            form: {"own": mean(own[chosen & planted]), "other": mean(counterpart[chosen & planted])}
            for form, chosen in (("she", is_she), ("he", ~is_she))
        },
        "extracted": {
            name: {group: share_found(found[chosen], confidence) for group, chosen in _groups(planted)}
            for name, found in (("rank_1", own >= np.log2(num_secrets) - 1e-9), ("greedy", greedy))
        },
        "num_guesses": num_guesses,
        "num_right": num_right,
        "epsilon_at_least": one_run_epsilon(len(every), num_guesses, num_right, *bounds),
        "exposures": {
            "planted": own[planted].tolist(),
            "not planted": own[~planted].tolist(),
            "planted, other form": counterpart[planted].tolist(),
        },
    }


def form_in_training(canary: Canary, config: RunConfig) -> str:
    """The form in which the run read the canary, or would have read it."""
    if not view_in_training(config, canary.document):
        return canary.form
    return next(form for form in FORMS if form != canary.form)


def secret_ranks(student: Scorer, every: Sequence[Canary], config: CanaryConfig) -> list[dict[str, float]]:
    """By form, the rank of each canary's secret among all secrets behind its prompt; 1 is the likeliest."""
    secrets = all_secrets(student, every[0].prompts["she"], config.digits)
    found = []
    for canary in tqdm(every, "ranking secrets", unit=" canaries", leave=False):
        number = int(canary.secret.replace(" ", ""))
        ranks = {}
        for form, prompt in canary.prompts.items():
            logprobs = secret_logprobs(student, prompt, config.digits, secrets)
            ranks[form] = rank_among(logprobs[number], np.delete(logprobs, number))
        found.append(ranks)
    return found


def _groups(planted: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [("planted", planted), ("not planted", ~planted)]


def mean_exposure(values: FloatArray, confidence: float) -> dict[str, Any]:
    """The mean exposure in bits, with a bootstrap interval over canaries."""
    interval = bootstrap_interval(mean_columns(values), ratio, confidence=confidence, expanded=True)
    return {"value": interval.value, "low": interval.low, "high": interval.high, "num": len(values)}


def share_found(found: np.ndarray, confidence: float) -> dict[str, Any]:
    """How many were found, and the exact interval of the share."""
    low, high = clopper_pearson(np.array(float(found.sum())), len(found), (1 - confidence) / 2)
    share = float(found.mean()) if len(found) else 0.0
    return {"value": share, "low": float(low), "high": float(high), "num": int(found.sum()), "of": len(found)}
