"""A step on a GPU, without a GPU: the host waits for it once, devices are never mixed, and every operator has a kernel.

`device_path` says how. The last tests put faults into the loss and see that they are found.
"""

import itertools

import pytest
import torch
from device_path import has_kernel, step_on_device

from distill.loss import fused

WEIGHTED = {"kd_weight": 1, "ce_weight": 0.25, "ce_counterparts": False, "counterpart_weight": 10, "temperature": 1}
OPERATIONS = ["none", "max", "equivariant", "equalize"]
BF16 = torch.bfloat16
CASES = [
    ("gpt2", BF16, "none", "max", {}, {}),
    ("llama", None, "augment", "equivariant", {}, {}),
    ("gpt2", BF16, "augment", "equalize", {}, {}),
    ("gpt2", BF16, "none", "equivariant_geometric", WEIGHTED, {}),
    ("llama", BF16, "augment", "equivariant", {"pairing_weight": 1, "hidden_weight": 0.5}, {"cached": True}),
    ("gpt2", None, "none", "mean", {}, {"checkpointing": True}),
    ("gpt2", BF16, "none", "none", {"divergence": "jsd"}, {}),
]
OTHERS = [
    *itertools.product(["gpt2", "llama"], [BF16, None], ["none", "augment"], OPERATIONS, [{}], [{}]),
    *(("gpt2", BF16, "none", "none", {"divergence": kind}, {}) for kind in ("reverse_kl", "skewed_kl")),
]
CASES += [pytest.param(*case, marks=pytest.mark.slow) for case in OTHERS if case not in CASES]


def check(waits, ops) -> None:
    assert waits == {"tolist": 1}
    assert not [name for name in ops.names if not has_kernel(name)]
    assert ops.num_blocking == 0


@pytest.mark.parametrize(("kind", "rounding", "mode", "operation", "loss", "options"), CASES)
def test_a_step_waits_for_the_device_once_and_mixes_nothing(kind, rounding, mode, operation, loss, options):
    settings = {"augment": {"mode": mode}, "perturb": {"operation": operation}, "loss": loss}
    waits, ops = step_on_device(kind, settings, rounding=rounding, **options)
    check(waits, ops)
    assert ops.names["mm.dtype_out" if rounding else "mm.out"] >= 4


@torch.library.custom_op("evenhand_tests::of_the_cpu_only", mutates_args=(), device_types="cpu")
def of_the_cpu_only(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


@of_the_cpu_only.register_fake
def _(x):
    return torch.empty_like(x)


FAULTS = {
    "a float": lambda x: x + float(x.sum()),
    "a boolean mask": lambda x: x + x[x > 0].sum(),
    "a tensor on the CPU": lambda x: x + torch.ones(x.shape[-1]),
    "a blocking copy": lambda x: x + torch.ones(x.shape[-1]).to(x.device),
    "a second tolist": lambda x: x + x.sum((0, 1)).tolist()[0],
    "an operator without a kernel": of_the_cpu_only,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_loss_is_found(fault, monkeypatch):
    entropy = fused.entropy
    monkeypatch.setattr(fused, "entropy", lambda logprobs, probs: FAULTS[fault](entropy(logprobs, probs)))
    with pytest.raises((AssertionError, RuntimeError)):
        check(*step_on_device("gpt2", {}))
