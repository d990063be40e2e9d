"""Which layers does the similarity of their inputs and outputs keep, and how does that student start?

python -m benchmarks.layer_choice TEACHER --keep N --text FILE [--separator TOKEN]

A layer's block influence is 1 - cosine(input, output), the mean over tokens (Men et al. 2024, arXiv 2403.03853). So
does NVIDIA's ModelOpt rank layers. Those that have most of it are kept. The text is that of `evenhand layers` with the
same options, whose table has the students that are chosen by loss.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from augment.command_line import exit_code
from distill import layers
from distill.models.choose_layers import loss_of_layers
from distill.models.layers import layers_prefix
from distill.models.probe import last_states


@torch.inference_mode()
def block_influence(teacher: PreTrainedModel, blocks: Tensor) -> list[float]:
    """1 - cosine of what each layer reads and gives, the mean over the tokens of the blocks [N, T]."""
    influence: list[float] = []

    def add(_layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        given = output if isinstance(output, Tensor) else output[0]
        influence.append(1 - torch.cosine_similarity(arguments[0], given, dim=-1).mean().item())

    hooks = [layer.register_forward_hook(add) for layer in teacher.get_submodule(layers_prefix(teacher)[:-1])]
    try:
        last_states(teacher, blocks.to(teacher.device))
    finally:
        for hook in hooks:
            hook.remove()
    return influence


def most_influential(influence: Sequence[float], keep: int) -> tuple[int, ...]:
    """The `keep` layers with the most influence, in their order in the teacher."""
    return tuple(sorted(sorted(range(len(influence)), key=lambda layer: -influence[layer])[:keep]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the influence of each layer, and the start loss of the student that has the most influential ones."""
    options = layers.parser("python -m benchmarks.layer_choice").parse_args(arguments)
    teacher, selection, others = layers.prepare(options)
    influence = block_influence(teacher, selection)
    for layer, value in enumerate(influence):
        print(f"{layer:>5}  {value:.4f}")
    kept = most_influential(influence, options.keep)
    print(f"{list(kept)} starts at {loss_of_layers(teacher, kept, others):.3f} nats per token")


if __name__ == "__main__":
    sys.exit(exit_code(main))
