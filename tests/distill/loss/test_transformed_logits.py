"""Scaled and soft-capped logits in the loss: against eager autograd, finite differences and the models' own logits."""

import copy

import pytest
import torch
import torch.nn.functional as F
from eager_loss import GROUPS, SCALE, check_against_eager, eager_loss, inputs, objective, positions
from reference_loss import reference_loss
from torch import nn

from augment.lexicon import load_lexicon
from benchmarks.traffic import Traffic
from distill.config import RunConfig
from distill.data.batches import BlockStates, collate
from distill.data.packing import pair_texts
from distill.loss import fused, logits
from distill.loss.distiller import Distiller, teacher_states
from distill.loss.fused import Objective, pair_loss
from distill.loss.gender_classes import gender_classes
from distill.loss.logits import ChunkedLogits, LazyLogits
from distill.loss.positions import find_positions
from distill.models.logit_transform import LogitTransform
from distill.settings import validate

OPERATIONS = ["none", "max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric", "equalize"]
DIVERGENCES = ["reverse_kl", "jsd", "skewed_kl"]  # besides the first
SCALED, CAPPED, BOTH = LogitTransform(0.3), LogitTransform(cap=2.5), LogitTransform(1.7, 4.0)
TEXTS = ["The woman said that she lost her keys.", "It rained."]


@pytest.mark.parametrize(
    ("divergence", "operation"),
    [
        *(("forward_kl", operation) for operation in OPERATIONS),
        *((divergence, "equivariant") for divergence in DIVERGENCES),
        *(
            pytest.param(divergence, operation, marks=pytest.mark.slow)
            for divergence in DIVERGENCES
            for operation in OPERATIONS
            if operation != "equivariant"
        ),
    ],
)
def test_equals_the_eager_loss_with_every_transform(divergence, operation, monkeypatch):
    monkeypatch.setattr(logits, "CHUNK_BYTES_CPU", 7 * 4 * 23)
    monkeypatch.setattr(fused, "CACHED_VALUES", 3 * 23)
    groups = GROUPS if operation != "none" else GROUPS[1:2]
    number = OPERATIONS.index(operation) + len(divergence)
    transforms = [(SCALED, CAPPED), (CAPPED, SCALED), (BOTH, BOTH), (BOTH, LogitTransform())][number % 4]
    more = {"counterpart_weight": 2.0, "pairing_weight": 0.4, "ce_counterparts": False} if number % 3 else {}
    check_against_eager(groups, objective(operation, divergence, **more), bias=number % 2 == 0, transforms=transforms)


@pytest.mark.parametrize("transform", [SCALED, CAPPED, BOTH])
def test_the_gradient_is_that_of_finite_differences(transform):
    given = inputs(torch.float64, bias=True, transforms=(transform, BOTH))

    def loss(*student):
        return given._replace(student=LazyLogits(*student, transform)).loss(objective("equivariant", "jsd"))

    assert torch.autograd.gradcheck(loss, given.student[:3], fast_mode=True)


def test_a_tied_output_layer_gets_the_gradients_of_both_uses():
    weights = [inputs(torch.float64).student.weight for _ in range(2)]
    for weight, function in zip(weights, (pair_loss, eager_loss), strict=True):
        _, teacher, labels, is_gendered = inputs(torch.float64)
        student = LazyLogits(F.embedding(labels, weight).cumsum(0).tanh(), weight, None, BOTH)
        function(student, teacher, labels, positions(GROUPS, is_gendered), objective("mean"), SCALE)[0].backward()
    torch.testing.assert_close(weights[0].grad, weights[1].grad)


def test_a_scale_takes_no_pass_over_the_vocabulary_and_no_rounding():
    counts = []
    for transform in (LogitTransform(), SCALED):
        with Traffic() as traffic:
            inputs(torch.float32, transforms=(transform, transform)).loss(objective("equivariant"))
        counts.append(traffic.num_kernels)
    assert counts[0] == counts[1]
    torch.manual_seed(0)
    hidden, weight = torch.randn(7, 256).to(torch.bfloat16), torch.randn(50, 256).to(torch.bfloat16)
    chunked = ChunkedLogits(LazyLogits(hidden, weight, None, SCALED), torch.bfloat16)
    chunked.buffer = torch.full((7, 50), torch.nan)  # what the buffer holds is not read
    values = chunked.logits(torch.arange(7))
    torch.testing.assert_close(values.double(), 0.3 * hidden.double() @ weight.double().T, rtol=1e-5, atol=1e-5)


# -- the models' own logits --------------------------------------------------------------------------------------------


def with_bias(model):
    """The model with a bias in its output layer, which it has tied to its embeddings."""
    head = nn.Linear(*reversed(model.lm_head.weight.shape))
    head.weight = model.lm_head.weight
    model.lm_head = head
    return model


@pytest.fixture(scope="module")
def world(tokenizer):
    """Examples with a swap and without, and the gender classes."""
    lexicon = load_lexicon()
    documents = pair_texts(TEXTS, tokenizer, lexicon, [tokenizer.bos_token_id])
    return [document.example for document in documents], gender_classes(tokenizer, lexicon)


@pytest.mark.parametrize("architecture", ["gemma2", "granite", "cohere with bias"])
def test_a_distillers_loss_is_that_of_the_models_own_logits(architecture, world, tiny_model):
    """Online and from cached states, against the slow float64 reference, which calls `model(ids).logits`."""
    name, *bias = architecture.split()
    teacher, student = (tiny_model(name, seed, num_hidden_layers=1) for seed in (1, 2))
    if bias:
        teacher, student = with_bias(teacher), with_bias(student)
    examples, classes = world
    settings = {"run_dir": "unused", "data": {"path": "unused"}, "train": {"max_steps": 1}, "student": {"layers": [0]}}
    settings |= {"teacher": {"path": "unused"}, "perturb": {"operation": "equivariant"}}
    config = validate(RunConfig, settings | {"loss": {"kd_weight": 0.6, "ce_weight": 0.3, "temperature": 2.0}})
    student64, teacher64 = copy.deepcopy(student).double(), copy.deepcopy(teacher).double()
    expected = reference_loss(student64, teacher64, examples, config, classes)
    expected.backward()

    module = Distiller(student, Objective(config.loss, config.perturb, classes), teacher).train()
    batch = collate(examples, seq_len=16)
    swapped = batch.has_swap.nonzero().squeeze(1)
    states = teacher_states(teacher, batch, swapped).unflatten(0, (-1, 16)).split([len(examples), len(swapped)])
    for given in (batch, batch.with_states(BlockStates(*states))):
        student.zero_grad()
        result = module(given, find_positions(batch, both=False, paired=True), 1 / batch.loss_mask.sum())
        result.loss.backward()
        assert result.loss.item() == pytest.approx(expected.item(), rel=1e-5)
        for mine, other in zip(student.parameters(), student64.parameters(), strict=True):
            scale = other.grad.abs().max().item()
            torch.testing.assert_close(mine.grad.double(), other.grad, rtol=1e-4, atol=1e-4 * scale)
