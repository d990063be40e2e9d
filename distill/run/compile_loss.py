"""Decide whether the loss, apart from its matrix products, runs as compiled kernels."""

from __future__ import annotations

import torch

from distill.loss.fused import Objective, compiled_terms_and_gradient
from distill.loss.logits import NO_CAPS, SoftCaps
from distill.loss.positions import Group
from distill.models.logit_transform import logit_transform
from distill.models.sizes import num_predicted_ids
from distill.run.setup import Setup

NUM_TRIED = 4  # predictions


def compiled(objective: Objective, setup: Setup) -> Objective:
    """The objective, compiled if train.compile_loss asks for it, or is null and this is a GPU and it compiles.

    Raises ValueError if it is asked for and fails.
    """
    wanted, device = setup.config.train.compile_loss, setup.accelerator.device
    if wanted is False or (wanted is None and device.type != "cuda"):
        return objective
    both = setup.config.augment.mode == "augment"
    student, teacher = setup.models.student, setup.models.teacher
    caps = SoftCaps(logit_transform(student).cap, None if teacher is None else logit_transform(teacher).cap)
    fault = compile_fault(objective, both, num_predicted_ids(student), device, caps)
    if fault and wanted:
        raise ValueError(f"train.compile_loss = true, but the loss does not compile ({fault}); set it to false")
    if fault:
        setup.accelerator.print(f"the loss is not compiled, so a step takes longer ({fault})")
    return objective._replace(is_compiled=not fault)


def compile_fault(
    objective: Objective, both: bool, num_ids: int, device: torch.device, caps: SoftCaps = NO_CAPS
) -> str:
    """Compile the loss on a device, for every kind of predictions of a run. Returns why it fails, or an empty text.

    both: whether the student reads both views. The run would compile the same later, so this takes no time of its own.
    It fails without a C compiler or Triton, and for logit pairing, whose gradient comes from autograd.
    """
    kinds = [(1, 1, False)]  # views that the student reads, views that the teacher reads, whether there is a partner
    if objective.compares_views:
        kinds += [(1, 1, True), (1, 2, True), *[(2, 2, True)] * both]
    try:
        for num_student, num_teacher, has_partner in kinds:
            student, teacher = (
                torch.zeros(num_views, NUM_TRIED, num_ids, device=device) for num_views in (num_student, num_teacher)
            )
            labels = torch.zeros(num_student, NUM_TRIED, dtype=torch.long, device=device)
            group = Group(labels, labels[:1].repeat(num_teacher, 1), has_partner)
            compiled_terms_and_gradient()(student, teacher, labels, group, objective, caps)
    except Exception as error:  # each step of a compiler fails in its own way
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return ""
