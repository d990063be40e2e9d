"""Look at a loaded model: is it one that this project can distill and score?

No check goes by a list of model types. Each one runs the model on a few tokens, or asks what was loaded.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from distill.models.logit_transform import check_head
from distill.models.probe import last_states, max_change, probe_ids, probing
from distill.models.sizes import num_ids_of

# Masked attention has a gradient of exactly 0 in every precision; convolutions by FFT leave rounding errors.
MAX_GRADIENT = 1e-6


def check_weights(report: Mapping[str, Collection[Any]], path: str) -> None:
    """Raise ValueError if a checkpoint left weights out of the model, or gave them in another shape.

    report: what `from_pretrained(output_loading_info=True)` returns. It does not list a weight that is tied to another.
    Weights that the model has no use for are fine.
    """
    wrong_shapes = {name: (list(theirs), list(ours)) for name, theirs, ours in report["mismatched_keys"]}
    missing = sorted({*report["missing_keys"], *wrong_shapes})
    if not missing:
        return
    first, spare = missing[0], sorted(report["unexpected_keys"])
    shapes = "" if first not in wrong_shapes else " (it has the shape {}, not {})".format(*wrong_shapes[first])
    instead = f"; it has {spare[0]} instead, which is not a weight of the model" if spare else ""
    raise ValueError(
        f"{path}: the checkpoint does not give {len(missing)} of the model's weights, {first}{shapes} first, so they "
        f"would be random{instead}; give a complete checkpoint, with the config.json that belongs to it"
    )


def check_causal_lm(model: PreTrainedModel, name: str) -> None:
    """Raise ValueError unless the model can be distilled and scored: `check_head` and `check_causal`."""
    check_head(model, name)
    check_causal(model, name)


def check_reload(model: PreTrainedModel, name: str, remedy: str = "use another model") -> None:
    """Raise ValueError unless what `save_pretrained` would write of the configuration makes a model with these weights.

    Weights take no memory here.
    """
    with probing(model, name, remedy):
        with tempfile.TemporaryDirectory() as folder:
            model.config.save_pretrained(folder)
            written = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            again = AutoModelForCausalLM.from_config(written)
    theirs, mine = ({key: weight.shape for key, weight in each.state_dict().items()} for each in (again, model))
    different = sorted(key for key in {*theirs, *mine} if theirs.get(key) != mine.get(key))
    if different:
        raise ValueError(
            f"{name}: {type(model).__name__} would not be the same model when it is loaded again ({different[0]} "
            f"differs); {remedy}"
        )


def check_causal(model: PreTrainedModel, name: str) -> None:
    """Raise ValueError if the state of a token depends on later tokens, as in an encoder."""
    with probing(model, name):
        probe = probe_ids(model)
        half = probe.shape[1] // 2
        causal = _stands_alone(model, probe, slice(0, half), slice(half, None))
    if not causal:
        raise ValueError(
            f"{name}: {type(model).__name__} ({model.config.model_type}) reads later tokens, so it cannot predict "
            "them; use a causal language model (is_causal and is_decoder must not be false in its config.json)"
        )


def check_document_mask(model: PreTrainedModel, start_id: int, seq_len: int) -> None:
    """Raise ValueError unless a document reads as if it stood alone in its row of at most `seq_len` tokens.

    start_id: before each document. A second look gives the document before it the row's last positions: some models
    change how they read all positions with the largest one.
    """
    with probing(model, "data.mask_documents = true"):
        probe = probe_ids(model)
        half = probe.shape[1] // 2
        probe[probe == start_id] = (start_id + 1) % num_ids_of(model)
        probe[:, [0, half]] = start_id
        place, before = torch.arange(probe.shape[1], device=probe.device), slice(0, half)
        far = torch.where(place < half, max(seq_len, probe.shape[1]) - half + place, place - half)[None]
        alone = all(_stands_alone(model, probe, slice(half, None), before, ids) for ids in (None, far))
    if not alone:
        raise ValueError(
            f"data.mask_documents = true, but {type(model).__name__} ({model.config.model_type}) still reads across "
            "the borders of documents, because position ids do not restrict what its layers read; set it to false"
        )


# -- what a state depends on ------------------------------------------------------------------------------------------


def _stands_alone(
    model: PreTrainedModel, ids: Tensor, own: slice, others: slice, position_ids: Tensor | None = None
) -> bool:
    """Whether the states of the tokens at `own` are those of these tokens alone, whatever is at `others`."""
    changed = ids.clone()
    changed[:, others] = ids[:, others].flip(1)
    with torch.no_grad():
        alone = last_states(model, ids[:, own]).float()
        together = [last_states(model, row, position_ids)[:, own].float() for row in (ids, changed)]
    for states in together:
        change = (states - alone).norm(dim=-1).median() / alone.norm(dim=-1).mean()
        if change > max_change(model.dtype):
            return False
    return _gradient_share(model, ids, own, others) <= MAX_GRADIENT


def _gradient_share(model: PreTrainedModel, ids: Tensor, own: slice, others: slice) -> float:
    """The largest gradient of the states at `own` by an embedding at `others`, relative to the usual one at `own`.

    Unlike a difference of states, it is exactly 0 if nothing is read there, even where rounding makes a difference. It
    is 0 as well if the model has no gradient, as with some quantised layers.
    """
    embedded: list[Tensor] = []

    def cut(_module: nn.Module, _arguments: Any, output: Tensor) -> Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[-1]

    hook = model.get_input_embeddings().register_forward_hook(cut)
    try:
        with torch.enable_grad():
            states = last_states(model, ids)[:, own].float()
            direction = torch.randn(states.shape, generator=torch.Generator().manual_seed(0)).to(states.device)
            gradients = torch.autograd.grad((states * direction).sum(), embedded)
    except RuntimeError:
        return 0.0
    finally:
        hook.remove()
    norms = torch.stack([gradient.float().norm(dim=-1)[0] for gradient in gradients]).sum(0)
    share = float(norms[others].max() / norms[own].median())
    return share if math.isfinite(share) else 0.0
