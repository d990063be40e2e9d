"""Float32 matrix products of bfloat16 operands on a CPU: a yes or no in; a context in which they are made so, out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def bfloat16_products(rounded: bool) -> Iterator[None]:
    """Inside, if `rounded`, a CPU with bfloat16 instructions rounds the operands of float32 products to it; sums and
    results stay float32, and it is several times faster. Operands that are bfloat16 numbers already lose nothing. If
    not `rounded`, products are exact, whatever the caller of this process has chosen.
    """
    products = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = products.fp32_precision
    products.fp32_precision = "bf16" if rounded else "ieee"
    try:
        yield
    finally:
        products.fp32_precision = before
