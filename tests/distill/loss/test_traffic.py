"""A budget for the memory traffic of the loss: what makes it slower on a GPU fails here, on a CPU.

`python -m benchmarks.traffic` prints the numbers. Lower the budget when they get lower.
"""

import shutil

import pytest

from benchmarks.traffic import Counts, compiled_counts, eager_counts, objectives, peak_bytes
from distill.loss import fused

SHIPPED = objectives()["gpt2.yaml"]
EAGER = Counts(bytes_per_entry=134, num_kernels=86, num_wide=14)
COMPILED = Counts(bytes_per_entry=60, num_kernels=50, num_wide=6)
PEAK_BYTES = 2.75 * 2**30


def exceeded(counts: Counts, budget: Counts) -> list[str]:
    names = Counts._fields
    return [name for name, count, limit in zip(names, counts, budget, strict=True) if count > limit]


def test_the_loss_keeps_to_its_budget():
    assert not exceeded(eager_counts(SHIPPED), EAGER)
    assert peak_bytes(SHIPPED) <= PEAK_BYTES


def test_one_more_pass_over_the_vocabulary_exceeds_the_budget(monkeypatch):
    entropy = fused.entropy
    monkeypatch.setattr(fused, "entropy", lambda logprobs, probs: entropy(logprobs, probs * 1))
    assert exceeded(eager_counts(SHIPPED), EAGER) == ["bytes_per_entry", "num_wide"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")
def test_the_compiled_loss_keeps_to_its_budget():
    assert not exceeded(compiled_counts(SHIPPED), COMPILED)
