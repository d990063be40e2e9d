"""Every causal-LM type of the installed transformers: equal to a plain reference, or refused in one line.

The reference knows nothing of the project: it calls `model(ids).logits`. A skipped layer hands on what it is given.
"""

import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import nn
from transformers import AutoModelForCausalLM

from benchmarks.model_types import (
    NUM_LAYERS,
    START_ID,
    Outcome,
    layer_outcomes,
    model_types,
    one_line,
    outcome,
    page,
    read_page,
    tiny_model,
)
from distill.data.batches import collate
from distill.data.packing import PairedExample
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss.positions import find_positions
from distill.loss_config import LossConfig, PerturbConfig
from distill.models.document_mask import mask_documents
from distill.models.loading import load_causal_lm
from distill.models.logit_transform import logit_transform
from distill.models.sizes import num_positions

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
IDS = torch.tensor([[START_ID, 5, 6, 7, 8, 9, 10, 30, 31, START_ID, 12, 13, 14, 5, 40, 41, 42, 43]])
DOCUMENTS = (slice(0, 9), slice(9, 18))

RANDOM_IN_TRAINING = ("phimoe",)  # draws the experts of a token, whatever its settings
HAND_ON_A_ROUTER = ("zaya",)  # each layer's router reads what that of the layer before has found


# -- the page --------------------------------------------------------------------------------------------------------


def test_the_page_is_as_the_command_writes_it():
    text = PAGE.read_text(encoding="utf-8")
    assert "python -m benchmarks.model_types --out docs/models.md" in text.splitlines()[2]
    outcomes, version = read_page(text)
    assert page(outcomes, version) == text
    accepted = {o.model_type for o in outcomes if not o.refused and not o.untried}
    assert {"gpt2", "llama", "mamba", "mixtral", "gemma3", "qwen3", "cohere", "gemma2"} <= accepted
    assert {"bert", "llama4_text", "xlnet"}.isdisjoint(accepted)


def test_a_page_reads_back_what_was_written():
    kinds = [
        Outcome("a", untried="x | y"),
        Outcome("b", refused="no"),
        Outcome("c", "", "", True, 6),
        Outcome("d", "", "", False, 2, "why"),
    ]
    assert read_page(page(kinds, "5.1.0")) == (kinds, "5.1.0")


@pytest.mark.parametrize("model_type", ["gpt2", "bart", "gemma3", "bert"])
def test_tiny_models_are_tiny_and_have_every_kind_of_layer(model_type):
    model = tiny_model(model_type)
    assert sum(weight.numel() for weight in model.parameters()) < 300_000
    if model_type == "gemma3":
        assert model.config.text_config.layer_types == ["sliding_attention", "full_attention"] * 2


# -- the sweep -------------------------------------------------------------------------------------------------------


def plain_loss(student, teacher, ids):
    """0.7 KL(teacher || student) + 0.3 cross-entropy at temperature 2, summed, from whole logits."""
    mine, theirs = student(ids, use_cache=False).logits[0, :-1].float(), teacher(ids).logits[0, :-1].float()
    target = (theirs / 2).log_softmax(-1)
    divergence = F.kl_div((mine / 2).log_softmax(-1), target, reduction="sum", log_target=True)
    return 0.7 * 4 * divergence + 0.3 * F.cross_entropy(mine, ids[0, 1:], reduction="sum")


def compare_losses(student, teacher):
    """The project's loss and gradients against the plain ones."""
    ids = IDS[0].numpy()
    batch = collate([PairedExample(ids, ids, torch.arange(len(ids)).numpy())], seq_len=len(ids))
    loss = LossConfig(kd_weight=0.7, ce_weight=0.3, temperature=2)
    distiller = Distiller(student, Objective(loss, PerturbConfig(operation="none")), teacher)
    student.eval()
    value = distiller(batch, find_positions(batch, both=False, paired=False), torch.tensor(1.0)).loss
    expected = plain_loss(student, teacher, IDS)
    torch.testing.assert_close(value, expected, rtol=2e-3, atol=2e-3)
    trained = [weight for weight in student.parameters() if weight.requires_grad]
    gradients, others = (torch.autograd.grad(v, trained, allow_unused=True) for v in (value, expected))
    largest = max(float(gradient.abs().max()) for gradient in others if gradient is not None)
    for gradient, other in zip(gradients, others, strict=True):
        assert (gradient is None) == (other is None)
        if gradient is not None:
            torch.testing.assert_close(gradient, other, rtol=2e-2, atol=1e-3 * largest)


