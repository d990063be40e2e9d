"""Fast float32 products of bfloat16 numbers: two tensors in; a context in which multiplying them is fast, out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def exact_bfloat16_products(one: Tensor, other: Tensor) -> Iterator[None]:
    """If both tensors are bfloat16 and on the CPU, lets it multiply their float32 copies as bfloat16.

    The sums are still made and returned in float32, so that nothing is lost, and CPUs with bfloat16 instructions are
    several times faster at it.
    """
    backend = getattr(torch.backends.mkldnn, "matmul", None)  # torch >= 2.9
    if backend is None or {one.dtype, other.dtype} != {torch.bfloat16} or other.device.type != "cpu":
        yield
        return
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    try:
        yield
    finally:
        backend.fp32_precision = before
