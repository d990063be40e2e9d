"""The scale and the soft cap of a model's logits are read by a look at it; whatever else it does is refused."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from distill.models.logit_transform import LogitTransform, check_head, logit_transform

SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SIZES |= {"num_key_value_heads": 1, "vocab_size": 300, "initializer_range": 0.3}
SIZES |= {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
LOW_RANK = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}


def build(model_type, **settings):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **SIZES | settings)).eval()


@pytest.mark.parametrize(
    ("model_type", "settings", "scale", "cap"),
    [
        ("llama", {}, 1.0, None),
        ("gemma2", {"head_dim": 8}, 1.0, 30.0),
        ("gemma2", {"head_dim": 8, "final_logit_softcapping": None}, 1.0, None),
        ("recurrent_gemma", {"num_hidden_layers": 3, "lru_width": 16, "logits_soft_cap": 7.5}, 1.0, 7.5),
        ("cohere", {}, 0.0625, None),
        ("cohere", {"logit_scale": 0.8}, 0.8, None),
        ("granite", {"logits_scaling": 8.0}, 0.125, None),
        (
            "minicpm3",
            {"dim_model_base": 4, "num_key_value_heads": 2, **LOW_RANK},
            0.25,
            None,
        ),  # before the layer
        ("nanochat", {"final_logit_softcapping": 15.0, "tie_word_embeddings": True}, 1.0, 15.0),
    ],
)
def test_scale_and_cap_are_read_where_logits_are_small(model_type, settings, scale, cap):
    for dtype in (torch.float32, torch.bfloat16):
        model = build(model_type, **settings).to(dtype)
        with torch.no_grad():
            model.get_output_embeddings().weight.mul_(0.01)
        found = logit_transform(model)
        assert found.cap == cap
        assert found.scale == scale or found.scale == pytest.approx(scale, rel=1e-6 if dtype == torch.float32 else 1e-3)
        assert found.scale == 1 or scale != 1  # exactly: nothing is then multiplied


def test_it_is_kept_with_the_model(monkeypatch):
    model = build("cohere")
    check_head(model, "it")
    monkeypatch.setattr("distill.models.logit_transform.check_head", None)
    model.base_model.to("meta")
    assert logit_transform(model) == LogitTransform(0.0625)


def test_the_cap_of_a_model_without_any_weights_is_read():
    model = build("gemma2", head_dim=8)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert logit_transform(model) == LogitTransform(cap=30.0)


def test_logits_are_those_of_the_formula():
    values = 5 * torch.randn(4, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(LogitTransform().apply_(values.clone()), values)
    torch.testing.assert_close(LogitTransform(0.3).apply_(values.clone()), 0.3 * values)
    torch.testing.assert_close(LogitTransform(0.3, 2.0).apply_(values.clone()), 2 * torch.tanh(0.3 * values / 2))


@pytest.mark.parametrize(
    "change",
    [
        lambda logits: logits + torch.arange(300),
        lambda logits: logits.where(torch.arange(300) < 290, -100.0),
        lambda logits: logits.relu(),
        lambda logits: logits.asinh(),
        lambda logits: logits.clamp(-30, 30),
        lambda logits: -logits,
        lambda logits: logits.log_softmax(-1),
        lambda logits: logits[..., :290],
    ],
    ids=["bias", "mask", "relu", "asinh", "clamp", "sign", "softmax", "fewer ids"],
)
def test_whatever_else_a_model_does_is_refused(change):
    model = build("llama")
    model.register_forward_hook(lambda _, __, output: SimpleNamespace(logits=change(output.logits)))
    message = r"^it: LlamaForCausalLM does more between its last hidden states and its logits .*; use another model$"
    with pytest.raises(ValueError, match=message):
        check_head(model, "it")
    with pytest.raises(ValueError, match="does more"):
        logit_transform(model)


def test_a_layer_before_the_output_layer_is_refused():
    model = build("bert", is_decoder=True)
    with pytest.raises(ValueError, match=r"BertLMHeadModel does more .*; choose other layers$"):
        check_head(model, "it", "choose other layers")
