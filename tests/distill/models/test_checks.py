"""What a look at a loaded model finds: missing weights, later tokens, attention across documents."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from distill.models.checks import check_causal
from distill.models.document_mask import mask_documents
from distill.models.loading import load_causal_lm
from distill.models.logit_transform import check_head

SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"vocab_size": 300, "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
EXPERTS = {"num_key_value_heads": 1, "num_experts_per_tok": 2, "num_local_experts": 4}
HYBRID = {"num_key_value_heads": 1, "num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1}
HYBRID |= {"expert_layer_period": 2, "expert_layer_offset": 1, "use_mamba_kernels": False, "mamba_d_state": 4}


def build(model_type, dtype=torch.float32, **settings):
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **SIZES | settings)
    return AutoModelForCausalLM.from_config(config).eval().to(dtype)


# -- weights ---------------------------------------------------------------------------------------------------------


def renamed(prefix):
    return lambda weights: {prefix + name: weight for name, weight in weights.items()}


def without(pattern):
    return lambda weights: {name: weight for name, weight in weights.items() if not re.search(pattern, name)}


def cut(weights):
    return weights | {"model.norm.weight": weights["model.norm.weight"][:8].clone()}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (renamed("_orig_mod."), r"give \d+ of .*, lm_head.weight first.*_orig_mod.lm_head.weight instead"),
        (renamed("module."), r"give \d+ of the model's weights, lm_head.weight first"),
        (without("lm_head"), "give 1 of the model's weights, lm_head.weight first, so they would be random; give"),
        (without(r"layers\.1\."), r"give 9 of .*, model.layers.1.input_layernorm.weight first"),
        (without("embed_tokens"), "give 1 of .*, model.embed_tokens.weight first"),
        (cut, r"give 1 of .*, model.norm.weight \(it has the shape \[8\], not \[16\]\) first"),
    ],
    ids=["compiled", "parallel", "no head", "no second layer", "no embeddings", "another width"],
)
def test_a_checkpoint_that_lacks_weights_is_refused(damage, message, tmp_path, caplog):
    build("llama", num_key_value_heads=1).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    save_file(damage(load_file(file)), file, {"format": "pt"})
    with pytest.raises(ValueError, match=message) as fault:
        load_causal_lm(str(tmp_path), dropout=0.0)
    assert str(fault.value).startswith(f"{tmp_path}: the checkpoint does not")
    assert "\n" not in str(fault.value) and "LOAD REPORT" not in caplog.text


def test_a_configuration_of_more_layers_than_the_checkpoint_has_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_layer": 5}))
    with pytest.raises(ValueError, match=r"give 12 of .*, transformer.h.4.attn.c_attn.bias first"):
        load_causal_lm(str(folder))


def test_ties_and_weights_beyond_the_model_explain_differences(tmp_path, tiny_model):
    tied = tiny_model("gpt2")
    tied.base_model.save_pretrained(tmp_path / "base")  # has neither the output layer nor the prefix `transformer.`
    loaded = load_causal_lm(str(tmp_path / "base"))
    torch.testing.assert_close(loaded(torch.tensor([[3, 4]])).logits, tied(torch.tensor([[3, 4]])).logits)
    build("llama", num_key_value_heads=1).save_pretrained(tmp_path / "more")
    file = tmp_path / "more" / "model.safetensors"
    save_file(load_file(file) | {"value_head.weight": torch.ones(3)}, file, {"format": "pt"})
    load_causal_lm(str(tmp_path / "more"))


# -- later tokens ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        ("llama", {"num_key_value_heads": 1, "is_causal": False}),
        ("llama", {"num_key_value_heads": 1, "is_causal": False, "initializer_range": 0.02}),
        ("gpt_neox", {"is_causal": False}),
        ("bert-generation", {}),
        ("gemma3_text", {"num_key_value_heads": 1, "head_dim": 8, "use_bidirectional_attention": True}),
        ("xlm", {"emb_dim": 16, "n_heads": 2, "n_layers": 2}),
    ],
)
def test_models_that_read_later_tokens_are_refused(model_type, settings, dtype, tmp_path):
    model = build(model_type, dtype, **settings)
    with pytest.raises(ValueError, match=rf"^me: \w+ \({model_type}\) reads later tokens.*; use a causal"):
        check_causal(model, "me")
    if dtype == torch.float32 and model_type == "llama":
        model.save_pretrained(tmp_path)
        with pytest.raises(ValueError, match="reads later tokens"):
            load_causal_lm(str(tmp_path))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        ("mixtral", EXPERTS),
        ("mistral", {"num_key_value_heads": 1, "sliding_window": 3}),
        ("bloom", {}),
        ("jamba", HYBRID),
    ],
)
def test_causal_models_of_all_kinds_are_accepted(model_type, settings, dtype):
    model = build(model_type, dtype, **settings).train()
    check_head(model, "me")
    check_causal(model, "me")
    assert model.training and all(parameter.grad is None for parameter in model.parameters())


def test_a_model_with_few_positions_is_looked_at_too(tiny_model):
    check_causal(tiny_model("gpt2", n_positions=4), "me")


@pytest.mark.parametrize("model_type", ["electra", "mbart", "llama4_text"])
def test_whatever_happens_during_a_look_is_one_line(model_type):
    """ELECTRA projects its states before its output layer; the other two have no body where others have it."""
    more = {"electra": {"embedding_size": 8}, "mbart": {"d_model": 16}, "llama4_text": {"num_key_value_heads": 1}}
    model = build(model_type, **more[model_type])
    if model_type == "mbart":
        model.base_model.forward = None
    with pytest.raises(
        ValueError, match=rf"^me: \w+ \({model_type}\) cannot be read .*Error: .*; use another"
    ) as fault:
        check_head(model, "me")
    assert "\n" not in str(fault.value)


# -- documents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        ("bloom", {}),  # no positions
        ("mamba", {"state_size": 4}),  # no attention
        ("opt", {"ffn_dim": 16}),  # positions for embeddings only
        ("falcon", {}),
        ("jamba", HYBRID),  # attention and layers that carry a state
        ("gpt_oss", {**EXPERTS, "head_dim": 8}),  # a mask that is made without the positions
    ],
)
def test_a_model_that_reads_across_documents_cannot_mask_them(model_type, settings):
    with pytest.raises(ValueError, match=rf"^data.mask_documents = true, but \w+ \({model_type}\) still reads"):
        mask_documents(build(model_type, **settings), 7, 32)


@pytest.mark.parametrize(("model_type", "settings"), [("mixtral", EXPERTS), ("gpt_neox", {}), ("phi", {})])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_masks_documents_may(model_type, settings, dtype):
    for start_id in (0, 7, 299):
        mask_documents(build(model_type, dtype, **settings), start_id, 32)


@pytest.mark.parametrize(
    ("model_type", "rope"),
    [
        ("llama", {"rope_type": "dynamic", "factor": 4.0}),
        ("phi3", {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}),
    ],
)
def test_a_model_that_reads_all_positions_by_the_largest_one_cannot_mask_documents_of_long_rows(model_type, rope):
    rope |= {"rope_theta": 10_000.0, "original_max_position_embeddings": 16}
    settings = {"num_key_value_heads": 1, "max_position_embeddings": 16 if model_type == "llama" else 64}
    settings |= {"rope_parameters": rope} | ({"original_max_position_embeddings": 16} if model_type == "phi3" else {})
    mask_documents(build(model_type, **settings), 7, 16)
    with pytest.raises(ValueError, match=r"still reads across the borders of documents"):
        mask_documents(build(model_type, **settings), 7, 40)
