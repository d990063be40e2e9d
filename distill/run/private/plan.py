"""What a private run promises, and the noise that this needs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from distill.config import RunConfig
from distill.models.probe import last_states, probe_ids
from distill.privacy.accountant import Steps, noise_for
from distill.run.schedule import Schedule

DELTA_EXPONENT = -1.1


class PrivacyPlan(NamedTuple):
    """epsilon, delta: what is promised for one document; nothing if epsilon is infinite. max_record_norm: to which each
    gradient is clipped. num_documents: of the training text. documents_per_step: how many a step reads on average;
    every sum of gradients is divided by it, however many were drawn. steps: the noise and how often it is added.
    """

    epsilon: float
    delta: float
    max_record_norm: float
    num_documents: int
    documents_per_step: int
    steps: Steps

    @property
    def noise_std(self) -> float:
        """The standard deviation of the noise on each value of the sum of the clipped gradients."""
        return self.steps.noise_multiplier * self.max_record_norm


def make_plan(config: RunConfig, num_documents: int, schedule: Schedule) -> PrivacyPlan:
    """The plan of a run over so many documents; finding the noise takes seconds. Without a promise there is none.

    Raises ValueError if a step would read more documents than there are, or if delta promises nothing.
    """
    privacy = config.privacy
    assert privacy is not None
    if schedule.rows_per_step > num_documents:
        raise ValueError(
            f"a step reads {schedule.rows_per_step} documents on average, but there are {num_documents}; lower "
            "train.global_batch_size, or give more text"
        )
    delta = num_documents**DELTA_EXPONENT if privacy.delta is None else privacy.delta
    if delta >= 1 / num_documents:
        raise ValueError(
            f"privacy.delta is {delta:g}, but with {num_documents:,} documents it must be below {1 / num_documents:.2g}"
            ": otherwise publishing one of them as it is would count as private; leave it out, or lower it"
        )
    rate = schedule.rows_per_step / num_documents
    noise = noise_for(privacy.epsilon, delta, rate, schedule.max_steps) if privacy.promises else 0.0
    steps = Steps(noise, rate, schedule.max_steps)
    return PrivacyPlan(privacy.epsilon, delta, privacy.max_record_norm, num_documents, schedule.rows_per_step, steps)


def check_launch(accelerator: Accelerator) -> None:
    """Raise ValueError for a launcher configuration under which gradients cannot be clipped record by record."""
    if accelerator.is_fsdp2:
        raise ValueError(
            "privacy cannot be combined with FSDP: it reduces every gradient over the processes before one record's "
            "could be clipped; launch with configs/accelerate/ddp.yaml"
        )
    if accelerator.scaler is not None:
        raise ValueError(
            "privacy cannot be combined with fp16: its loss scaler skips steps by what it sees of the data; give "
            "--mixed_precision bf16, or no"
        )


def check_student(student: PreTrainedModel) -> None:
    """Raise ValueError for a student whose forward pass changes the model, as batch norm does, or is random.

    What it changes would be published without noise. Random masks that follow from the public seed would differ for all
    documents behind one that is left out.
    """
    kind, training = type(student).__name__, [module for module in student.modules() if module.training]
    before = {name: buffer.clone() for name, buffer in student.named_buffers()}
    student.train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        first, second = (last_states(student, probe_ids(student)) for _ in range(2))
    student.eval()
    for module in training:
        module.training = True
    after = dict(student.named_buffers())
    changed = [name for name in after if name not in before or not torch.equal(before[name], after[name])]
    if changed:
        raise ValueError(
            f"privacy cannot be combined with the student ({kind}): reading a text changes {changed[0]} in it, which "
            "no noise would cover; choose a student without such layers"
        )
    if not torch.equal(first, second):
        raise ValueError(
            f"privacy cannot be combined with the student ({kind}): in training it reads the same text in another way "
            "each time; set every dropout of its configuration to 0"
        )
