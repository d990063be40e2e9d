"""Compute logits a few rows at a time: neither the table of logits [R, V] nor its gradient is ever held whole."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from distill.loss.matmul import bfloat16_matmul

CHUNK_BYTES_CPU, CHUNK_BYTES_GPU = 2**26, 2**29  # of each model's logits


class LazyLogits(NamedTuple):
    """What a model's logits are computed from: its last hidden states [R, H], and the weight [V, H] and bias [V] (or
    None) of its output layer.
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None = None

    def first(self, num_ids: int) -> LazyLogits:
        """The logits of the first `num_ids` ids; a softmax over them is renormalised."""
        return LazyLogits(self.hidden, self.weight[:num_ids], None if self.bias is None else self.bias[:num_ids])


class ChunkedLogits:
    """Computes the logits of some rows at a time, and takes their gradient back to hidden states and output layer.

    rounding: the type to which the operands of matrix products are rounded, or None. All results are float32 (float64
    if the hidden states are float64).
    """

    def __init__(self, source: LazyLogits, rounding: torch.dtype | None) -> None:
        hidden, weight, bias = source
        self.hidden = hidden
        self.rounding = rounding
        self.dtype = torch.promote_types(hidden.dtype, torch.float32)
        on_cpu = hidden.device.type == "cpu"
        self.operand_dtype = self.dtype if on_cpu or rounding is None else rounding  # a CPU rounds within the product
        self.weight = weight.to(self.operand_dtype)
        self.bias = None if bias is None else bias.to(self.dtype)
        bytes_per_row = len(weight) * self.dtype.itemsize
        self.rows_per_chunk = max(2, (CHUNK_BYTES_CPU if on_cpu else CHUNK_BYTES_GPU) // bytes_per_row)
        self.buffer = hidden.new_empty(0, len(weight), dtype=self.dtype)
        self.hidden_gradient: Tensor | None = None
        self.weight_gradient: Tensor | None = None
        self.bias_gradient: Tensor | None = None

    def zero_gradients(self, needs_hidden: bool, needs_weight: bool, needs_bias: bool) -> None:
        """Set the gradients that are needed to 0."""
        if needs_hidden:
            self.hidden_gradient = torch.zeros_like(self.hidden, dtype=self.dtype)
        if needs_weight:
            self.weight_gradient = torch.zeros_like(self.weight, dtype=self.dtype)
        if needs_bias and self.bias is not None:
            self.bias_gradient = torch.zeros_like(self.bias)

    def logits(self, rows: Tensor) -> Tensor:
        """The logits [..., V] of rows [...], in a buffer that the next call overwrites."""
        if len(self.buffer) < rows.numel():  # a new buffer per call costs as much as the product: its pages are fresh
            self.buffer = self.buffer.new_empty(rows.numel(), len(self.weight))
        flat = self._product(self.hidden[rows.flatten()], self.weight.T, self.buffer[: rows.numel()])
        if self.bias is not None:
            flat += self.bias
        return flat.view(*rows.shape, -1)

    def add_gradient(self, rows: Tensor, gradient: Tensor) -> None:
        """Add the gradient [..., V] of the logits of rows [...] to those of hidden states and output layer.

        Each row may come once only: its hidden state's gradient is set, not summed.
        """
        flat, index = gradient.flatten(0, -2), rows.flatten()
        if self.hidden_gradient is not None:
            self.hidden_gradient[index] = self._product(flat, self.weight)
        if self.weight_gradient is not None:
            self._product(flat.T, self.hidden[index], self.weight_gradient, add=True)
        if self.bias_gradient is not None:
            self.bias_gradient += flat.sum(0)

    def scale_gradients(self, scale: Tensor) -> None:
        """Multiply the gradients by a scalar."""
        for gradient in (self.hidden_gradient, self.weight_gradient, self.bias_gradient):
            if gradient is not None:
                gradient *= scale

    def _product(self, a: Tensor, b: Tensor, out: Tensor | None = None, add: bool = False) -> Tensor:
        """a @ b, written into `out` if given; with `add`, added to it."""
        a, b = a.to(self.operand_dtype), b.to(self.operand_dtype)
        if a.device.type == "cpu":
            with bfloat16_matmul(self.rounding == torch.bfloat16):
                return torch.addmm(out, a, b, out=out) if add else torch.mm(a, b, out=out)  # type: ignore[arg-type]
        if self.rounding is None:
            product = torch.mm(a, b)
        elif a.device.type == "cuda":
            product = torch.mm(a, b, out_dtype=self.dtype)
        else:  # only CUDA has out_dtype; other devices multiply the rounded operands in float32, which is no faster
            product = torch.mm(a.to(self.dtype), b.to(self.dtype))
        return out.add_(product) if add else product  # type: ignore[union-attr]
