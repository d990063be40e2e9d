"""From models to a loss: `Distiller.forward` runs teacher and student on a batch and sums the loss.

`Distiller` is the module that DDP or FSDP wraps. Its forward runs both the student and the loss, because gradients are
synchronised only when the wrapped module itself is called.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from distill.data.batches import PairedBatch
from distill.loss.divergences import hidden_distance
from distill.loss.fused import Objective, PairLoss, pair_loss
from distill.loss.logits import LazyLogits
from distill.loss.positions import Positions
from distill.loss_config import LossConfig, PerturbConfig
from distill.models.logit_transform import logit_transform
from distill.models.lora import as_teacher
from distill.models.sizes import num_predicted_ids

# what a student is measured by: the divergence from its teacher and the cross-entropy
IN_EVALUATION = Objective(LossConfig(kd_weight=1, ce_weight=1, temperature=1), PerturbConfig())


class Distiller(nn.Module):
    """The student together with its loss.

    Teacher and gender classes are kept out of the module tree, so that they are not trained, synchronised or saved. In
    evaluation mode kd is KL(teacher || student), whatever the target, and ce the whole cross-entropy, so that its
    exponential is a perplexity.
    """

    def __init__(self, student: PreTrainedModel, objective: Objective, teacher: PreTrainedModel | None = None) -> None:
        super().__init__()
        self.student = student
        self._full_objective = self.objective = objective
        self._teacher = (teacher,)  # the module tree does not look into a tuple
        for model in (student, teacher):
            if model is not None:  # look now: later its layers may be sharded
                logit_transform(model)

    def strengthen(self, share: float) -> None:
        """Train from now on with this share of what the objective's gain adds and of its counterpart_weight."""
        self.objective = self._full_objective.at_share(share)

    def read_by_teacher(self, batch: PairedBatch, swapped: Tensor) -> Tensor | None:
        """`teacher_states` of a batch, or None if there is no teacher."""
        (teacher,) = self._teacher
        return None if teacher is None else teacher_states(teacher, batch, swapped)

    def forward(self, batch: PairedBatch, positions: Positions, scale: Tensor) -> PairLoss:
        """`scale` times the loss of the predictions in `positions`: of the original view, or of both views in one pass.

        The terms that need a teacher are 0 if there is none. A batch in which nothing is scored gives a loss of 0 that
        is connected to the graph, so that every process takes part in the reduction of gradients.
        """
        (teacher,) = self._teacher
        teacher_logits = None
        if teacher is not None:  # the teacher may have more rows, of ids that no text holds
            table = teacher_states(teacher, batch, positions.swapped)
            teacher_logits = _lazy_logits(teacher, table).first(num_predicted_ids(self.student))
        num_views = len(positions.is_gendered) // batch.input_ids.numel()
        input_ids = torch.cat([batch.input_ids, batch.cf_input_ids][:num_views])
        hidden = _last_hidden(self.student, input_ids).flatten(0, 1)
        labels = input_ids.roll(-1, dims=1).flatten()
        num_ids = self.objective.num_ids
        objective = self.objective if self.training else IN_EVALUATION._replace(num_ids=num_ids)
        result = pair_loss(_lazy_logits(self.student, hidden), teacher_logits, labels, positions, objective, scale)
        if teacher_logits is None or objective.loss.hidden_weight == 0:
            return result
        return _add_hidden_term(result, hidden, teacher_logits.hidden, positions, scale * objective.loss.hidden_weight)


def teacher_states(teacher: PreTrainedModel, batch: PairedBatch, swapped: Tensor) -> Tensor:
    """The teacher's table of last hidden states [(B + C) T, H]: first on the B originals, then on the C counterfactuals
    of the blocks in `swapped` (the other blocks are their own counterfactuals).

    Takes one forward pass, or none if the batch holds cached states.
    """
    if batch.teacher_hidden is not None and batch.cf_teacher_hidden is not None:
        hidden = [batch.teacher_hidden, *[batch.cf_teacher_hidden] * (len(swapped) > 0)]
        return torch.cat(hidden).flatten(0, 1)
    input_ids = batch.input_ids
    if len(swapped):
        input_ids = torch.cat([input_ids, batch.cf_input_ids[swapped]])
    with as_teacher(teacher):
        return _last_hidden(teacher, input_ids).flatten(0, 1)


def _add_hidden_term(
    result: PairLoss, hidden: Tensor, teacher_hidden: Tensor, positions: Positions, weight: Tensor
) -> PairLoss:
    """Add `weight` times the distance between the hidden states of student and teacher, on the same view."""
    rows = torch.cat([group.student_rows.flatten() for group in positions.groups])
    own = torch.cat([group.teacher_rows[: len(group.student_rows)].flatten() for group in positions.groups])
    distances = hidden_distance(hidden[rows].float(), teacher_hidden[own].float())
    total, gendered = distances.sum(), (distances * positions.is_gendered[rows]).sum()
    return PairLoss(
        result.loss + weight * total,
        result.sums._replace(hidden=total.detach()),
        result.gendered_sums._replace(hidden=gendered.detach()),
    )


def _lazy_logits(model: PreTrainedModel, hidden: Tensor) -> LazyLogits:
    """The logits of a model with these last hidden states [R, H]."""
    layer = model.get_output_embeddings()
    return LazyLogits(hidden, layer.get_parameter("weight"), getattr(layer, "bias", None), logit_transform(model))


def _last_hidden(model: PreTrainedModel, input_ids: Tensor) -> Tensor:
    """The last hidden states [B, T, H], after the final norm: what the output layer reads."""
    return model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
