"""What a model makes of its output layer's values before it returns them as logits: a scale, a soft cap, or nothing.

Nothing here goes by names of settings. A model is handed values of our own in place of its output layer's, and what it
returns for them shows the scale and the cap. A model that does something else is refused.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from distill.models.probe import last_states, max_change, probe_ids, probing

LARGE, FAR = 200.0, 6e4  # above every soft cap; so far above that only the cap is left (float16 can hold it)
ROUNDING = 1e-6  # a model that computes its logits in float32 shows a scale of 1 as 1 + 1e-7


class LogitTransform(NamedTuple):
    """logits = cap * tanh(scale * z / cap), or scale * z if there is no cap; z is what the output layer gives.

    scale: Cohere's `logit_scale`, or one over Granite's `logits_scaling`. cap: Gemma 2's `final_logit_softcapping`.
    """

    scale: float = 1.0
    cap: float | None = None

    def apply_(self, values: Tensor) -> Tensor:
        """The logits of values z [...] of the output layer, in place."""
        if self.scale != 1:
            values.mul_(self.scale)
        return values if self.cap is None else values.div_(self.cap).tanh_().mul_(self.cap)


def logit_transform(model: PreTrainedModel, name: str = "the model") -> LogitTransform:
    """The transform of a model. It is kept with the model, whose layers may later be on other devices.

    Raises ValueError as `check_head` does.
    """
    if not hasattr(model, "logit_transform"):
        check_head(model, name)
    return model.logit_transform


def check_head(model: PreTrainedModel, name: str, remedy: str = "use another model") -> None:
    """Raise ValueError unless the logits are the output embeddings of the last hidden state, scaled and soft-capped at
    most; keep with the model how they are. The logits are asked for as users do it, with a cache.
    """
    with probing(model, name, remedy), torch.no_grad():
        ids = probe_ids(model)
        values, logits = model.get_output_embeddings()(last_states(model, ids)), model(ids).logits
        transform = _read(model, ids)
        if transform is None or logits.shape != values.shape:
            same = False
        else:
            same = torch.allclose(logits.float(), transform.apply_(values.float()), rtol=1e-2, atol=1e-3)
    if not torch.isfinite(logits).all():
        raise ValueError(f"{name}: the model gives NaN or infinite logits; its weights are damaged or overflow")
    if not same:
        raise ValueError(
            f"{name}: {type(model).__name__} does more between its last hidden states and its logits than output "
            f"embeddings, a scale and a soft cap, which distillation from hidden states does not support; {remedy}"
        )
    model.logit_transform = transform


class _Look(NamedTuple):
    """A pass in which the output layer's values were replaced: the last hidden states, what the output layer was
    given, the values in place of its own, and the logits that became of them.
    """

    hidden: Tensor
    given: Tensor
    values: Tensor
    logits: Tensor


def _read(model: PreTrainedModel, ids: Tensor) -> LogitTransform | None:
    """The transform that a look shows; None if it is another function.

    A model that does not call its body and its output layer as modules has none, as far as this can tell.
    """
    look = _look(model, ids)
    if look is None:
        return LogitTransform()
    if look.given.shape != look.hidden.shape or look.logits.shape != look.values.shape:
        return None
    before, after = _scale_before(look), _after(look)
    if before is None or after is None:
        return None
    if not torch.allclose(look.logits.to(look.values), after.apply_(look.values.clone()), rtol=1e-3, atol=1e-3):
        return None
    scale = before * after.scale
    return LogitTransform(1.0 if abs(scale - 1) < ROUNDING else scale, after.cap)


def _look(model: PreTrainedModel, ids: Tensor) -> _Look | None:
    """Let the model read ids, and put values from -LARGE to LARGE in place of its output layer's, FAR and 1 first.

    In float64, so that the scale is exact also if the model computes in bfloat16.
    """
    seen: dict[str, Tensor] = {}

    def keep(_module: nn.Module, _arguments: Any, output: Any) -> None:
        seen["hidden"] = output.last_hidden_state

    def replace(_module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor:
        dtype = torch.float32 if output.device.type == "mps" else torch.float64
        values = torch.linspace(-LARGE, LARGE, output.numel(), device=output.device, dtype=dtype)
        values[0], values[1] = FAR, 1.0
        seen.update(given=arguments[0], values=values.view(output.shape))
        return seen["values"].clone()

    hooks = [
        model.base_model.register_forward_hook(keep),
        model.get_output_embeddings().register_forward_hook(replace),
    ]
    try:
        logits = model(ids).logits
    finally:
        for hook in hooks:
            hook.remove()
    return _Look(**seen, logits=logits) if len(seen) == 3 else None


def _scale_before(look: _Look) -> float | None:
    """By what the last hidden states are multiplied before the output layer; None if they become something else."""
    if torch.equal(look.hidden, look.given):  # also if all states are 0, of which no scale could be told
        return 1.0
    hidden, given = look.hidden.double(), look.given.double()
    scale = float((given * hidden).sum() / hidden.square().sum())
    change = (given - scale * hidden).norm(dim=-1).median() / given.norm(dim=-1).mean()
    return scale if change <= max_change(look.hidden.dtype) else None


def _after(look: _Look) -> LogitTransform | None:
    """What has become of FAR and of 1: the cap and the scale behind the output layer; None if neither explains it."""
    far, near = look.logits.flatten()[:2].tolist()
    if not 0 < near < far:
        return None
    if abs(far / FAR - near) <= 0.01 * near:
        return LogitTransform(near)
    return LogitTransform(far * math.atanh(near / far), far)
