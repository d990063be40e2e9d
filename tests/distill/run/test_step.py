"""The optimizer step against a slow float64 reference, and its invariance to how it is split."""

import copy
import itertools
import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from reference_loss import reference_loss
from step_texts import STEP_TEXTS

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.batches import collate
from distill.data.packing import PairedExample, pack, pair_texts
from distill.loss import logits
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss.gender_classes import GenderClasses, gender_classes
from distill.models.logit_transform import check_head
from distill.run.learner import Learner, TrainState
from distill.run.step import scored_batches, train_step
from distill.settings import validate

SEQ_LEN = 32
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
OPERATIONS = ["none", "max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric", "equalize"]
OTHER_DIVERGENCES = ["reverse_kl", "jsd", "skewed_kl"]
TEXTS = [
    *STEP_TEXTS,
    "The baron smiled.",  # his tokens are the first of the baroness's
]


def settings(mode: str = "none", operation: str = "none", strength: float = 0.8, **loss: object) -> RunConfig:
    loss = {"kd_weight": 0.6, "ce_weight": 0.3, "hidden_weight": 0.2, "temperature": 2.0} | loss
    return validate(
        RunConfig,
        {
            "run_dir": "unused",
            "data": {"path": "unused", "seq_len": SEQ_LEN},
            "augment": {"mode": mode, "fraction": 0.5},
            "teacher": {"path": "unused"},
            "student": {"layers": [0, 2]},
            "perturb": {"operation": operation, "strength": strength},
            "loss": loss,
            "train": {"max_steps": 1},
            "optim": {"max_grad_norm": 0},
        },
    )


@pytest.fixture(scope="module")
def world(tokenizer) -> SimpleNamespace:
    lexicon = load_lexicon()
    documents = pair_texts(TEXTS, tokenizer, lexicon, [tokenizer.bos_token_id])
    return SimpleNamespace(classes=gender_classes(tokenizer, lexicon), documents=documents)


def examples_of(world: SimpleNamespace, mode: str) -> list[PairedExample]:
    substituted = [mode == "substitute" and index % 2 == 0 for index in range(len(world.documents))]
    return list(pack(zip(world.documents, substituted, strict=True), SEQ_LEN))


class RecordingOptimizer(torch.optim.SGD):
    """Keeps the gradients of a step instead of taking it."""

    def step(self, closure=None):
        self.gradients = [p.grad.clone() for group in self.param_groups for p in group["params"]]

    def zero_grad(self, set_to_none=True):
        super().zero_grad(set_to_none)


