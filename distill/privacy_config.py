"""The settings of private training, and what cannot be combined with it. docs/privacy.md says what is promised."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from distill.settings import Positive, check_none_set, section

Delta = Annotated[float, Field(gt=0, lt=1)]
LARGEST_EPSILON = 50.0


def _promises_something_or_nothing(epsilon: float) -> float:
    """Raise ValueError for an epsilon that looks like a promise and is none."""
    if LARGEST_EPSILON < epsilon < math.inf:
        raise ValueError(
            f"{epsilon:g} protects nobody; give {LARGEST_EPSILON:g} at most, or .inf to train without noise and to "
            "promise nothing"
        )
    return epsilon


Epsilon = Annotated[float, Field(gt=0), AfterValidator(_promises_something_or_nothing)]


@section
class BudgetConfig:
    """What another training has promised about the same documents."""

    epsilon: Positive
    delta: Delta


# The tags only tell pydantic which of the two a value is meant to be, so that it reports one fault, not two.
TeacherBudget = Annotated[
    Annotated[Literal["public"], Tag("a word")] | Annotated[BudgetConfig, Tag("a budget")],
    Discriminator(lambda value: "a word" if isinstance(value, str) else "a budget"),
]


@section
class PrivacyConfig:
    """Train so that the student hardly depends on any one document (DP-SGD; differential privacy).

    epsilon, delta: the promise for one document of data.path: itself, its counterfactual, and everything made from it.
    Smaller is stronger; `.inf` promises nothing: the same steps without noise, to compare with. A null delta is N^-1.1,
    where N is the number of training documents.
    max_record_norm: the gradient of a document is scaled down to this norm, if it is longer.
    teacher_budget: `public` says that teacher and student.checkpoint have not read these documents. If they have read
    them under a promise of their own, give it (`{epsilon: 4, delta: 1e-6}`): it adds to this one. That of a model
    whose run folder is still there is found without it.
    """

    epsilon: Epsilon
    delta: Delta | None = None
    max_record_norm: Positive = 1.0
    teacher_budget: TeacherBudget = "public"

    @property
    def promises(self) -> bool:
        """Whether anything is promised."""
        return math.isfinite(self.epsilon)


def check_private(run: Any) -> None:
    """Raise ValueError if a run with `privacy` has a setting that would break its promise, or has no use there.

    run: a RunConfig, whose module imports this one.
    """
    lora = run.student.lora
    forbidden = {
        "optim.max_grad_norm": (
            run.optim.max_grad_norm != 0,
            "each document's gradient is clipped by privacy.max_record_norm; set it to 0",
        ),
        "optim.grad_norm_limit": (run.optim.grad_norm_limit is not None, "a step must not depend on it; leave it out"),
        "train.on_nonfinite": (
            run.train.on_nonfinite == "skip",
            "a document whose gradient is not finite counts as 0, and no step is skipped; leave it out",
        ),
        "train.trackers": (
            bool(run.train.trackers),
            "they would send the training loss away, which no budget covers; leave it out: metrics.jsonl has all",
        ),
        "student.dropout": (run.student.dropout > 0, "its noise would follow from the public seed; set it to 0"),
        "student.lora.dropout": (
            lora is not None and lora.dropout > 0,
            "its noise would follow from the public seed; set it to 0",
        ),
        "student.layers": (
            run.student.layers == "auto",
            "`auto` chooses by the training text, which no budget covers; name the layers",
        ),
        "perturb.ramp": (run.perturb.ramp is not None, "it follows held-out text, which is not covered; leave it out"),
        "canaries.repeats": (
            run.canaries is not None and run.canaries.repeats > 1,
            "the promise is for one document, and a canary that stands there more often is several; set it to 1",
        ),
        "teacher.shard": (
            run.teacher is not None and run.teacher.shard,
            "each process reads its own number of documents in a step; set it to false",
        ),
    }
    check_none_set("privacy", forbidden)
    if run.privacy and run.privacy.teacher_budget != "public":
        if not (run.teacher or run.student.checkpoint):
            raise ValueError("privacy.teacher_budget is set, but there is no teacher and no checkpoint; leave it out")
        if not run.privacy.promises:
            raise ValueError("privacy.teacher_budget is set, but privacy.epsilon promises nothing; leave it out")
