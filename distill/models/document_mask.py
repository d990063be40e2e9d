"""Stop attention at document boundaries by resetting position ids."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from distill.models.checks import check_document_mask


def document_positions(input_ids: Tensor, start_id: int) -> Tensor:
    """The position of each token within its document [B, T], from 0.

    A document begins at every `start_id` and at the start of a row.
    """
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    starts = torch.where(input_ids == start_id, places, 0)
    return places - starts.cummax(1).values


def mask_documents(model: PreTrainedModel, start_id: int, seq_len: int) -> None:
    """Let a model read each document of a row of at most `seq_len` tokens as if it stood alone, from now on (changes
    the model in place).

    When position ids restart within a row, transformers (from 5.0 on) concludes that documents are packed, and
    restricts causal attention to each of them. Not every model does: raises ValueError if this one still reads across
    the border of two documents. Position ids that a caller gives, as `generate` does, stay unchanged.
    """

    def add_positions(_: nn.Module, arguments: tuple, keywords: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        if keywords.get("position_ids") is None and keywords.get("input_ids") is not None:
            keywords = keywords | {"position_ids": document_positions(keywords["input_ids"], start_id)}
        return arguments, keywords

    model.base_model.register_forward_pre_hook(add_positions, with_kwargs=True)
    check_document_mask(model, start_id, seq_len)
