"""The fused loss against eager autograd in float64, its gradient against finite differences, its invariances."""

import itertools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from augment.lexicon import load_lexicon
from distill.config import LossConfig, PerturbConfig
from distill.data.batches import collate
from distill.data.packing import pair_texts
from distill.loss import fused
from distill.loss.distiller import Distiller, teacher_states
from distill.loss.fused import Head, Objective, Teacher, pair_loss
from distill.loss.positions import Group, find_positions
from distill.loss.targets import USES_COUNTERFACTUAL, GenderClasses, carry, gender_classes, perturb

OPERATIONS = ["none", "max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric", "equalize"]
DIVERGENCES = ["forward_kl", "reverse_kl", "jsd", "skewed_kl"]
NUM_IDS, WIDTH, TEACHER_WIDTH = 23, 6, 8
BYTES_PER_ROW = 4 * NUM_IDS
SCALE = torch.tensor(0.37)
# 1 <-> 2 is a one-to-one pair, {3, 4} <-> {5, 6} are him, his <-> her, hers
CLASSES = GenderClasses(
    ids=torch.tensor([1, 2, 3, 4, 5, 6]),
    class_of=torch.tensor([0, 1, 2, 2, 3, 3]),
    partner=torch.tensor([1, 0, 3, 2]),
    members=torch.tensor([[0, 6], [1, 6], [2, 3], [4, 5]]),
)
# every kind of group: predictions alone, with and without partner; pairs of which one is trained, or both
GROUPS = (
    Group(torch.tensor([[0, 5, 1]]), torch.tensor([[2, 1, 4]]), True),
    Group(torch.tensor([[3]]), torch.tensor([[7]]), False),
    Group(torch.tensor([[2, 8, 11]]), torch.tensor([[0, 3, 5], [12, 10, 6]]), True),
    Group(torch.tensor([[4, 6, 9, 12, 14], [7, 10, 13, 15, 17]]), torch.arange(10).view(2, 5) + 3, True),
)
ALONE = tuple(Group(g.student_rows, g.teacher_rows[: len(g.student_rows)], False) for g in GROUPS)


def inputs(dtype: torch.dtype, bias: bool = False) -> tuple[Tensor, Head, Tensor, Tensor, Teacher]:
    """Hidden states, head, labels, gendered positions and teacher of a student with 18 rows."""
    torch.manual_seed(0)
    hidden, teacher_hidden = torch.randn(18, WIDTH), torch.randn(16, TEACHER_WIDTH)
    weight, teacher_weight = torch.randn(NUM_IDS, WIDTH), torch.randn(NUM_IDS, TEACHER_WIDTH)
    biases = torch.randn(NUM_IDS), torch.randn(NUM_IDS)
    labels, is_gendered = torch.randint(NUM_IDS, (18,)), torch.rand(18) < 0.4
    head = Head(weight.to(dtype).requires_grad_(), biases[0].to(dtype).requires_grad_() if bias else None)
    teacher_head = Head(teacher_weight.to(dtype), biases[1].to(dtype) if bias else None)
    teacher = Teacher(teacher_hidden.to(dtype), teacher_head)
    return hidden.to(dtype).requires_grad_(), head, labels, is_gendered, teacher


def objective(operation: str, divergence: str = "forward_kl", **settings: float) -> Objective:
    loss = {"kd_weight": 0.7, "ce_weight": 0.2, "temperature": 1.7, "beta": 0.3} | settings
    gain = 1.3 if operation.startswith("equivariant") else 1.0
    perturbation = PerturbConfig(operation=operation, strength=0.8, gain=gain)
    return Objective(LossConfig(divergence=divergence, **loss), perturbation, CLASSES)


def eager_divergence(target: Tensor, logits: Tensor, kind: str, beta: float) -> Tensor:
    """Divergences from probabilities, for autograd to differentiate."""
    q, s = target.exp(), logits.softmax(-1)
    m = beta * q + (1 - beta) * s
    return {
        "forward_kl": lambda: F.kl_div(s.log(), q, reduction="none"),
        "reverse_kl": lambda: F.kl_div(target, s, reduction="none"),
        "jsd": lambda: beta * q * (q / m).log() + (1 - beta) * s * (s / m).log(),
        "skewed_kl": lambda: q * (q / m).log(),
    }[kind]().sum(-1)


