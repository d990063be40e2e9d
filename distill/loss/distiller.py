"""One forward pass: a batch of pairs and a teacher in, the summed loss and its parts out.

Both halves of a step that touch a model are here: `teacher_states` (frozen, no gradient) and `Distiller`, the module
that DDP or FSDP wraps. The student's backbone *and* the loss are inside that module's forward, because calling anything
but the wrapped module would leave gradients unsynchronised without a word.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from distill.config import LossConfig, PerturbConfig
from distill.data.batches import PairedBatch
from distill.loss.divergences import hidden_distance
from distill.loss.fused import Head, Objective, Teacher, pair_loss
from distill.loss.positions import Positions
from distill.loss.targets import GenderClasses
from distill.settings import to_dict, validate


class TermSums(NamedTuple):
    """Sums over predictions, in nats (hidden: in cosine distance), and the number of predictions.

    kd and counterpart, the part of it that lies between gendered terms and their counterparts, are at the distillation
    temperature and without its factor tau^2; pairing is the student's inconsistency between the views.
    """

    kd: Any
    ce: Any
    pairing: Any
    counterpart: Any
    target_entropy: Any
    hidden: Any
    num_tokens: Any


class LossTerms(NamedTuple):
    """The scaled loss of the scored predictions, the only part with a gradient; and its parts, summed over all scored
    predictions and over the gendered ones.
    """

    loss: Tensor
    sums: TermSums
    gendered_sums: TermSums


@torch.inference_mode()
def teacher_states(teacher: PreTrainedModel, batch: PairedBatch, swapped: Tensor) -> Tensor:
    """The teacher's table of last hidden states [(B + C) T, H]: of the originals, then of the counterfactuals of the C
    blocks in `swapped`; the other blocks are their own counterfactual. One forward pass, or none if they are cached.
    """
    if batch.teacher_hidden is not None and batch.cf_teacher_hidden is not None:
        return torch.cat([batch.teacher_hidden, batch.cf_teacher_hidden[swapped]]).flatten(0, 1)
    input_ids = batch.input_ids
    if len(swapped):
        input_ids = torch.cat([input_ids, batch.cf_input_ids[swapped]])
    return _last_hidden(teacher, input_ids).flatten(0, 1)


class Distiller(nn.Module):
    """The student with its loss. `teacher_head` and `classes` are held outside the module tree: they are not trained,
    not synchronised and not saved.

    In evaluation mode the cross-entropy is whole whatever loss.ce_counterparts says: its exponential is a perplexity.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        loss: LossConfig,
        perturbation: PerturbConfig,
        teacher_head: nn.Module | None = None,
        classes: GenderClasses | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.objective = Objective(loss, perturbation, classes)
        whole = validate(LossConfig, to_dict(loss) | {"ce_counterparts": True})
        self._whole = Objective(whole, perturbation, classes)
        self._teacher_head = (teacher_head,)  # in a tuple, where the module tree does not see it

    def forward(
        self, input_ids: Tensor, positions: Positions, scale: Tensor, teacher_hidden: Tensor | None = None
    ) -> LossTerms:
        """`scale` times the loss of the predictions in `positions`, of student inputs input_ids [S B, T].

        Without teacher_hidden [R, H] only the cross-entropy is computed. A batch in which nothing is scored gives a
        loss of 0 that is connected to the graph, so that every process takes part in the reduction of gradients.
        """
        hidden = _last_hidden(self.student, input_ids).flatten(0, 1)
        labels, is_gendered = input_ids.roll(-1, dims=1).flatten(), positions.is_gendered
        (head,) = self._teacher_head
        teacher = None if teacher_hidden is None or head is None else Teacher(teacher_hidden, _head(head))
        student_head = _head(self.student.get_output_embeddings())
        objective = self.objective if self.training else self._whole
        loss, parts = pair_loss(hidden, student_head, labels, is_gendered, positions.groups, teacher, objective, scale)
        distances = torch.zeros(2, device=hidden.device)
        weight = self.objective.loss.hidden_weight
        if teacher_hidden is not None and weight > 0:
            rows = torch.cat([group.student_rows.flatten() for group in positions.groups])
            own = torch.cat([group.teacher_rows[: len(group.student_rows)].flatten() for group in positions.groups])
            each = hidden_distance(hidden[rows].float(), teacher_hidden[own].float())
            distances = torch.stack([each.sum(), (each * is_gendered[rows]).sum()])
            loss = loss + scale * weight * distances[0]
        num_tokens = torch.stack([parts.new_full((), positions.num_tokens), is_gendered.sum()])  # bf16 cannot count
        both = torch.cat([parts, distances.detach().unsqueeze(1), num_tokens.unsqueeze(1)], dim=1)
        return LossTerms(loss, TermSums(*both[0]), TermSums(*both[1]))


def _head(layer: nn.Module) -> Head:
    return Head(layer.get_parameter("weight"), getattr(layer, "bias", None))


def _last_hidden(model: PreTrainedModel, input_ids: Tensor) -> Tensor:
    """The last hidden states [B, T, H], after the final norm: what the output head reads."""
    return model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