def our_step(student, teacher, rows, num_micro: int, config: RunConfig, classes: GenderClasses, accelerator=None):
    """Loss, gradients and metrics of train_step over `rows` (examples or None) split into num_micro micro-batches."""
    accelerator = accelerator or Accelerator(cpu=True)
    module = Distiller(student, Objective(config.loss, config.perturb, classes), teacher)
    optimizer = RecordingOptimizer(student.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    learner = Learner(module, optimizer, scheduler, TrainState())
    bounds = np.linspace(0, len(rows), num_micro + 1).round().astype(int)
    micro_batches = [collate(rows[a:b], SEQ_LEN) for a, b in itertools.pairwise(bounds)]
    metrics = train_step(accelerator, config, learner, list(scored_batches(micro_batches, config)))
    return metrics["loss"], optimizer.gradients, metrics


def assert_same_gradients(ours, expected, rtol: float):
    for mine, theirs in zip(ours, expected, strict=True):
        scale = theirs.abs().max().item()
        torch.testing.assert_close(mine.double(), theirs.double(), rtol=rtol, atol=rtol * scale + 1e-12)


@pytest.mark.parametrize("mode", ["none", "substitute", "augment"])
@pytest.mark.parametrize(
    ("divergence", "operation"),
    [
        *(("forward_kl", operation) for operation in OPERATIONS),
        *((divergence, "equivariant") for divergence in OTHER_DIVERGENCES),
        # every divergence with every operation is also compared with eager autograd, in test_fused.py
        *(
            pytest.param(divergence, operation, marks=pytest.mark.slow)
            for divergence in OTHER_DIVERGENCES
            for operation in OPERATIONS
            if operation != "equivariant"
        ),
    ],
)
def test_a_step_equals_the_slow_float64_reference(divergence, operation, mode, world, tiny_model, monkeypatch):
    config = settings(mode, operation, divergence=divergence, beta=0.3)
    architecture = "llama" if mode == "substitute" else "gpt2"
    teacher, student = tiny_model(architecture, seed=1).requires_grad_(False), tiny_model(architecture, seed=2)
    bytes_per_row = 4 * student.config.vocab_size
    monkeypatch.setattr(logits, "CHUNK_BYTES_CPU", 17 * bytes_per_row)  # several chunks, the last one short
    examples = examples_of(world, mode)
    student64, teacher64 = copy.deepcopy(student).double(), copy.deepcopy(teacher).double()
    expected = reference_loss(student64, teacher64, examples, config, world.classes)
    expected.backward()

    loss, gradients, _ = our_step(student, teacher, examples, 2, config, world.classes)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert_same_gradients(gradients, [p.grad for p in student64.parameters()], rtol=1e-4)


@pytest.mark.parametrize("mode", ["none", "augment"])
def test_the_split_into_micro_steps_and_padding_rows_change_nothing(mode, world, tiny_model):
    config = settings(mode, "equivariant")
    teacher, student = tiny_model(seed=1).requires_grad_(False), tiny_model(seed=2)
    examples = examples_of(world, mode)
    assert len(examples) > 2
    loss, gradients, metrics = our_step(student, teacher, examples, 1, config, world.classes)
    padded = [None, *examples[:2], None, None, None, None, *examples[2:]]
    for rows, num_micro in ((examples, len(examples)), (padded, len(padded)), (padded, 2)):
        again, split_gradients, split_metrics = our_step(student, teacher, rows, num_micro, config, world.classes)
        assert again == pytest.approx(loss, rel=1e-6)
        assert split_metrics["num_tokens"] == metrics["num_tokens"]
        assert_same_gradients(split_gradients, gradients, rtol=1e-5)


def test_strength_zero_is_bitwise_plain_distillation(world, tiny_model):
    teacher, student = tiny_model(seed=1).requires_grad_(False), tiny_model(seed=2)
    examples = examples_of(world, "none")
    plain, plain_gradients, _ = our_step(student, teacher, examples, 2, settings("none", "none"), world.classes)
    for operation in OPERATIONS[1:]:
        config = settings("none", operation, strength=0.0)
        loss, gradients, _ = our_step(student, teacher, examples, 2, config, world.classes)
        assert loss == plain
        assert all(torch.equal(a, b) for a, b in zip(gradients, plain_gradients, strict=True))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NEEDS_CUDA])])
def test_bf16_changes_the_loss_and_its_gradient_by_rounding_only(device, world, tiny_model):
    teacher, student = tiny_model(seed=1).requires_grad_(False), tiny_model(seed=2)
    examples, config = examples_of(world, "augment"), settings("augment", "equivariant")
    expected, gradients, _ = our_step(student, teacher, examples, 2, config, world.classes)
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        half = Accelerator(cpu=device == "cpu", mixed_precision="bf16")
        student, teacher, classes = (part.to(device) for part in (student, teacher, world.classes))
        loss, half_gradients, _ = our_step(student, teacher, examples, 2, config, classes, half)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert loss != expected
    assert loss == pytest.approx(expected, rel=0.02)
    mine, theirs = (torch.cat([g.flatten().cpu() for g in grads]) for grads in (half_gradients, gradients))
    assert (mine - theirs).norm() < 0.05 * theirs.norm()


def test_the_loss_is_the_weighted_sum_of_the_parts_that_are_reported(world, tiny_model):
    config = settings("augment", "equivariant_geometric", counterpart_weight=3.0, pairing_weight=0.4)
    teacher, student = tiny_model(seed=1).requires_grad_(False), tiny_model(seed=2)
    loss, _, metrics = our_step(student, teacher, examples_of(world, "augment"), 2, config, world.classes)
    softened = 0.6 * metrics["kd"] + 3.0 * metrics["counterpart"]
    others = 0.3 * metrics["ce"] + 0.2 * metrics["hidden"] + 0.4 * metrics["pairing"]
    assert min(metrics[name] for name in ("kd", "counterpart", "ce", "hidden", "pairing")) > 1e-4
    assert loss == pytest.approx(2.0**2 * softened + others, rel=1e-6)


