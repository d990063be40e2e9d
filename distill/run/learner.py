"""What training changes and a checkpoint holds: the wrapped model, its optimizer, scheduler and state."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch

from distill.config import OptimConfig
from distill.data.stream import BlockStream
from distill.loss.distiller import Distiller
from distill.run.compile_loss import compiled
from distill.run.launch import checkpoint_activations, prepare, prepare_unwrapped, shard_teacher
from distill.run.schedule import build_scheduler
from distill.run.setup import Setup


@dataclasses.dataclass
class TrainState:
    """How far a run is. step: optimizer steps done, skipped ones included. tokens_seen: predictions scored so far.

    num_skipped: steps skipped by train.on_nonfinite. num_overflowed: steps skipped by the loss scaler of fp16.
    heldout_nats_per_token: the held-out cross-entropy if it was measured at this very step, otherwise None. heldout_kl:
    the last held-out KL(teacher || student) that was measured. secret, noise_multiplier: of a private run. Batches and
    noise follow from the secret, which is written into checkpoints only.
    """

    step: int = 0
    tokens_seen: int = 0
    num_skipped: int = 0
    num_overflowed: int = 0
    heldout_nats_per_token: float | None = None
    heldout_kl: float | None = None
    secret: str | None = dataclasses.field(default=None, repr=False)
    noise_multiplier: float | None = None

    def advance(self, metrics: dict[str, Any] | None) -> None:
        """Count a step; metrics is None if it failed and was skipped."""
        self.step += 1
        self.heldout_nats_per_token = None
        if metrics is None:
            self.num_skipped += 1
        else:
            self.tokens_seen += metrics["num_tokens"]
            self.num_overflowed += metrics["overflowed"]

    def counts(self) -> dict[str, int]:
        """What metrics.jsonl reports with every step."""
        return {name: getattr(self, name) for name in ("tokens_seen", "num_skipped", "num_overflowed")}


class Learner(NamedTuple):
    """model: the `Distiller`, wrapped for all processes. optimizer: prepared by accelerate. stream: the run's, whose
    place in the text is a part of checkpoints.
    """

    model: torch.nn.Module
    optimizer: Any
    scheduler: Any
    state: TrainState
    stream: BlockStream | None = None


def build_learner(setup: Setup) -> Learner:
    """The learner of a run at step 0, on this process's device."""
    place_teacher(setup)
    distiller = build_distiller(setup)
    optimizer = build_optimizer(setup.config.optim, distiller)
    if setup.privacy is None:
        model, optimizer = prepare(setup.accelerator, distiller, optimizer)
    else:
        model, optimizer = distiller, prepare_unwrapped(setup.accelerator, distiller, optimizer)
    begin_state(optimizer.optimizer)
    scheduler = build_scheduler(setup.config.optim, optimizer, setup.schedule.max_steps)
    return Learner(model, optimizer, scheduler, TrainState(), setup.stream)


def place_teacher(setup: Setup) -> None:
    """Put the teacher on this process's device, in place, sharded if configured so.

    With cached states only its output layer goes there, because the other layers are no longer used.
    """
    config, accelerator, teacher = setup.config, setup.accelerator, setup.models.teacher
    if teacher is None:
        return
    if setup.blocks.states is None:
        if config.teacher and config.teacher.shard and accelerator.num_processes > 1:
            shard_teacher(teacher, accelerator)
        teacher.to(accelerator.device)
    teacher.get_output_embeddings().to(accelerator.device)


def build_distiller(setup: Setup) -> Distiller:
    """The module that is trained, on this process's device; with gradient checkpointing if configured so."""
    device, student = setup.accelerator.device, setup.models.student
    if setup.config.train.gradient_checkpointing:
        checkpoint_activations(student)
    classes = None if setup.classes is None else setup.classes.to(device)
    objective = compiled(setup.objective._replace(classes=classes), setup)
    return Distiller(student, objective, setup.models.teacher).to(device)


def build_optimizer(optim: OptimConfig, distiller: Distiller) -> torch.optim.AdamW:
    """Fused AdamW. Weight decay is on matrices only, not on norms and biases."""
    parameters = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": optim.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=optim.lr, betas=optim.betas, eps=optim.eps, fused=True)


def begin_state(optimizer: torch.optim.Optimizer) -> None:
    """Give every parameter its state of AdamW before the first step, in place.

    AdamW itself gives it with the first gradient, and a checkpoint without the state of some expert cannot be loaded.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
