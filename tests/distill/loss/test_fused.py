"""The fused loss against eager autograd in float64, its gradient against finite differences, and its invariances."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from eager_loss import (
    ALONE,
    GROUPS,
    NUM_IDS,
    SCALE,
    check_against_eager,
    eager_loss,
    inputs,
    objective,
    positions,
)
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from augment.lexicon import load_lexicon
from distill.data.batches import collate
from distill.data.packing import pair_texts
from distill.loss import fused, logits
from distill.loss.distiller import Distiller
from distill.loss.fused import pair_loss
from distill.loss.gender_classes import gender_classes
from distill.loss.logits import ChunkedLogits, LazyLogits
from distill.loss.positions import find_positions
from distill.loss.targets import USES_COUNTERFACTUAL

OPERATIONS = ["none", "max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric", "equalize"]
DIVERGENCES = ["forward_kl", "reverse_kl", "jsd", "skewed_kl"]
BYTES_PER_ROW = 4 * NUM_IDS


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_equals_the_eager_loss_in_float64(operation, divergence, monkeypatch):
    groups = GROUPS if operation in USES_COUNTERFACTUAL else ALONE
    for num_rows, few_rows in ((1, 1), (4, 1), (7, 3), (1000, 1000)):
        monkeypatch.setattr(logits, "CHUNK_BYTES_CPU", num_rows * BYTES_PER_ROW)
        monkeypatch.setattr(fused, "CACHED_VALUES", few_rows * NUM_IDS)
        check_against_eager(groups, objective(operation, divergence))


@pytest.mark.parametrize(
    ("chosen", "bias", "teach"),
    [
        (objective("equivariant"), True, True),
        (objective("none"), False, False),
        (objective("none"), True, False),
        (objective("mean", ce_weight=0.0), False, True),
        (objective("mean", kd_weight=0.0), False, True),
        (objective("mean", temperature=1.0), False, True),
        (objective("mean", pairing_weight=0.4), False, True),
        (objective("swap", pairing_weight=0.4), True, False),
        (objective("equivariant", temperature=1.0, ce_weight=0.0), False, True),
        (objective("equivariant", counterpart_weight=3.0), False, True),
        (objective("equivariant_geometric", counterpart_weight=3.0, temperature=1.0, ce_weight=0.0), True, True),
        (objective("none", counterpart_weight=3.0, kd_weight=0.0, ce_weight=0.0), False, True),
        (objective("equivariant", ce_counterparts=False), True, True),
        (objective("equivariant", counterpart_weight=3.0, temperature=1.0, ce_counterparts=False), False, True),
    ],
)
def test_equals_the_eager_loss_with_a_bias_without_a_teacher_and_without_a_term(chosen, bias, teach):
    check_against_eager(GROUPS if chosen.perturbation.operation != "none" else ALONE, chosen, bias, teach)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_gradient_is_that_of_finite_differences(divergence):
    given = inputs(torch.float64, bias=True)

    def loss(*student: Tensor) -> Tensor:
        return given._replace(student=LazyLogits(*student)).loss(objective("equivariant", divergence))

    assert torch.autograd.gradcheck(loss, given.student[:3], fast_mode=True)


def test_an_output_layer_tied_to_the_embeddings_gets_the_gradients_of_both_uses():
    def loss_of(weight: Tensor, function: Callable) -> Tensor:
        _, teacher, labels, is_gendered = inputs(torch.float64)
        student = LazyLogits(F.embedding(labels, weight).cumsum(0).tanh(), weight)
        return function(student, teacher, labels, positions(GROUPS, is_gendered), objective("mean"), SCALE)[0]

    weights = [inputs(torch.float64).student.weight for _ in range(2)]
    for weight, function in zip(weights, (pair_loss, eager_loss), strict=True):
        loss_of(weight, function).backward()
    torch.testing.assert_close(weights[0].grad, weights[1].grad)


def test_without_gradients_none_are_made_and_the_value_is_the_same():
    given = inputs(torch.float32)
    with torch.no_grad():
        quiet = given.loss(objective("mean"))
    assert not quiet.requires_grad
    assert quiet == given.loss(objective("mean"))


def test_a_frozen_output_layer_gets_no_gradient():
    given = inputs(torch.float32)
    hidden, weight = given.student[:2]
    frozen = given._replace(student=LazyLogits(hidden, weight.detach()))
    frozen.loss(objective("mean")).backward()
    assert hidden.grad is not None
    assert frozen.student.weight.grad is None
    gradient, hidden.grad = hidden.grad, None
    given.loss(objective("mean")).backward()
    assert torch.equal(gradient, hidden.grad)


def test_a_shift_of_the_teachers_logits_changes_nothing():
    given, chosen = inputs(torch.float64), objective("equivariant_geometric")
    shifted = given.teacher._replace(bias=torch.full((NUM_IDS,), 5.0, dtype=torch.float64))
    torch.testing.assert_close(given._replace(teacher=shifted).loss(chosen), given.loss(chosen))


def test_the_scale_of_the_gradient_does_not_depend_on_the_temperature():
    norms = []
    for temperature in (20.0, 40.0):  # in the limit, logits differ by little and tau^2 makes up for tau^-2
        given = inputs(torch.float64)
        given.loss(objective("none", ce_weight=0.0, temperature=temperature), ALONE).backward()
        norms.append(given.student.hidden.grad.norm().item())
    assert norms[0] == pytest.approx(norms[1], rel=0.05)


def test_bf16_rounds_operands_and_keeps_sums_in_float32():
    torch.manual_seed(0)
    hidden, weight = torch.randn(7, 256).to(torch.bfloat16), torch.randn(50, 256).to(torch.bfloat16)
    values = ChunkedLogits(LazyLogits(hidden, weight), torch.bfloat16).logits(torch.arange(7))
    assert values.dtype == torch.float32
    torch.testing.assert_close(values.double(), hidden.double() @ weight.double().T, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_many_tokens_is_not_lost_in_float16(monkeypatch):
    """The scale is 1 / tokens: float16 has nothing between 0 and 6e-8."""

    def in_float16(chunked, a, b, out=None, add=False, alpha=1.0):
        product = a.half().float() @ b.half().float()
        return product if out is None else out.add_(product) if add else out.copy_(product)

    given, gradients = inputs(torch.float32), []
    for half in (False, True):
        if half:
            monkeypatch.setattr(ChunkedLogits, "_product", in_float16)
        loss = given.loss(objective("equivariant"), scale=torch.tensor(1e-9))
        gradients.append(torch.autograd.grad(1e9 * loss, given.student[:2]))
    for exact, rounded in zip(*gradients, strict=True):
        torch.testing.assert_close(rounded, exact, rtol=0, atol=0.01 * exact.abs().max().item())


class NothingWaits(TorchDispatchMode):
    """Fails when the CPU would wait for a GPU: for a value, or for a result whose size depends on values."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal.default", "is_nonzero")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        indices = args[1] if "aten.index" in str(func) and isinstance(args[1], list) else []
        by_mask = any(index is not None and index.dtype == torch.bool for index in indices)
        assert not by_mask and not any(name in str(func) for name in self.WAITING), f"{func} waits for the GPU"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_waits_for_a_gpu_in_the_forward_pass(operation):
    given = inputs(torch.float32)
    hidden, is_gendered = given.student.hidden, given.is_gendered
    with NothingWaits():
        given.loss(objective(operation, "jsd", pairing_weight=0.3))
    for waiting in (lambda: hidden[is_gendered], lambda: hidden.sum().item(), is_gendered.nonzero):
        with pytest.raises(AssertionError, match="waits for the GPU"), NothingWaits():
            waiting()


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_the_distillers_forward_pass_waits_for_no_gpu_and_returns_sums_not_logits(
    architecture, tiny_model, tokenizer, monkeypatch
):
    lexicon = load_lexicon()
    documents = pair_texts(["The nurse said that she and the king left."], tokenizer, lexicon, [tokenizer.bos_token_id])
    batch = collate([documents[0].example], 24)
    scored = find_positions(batch, both=True, paired=True)
    student, teacher = tiny_model(architecture, seed=1), tiny_model(architecture, seed=2)
    chosen = objective("equivariant", hidden_weight=0.1)
    objective_with_classes = chosen._replace(classes=gender_classes(tokenizer, lexicon))
    module = Distiller(student, objective_with_classes, teacher).train()
    # transformers reads the position ids once per forward pass, which we cannot change
    monkeypatch.setattr("transformers.masking_utils.find_packed_sequence_indices", lambda _: None)
    with NothingWaits():
        result = module(batch, scored, SCALE)
    tensors = [result.loss, *result.sums, *result.gendered_sums]
    assert all(tensor.numel() == 1 for tensor in tensors)  # accelerate converts all that the module returns to float32
    result.loss.backward()