def skipped_logits(model, layers):
    """The logits of a model whose other layers hand on what they are given; None if they have no common list."""
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == NUM_LAYERS]
    stacks = [m for m in lists if "Layer" in type(m[0]).__name__ or "Block" in type(m[0]).__name__]
    originals = [layer.forward for stack in stacks for layer in stack]

    def hand_on(forward):
        def instead(*arguments, **keywords):
            given = arguments[0] if arguments else keywords["hidden_states"]
            result = forward(*arguments, **keywords)
            if not isinstance(result, tuple | list):
                return given
            return (given, *(arguments[1:2] if model.config.model_type in HAND_ON_A_ROUTER else result[1:]))

        return instead

    for stack in stacks:
        for number, layer in enumerate(stack):
            if number not in layers:
                layer.forward = hand_on(layer.forward)
    try:
        with torch.no_grad():
            return model(IDS, use_cache=False).logits
    finally:
        for layer, forward in zip((layer for stack in stacks for layer in stack), originals, strict=True):
            layer.forward = forward


@torch.no_grad()
def compare_students(teacher, folder):
    """Every student of layers against the teacher that skips the others, as it is and saved and loaded again."""
    for layers, student in layer_outcomes(teacher).items():
        if isinstance(student, ValueError):
            continue
        mine = student.eval()(IDS).logits
        torch.testing.assert_close(mine, skipped_logits(teacher, layers), rtol=1e-3, atol=1e-3, msg=f"{layers}")
        student.save_pretrained(folder)
        reloaded = AutoModelForCausalLM.from_pretrained(folder)
        torch.testing.assert_close(reloaded(IDS).logits, mine, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def compare_masks(model, folder):
    """The documents of a row against each one alone, read by a model without masks."""
    masked = load_causal_lm(str(folder))
    try:
        mask_documents(masked, START_ID, IDS.shape[1])
    except ValueError as error:
        one_line(error)
        return
    states = masked.base_model(input_ids=IDS, use_cache=False).last_hidden_state  # as in training
    together = logit_transform(masked).apply_(masked.get_output_embeddings()(states)[0])
    for document in DOCUMENTS:
        torch.testing.assert_close(together[document], model(IDS[:, document]).logits[0], rtol=1e-3, atol=1e-3)


@torch.no_grad()
def read_everything_it_says(model):
    """A row as long as the model's positions, and training without dropout: two passes give the same."""
    longest = num_positions(model)
    if longest is not None:
        row = torch.arange(longest)[None] % 50 + 5
        assert model(row, use_cache=False).logits.isfinite().all()
    model.train()
    first, second = (model.base_model(input_ids=IDS, use_cache=False).last_hidden_state for _ in range(2))
    model.eval()
    assert torch.equal(first, second) or model.config.model_type in RANDOM_IN_TRAINING


def load_in_half_precision(folder):
    """Some types have no bfloat16 on a CPU."""
    try:
        load_causal_lm(str(folder), "bfloat16")
    except ValueError as error:
        one_line(error)


@pytest.mark.slow
@pytest.mark.parametrize("model_type", model_types())
def test_a_type_is_equal_to_a_plain_reference_or_refused_in_one_line(model_type, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = outcome(model_type, tmp_path / "model")
        recorded, version = read_page(PAGE.read_text(encoding="utf-8"))
        if version == transformers.__version__:
            assert [o for o in recorded if o.model_type == model_type] == [found]
        if found.untried or found.refused:
            return
        load_in_half_precision(tmp_path / "model")
        teacher = load_causal_lm(str(tmp_path / "model"), dropout=0.0).requires_grad_(False)
        model = load_causal_lm(str(tmp_path / "model"), dropout=0.0)
        read_everything_it_says(model)
        compare_masks(model, tmp_path / "model")
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(0.9)
        compare_losses(model, teacher)
        compare_students(teacher, tmp_path / "student")
