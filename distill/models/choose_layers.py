"""Choose which layers of a teacher a student keeps: take out one at a time, the one without which the loss is lowest.

The greedy choice by loss is that of Shortened LLaMA (arXiv 2402.02834), measured anew after each layer that goes, as in
SLEB (arXiv 2402.09025). A similarity of a layer's input and output (ShortGPT's block influence, arXiv 2403.03853) costs
less and misses layers without which a small model falls apart: docs/method.md has both on one model.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from accelerate.utils import recursively_apply
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from distill.models.layers import layers_prefix, only_layers
from distill.models.probe import last_states
from distill.models.sizes import num_predicted_ids
from distill.models.student import student_from_layers

NUM_CANDIDATES = 8
# Logits held at a time: 128 MiB of float32 on a CPU, 1 GiB on a GPU
MAX_LOGITS, MAX_LOGITS_ON_GPU = 2**25, 2**28


class Removal(NamedTuple):
    """A step of the choice. removed: the layer that went. layers: those that are left. loss: theirs, on the text that
    was chosen by, in nats per token.
    """

    removed: int
    layers: tuple[int, ...]
    loss: float


def choose_layers(
    teacher: PreTrainedModel,
    blocks: Tensor,
    keep: int,
    *,
    num_candidates: int = NUM_CANDIDATES,
    batch_size: int | None = None,
) -> list[Removal]:
    """Take layers out of the teacher until `keep` are left; returns the steps. The teacher is as before afterwards.

    blocks: token ids [N, T] to choose by. num_candidates: at the first step every layer is tried; at the others these
    many, whose removal added the least loss when it was last tried. batch_size: blocks per pass (None: as many as
    memory likes); the choice does not depend on it. Only layers that make a student are taken (`student_from_layers`).
    Raises ValueError if the teacher has too few layers, or if no layer can be taken out.
    """
    prefix = layers_prefix(teacher)
    layers = tuple(range(len(teacher.get_submodule(prefix[:-1]))))
    if keep > len(layers):
        raise ValueError(f"{keep} layers cannot be kept, because the teacher has {len(layers)}; keep fewer")
    batches = list(blocks.to(teacher.device).split(batch_size or _batch_size(teacher, blocks)))
    sizes = range(len(layers), keep, -1)
    num_tries = sum(min(size, num_candidates) for size in sizes[1:]) + len(layers) * (len(sizes) > 0)
    loss = mean_loss(teacher, blocks, batch_size)
    added = dict.fromkeys(layers, 0.0)  # by each layer's removal, when it was last tried
    steps: list[Removal] = []
    with tqdm(desc="choosing layers", unit=" tokens", unit_scale=True, total=num_tries * blocks.numel()) as bar:
        trial = _Trial(teacher, prefix, batches, bar)
        while len(layers) > keep:
            order = sorted(layers, key=added.__getitem__)
            num_first = num_candidates if steps else len(layers)
            for candidates in (order[:num_first], order[num_first:]):  # the others only if no candidate can go
                losses = trial.losses_without(layers, candidates)
                added |= {layer: losses[layer] - loss for layer in candidates}
                removed = _first_that_can_go(teacher, layers, sorted(candidates, key=losses.__getitem__), losses)
                if removed is not None:
                    break
            else:
                raise ValueError(
                    f"no layer can be taken out of {list(layers)} of {type(teacher).__name__} so that the others make "
                    "a model; keep more of them, name them in student.layers, or give student.config"
                )
            layers, loss = without(layers, removed), losses[removed]
            steps.append(Removal(removed, layers, loss))
            bar.set_postfix_str(f"{len(layers)} layers without {removed}: {loss:.2f} nats per token")
    return steps


@torch.inference_mode()
def mean_loss(model: PreTrainedModel, blocks: Tensor, batch_size: int | None = None) -> float:
    """The cross-entropy of the blocks [N, T] in nats per token; the first token of a block is not scored."""
    batches = blocks.to(model.device).split(batch_size or _batch_size(model, blocks))
    return sum(_nats(model, ids) for ids in batches) / blocks[:, 1:].numel()


def loss_of_layers(teacher: PreTrainedModel, layers: tuple[int, ...], blocks: Tensor) -> float:
    """`mean_loss` of the teacher with only these of its layers."""
    with only_layers(teacher, layers, layers_prefix(teacher)):
        return mean_loss(teacher, blocks)


def guessing_loss(model: PreTrainedModel) -> float:
    """The cross-entropy of a model that gives all token ids the same probability, in nats per token."""
    return math.log(num_predicted_ids(model))


def without(layers: tuple[int, ...], removed: int) -> tuple[int, ...]:
    """The layers that are left when one goes."""
    return tuple(layer for layer in layers if layer != removed)


def _first_that_can_go(
    teacher: PreTrainedModel, layers: tuple[int, ...], order: Iterable[int], losses: dict[int, float]
) -> int | None:
    """The first layer in `order` without which the others make a student, or None."""
    for layer in order:
        if losses[layer] < math.inf:
            with contextlib.suppress(ValueError):
                student_from_layers(teacher, without(layers, layer))
                return layer
    return None


def _batch_size(model: PreTrainedModel, blocks: Tensor) -> int:
    num_logits = MAX_LOGITS if model.device.type == "cpu" else MAX_LOGITS_ON_GPU
    return max(1, num_logits // (blocks.shape[1] * num_predicted_ids(model)))


def _nats(model: PreTrainedModel, ids: Tensor) -> float:
    """The cross-entropy of blocks [B, T], summed over their tokens in float64."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].flatten(0, 1)
    return nn.functional.cross_entropy(logits.float(), ids[:, 1:].flatten(), reduction="none").double().sum().item()


