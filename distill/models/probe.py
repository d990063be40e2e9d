"""Run a model on a few tokens to see what it does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor
from transformers import PreTrainedModel

from augment.command_line import in_one_line
from distill.models.sizes import num_ids_of, num_positions

NUM_PROBE_TOKENS = 12  # at most


@contextlib.contextmanager
def probing(model: PreTrainedModel, name: str, remedy: str = "use another model") -> Iterator[None]:
    """Run a probe in evaluation mode, because with dropout no two passes are alike. Any failure is one ValueError."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode(False):
            yield
    except Exception as error:  # a model that is used in another way fails in a way of its own
        raise ValueError(
            f"{name}: {type(model).__name__} ({model.config.model_type}) cannot be read as a causal language model "
            f"({type(error).__name__}: {in_one_line(error)}); {remedy}"
        ) from error
    finally:
        for module in training:
            module.training = True


def last_states(model: PreTrainedModel, ids: Tensor, position_ids: Tensor | None = None) -> Tensor:
    """The last hidden states [B, T, H], read as in training. position_ids: if they are not the usual ones."""
    positions = {} if position_ids is None else {"position_ids": position_ids}
    return model.base_model(input_ids=ids, use_cache=False, **positions).last_hidden_state


def max_change(dtype: torch.dtype) -> float:
    """By what part of its norm a state may differ where only rounding makes a difference.

    Half precision rounds a state by up to 1 %, and may send a token to other experts: so let the median token count.
    """
    return 0.05 if dtype in (torch.float16, torch.bfloat16) else 1e-3


def probe_ids(model: PreTrainedModel, longest: int = NUM_PROBE_TOKENS) -> Tensor:
    """A row of token ids from all parts of the vocabulary [1, T], of `longest` tokens or as long as the model allows.

    They are all different if the vocabulary is large enough.
    """
    length = min(longest, num_positions(model) or longest)
    num_ids = num_ids_of(model)
    return (torch.arange(1, length + 1) * max(1, num_ids // (length + 1)) % num_ids)[None].to(model.device)
