"""Loading, building and checking models, for GPT-2 and Llama-type architectures."""

import json
import shutil

import gguf
import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    GPT2TokenizerFast,
)

from distill.config import RunConfig, TeacherConfig
from distill.models.identity import folder_fingerprint, model_fingerprint
from distill.models.loading import (
    check_vocabulary,
    load_causal_lm,
    load_teacher,
    load_tokenizer,
)
from distill.models.logit_transform import LogitTransform
from distill.models.run_models import check_same_width, load_run_models
from distill.settings import validate


def run_config(folder, **settings) -> RunConfig:
    base = {
        "run_dir": "unused",
        "data": {"path": "unused", "seq_len": 64},
        "teacher": {"path": str(folder)},
        "student": {"layers": [0, 2]},
        "train": {"max_steps": 1},
    }
    return validate(RunConfig, base | settings)


def test_the_teacher_is_frozen_and_without_dropout(folder):
    teacher = load_teacher(TeacherConfig(path=str(folder)))
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_a_gguf_file_is_a_teacher(tmp_path, tokenizer):
    writer = gguf.GGUFWriter(tmp_path / "tiny.gguf", "llama")
    writer.add_block_count(3)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokenizer))
    rng = np.random.default_rng(0)
    shapes = {"token_embd": (len(tokenizer), 32), "output": (len(tokenizer), 32), "output_norm": (32,)}
    for layer in range(3):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
            shapes[f"blk.{layer}.{name}"] = (32, 32)
        shapes |= {f"blk.{layer}.attn_norm": (32,), f"blk.{layer}.ffn_norm": (32,)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    tokenizer.save_pretrained(tmp_path / "tokenizer")
    settings = {
        "teacher": {"path": str(tmp_path), "gguf_file": "tiny.gguf", "dtype": "bfloat16"},
        "data": {"path": "x", "seq_len": 64, "tokenizer": str(tmp_path / "tokenizer")},
    }
    _, teacher, student = load_run_models(run_config(tmp_path, **settings))
    assert teacher.config.model_type == "llama"
    assert not getattr(teacher, "is_quantized", False)  # newer transformers would leave weights packed on a GPU
    assert {parameter.dtype for parameter in teacher.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in student.parameters()} == {torch.float32}
    student.save_pretrained(tmp_path / "student")  # weights that were quantised in the file are plain ones now
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    for index, layer in enumerate((0, 2)):
        theirs = teacher.model.layers[layer].mlp.up_proj.weight.float()
        assert torch.equal(loaded.model.layers[index].mlp.up_proj.weight, theirs)


def test_a_bf16_checkpoint_gives_float32_weights(tiny_model, tmp_path):
    tiny_model("gpt2").to(torch.bfloat16).save_pretrained(tmp_path / "half")
    assert {p.dtype for p in load_causal_lm(str(tmp_path / "half")).parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"student": {"layers": [0, 4]}}, ValueError, r"student.layers = \[0, 4\], but the teacher has layers 0 to 3"),
        ({"data": {"path": "x", "seq_len": 65}}, ValueError, "data.seq_len = 65, but the teacher has 64 positions"),
        ({"student": {"config": {"n_layer": 2}}}, ValueError, "student.config has no model_type"),
        (
            {"student": {"config": {"model_type": "gpt2", "n_layers": 2}}},
            ValueError,
            "student.config: gpt2 has no setting n_layers",
        ),
        (
            {"student": {"config": {"model_type": "gpt2", "n_layer": "four"}}},
            ValueError,
            "student.config does not make a model",
        ),
        ({"student": {"config": "no/such/place"}}, FileNotFoundError, "no/such/place does not exist"),
        (
            {"student": {"config": {"model_type": "gpt2", "vocab_size": 300}}},
            ValueError,
            "the student has a vocabulary",
        ),
        ({"teacher": {"path": "./no/teacher"}}, FileNotFoundError, "model folder ./no/teacher does not exist"),
        ({"teacher": {"path": "no-such/hub-name"}}, FileNotFoundError, "cannot load a model from no-such/hub-name"),
        (
            {"student": {"config": {"model_type": "gpt2", "n_embd": 8, "n_head": 2}}, "loss": {"hidden_weight": 1}},
            ValueError,
            "the teacher's are 16 wide and the student's 8; set loss.hidden_weight to 0",
        ),
        ({"data": {"path": "x", "tokenizer": "./none"}}, FileNotFoundError, "tokenizer folder ./none does not exist"),
    ],
)
def test_models_that_do_not_fit_are_refused(settings, error, message, folder):
    with pytest.raises(error, match=message) as fault:
        load_run_models(run_config(folder, **settings))
    assert "\n" not in str(fault.value)


