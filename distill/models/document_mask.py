"""Documents that do not see each other: a model and the token before each document in; the model, changed, out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


def document_positions(input_ids: Tensor, start_id: int) -> Tensor:
    """[B, T]: the place of each token within its document, from 0. One begins at start_id, and at a row's start."""
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    starts = torch.where(input_ids == start_id, places, 0)
    return places - starts.cummax(1).values


def mask_documents(model: PreTrainedModel, start_id: int) -> None:
    """Let a model, from now on, read each document of a row as if it stood alone.

    Positions restart at each document, which is what transformers (from 5.0 on) takes as the sign of packed rows: its
    attention then is causal within each document and nothing else. Where positions are given, by `generate` for one,
    they stay as they are.
    """

    def add_positions(_: nn.Module, arguments: tuple, keywords: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        if keywords.get("position_ids") is None and keywords.get("input_ids") is not None:
            keywords = keywords | {"position_ids": document_positions(keywords["input_ids"], start_id)}
        return arguments, keywords

    model.base_model.register_forward_pre_hook(add_positions, with_kwargs=True)
