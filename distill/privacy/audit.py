"""The audit of a finished run: what is asked of which models, and what must be said beside the numbers."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, NamedTuple

from transformers.utils import logging

import distill
from augment.lexicon import Lexicon, load_lexicon
from distill.config import RunConfig
from distill.evaluation.scoring.model_specs import device_named
from distill.evaluation.scoring.prefix_sharing import can_share_prefixes
from distill.models.loading import load_causal_lm
from distill.models.run_models import RunModels, load_run_models
from distill.privacy.canary_audit import canary_result
from distill.privacy.epsilon import Bounds
from distill.privacy.members import check_corpus, groups_of, read_run
from distill.privacy.membership import Models, attack, blind_result, prepared, scorer_of
from distill.privacy.promise import confidence_of_each, promise_of, promise_result
from distill.run.folder import check_models

NOT_RANDOM = (
    "The held-out text is a text of its own (data.heldout_path), so whatever else tells it from the training text "
    "counts as membership. The blind attack looks for such differences in words and length only. Train with "
    "data.heldout_fraction for groups that differ by chance alone."
)
TEACHER = (
    "The teacher may have read the same text: what the student learns from it can be the teacher's leak. Its row says "
    "how much the teacher itself gives away, and the scores `reference` and `ez` say what the student's training adds."
)
NEAR_DUPLICATES = (
    "Documents that are nearly the same can stand on both sides: a hash of the whole text divides them. They make the "
    "attacks look weaker than they are."
)
BOUND = (
    "A lower bound of epsilon is what these attacks prove. It is no guarantee: a better attack may prove more, and "
    "only training with a privacy mechanism gives an upper bound. Each bound stands for itself; the largest of several "
    "is no bound at the same confidence."
)
BOUND_OF_PROMISE = (
    "A lower bound of epsilon is what these attacks prove, and what is promised is an upper bound. A bound below the "
    "promise is no proof of it: a better attack may prove more. Each bound is made so strict that all which are "
    "compared with the promise hold together at the confidence of the intervals."
)
WHITE_BOX = (
    "White-box canaries are records of which the audit knows everything: their gradient, and in which steps they were. "
    "They show how much noise the steps had on average and that the clip holds. That a document has no more than one "
    "clip, and that documents are drawn as stated, they take for granted."
)
NO_WHITE_BOX = (
    "The run has logged no white-box canaries, so its noise is not measured: only what its student gives away."
)
CANARIES = (
    "The canaries are short, made up, and all of one form. What is told of them need not hold for other secrets: one "
    "that stands in a long document, or often, can be safer or less safe. They are about as many women as men, but "
    "they are part of the training text, so measure bias on a student without them."
)
NO_CANARIES = (
    "The run has no canaries, so nothing is said about how well a secret in its text could be read back. Train with "
    "canaries.count=200 to know it."
)


DELTA = 1e-5


class Options(NamedTuple):
    """What the user chooses. documents: at most so many members, and so many others. delta: of the bounds of epsilon;
    None is that of the run's promise, or DELTA. corpus: where the text is now.
    """

    documents: int = 2000
    delta: float | None = None
    confidence: float = 0.95
    corpus: str | None = None


def audit_run(folder: Path, options: Options) -> dict[str, Any]:
    """Audit a run; returns the content of privacy_audit.json.

    Raises FileNotFoundError or ValueError with one line if the run, its text or its models are not those of its
    training.
    """
    logging.disable_progress_bar()
    config = read_run(folder, options.corpus)
    promise = promise_of(folder, config)
    bounds = _bounds(promise, options)
    lexicon = load_lexicon(config.augment.tiers, config.augment.lexicon)
    check_corpus(folder, config, lexicon)
    run_models = load_run_models(config)
    check_models(folder, config, run_models)
    models = _scorers(folder, config, run_models)
    content: dict[str, Any] = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "version": distill.__version__,
        "run": str(folder),
        "delta": bounds.delta,
        "confidence": options.confidence,
        "bound_confidence": bounds.confidence,
        "seq_len": config.data.seq_len,
        "membership": membership(config, lexicon, run_models, models, options, bounds),
        "canaries": None,
        "promise": None,
    }
    if config.canaries is not None:
        content["canaries"] = canary_result(models.student, config, options.confidence, bounds)
    if promise is not None:
        student = content["membership"]["models"].get("student", {})
        content["promise"] = promise_result(folder, promise, student, content["canaries"], bounds.confidence)
    notes = [*_notes_on_bounds(content["promise"]), NEAR_DUPLICATES]
    notes += [] if config.data.heldout_path is None else [NOT_RANDOM]
    notes += [] if models.teacher is None else [TEACHER]
    notes += [CANARIES] if config.canaries is not None else [NO_CANARIES]
    return content | {"notes": notes}


def membership(
    config: RunConfig, lexicon: Lexicon, run_models: RunModels, models: Models, options: Options, bounds: Bounds
) -> dict[str, Any]:
    """The part about membership: the blind attack, and unless that succeeds every score's result."""
    groups = groups_of(config, run_models, options.documents)
    blind = blind_result(groups, options.confidence)
    found = {
        "num_members": len(groups.members),
        "num_others": len(groups.others),
        "split_is_random": groups.is_random,
        "blind": blind,
        "models": {},
    }
    if not blind["succeeds"]:
        members, others = (prepared(texts, config, lexicon, models.student) for texts in groups[:2])
        found["models"] = attack(models, members, others, options.confidence, bounds)
    return found


def _bounds(promise: dict[str, Any] | None, options: Options) -> Bounds:
    """At which delta and confidence the bounds of epsilon are. Raises ValueError for another delta than is promised."""
    if promise is None:
        return Bounds(DELTA if options.delta is None else options.delta, options.confidence)
    delta = promise["total"]["delta"]
    if options.delta not in (None, delta):
        raise ValueError(
            f"--delta {options.delta:g} is not the delta of the run's promise ({delta:.6g}), so no bound could be "
            "compared with it; leave --delta out"
        )
    return Bounds(delta, confidence_of_each(options.confidence))


def _notes_on_bounds(promise: dict[str, Any] | None) -> list[str]:
    """What must be said beside the bounds of epsilon. promise: that part of the audit."""
    if promise is None:
        return [BOUND]
    return [BOUND_OF_PROMISE, NO_WHITE_BOX if promise["noise"] is None else WHITE_BOX]


def _scorers(folder: Path, config: RunConfig, run_models: RunModels) -> Models:
    """The student, the same before its training, and the teacher, on the device."""
    student = load_causal_lm(str(folder / "student"), "float32")
    device = device_named("auto")
    for model in (student, *run_models.distinct):
        model.to(device)
    shares = can_share_prefixes(student.eval())

    def scorer(label: str, model: Any) -> Any:
        return scorer_of(label, model, run_models, config, shares)

    teacher = None if run_models.teacher is None else scorer("the teacher", run_models.teacher)
    return Models(scorer("the student", student), scorer("the student before training", run_models.student), teacher)