def eager_pairing(logits: Tensor, group: Group, view: int, position: int) -> Tensor:
    """KL(s || M s') where the student has read both views, or the texts up to there are the same."""
    if not group.has_partner or len(group.student_rows) < len(group.teacher_rows):
        return logits.new_zeros(())
    own, other = (logits[group.student_rows[v, position]].log_softmax(-1) for v in (view, view - 1))
    return (own.exp() * (own - carry(other, own, CLASSES))).sum()


def eager_counterpart(target: Tensor, student: Tensor) -> Tensor:
    """What the chain rule of KL gives to how counterparts share their mass, pair by pair, from probabilities [V]."""
    q, s = target.exp(), student.exp()
    total = q.new_zeros(())
    for one, other in enumerate(CLASSES.partner.tolist()):
        if one < other:
            mine, theirs = (
                torch.stack([p[CLASSES.ids[CLASSES.class_of == side]].sum() for side in (one, other)]) for p in (q, s)
            )
            total = total + mine.sum() * (mine / mine.sum() * (mine / mine.sum() / (theirs / theirs.sum())).log()).sum()
    return total


def eager_joint_cross_entropy(student: Tensor, label: int) -> Tensor:
    """-log of the joint probability of the label's class and its counterpart, times the label's part of its class."""
    where = (CLASSES.ids == label).nonzero()
    if len(where) == 0:
        return -student[label]
    own = CLASSES.class_of[where.item()]
    mine, theirs = (student.exp()[CLASSES.ids[CLASSES.class_of == one]].sum() for one in (own, CLASSES.partner[own]))
    return -((mine + theirs) * student[label].exp() / mine).log()


def eager_loss(hidden, head, labels, is_gendered, groups, teacher, objective, scale) -> tuple[Tensor, Tensor]:
    """What pair_loss must equal: all logits at once, one prediction after the other, gradients by autograd."""
    logits, tau = F.linear(hidden, *head), objective.loss.temperature
    logprobs = None if teacher is None else (F.linear(teacher.hidden, *teacher.head) / tau).log_softmax(-1)
    parts = torch.zeros(2, 5, dtype=hidden.dtype)
    for group in groups:
        for view, position in itertools.product(range(len(group.student_rows)), range(group.student_rows.shape[1])):
            row = group.student_rows[view, position]
            values = [hidden.new_zeros(()), F.cross_entropy(logits[row], labels[row]), *hidden.new_zeros(3)]
            if not objective.loss.ce_counterparts:
                values[1] = eager_joint_cross_entropy(logits[row].log_softmax(-1), int(labels[row]))
            if objective.loss.pairing_weight > 0:
                values[2] = eager_pairing(logits, group, view, position)
            if logprobs is not None:
                own = logprobs[group.teacher_rows[view, position]]
                other = logprobs[group.teacher_rows[view - 1, position]] if group.has_partner else None
                target = perturb(own, other, objective.perturbation, CLASSES)
                loss = objective.loss
                values[0] = eager_divergence(target, logits[row] / tau, loss.divergence, loss.beta)
                if loss.counterpart_weight > 0:
                    values[3] = eager_counterpart(target, (logits[row] / tau).log_softmax(-1))
                values[4] = -(target.exp() * target).sum()
            parts = parts + torch.stack([torch.ones(()), is_gendered[row].float()]).unsqueeze(1) * torch.stack(values)
    loss = objective.loss
    weights = [loss.kd_weight * tau**2, loss.ce_weight, loss.pairing_weight, loss.counterpart_weight * tau**2]
    return scale * (torch.tensor(weights, dtype=hidden.dtype) * parts[0, :4]).sum(), parts


