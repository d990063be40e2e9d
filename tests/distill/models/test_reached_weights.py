"""Weights that no text reaches are not trained; weights that some text reaches are."""

import shutil

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict
from transformers import AutoConfig, AutoModelForCausalLM

from distill import train
from distill.config import OptimConfig
from distill.models.reached_weights import freeze_unreached, reaches_all
from distill.run.folder import read_metrics
from distill.run.learner import begin_state, build_optimizer

SIZES = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


class OneExpertPerToken(nn.Module):
    """An MLP of two experts with weights of their own: one for states with a positive sum, one for the others."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(16, 16), nn.Linear(16, 16)])
        self.bias = nn.Parameter(torch.zeros(2))  # only a router would set it

    def forward(self, states):
        result = torch.zeros_like(states)
        for number, expert in enumerate(self.experts):
            mine = (states.sum(-1) > 0) == bool(number)
            if mine.any():
                result[mine] = expert(states[mine])
        return result


@pytest.fixture
def routed(tiny_model):
    """A model with such experts in its last layer."""
    model = tiny_model("llama")
    model.model.layers[-1].mlp = OneExpertPerToken()
    return model


def build_multimodal(vocab_size):
    torch.manual_seed(0)
    text = {**SIZES, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": vocab_size, "bos_token_id": 0}
    images = {**SIZES, "image_size": 28, "patch_size": 14}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model("gemma3", text_config=text, vision_config=images))


def frozen(model):
    return {name for name, weight in model.named_parameters() if not weight.requires_grad}


def test_towers_and_unused_attention_are_frozen_and_everything_else_is_trained(tiny_model):
    images = build_multimodal(300)
    freeze_unreached(images, "student")
    parts = {name.split(".")[1] for name in frozen(images)}
    assert parts == {"vision_tower", "multi_modal_projector"}
    decoder = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("bart", d_model=16, decoder_layers=2, vocab_size=300)
    )
    freeze_unreached(decoder, "student")
    assert frozen(decoder) and all("encoder_attn" in name for name in frozen(decoder))
    for architecture in ("gpt2", "llama"):
        model = tiny_model(architecture).train()
        freeze_unreached(model, "student")
        assert not frozen(model) and model.training and reaches_all(model)


def test_experts_are_trained_even_if_no_token_of_the_look_reaches_them(routed):
    with torch.no_grad():
        routed.model.layers[-1].post_attention_layernorm.weight.zero_()  # all tokens go to one expert
    freeze_unreached(routed, "student")
    assert frozen(routed) == {"model.layers.3.mlp.bias"}
    assert not reaches_all(routed)


def test_a_checkpoint_has_the_state_of_weights_that_had_no_gradient_yet(routed):
    """Resuming asks for it: torch begins the states of all weights before it reads a checkpoint."""
    freeze_unreached(routed, "student")
    with torch.no_grad():
        routed.model.layers[-1].post_attention_layernorm.weight.zero_()
    plain = build_optimizer(OptimConfig(lr=0.01), routed)
    routed(torch.tensor([[5, 6, 7]])).logits.sum().backward()
    assert any(w.grad is None for w in routed.parameters() if w.requires_grad)
    before = [weight.detach().clone() for weight in routed.parameters()]
    plain.step()
    expected = [weight.detach().clone() for weight in routed.parameters()]
    with torch.no_grad():
        for weight, old in zip(routed.parameters(), before, strict=True):
            weight.copy_(old)

    begun = build_optimizer(OptimConfig(lr=0.01), routed)
    begin_state(begun)
    begun.step()
    for weight, theirs in zip(routed.parameters(), expected, strict=True):
        assert torch.equal(weight, theirs)  # the step itself is the same
    states = get_state_dict(routed, begun)[1]["state"]
    assert states.keys() == {name for name, weight in routed.named_parameters() if weight.requires_grad}


def test_a_run_of_a_model_of_text_and_images_resumes(config_file, tokenizer, tmp_path):
    build_multimodal(len(tokenizer)).save_pretrained(tmp_path / "images")
    tokenizer.save_pretrained(tmp_path / "images")
    command = ["--config", str(config_file), "student.layers=null", f"student.checkpoint={tmp_path / 'images'}"]
    command += ["teacher=null", "perturb.operation=none", "loss.kd_weight=0", "loss.ce_weight=1"]
    command += ["train.max_steps=4", "student.dropout=0"]
    train.main(command)
    whole = [line["loss"] for line in read_metrics(tmp_path / "run") if "loss" in line]
    for path in ("student", "checkpoints/step_00000004"):
        shutil.rmtree(tmp_path / "run" / path)
    train.main(command)
    again = [line["loss"] for line in read_metrics(tmp_path / "run") if "loss" in line]
    assert again[-2:] == whole[-2:]