# -- reading only what has changed ------------------------------------------------------------------------------------


class _Trial:
    """Reads blocks without one of the layers. What the layers before that one give is computed once and kept."""

    def __init__(self, teacher: PreTrainedModel, prefix: str, batches: list[Tensor], bar: tqdm) -> None:
        self._teacher, self._prefix, self._batches, self._bar = teacher, prefix, batches, bar
        self._layers = list(teacher.get_submodule(prefix[:-1]))
        self._keeps = self._can_be_kept(batches[0][:1])

    @torch.inference_mode()
    def losses_without(self, layers: tuple[int, ...], candidates: list[int]) -> dict[int, float]:
        """The loss without each of the candidates, in nats per token; infinite if the others cannot be run."""
        sums = dict.fromkeys(candidates, 0.0)
        for ids in self._batches:
            outputs = self._outputs(layers, ids) if self._keeps else {}
            for layer in candidates:
                before = [other for other in layers[: layers.index(layer)] if other in outputs]
                sums[layer] += self._nats_of(without(layers, layer), ids, {other: outputs[other] for other in before})
                self._bar.update(ids.numel())
        num_tokens = sum(ids[:, 1:].numel() for ids in self._batches)
        return {layer: total / num_tokens for layer, total in sums.items()}

    def _nats_of(self, layers: tuple[int, ...], ids: Tensor, outputs: dict[int, Any]) -> float:
        try:
            with only_layers(self._teacher, layers, self._prefix), self._given(outputs):
                nats = _nats(self._teacher, ids)
        except Exception:  # layers that do not fit each other fail in a way of their own
            return math.inf
        return nats if math.isfinite(nats) else math.inf

    def _outputs(self, layers: tuple[int, ...], ids: Tensor) -> dict[int, Any]:
        """What each of the layers gives when the teacher with only these layers reads the blocks."""
        outputs: dict[int, Any] = {}

        def keep(layer: int) -> Callable[[nn.Module, Any, Any], None]:
            return lambda _module, _arguments, output: outputs.update({layer: _copy(output)})

        hooks = [self._layers[layer].register_forward_hook(keep(layer)) for layer in layers]
        try:
            with only_layers(self._teacher, layers, self._prefix):
                last_states(self._teacher, ids)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs

    @contextlib.contextmanager
    def _given(self, outputs: dict[int, Any]) -> Iterator[None]:
        """Within this context these layers compute nothing and give the outputs."""
        forwards = {layer: self._layers[layer].forward for layer in outputs}
        try:
            for layer, output in outputs.items():
                self._layers[layer].forward = lambda *_, output=output, **__: _copy(output)
            yield
        finally:
            for layer, forward in forwards.items():
                self._layers[layer].forward = forward

    @torch.inference_mode()
    def _can_be_kept(self, ids: Tensor) -> bool:
        """Whether the first half of the layers hands nothing but its outputs on to the others."""
        layers = tuple(range(len(self._layers)))
        outputs = self._outputs(layers, ids)
        first = {layer: outputs[layer] for layer in layers[: len(layers) // 2] if layer in outputs}
        nats = self._nats_of(layers, ids, first)
        return math.isclose(nats, _nats(self._teacher, ids), rel_tol=1e-6)


def _copy(output: Any) -> Any:
    """The output of a layer with tensors of its own: the layer after it may write into them."""
    return recursively_apply(torch.clone, output)