def check(groups: tuple[Group, ...], chosen: Objective, bias: bool = False, teach: bool = True) -> None:
    """Loss, parts and gradients in float32 against the eager ones in float64."""
    results = []
    for function, dtype in ((pair_loss, torch.float32), (eager_loss, torch.float64)):
        hidden, head, labels, is_gendered, teacher = inputs(dtype, bias)
        loss, parts = function(hidden, head, labels, is_gendered, groups, teacher if teach else None, chosen, SCALE)
        (3 * loss).backward()
        gradients = [hidden.grad, head.weight.grad] + ([head.bias.grad] if head.bias is not None else [])
        results.append((loss, parts, gradients))
    (loss, parts, gradients), (expected_loss, expected_parts, expected) = results
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-5)
    torch.testing.assert_close(parts.double(), expected_parts.detach(), rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_equals_the_eager_loss_in_float64(operation, divergence, monkeypatch):
    groups = GROUPS if operation in USES_COUNTERFACTUAL else ALONE
    for num_rows, few_rows in ((1, 1), (4, 1), (7, 3), (1000, 1000)):
        monkeypatch.setattr(fused, "CHUNK_BYTES_CPU", num_rows * BYTES_PER_ROW)
        monkeypatch.setattr(fused, "CACHED_VALUES", few_rows * NUM_IDS)
        check(groups, objective(operation, divergence))


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
    check(GROUPS if chosen.perturbation.operation != "none" else ALONE, chosen, bias, teach)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_gradient_is_that_of_finite_differences(divergence):
    hidden, head, labels, is_gendered, teacher = inputs(torch.float64, bias=True)

    def loss(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        chosen = objective("equivariant", divergence)
        return pair_loss(hidden, Head(weight, bias), labels, is_gendered, GROUPS, teacher, chosen, SCALE)[0]

    assert torch.autograd.gradcheck(loss, (hidden, head.weight, head.bias))


def test_a_head_tied_to_the_embeddings_gets_the_gradients_of_both_uses():
    def loss_of(weight: Tensor, function: Callable) -> Tensor:
        _, _, labels, is_gendered, teacher = inputs(torch.float64)
        hidden = F.embedding(labels, weight).cumsum(0).tanh()
        return function(hidden, Head(weight, None), labels, is_gendered, GROUPS, teacher, objective("mean"), SCALE)[0]

    weights = [inputs(torch.float64)[1].weight for _ in range(2)]
    for weight, function in zip(weights, (pair_loss, eager_loss), strict=True):
        loss_of(weight, function).backward()
    torch.testing.assert_close(weights[0].grad, weights[1].grad)


def test_without_gradients_none_are_made_and_the_value_is_the_same():
    hidden, head, *rest, teacher = inputs(torch.float32)
    with torch.no_grad():
        quiet, _ = pair_loss(hidden, head, *rest, GROUPS, teacher, objective("mean"), SCALE)
    loss, _ = pair_loss(hidden, head, *rest, GROUPS, teacher, objective("mean"), SCALE)
    assert not quiet.requires_grad
    assert quiet == loss


def test_a_frozen_head_gets_no_gradient():
    hidden, head, *rest, teacher = inputs(torch.float32)
    frozen = Head(head.weight.detach(), None)
    pair_loss(hidden, frozen, *rest, GROUPS, teacher, objective("mean"), SCALE)[0].backward()
    assert hidden.grad is not None
    assert frozen.weight.grad is None
    gradient, hidden.grad = hidden.grad, None
    pair_loss(hidden, head, *rest, GROUPS, teacher, objective("mean"), SCALE)[0].backward()
    assert torch.equal(gradient, hidden.grad)


def test_a_shift_of_the_teachers_logits_changes_nothing():
    hidden, head, *rest, teacher = inputs(torch.float64)
    chosen = objective("equivariant_geometric")
    loss, _ = pair_loss(hidden, head, *rest, GROUPS, teacher, chosen, SCALE)
    shifted = Teacher(teacher.hidden, Head(teacher.head.weight, torch.full((NUM_IDS,), 5.0, dtype=torch.float64)))
    torch.testing.assert_close(pair_loss(hidden, head, *rest, GROUPS, shifted, chosen, SCALE)[0], loss)


def test_the_scale_of_the_gradient_does_not_depend_on_the_temperature():
    norms = []
    for temperature in (20.0, 40.0):  # in the limit, logits differ by little and tau^2 makes up for tau^-2
        hidden, head, *rest, teacher = inputs(torch.float64)
        chosen = objective("none", ce_weight=0.0, temperature=temperature)
        pair_loss(hidden, head, *rest, ALONE, teacher, chosen, SCALE)[0].backward()
        norms.append(hidden.grad.norm().item())
    assert norms[0] == pytest.approx(norms[1], rel=0.05)


def test_bf16_rounds_operands_and_keeps_sums_in_float32():
    torch.manual_seed(0)
    hidden, weight = torch.randn(7, 256).to(torch.bfloat16), torch.randn(50, 256).to(torch.bfloat16)
    output = fused._Output(hidden, Head(weight, None), torch.bfloat16)
    logits = output.logits(torch.arange(7))
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits.double(), hidden.double() @ weight.double().T, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_many_tokens_is_not_lost_in_float16(monkeypatch):
    """The scale is 1 / tokens: float16 has nothing between 0 and 6e-8."""

    def in_float16(output, a, b, out=None, add=False):
        product = a.half().float() @ b.half().float()
        return product if out is None else out.add_(product) if add else out.copy_(product)

    hidden, head, *rest, teacher = inputs(torch.float32)
    chosen, gradients = objective("equivariant"), []
    for half in (False, True):
        if half:
            monkeypatch.setattr(fused._Output, "_product", in_float16)
        loss, _ = pair_loss(hidden, head, *rest, GROUPS, teacher, chosen, torch.tensor(1e-9))
        gradients.append(torch.autograd.grad(1e9 * loss, [hidden, head.weight]))
    for exact, rounded in zip(*gradients, strict=True):
        torch.testing.assert_close(rounded, exact, rtol=0, atol=0.01 * exact.abs().max().item())


class NothingWaits(TorchDispatchMode):
    """Fails at whatever would make the CPU wait for a GPU: a value read, or a result whose size depends on values."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal.default", "is_nonzero")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        indices = args[1] if "aten.index" in str(func) and isinstance(args[1], list) else []
        by_mask = any(index is not None and index.dtype == torch.bool for index in indices)
        assert not by_mask and not any(name in str(func) for name in self.WAITING), f"{func} waits for the GPU"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_waits_for_a_gpu_in_the_forward_pass(operation):
    hidden, head, *rest, teacher = inputs(torch.float32)
    chosen = objective(operation, "jsd", pairing_weight=0.3)
    with NothingWaits():
        pair_loss(hidden, head, *rest, GROUPS, teacher, chosen, SCALE)
    for waiting in (lambda: hidden[rest[1]], lambda: hidden.sum().item(), rest[1].nonzero):
        with pytest.raises(AssertionError, match="waits for the GPU"), NothingWaits():
            waiting()


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_the_students_forward_pass_waits_for_no_gpu_and_returns_sums_not_logits(
    architecture, tiny_model, tokenizer, monkeypatch
):
    lexicon = load_lexicon()
    documents = pair_texts(["The nurse said that she and the king left."], tokenizer, lexicon, [tokenizer.bos_token_id])
    batch = collate([documents[0].example], 24)
    positions = find_positions(batch, both=True, paired=True)
    student, teacher = tiny_model(architecture, seed=1), tiny_model(architecture, seed=2)
    chosen = objective("equivariant", hidden_weight=0.1)
    classes = gender_classes(tokenizer, lexicon)
    module = Distiller(student, chosen.loss, chosen.perturbation, teacher.get_output_embeddings(), classes).train()
    states = teacher_states(teacher, batch, positions.swapped)
    ids = torch.cat([batch.input_ids, batch.cf_input_ids])
    # transformers looks at the positions once per forward pass, which is not ours to change
    monkeypatch.setattr("transformers.masking_utils.find_packed_sequence_indices", lambda _: None)
    with NothingWaits():
        terms = module(ids, positions, SCALE, states)
    found = [terms.loss, *terms.sums, *terms.gendered_sums]
    assert all(tensor.numel() == 1 for tensor in found)  # accelerate makes float32 of all that the student returns
    terms.loss.backward()
