"""The precision of float32 matrix products on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def bfloat16_matmul(rounded: bool) -> Iterator[None]:
    """Within this context, float32 products on a CPU round their operands to bfloat16 (`rounded`), or are exact.

    A CPU with bfloat16 instructions computes the rounded product several times faster. Sums and results stay float32,
    and operands that already are bfloat16 numbers lose nothing. The caller's own setting is restored at the end.
    """
    products = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = products.fp32_precision
    products.fp32_precision = "bf16" if rounded else "ieee"
    try:
        yield
    finally:
        products.fp32_precision = before
