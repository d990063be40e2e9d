"""Compute logits a few rows at a time: neither the table of logits [R, V] nor its gradient is ever held whole."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from distill.loss.matmul import bfloat16_matmul, multiplies_into_float32
from distill.models.logit_transform import LogitTransform

CHUNK_BYTES_CPU, CHUNK_BYTES_GPU = 2**26, 2**29  # of each model's logits
ROW_MULTIPLE = 64  # values; tensor cores read rows that begin at multiples of 16 bytes, and 50,257 values are not


class LazyLogits(NamedTuple):
    """What a model's logits are computed from: its last hidden states [R, H], the weight [V, H] and bias [V] (or None)
    of its output layer, and what the model makes of the layer's values.
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None = None
    transform: LogitTransform = LogitTransform()

    def first(self, num_ids: int) -> LazyLogits:
        """The logits of the first `num_ids` ids; a softmax over them is renormalised."""
        bias = None if self.bias is None else self.bias[:num_ids]
        return self._replace(weight=self.weight[:num_ids], bias=bias)


class SoftCaps(NamedTuple):
    """The soft caps of the logits of student and teacher; None without one."""

    student: float | None = None
    teacher: float | None = None


NO_CAPS = SoftCaps()


class ChunkedLogits:
    """Computes the logits of some rows at a time, and takes their gradient back to hidden states and output layer.

    Logits are scaled within the matrix products, and gradients at the end, so that a scale takes no pass of its own.
    Logits are not soft-capped yet: that is left to whoever reads them, together with `cap`. rounding: the type to which
    the operands of matrix products are rounded, or None. All results are float32 (float64 if the hidden states are
    float64). A device that cannot multiply rounded operands into float32 does not round them.
    """

    def __init__(self, source: LazyLogits, rounding: torch.dtype | None) -> None:
        hidden, weight, bias, (self.scale, self.cap) = source
        self.hidden = hidden
        self.rounding = rounding
        self.dtype = torch.promote_types(hidden.dtype, torch.float32)
        on_cpu = hidden.device.type == "cpu"
        self.operand_dtype = self.dtype  # a CPU rounds within the product
        if rounding is not None and not on_cpu and multiplies_into_float32(rounding, hidden.device):
            self.operand_dtype = rounding
        self.weight = weight.to(self.operand_dtype)
        self.bias = None if bias is None else self.scale * bias.to(self.dtype)
        bytes_per_row = len(weight) * self.dtype.itemsize
        self.rows_per_chunk = max(2, (CHUNK_BYTES_CPU if on_cpu else CHUNK_BYTES_GPU) // bytes_per_row)
        self.buffer = hidden.new_empty(0, len(weight), dtype=self.dtype)
        self.rounded_buffer = hidden.new_empty(
            0, -(-len(weight) // ROW_MULTIPLE) * ROW_MULTIPLE, dtype=self.operand_dtype
        )
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
        """The logits [..., V] of rows [...] before the soft cap, in a buffer that the next call overwrites."""
        if len(self.buffer) < rows.numel():  # a new buffer per call costs as much as the product: its pages are fresh
            self.buffer = self.buffer.new_empty(rows.numel(), len(self.weight))
        flat = self._product(self.hidden[rows.flatten()], self.weight.T, self.buffer[: rows.numel()], alpha=self.scale)
        if self.bias is not None:
            flat += self.bias
        return flat.view(*rows.shape, -1)

    def gradient_buffer(self, logits: Tensor) -> Tensor:
        """Where to write the gradient of `logits` [..., V], in the type in which products read it.

        That is `logits` itself, or, if products read rounded operands, another buffer: so each value is rounded once.
        """
        if self.operand_dtype == self.dtype:
            return logits
        num_rows = logits[..., 0].numel()
        if len(self.rounded_buffer) < num_rows:
            self.rounded_buffer = self.rounded_buffer.new_empty(num_rows, self.rounded_buffer.shape[1])
        return self.rounded_buffer[:num_rows, : logits.shape[-1]].view(logits.shape)

    def add_gradient(self, rows: Tensor, gradient: Tensor) -> None:
        """Add the gradient [..., V] of the logits of rows [...] to those of hidden states and output layer.

        gradient: by the logits before the soft cap, in `gradient_buffer`. Each row may come once only: its hidden
        state's gradient is set, not summed. `scale_gradients` must follow at the end.
        """
        flat, index = gradient.flatten(0, -2), rows.flatten()
        if self.hidden_gradient is not None:
            self.hidden_gradient[index] = self._product(flat, self.weight)
        if self.weight_gradient is not None:
            self._product(flat.T, self.hidden[index], self.weight_gradient, add=True)
        if self.bias_gradient is not None:
            self.bias_gradient += flat.sum(0, dtype=self.dtype)

    def scale_gradients(self, scale: Tensor) -> None:
        """Multiply the gradients by a scalar, and by the scale of the logits."""
        for gradient in (self.hidden_gradient, self.weight_gradient, self.bias_gradient):
            if gradient is not None:
                gradient *= scale * self.scale

    def _product(
        self, a: Tensor, b: Tensor, out: Tensor | None = None, add: bool = False, alpha: float = 1.0
    ) -> Tensor:
        """alpha a @ b, written into `out` if given; with `add`, added to it. An alpha needs an `out`."""
        a, b = a.to(self.operand_dtype), b.to(self.operand_dtype)
        options: Any = {} if self.operand_dtype == self.dtype else {"out_dtype": self.dtype}
        with bfloat16_matmul(self.rounding == torch.bfloat16):  # this says something to CPUs only
            if out is not None and (add or alpha != 1):  # with beta 0, what `out` holds is not read
                return torch.addmm(out, a, b, beta=int(add), alpha=alpha, out=out, **options)
            return torch.mm(a, b, out=out, **options)


def soft_cap_(logits: Tensor, cap: float) -> Tensor:
    """Soft-cap logits in place. Returns the derivative, of the same shape: 1 - tanh(z / cap)^2 at z."""
    shares = logits.div_(cap).tanh_()
    slope = torch.addcmul(shares.new_ones(()), shares, shares, value=-1)
    shares.mul_(cap)
    return slope
