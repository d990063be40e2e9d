"""The settings of what is minimised: the target and the loss. docs/method.md has the formulas."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distill.settings import NonNegative, Positive, Proportion, section

Operation = Literal["none", "max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric", "equalize"]


@section
class RampConfig:
    """When the target gets its full strength. far, near: held-out KL(teacher || student) in nats per token.

    From `far` on, perturb.gain counts as 1 and loss.counterpart_weight as 0; from `near` down, both have their values;
    between, they follow. The KL is measured every train.eval_every steps.
    """

    far: Positive
    near: Positive

    @model_validator(mode="after")
    def _in_order(self) -> RampConfig:
        if self.near >= self.far:
            raise ValueError(f"near is {self.near:g} and far {self.far:g}; near must be less")
        return self


@section
class PerturbConfig:
    """How the teacher's two predictions become one target. strength 0 is plain distillation.

    scope: what the operation changes. `all`: the whole distribution. `pairs`: only how each gendered term and its
    counterpart share out their joint probability, so that every other token (given names too) keeps the teacher's own.
    strength: the share of the operation's distribution in the target; the rest is the teacher's own prediction.
    gain: for the equivariant operations, a factor on the target's log-odds between gendered terms and their
    counterparts. Parity stays parity. Above 1, words that tell the gender count more.
    ramp: let the gain and loss.counterpart_weight grow as the student comes near its teacher.
    """

    operation: Operation = "none"
    scope: Literal["all", "pairs"] = "all"
    strength: Proportion = 1.0
    gain: Positive = 1.0
    ramp: RampConfig | None = None

    @model_validator(mode="after")
    def _scope_has_a_use(self) -> PerturbConfig:
        if self.scope != "all" and self.operation == "none":
            raise ValueError(f"perturb.scope is {self.scope}, but perturb.operation is none; leave it out")
        return self

    @model_validator(mode="after")
    def _gain_has_a_use(self) -> PerturbConfig:
        if self.gain != 1 and not self.operation.startswith("equivariant"):
            raise ValueError(
                f"perturb.gain is {self.gain:g}, but only the equivariant operations have one and perturb.operation is "
                f"{self.operation}; leave it out"
            )
        return self


@section
class LossConfig:
    """Terms of the loss and their weights (docs/method.md has the formulas, and what each divergence did).

    kd_weight: the divergence from the target. divergence, beta: which one; beta is the mixing weight of `jsd`, or the
    target's share in the mixture of `skewed_kl`. temperature: divides the logits of teacher and student in it.
    ce_weight: the cross-entropy with the text.
    ce_counterparts: whether the cross-entropy also asks for the text's own choice between a gendered term and its
    counterpart. With `false` only the target makes that choice.
    counterpart_weight: extra weight on the part of the forward KL to the target that lies between gendered terms and
    their counterparts. It is then learned sooner; the optimum stays the same.
    hidden_weight: 1 - cosine between the last hidden states of student and teacher, which must have the same width.
    pairing_weight: the student's inconsistency between the views of a pair (counterfactual logit pairing). It needs
    augment.mode `augment`, because the student must read both views.
    """

    kd_weight: NonNegative = 0.5
    ce_weight: NonNegative = 0.5
    ce_counterparts: bool = True
    hidden_weight: NonNegative = 0.0
    pairing_weight: NonNegative = 0.0
    counterpart_weight: NonNegative = 0.0
    temperature: Positive = 2.0
    divergence: Literal["forward_kl", "reverse_kl", "jsd", "skewed_kl"] = "forward_kl"
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.5
