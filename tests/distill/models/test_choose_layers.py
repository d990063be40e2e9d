"""Which layers are kept: the greedy choice equals building every student, and no shortcut changes it."""

import contextlib
import itertools
import math

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.model_types import NUM_LAYERS, model_types, tiny_model
from distill.models.checks import check_causal_lm
from distill.models.choose_layers import choose_layers, guessing_loss, loss_of_layers, mean_loss, without
from distill.models.student import student_from_layers

SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
TEXT = {**SIZES, "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 120, "initializer_range": 0.3}
TEXT |= {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
KINDS = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
MODELS = {
    "gpt2": {"n_embd": 16, "n_head": 2, "n_layer": 4, "n_positions": 32, "vocab_size": 120, "initializer_range": 0.3},
    "gemma3_text": TEXT | {"sliding_window": 3, "layer_types": KINDS},
}


def build(model_type, **settings):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **settings)).eval().requires_grad_(False)


@pytest.fixture
def blocks():
    return torch.randint(0, 120, (4, 12), generator=torch.Generator().manual_seed(0))


def reference_loss(teacher, layers, blocks):
    """Nats per token of the student that the project builds from these layers, in float64, block by block."""
    student = student_from_layers(teacher, layers).eval()
    total = 0.0
    for row in blocks:
        logprobs = student(row[None]).logits[0, :-1].double().log_softmax(-1)
        total -= sum(logprobs[place, token].item() for place, token in enumerate(row[1:]))
    return total / (len(blocks) * (blocks.shape[1] - 1))


def reference_choice(teacher, keep, blocks):
    """The greedy choice by building every student: [(the layers that are left, their loss), ...]."""
    layers, steps = tuple(range(4)), []
    while len(layers) > keep:
        students = [tuple(other for other in layers if other != layer) for layer in layers]
        losses = [reference_loss(teacher, student, blocks) for student in students]
        layers = students[losses.index(min(losses))]
        steps.append((layers, min(losses)))
    return steps


@pytest.mark.parametrize("model_type", ["gpt2", pytest.param("gemma3_text", marks=pytest.mark.slow)])
def test_the_choice_is_that_of_building_every_student(model_type, blocks):
    teacher = build(model_type, **MODELS[model_type])
    steps = choose_layers(teacher, blocks, 2)
    expected = reference_choice(teacher, 2, blocks)
    assert [step.layers for step in steps] == [layers for layers, _ in expected]
    assert [step.loss for step in steps] == pytest.approx([loss for _, loss in expected], abs=1e-5)
    left = [tuple(range(4)), *(step.layers for step in steps)]
    assert [without(before, step.removed) for before, step in zip(left, steps, strict=False)] == left[1:]
    assert loss_of_layers(teacher, steps[-1].layers, blocks) == pytest.approx(expected[-1][1], abs=1e-5)


def test_the_choice_is_the_same_whatever_the_batch_size(blocks):
    teacher = build("gpt2", **MODELS["gpt2"])
    choices = [choose_layers(teacher, blocks, 2, batch_size=size) for size in (3, None)]
    lists = [[step.layers for step in choice] for choice in choices]
    assert lists[0] == lists[1]
    assert [step.loss for step in choices[0]] == pytest.approx([step.loss for step in choices[1]], abs=1e-5)


def test_fewer_candidates_try_the_layers_that_cost_least_when_last_tried(blocks):
    teacher = build("gpt2", **MODELS["gpt2"])
    everything = tuple(range(4))
    costs = {layer: loss_of_layers(teacher, without(everything, layer), blocks) for layer in everything}
    first, second = sorted(everything, key=costs.__getitem__)[:2]
    steps = choose_layers(teacher, blocks, 2, num_candidates=1)
    assert [step.removed for step in steps] == [first, second]


def test_the_teacher_is_as_before(blocks):
    teacher = build("gpt2", **MODELS["gpt2"])
    layers, before = list(teacher.transformer.h), teacher(blocks).logits
    choose_layers(teacher, blocks, 3)
    assert list(teacher.transformer.h) == layers
    assert teacher.config.num_hidden_layers == 4
    assert torch.equal(teacher(blocks).logits, before)


def test_only_layers_that_make_a_student_are_taken_out(blocks):
    """A linear layer and a full one take turns, and the model asks the first full one how long its cache is."""
    settings = TEXT | {"mamba_d_state": 4, "use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1}
    settings |= {"num_experts": 2, "expert_layer_period": 3, "expert_layer_offset": 1, "num_hidden_layers": 3}
    teacher = build("jamba", **settings)
    (step,) = choose_layers(teacher, blocks, 2)
    student_from_layers(teacher, step.layers)
    possible = []
    for layers in ((0, 1), (0, 2), (1, 2)):
        try:
            possible.append((reference_loss(teacher, layers, blocks), layers))
        except ValueError:
            continue
    assert len(possible) < 3
    assert step.layers == min(possible)[1]


def test_layers_that_hand_more_than_their_outputs_on_are_read_every_time(blocks, monkeypatch):
    """As with layers that share keys and values: what they gave once does not stand for them."""
    teacher = build("gpt2", **MODELS["gpt2"])
    monkeypatch.setattr("distill.models.choose_layers._copy", torch.zeros_like)
    (step,) = choose_layers(teacher, blocks, 3)
    ((layers, loss),) = reference_choice(teacher, 3, blocks)
    assert step.layers == layers
    assert step.loss == pytest.approx(loss, abs=1e-5)


def test_what_cannot_be_kept_is_refused_in_one_line(blocks):
    teacher = build("gpt2", **MODELS["gpt2"])
    with pytest.raises(ValueError, match=r"^5 layers cannot be kept, because the teacher has 4; keep fewer$"):
        choose_layers(teacher, blocks, 5)
    assert choose_layers(teacher, blocks, 4) == []


def test_guessing_is_the_loss_of_equal_probabilities(blocks):
    teacher = build("gpt2", **MODELS["gpt2"])
    teacher.lm_head.weight.zero_()
    assert mean_loss(teacher, blocks) == pytest.approx(guessing_loss(teacher)) == pytest.approx(math.log(120))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", model_types())
def test_for_every_type_the_first_layer_that_goes_leaves_the_best_student(model_type):
    blocks = torch.randint(3, 40, (2, 12), generator=torch.Generator().manual_seed(0))
    try:
        teacher = tiny_model(model_type).requires_grad_(False)
        check_causal_lm(teacher, model_type)
    except Exception:  # transformers refuses in many ways
        pytest.skip("the type is not accepted")
    possible = {}
    for layers in itertools.combinations(range(NUM_LAYERS), NUM_LAYERS - 1):
        with contextlib.suppress(ValueError):
            possible[layers] = reference_loss(teacher, layers, blocks)
    if not possible:
        with pytest.raises(ValueError, match="layer"):
            choose_layers(teacher, blocks, NUM_LAYERS - 1)
        return
    (step,) = choose_layers(teacher, blocks, NUM_LAYERS - 1)
    assert step.loss == pytest.approx(possible[step.layers], abs=1e-3)
    assert possible[step.layers] == pytest.approx(min(possible.values()), abs=1e-3)
