"""Membership: can the texts that a model was trained on be told from others by what the model says of them?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr
from transformers import PreTrainedModel

from augment.lexicon import Lexicon
from augment.swap import swap
from distill.config import RunConfig
from distill.data.separators import separators
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.statistics.estimators import FloatArray
from distill.evaluation.statistics.resampling import Interval
from distill.evaluation.statistics.roc import count_scores, roc_curve, separation, supported_fprs
from distill.models.run_models import RunModels
from distill.privacy.blind_baseline import blind_scores
from distill.privacy.epsilon import Bounds, split_half_epsilon
from distill.privacy.members import Groups, view_in_training
from distill.privacy.membership_scores import gain, model_scores, training_scores
from distill.privacy.token_statistics import TokenStatistics, text_row, token_statistics

NUM_RESAMPLES = 1000
MAX_BATCH_TOKENS = 2048


class Text(NamedTuple):
    """A document as the run read it: its first tokens, after the separator; and those of its other view, if any."""

    scored: str
    ids: list[int]
    other_ids: list[int] | None


class Models(NamedTuple):
    """The student, the student as it was before its training, and the teacher (None without one)."""

    student: Scorer
    before: Scorer
    teacher: Scorer | None


def scorer_of(label: str, model: PreTrainedModel, run: RunModels, config: RunConfig, shares_prefixes: bool) -> Scorer:
    """A model of the run, which reads a text behind the separator that stood before it in training."""
    (start, *_), _ = separators(run.tokenizer, config.data.separator)
    return Scorer(label, model.eval(), run.tokenizer, start, MAX_BATCH_TOKENS, shares_prefixes)


def prepared(texts: Sequence[str], config: RunConfig, lexicon: Lexicon, scorer: Scorer) -> list[Text]:
    """The texts as the run read them, cut after data.seq_len tokens; without those of which no token is scored."""
    made = []
    for text in texts:
        pair = swap(text, lexicon)
        own, other = pair.original, pair.counterfactual
        if view_in_training(config, text):
            own, other = other, own
        encoded = scorer.encode([own, other], return_offsets_mapping=True)
        ids, other_ids = (scorer.start + list(view)[: config.data.seq_len - 1] for view in encoded["input_ids"])
        if len(ids) < 2 or len(other_ids) < 2:
            continue
        _, end = encoded["offset_mapping"][0][len(ids) - 2]
        made.append(Text(own[:end], ids, other_ids if pair.edits else None))
    return made


def blind_result(groups: Groups, confidence: float) -> dict[str, Any]:
    """What the attack that never sees the model achieves, and whether that forbids to believe the others."""
    area, _ = separation(
        *blind_scores(groups.members, groups.others), num_resamples=NUM_RESAMPLES, confidence=confidence
    )
    return {"auc": plain(area), "succeeds": area.low > 0.5}


def attack(
    models: Models, members: Sequence[Text], others: Sequence[Text], confidence: float, bounds: Bounds
) -> dict[str, Any]:
    """Every score's result, by model and name; the teacher has only those that need no model from before.

    confidence: of the intervals.
    """
    sides = (members, others)
    trained = [_statistics(models.student, side) for side in sides]
    before = [_statistics(models.before, side) for side in sides]
    student = [
        model_scores(own, [text.scored for text in side]) | training_scores(own, old)
        for own, old, side in zip(trained, before, sides, strict=True)
    ]
    pairs = [_pair_scores(models, side, own, old) for side, own, old in zip(sides, trained, before, strict=True)]
    found = {"student": _results(student, confidence, bounds)}
    if all(len(scores["counterfactual"]) for scores in pairs):
        found["student"] |= _results(pairs, confidence, bounds)
    if models.teacher is not None:
        teacher = [model_scores(_statistics(models.teacher, side), [text.scored for text in side]) for side in sides]
        found["teacher"] = _results(teacher, confidence, bounds)
    return found


def _p_of_guessing(area: Interval) -> float:
    """How likely at most so large an AUC is if the score tells nothing (normal approximation)."""
    if area.standard_error > 0:
        return float(ndtr((0.5 - area.value) / area.standard_error))
    return float(area.low <= 0.5)  # wholly apart, or all equal


def plain(interval: Interval) -> dict[str, float]:
    """An interval as it is written to JSON."""
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _statistics(scorer: Scorer, texts: Sequence[Text]) -> list[TokenStatistics]:
    return token_statistics(scorer, [text_row(text.ids) for text in texts])


def _pair_scores(
    models: Models, texts: Sequence[Text], trained: Sequence[TokenStatistics], before: Sequence[TokenStatistics]
) -> dict[str, FloatArray]:
    """The reference score of the texts that have a counterfactual: of what the run read, and of the other view."""
    places = [place for place, text in enumerate(texts) if text.other_ids is not None]
    rows = [text_row(texts[place].other_ids or []) for place in places]
    others = zip(token_statistics(models.student, rows), token_statistics(models.before, rows), strict=True)
    return {
        "reference_of_pairs": np.array([gain(trained[place], before[place]) for place in places]),
        "counterfactual": np.array([gain(own, old) for own, old in others]),
    }


def _results(sides: Sequence[dict[str, FloatArray]], confidence: float, bounds: Bounds) -> dict[str, Any]:
    """AUC, true positive rates at the false positive rates that the others support, bound of epsilon, and the curve.

    sides: the scores of the members, and those of the others, by name.
    """
    members, others = sides
    results = {}
    for name, scores in members.items():
        fprs = supported_fprs(len(others[name]))
        area, rates = separation(scores, others[name], fprs, num_resamples=NUM_RESAMPLES, confidence=confidence)
        false, true = roc_curve(count_scores(scores, others[name]))
        results[name] = {
            "num_members": len(scores),
            "num_others": len(others[name]),
            "auc": plain(area),
            "p": _p_of_guessing(area),
            "tpr_at_fpr": {f"{fpr:g}": plain(rate) for fpr, rate in rates.items()},
            "epsilon_at_least": split_half_epsilon(scores, others[name], *bounds),
            "curve": {"fpr": false.round(5).tolist(), "tpr": true.round(5).tolist()},
        }
    return results
