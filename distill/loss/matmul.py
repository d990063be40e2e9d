"""The precision of matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

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


def use_exact_float32() -> None:
    """From now on float32 products of this process are float32 on a GPU too, not TF32, which keeps 10 bits.

    NVIDIA's images turn TF32 on with TORCH_ALLOW_TF32_CUBLAS_OVERRIDE; accelerate does for compiled models.
    """
    torch.set_float32_matmul_precision("highest")


@contextmanager
def exact_float32() -> Iterator[None]:
    """`use_exact_float32` within this context. The caller's own setting is restored at the end, by the same of torch's
    two interfaces: each one refuses to read what the other one has set.
    """
    by_backend = torch.backends.cuda.matmul.fp32_precision
    try:
        by_name = torch.get_float32_matmul_precision()
    except RuntimeError:
        by_name = None
    use_exact_float32()
    try:
        yield
    finally:
        if by_name is None:
            torch.backends.cuda.matmul.fp32_precision = by_backend
        else:
            torch.set_float32_matmul_precision(by_name)


@cache
def multiplies_into_float32(rounding: torch.dtype, device: torch.device) -> bool:
    """Whether the device multiplies operands of this type into a float32 result. It is tried on a small product.

    CUDA and XPU do; ROCm does from torch 2.10 on.
    """
    operand = torch.zeros(16, 16, dtype=rounding, device=device)
    try:
        torch.mm(operand, operand, out_dtype=torch.float32)
    except RuntimeError:
        return False
    return True