def test_another_tokenizer_than_the_teachers_is_refused(folder, tiny_model, tokenizer, tmp_path):
    other = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = other["model"]["vocab"]
    vocabulary["Ġshe"], vocabulary["Ġhe"] = vocabulary["Ġhe"], vocabulary["Ġshe"]
    shutil.copytree(folder, tmp_path / "other", ignore=shutil.ignore_patterns("model*"))
    (tmp_path / "other" / "tokenizer.json").write_text(json.dumps(other))
    data = {"path": "x", "seq_len": 64, "tokenizer": str(tmp_path / "other")}
    with pytest.raises(ValueError, match=r"mismatch: data.tokenizer \(.*\) and the teacher \(.*\) are not the same"):
        load_run_models(run_config(folder, data=data))
    load_causal_lm(str(folder)).save_pretrained(tmp_path / "other")
    with pytest.raises(
        ValueError, match=r"mismatch: the teacher \(.*\) and student.checkpoint \(.*\) are not the same"
    ):
        load_run_models(run_config(folder, student={"checkpoint": str(tmp_path / "other")}))
    tokenizer.save_pretrained(tmp_path / "same")
    load_run_models(run_config(folder, data=data | {"tokenizer": str(tmp_path / "same")}))
    for architecture in ("gpt2", "llama"):  # transformers makes an almost empty tokenizer for it
        tiny_model(architecture).save_pretrained(tmp_path / architecture)
        weights = run_config(tmp_path / architecture, data=data | {"tokenizer": str(tmp_path / "same")})
        assert len(load_run_models(weights)[0]) == len(tokenizer)


def test_a_tokenizer_beyond_the_vocabulary_is_refused_and_padding_of_it_is_not(tiny_model, tokenizer):
    check_vocabulary(tiny_model("gpt2", vocab_size=len(tokenizer) + 47), tokenizer, "the teacher")
    with pytest.raises(ValueError, match="tokenizer mismatch: the teacher has a vocabulary of 300"):
        check_vocabulary(tiny_model("gpt2", vocab_size=300), tokenizer, "the teacher")


def test_an_evaluation_in_the_folder_of_its_model_leaves_the_fingerprint(folder):
    before = folder_fingerprint(folder)
    (folder / "results.json").write_text("{}")
    assert folder_fingerprint(folder) == before
    (folder / "config.json").write_text("{}")
    assert folder_fingerprint(folder) != before


def test_a_gguf_file_that_is_not_read_leaves_the_fingerprint(folder):
    (folder / "model-Q4.gguf").write_bytes(b"four")
    before = folder_fingerprint(folder, "model-Q4.gguf")
    (folder / "model-Q8.gguf").write_bytes(b"eight")
    assert folder_fingerprint(folder, "model-Q4.gguf") == before
    assert folder_fingerprint(folder) != before
    (folder / "model-Q4.gguf").write_bytes(b"five")
    assert folder_fingerprint(folder, "model-Q4.gguf") != before


def test_the_vocabulary_of_a_model_is_that_of_its_embeddings(tokenizer):
    """A model of text and images has no vocabulary size in its own configuration."""
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": len(tokenizer)}
    images = {**sizes, "image_size": 28, "patch_size": 14}
    config = AutoConfig.for_model("gemma3", text_config=text, vision_config=images)
    model = AutoModelForCausalLM.from_config(config)
    check_vocabulary(model, tokenizer, "the teacher")
    model.resize_token_embeddings(300)
    with pytest.raises(ValueError, match="tokenizer mismatch: the teacher has a vocabulary of 300"):
        check_vocabulary(model, tokenizer, "the teacher")


def test_empty_tokenizers_and_models_without_weights_are_refused(tmp_path, tiny_model):
    GPT2TokenizerFast(vocab={"<|endoftext|>": 0}, merges=[]).save_pretrained(tmp_path / "empty")
    with pytest.raises(ValueError, match="is empty: it encodes 'a b' as no token"):
        load_tokenizer(str(tmp_path / "empty"))
    tiny_model("gpt2").config.save_pretrained(tmp_path / "bare")
    with pytest.raises(FileNotFoundError, match="cannot load a model from"):
        load_causal_lm(str(tmp_path / "bare"))


def test_damaged_weights_are_refused_with_one_message(folder):
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(FileNotFoundError, match=r"cannot load a model from .*teacher: "):
        load_causal_lm(str(folder))


def test_a_model_is_loaded_with_its_scale_and_refused_with_a_layer_before_its_output_layer(tmp_path, tiny_model):
    tiny_model("cohere", logit_scale=0.25).save_pretrained(tmp_path / "scaled")
    assert load_causal_lm(str(tmp_path / "scaled")).logit_transform == LogitTransform(0.25)
    sizes = {"hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertLMHeadModel(BertConfig(vocab_size=300, is_decoder=True, **sizes)).save_pretrained(tmp_path / "deeper")
    with pytest.raises(ValueError, match="BertLMHeadModel does more between its last hidden states and its logits"):
        load_causal_lm(str(tmp_path / "deeper"))


def test_the_fingerprint_follows_the_weights(folder, tiny_model):
    model = load_causal_lm(str(folder))
    before = model_fingerprint(str(folder), model)
    assert model_fingerprint(str(folder), model) == before
    tiny_model("gpt2", seed=9).save_pretrained(folder)
    assert model_fingerprint(str(folder), model) != before


def test_hidden_states_are_compared_by_the_width_that_the_output_layer_reads(tiny_model):
    """OPT may project its last states to the narrower embeddings."""
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 16, "do_layer_norm_before": False}

    def projected(width):
        settings = {**sizes, "hidden_size": 32, "word_embed_proj_dim": width, "vocab_size": 300}
        return AutoModelForCausalLM.from_config(AutoConfig.for_model("opt", **settings))

    check_same_width(projected(16), tiny_model("gpt2", vocab_size=300))
    check_same_width(tiny_model("llama", vocab_size=300), projected(16))
    for teacher, student in ((16, 8), (8, 32)):
        with pytest.raises(ValueError, match=f"the teacher's are {teacher} wide and the student's {student}; set"):
            check_same_width(projected(teacher), projected(student))
