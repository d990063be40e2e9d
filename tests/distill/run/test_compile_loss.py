"""When the loss is compiled, and that compiled kernels give the same loss and gradient."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from eager_loss import GROUPS, SCALE, inputs, objective, positions

from distill.loss.fused import pair_loss
from distill.models.logit_transform import LogitTransform
from distill.run import compile_loss
from distill.run.compile_loss import compiled


def setup(wanted, device="cpu"):
    head = SimpleNamespace(weight=torch.zeros(50, 4))
    student = SimpleNamespace(get_output_embeddings=lambda: head, logit_transform=LogitTransform())
    said = []
    return SimpleNamespace(
        config=SimpleNamespace(train=SimpleNamespace(compile_loss=wanted), augment=SimpleNamespace(mode="none")),
        accelerator=SimpleNamespace(device=torch.device(device), print=said.append),
        models=SimpleNamespace(student=student, teacher=None),
        said=said,
    )


@pytest.fixture
def fault(monkeypatch):
    """Let every try to compile fail."""

    def fail():
        raise RuntimeError("no compiler\nmore lines")

    monkeypatch.setattr(compile_loss, "compiled_terms_and_gradient", fail)


def test_it_is_not_compiled_on_a_cpu_unless_asked_for(fault):
    for wanted in (None, False):
        assert compiled(objective("mean"), setup(wanted)) == objective("mean")
    with pytest.raises(ValueError, match=r"train.compile_loss = true, but .* \(RuntimeError: no compiler\); set it to"):
        compiled(objective("mean"), setup(wanted=True))


def test_on_a_gpu_a_compiler_that_fails_is_reported_and_not_needed(monkeypatch):
    monkeypatch.setattr(compile_loss, "compile_fault", lambda *_: "RuntimeError: no compiler")
    gpu = setup(None, "cuda")
    assert compiled(objective("mean"), gpu) == objective("mean")
    assert gpu.said == ["the loss is not compiled, so a step takes longer (RuntimeError: no compiler)"]


def test_where_it_compiles_it_is_used(monkeypatch):
    monkeypatch.setattr(compile_loss, "compile_fault", lambda *_: "")
    assert compiled(objective("mean"), setup(None, "cuda")).is_compiled
    assert compiled(objective("mean"), setup(wanted=True)).is_compiled


@pytest.mark.parametrize(
    ("operation", "both", "expected"),
    [("none", True, 1), ("mean", False, 3), ("mean", True, 4), ("equalize", False, 1)],
)
def test_only_the_kinds_of_predictions_of_the_run_are_compiled(operation, both, expected, monkeypatch):
    kinds = []
    monkeypatch.setattr(compile_loss, "compiled_terms_and_gradient", lambda: lambda *values: kinds.append(values))
    assert not compile_loss.compile_fault(objective(operation), both, 50, torch.device("cpu"))
    assert len(kinds) == expected


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")
@pytest.mark.filterwarnings("ignore")  # torch's compiler uses what torch has deprecated
@pytest.mark.parametrize(("transform", "num_ids"), [(LogitTransform(), None), (LogitTransform(0.7, 2.5), 20)])
def test_compiled_kernels_give_the_same_loss_and_gradient(transform, num_ids):
    chosen, results = objective("equivariant_geometric", counterpart_weight=3.0)._replace(num_ids=num_ids), []
    for is_compiled in (False, True):
        student, teacher, labels, is_gendered = inputs(torch.float32, transforms=(transform, transform))
        where = positions(GROUPS, is_gendered)
        loss = pair_loss(student, teacher, labels, where, chosen._replace(is_compiled=is_compiled), SCALE)
        loss.loss.backward()
        results.append((loss.loss.detach(), student.hidden.grad, student.weight.grad))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6 * theirs.abs().max().item())