def test_a_student_equal_to_its_teacher_has_no_distillation_loss(world, tiny_model):
    teacher = tiny_model(seed=1).requires_grad_(False)
    student = copy.deepcopy(teacher).requires_grad_(True)
    _, _, metrics = our_step(student, teacher, examples_of(world, "none"), 1, settings(), world.classes)
    assert abs(metrics["kd"]) < 1e-6
    assert abs(metrics["hidden"]) < 1e-6
    assert metrics["target_entropy"] > 0.1


def test_a_batch_in_which_nothing_is_scored_gives_zero_gradients(world, tiny_model):
    teacher, student = tiny_model(seed=1).requires_grad_(False), tiny_model(seed=2)
    loss, gradients, metrics = our_step(student, teacher, [None, None], 2, settings(), world.classes)
    assert loss == 0
    assert metrics["num_tokens"] == 0
    assert all((gradient == 0).all() for gradient in gradients)


def test_plain_language_modelling_equals_the_loss_of_transformers(world, tiny_model):
    student = tiny_model(seed=2)
    config = settings("none", "none", kd_weight=0.0, ce_weight=1.0, hidden_weight=0.0)
    example = examples_of(world, "none")[0]
    module = Distiller(student, Objective(config.loss, config.perturb))
    (micro_batch,) = scored_batches([collate([example], SEQ_LEN)], config)
    result = module(*micro_batch, torch.ones(()))
    ids = torch.from_numpy(example.input_ids)[None]
    expected = student(ids, labels=ids).loss
    torch.testing.assert_close(result.loss / result.sums.num_tokens, expected)


def test_a_gradient_that_is_not_finite_stops_before_the_weights(world, tiny_model):
    teacher, student = tiny_model(seed=1).requires_grad_(False), tiny_model(seed=2)
    next(student.parameters()).register_hook(lambda gradient: gradient * math.nan)
    before = copy.deepcopy(student.state_dict())
    with pytest.raises(FloatingPointError, match="the gradient norm nan; lower optim.lr"):
        our_step(student, teacher, examples_of(world, "none"), 1, settings(), world.classes)
    assert all(torch.equal(weight, before[name]) for name, weight in student.state_dict().items())


@pytest.mark.parametrize("kind", [torch.optim.SGD, partial(torch.optim.AdamW, fused=True)], ids=["sgd", "fused_adamw"])
def test_a_gradient_that_overflows_is_skipped_by_the_scaler_and_reported(kind, world, tiny_model):
    teacher, student = tiny_model(seed=1).requires_grad_(False), tiny_model(seed=2)
    config, accelerator = settings(), Accelerator(cpu=True)
    accelerator.scaler = torch.amp.GradScaler("cpu")  # what fp16 has on a GPU
    module = Distiller(student, Objective(config.loss, config.perturb, world.classes), teacher)
    optimizer = accelerator.prepare(kind(student.parameters(), lr=1.0))
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=2)
    learner = Learner(module, optimizer, scheduler, TrainState())
    micro_batches = list(scored_batches([collate(examples_of(world, "none"), SEQ_LEN)], config))
    overflow = next(student.parameters()).register_hook(lambda gradient: gradient * math.inf)
    steps = []
    for _ in range(3):
        weights = copy.deepcopy(student.state_dict())
        metrics = train_step(accelerator, config, learner, micro_batches)
        changed = any(not torch.equal(weight, weights[name]) for name, weight in student.state_dict().items())
        steps.append((metrics["overflowed"], changed, metrics["lr"]))
        overflow.remove()
    assert steps == [(True, False, 0.5), (False, True, 0.5), (False, True, 0.75)]


def test_a_loss_that_is_not_finite_stops_before_the_weights(world, tiny_model):
    teacher, student = tiny_model(seed=1).requires_grad_(False), tiny_model(seed=2)
    check_head(student, "the student")  # it was whole when it was loaded
    with torch.no_grad():
        next(student.parameters())[:] = math.nan
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        our_step(student, teacher, examples_of(world, "none"), 1, settings(), world.classes)
