"""How well a run uses its machine: peak memory, arithmetic per token, and the device's peak arithmetic."""

from __future__ import annotations

import re
import resource
import sys

import torch
from torch import Tensor
from transformers import PreTrainedModel

# Dense bf16 tensor-core peaks in FLOP per second, from the vendors' data sheets. A device has the first entry whose
# words are in its name.
PEAK_FLOPS_PER_SECOND = {
    "GB200": 2500e12,
    "B200": 2250e12,
    "GH200": 989e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10G": 70e12,
    "A10": 125e12,
    "4090": 165e12,
    "3090": 71e12,
    "MI300X": 1307e12,
}


def flops_per_token(student: PreTrainedModel, teacher: PreTrainedModel | None, cached: bool = False) -> float:
    """A lower bound of the FLOP of one training step per scored token (Kaplan et al. 2020, arXiv 2001.08361, section
    2.1): 4 per parameter of the student, 2 more per trained one, and 2 per parameter of the teacher.

    cached: the teacher's states are cached, so only its output layer counts. Left out are input embeddings that are not
    tied to the output layer, attention over the context, and the teacher's reading of a second view.
    """
    matrices = _matrices(student)
    trained = sum(weight.numel() for weight in matrices if weight.requires_grad)
    every = sum(weight.numel() for weight in matrices)
    flops = 4 * every + 2 * trained
    if teacher is student:  # under an adapter
        flops += 2 * (every - trained)
    elif teacher is not None:
        head = teacher.get_output_embeddings().weight
        flops += 2 * sum(weight.numel() for weight in ([head] if cached else _matrices(teacher)))
    return flops


def _matrices(model: PreTrainedModel) -> list[Tensor]:
    """A model's weights, without input embeddings that are not tied to the output layer."""
    inputs, outputs = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return [weight for weight in model.parameters() if inputs is outputs or weight is not inputs]


def peak_flops_per_second(device: torch.device) -> float | None:
    """The device's dense bf16 peak, or None if it is not known, as for every CPU."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for words, peak in PEAK_FLOPS_PER_SECOND.items() if re.search(rf"\b{words}\b", name)), None)


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory this process has held so far: on its GPU if it has one, otherwise resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else kilobytes * 1024  # macOS counts bytes
