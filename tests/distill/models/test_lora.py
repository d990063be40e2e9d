"""LoRA: the model without its adapter is the teacher, and what is written is what was trained."""

import sys
import warnings
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from distill.config import LossConfig, PerturbConfig
from distill.data.batches import collate
from distill.data.packing import pair_texts
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss.positions import find_positions
from distill.model_config import LoraConfig, StudentConfig
from distill.models.lora import add_adapter, as_teacher, has_adapter, write_adapter
from distill.models.student import build_student
from distill.run.export import write_student

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


def adapted(teacher, tokenizer, **settings):
    """The teacher with an adapter that changes what it predicts, in training mode."""
    teacher.requires_grad_(False)
    student = build_student(StudentConfig(layers="all", lora=LoraConfig(**settings)), teacher, tokenizer)
    assert student is teacher
    for name, weight in student.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return student


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_without_its_adapter_the_student_is_the_teacher_bit_for_bit(architecture, tiny_model, tokenizer):
    expected = tiny_model(architecture)(IDS).logits
    student = adapted(tiny_model(architecture), tokenizer, rank=2, alpha=4, dropout=0.5)
    trained = {name for name, weight in student.named_parameters() if weight.requires_grad}
    assert trained and all(".lora_" in name for name in trained)
    with torch.inference_mode(), as_teacher(student):
        assert {name for name, weight in student.named_parameters() if weight.requires_grad} == trained
        assert torch.equal(student(IDS).logits, expected)
    assert all(module.training for module in student.modules())
    assert {name for name, weight in student.named_parameters() if weight.requires_grad} == trained
    assert not torch.equal(student(IDS).logits, student(IDS).logits)  # dropout
    assert (student.eval()(IDS).logits - expected).abs().max() > 0.1
    assert has_adapter(student) and not has_adapter(tiny_model(architecture))


def test_a_new_adapter_changes_nothing(tiny_model, tokenizer):
    teacher = tiny_model("llama").requires_grad_(False)
    expected = teacher(IDS).logits
    student = add_adapter(teacher, LoraConfig(rank=2, targets=("q_proj", "v_proj")))
    torch.testing.assert_close(student.eval()(IDS).logits, expected, rtol=0, atol=0)
    assert sum("lora_A" in name for name, _ in student.named_parameters()) == 2 * 4  # two layers of each of the four


@pytest.mark.parametrize(("architecture", "dtype"), [("gpt2", torch.float32), ("llama", torch.bfloat16)])
def test_the_merged_student_and_the_written_adapter_say_what_was_trained(
    architecture, dtype, tiny_model, tokenizer, tmp_path: Path
):
    import peft

    student = adapted(tiny_model(architecture).to(dtype), tokenizer, rank=2, alpha=4)
    assert {w.dtype for w in student.parameters() if w.requires_grad} == {torch.float32}
    weights = student.state_dict()
    before = {name: weight.clone() for name, weight in weights.items()}
    (tmp_path / "adapter").mkdir()
    write_adapter(tmp_path / "adapter", student, weights, "models/mine")
    write_student(tmp_path / "student", student, tokenizer, weights)
    assert all(torch.equal(weight, before[name]) for name, weight in student.state_dict().items())

    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "student").double().eval()
    with warnings.catch_warnings(action="ignore"):  # of transformers, about a name that peft still uses
        base = tiny_model(architecture).double()
        base.load_state_dict({name: weight.to(dtype) for name, weight in base.state_dict().items()})
        separate = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").double().eval()
    ours, theirs = merged(IDS).logits, separate(IDS).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6 * theirs.abs().max().item())
    assert separate.peft_config["default"].base_model_name_or_path == "models/mine"
    assert type(merged.get_input_embeddings()) is torch.nn.Embedding
    tied = merged.get_input_embeddings().weight is merged.get_output_embeddings().weight
    assert tied == (architecture == "gpt2")


def test_loss_and_gradient_are_those_of_a_teacher_of_its_own(tiny_model, tokenizer):
    """In float64, against the models' own logits and autograd. The output layer gets no gradient."""
    loss = LossConfig(kd_weight=0.7, ce_weight=0.3, temperature=1.5)
    documents = pair_texts(["The nurse said hello.", "He left early."], tokenizer, None, [tokenizer.bos_token_id])
    batch = collate([document.example for document in documents], 16)
    positions = find_positions(batch, both=False, paired=False)
    student = adapted(tiny_model("llama").double(), tokenizer, rank=2, alpha=4)
    module = Distiller(student, Objective(loss, PerturbConfig()), student)
    module(batch, positions, torch.tensor(1.0, dtype=torch.float64)).loss.backward()
    weights = {name: weight for name, weight in student.named_parameters() if weight.requires_grad}
    assert all(weight.grad is None for name, weight in student.named_parameters() if name not in weights)

    rows = torch.cat([group.student_rows[0] for group in positions.groups])
    logits = student(batch.input_ids).logits.flatten(0, 1)[rows]
    teacher = tiny_model("llama").double()(batch.input_ids).logits.flatten(0, 1)[rows].detach()
    soft, target = (logits / 1.5).log_softmax(-1), (teacher / 1.5).log_softmax(-1)
    divergence = torch.nn.functional.kl_div(soft, target, reduction="sum", log_target=True)
    labels = batch.input_ids.roll(-1, 1).flatten()[rows]
    expected = 0.7 * 1.5**2 * divergence + 0.3 * torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    for weight, gradient in zip(weights.values(), torch.autograd.grad(expected, list(weights.values())), strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-8, atol=1e-8 * gradient.abs().max().item())


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("nothing",), r"student.lora.targets = \['nothing'\]: Target modules .* name linear layers of Llama"),
        (("input_layernorm",), r"student.lora.targets = \['input_layernorm'\]: .* name linear layers of Llama"),
        (("q_proj", "lm_head"), r"targets = \['q_proj', 'lm_head'\] reach into the output embeddings"),
        (("embed_tokens",), "reach into the input embeddings, which stay the teacher's; leave them out"),
    ],
)
def test_layers_that_cannot_be_adapted_are_refused(targets, message, tiny_model):
    with pytest.raises(ValueError, match=message) as fault:
        add_adapter(tiny_model("llama"), LoraConfig(targets=targets))
    assert "\n" not in str(fault.value)


def test_without_peft_the_message_says_what_to_install(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match=r"student.lora needs the peft package: pip install 'evenhand\[lora\]'"):
        add_adapter(tiny_model("llama"), LoraConfig())
