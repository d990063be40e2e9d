"""A student of some layers, of teachers whose layers differ or are only a part of the model."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from distill.config import StudentConfig
from distill.models.loading import set_dropout
from distill.models.sizes import num_positions
from distill.models.student import build_student, student_from_layers

SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
TEXT = {**SIZES, "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 300, "initializer_range": 0.3}
TEXT |= {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
EXPERTS = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 8}
SHARED = {**EXPERTS, "shared_expert_intermediate_size": 8}
LINEAR = {"linear_num_value_heads": 2, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
JAMBA = {"mamba_d_state": 4, "use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1}
BART = {"d_model": 16, "decoder_layers": 4, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
ZAMBA = {"layers_block_type": ["linear_attention", "hybrid"] * 2, "n_mamba_heads": 2, "mamba_d_state": 4}
ZAMBA |= {"attention_hidden_size": 32, "num_key_value_heads": 2, "adapter_rank": 2}
JAMBA |= {"num_experts": 2, "expert_layer_period": 3, "expert_layer_offset": 1}


def build(model_type, **settings):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **settings)).eval()


@pytest.mark.parametrize(
    ("model_type", "settings", "layers", "message"),
    [
        ("jamba", JAMBA, (1, 2), "layer 1 as layer 0: .* is missing"),
        ("qwen3_moe", {**EXPERTS, "mlp_only_layers": [0]}, (1, 0), "layer 1 as layer 0: "),
        ("qwen2_moe", {**SHARED, "decoder_sparse_step": 2}, (1, 3), "layer 1 as layer 0: "),
        ("zamba2", ZAMBA, (0, 3), "compute something else in another place"),  # a layer is told its number
        ("qwen3_next", {**SHARED, **LINEAR}, (0, 1), "cannot be read as a causal .*LinearAttention"),
        ("olmo_hybrid", {**LINEAR, "num_key_value_heads": 2}, (0, 2), "cannot be read as a causal .*LinearAttention"),
    ],
)
def test_layers_that_make_no_model_of_their_own_are_refused_in_one_line(model_type, settings, layers, message):
    with pytest.raises(ValueError, match=rf"student\.layers.*{message}|{message}.*student\.layers") as fault:
        student_from_layers(build(model_type, **TEXT | settings), layers)
    assert "\n" not in str(fault.value) and "student.config or student.checkpoint" in str(fault.value)


@pytest.mark.parametrize(("model_type", "settings"), [("zamba2", ZAMBA), ("jamba", JAMBA)])
def test_all_layers_are_a_student_even_if_they_depend_on_their_place(model_type, settings):
    teacher = build(model_type, **TEXT | settings)
    student = student_from_layers(teacher, "all").eval()
    ids = torch.tensor([[3, 4, 5]])
    assert torch.equal(student(ids).logits, teacher(ids).logits)


def test_layers_of_different_kinds_make_a_student_that_can_be_called_and_continued(tmp_path):
    teacher = build("qwen3_next", **TEXT, **SHARED, **LINEAR)
    student = student_from_layers(teacher, (0, 3)).eval()
    assert student.config.layer_types == ["linear_attention", "full_attention"]
    student.save_pretrained(tmp_path)
    ids = torch.tensor([[3, 4, 5]])
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(reloaded(ids).logits, student(ids).logits)
    written = reloaded.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=2, min_new_tokens=2)
    assert written.shape == (1, 5)


def test_layers_of_a_decoder_that_counts_its_layers_apart_are_taken_out():
    teacher = build("bart", **TEXT | BART, is_decoder=True)
    student = student_from_layers(teacher, (1, 3))
    theirs, mine = (model.model.decoder.layers for model in (teacher, student))
    assert [torch.equal(mine[i].fc1.weight, theirs[j].fc1.weight) for i, j in ((0, 1), (1, 3))] == [True, True]
    assert len(mine) == student.config.decoder_layers == 2


def test_a_list_that_is_as_long_as_the_layers_by_chance_is_kept():
    teacher = build("phi3", **TEXT | {"num_hidden_layers": 2, "eos_token_id": [1, 2]})
    assert student_from_layers(teacher, (1,)).config.eos_token_id == [1, 2]


def test_layers_of_a_model_of_text_and_images_are_those_that_read_text(tmp_path):
    """Both towers have four layers, and the settings of the text are nested."""
    nested = TEXT | {"sliding_window": 4, "max_position_embeddings": 40, "attention_dropout": 0.3}
    nested["layer_types"] = ["sliding_attention", "full_attention"] * 2
    teacher = build("gemma3", text_config=nested, vision_config={**SIZES, "image_size": 28, "patch_size": 14})
    assert num_positions(teacher) == 40
    student = build_student(StudentConfig(layers=(1, 2)), teacher, None)
    assert student.config.text_config.layer_types == ["full_attention", "sliding_attention"]
    assert len(student.model.vision_tower.encoder.layers) == len(teacher.model.vision_tower.encoder.layers) == 4
    ids = torch.arange(12)[None]
    first = student(ids).logits
    assert torch.equal(student(ids).logits, first)  # it is training, but its teacher's dropout is not taken over
    for skipped in (0, 3):  # the reference: the teacher, in which the other layers hand on what they are given
        teacher.model.language_model.layers[skipped].forward = lambda hidden, *_, **__: hidden
    torch.testing.assert_close(first, teacher(ids).logits)
    student.save_pretrained(tmp_path)
    torch.testing.assert_close(AutoModelForCausalLM.from_pretrained(tmp_path)(ids).logits, first)


def test_dropout_reaches_the_settings_of_every_part():
    """MPT keeps one of them in a part of its configuration, which accepts whole numbers only."""
    mpt = AutoConfig.for_model("mpt", attn_config={"attn_pdrop": 1}, resid_pdrop=0.9)
    set_dropout(mpt, 0.0)
    assert mpt.attn_config.attn_pdrop == mpt.resid_pdrop == 0
    with pytest.raises(ValueError, match=r"^student.dropout = 0.25: .* does not accept it as attn_pdrop"):
        set_dropout(mpt, 0.25)
    gemma = AutoConfig.for_model("gemma3", text_config={"attention_dropout": 0.3})
    set_dropout(gemma, 0.25)
    assert gemma.text_config.attention_dropout == gemma.vision_config.attention_dropout == 0.25


@pytest.mark.parametrize(
    ("model_type", "settings", "expected"),
    [
        ("mpt", {"d_model": 16, "n_heads": 2, "n_layers": 1, "max_seq_len": 24}, 24),
        ("roberta", {**SIZES, "max_position_embeddings": 24, "is_decoder": True}, 22),  # the first rows are for padding
        ("opt", {**SIZES, "ffn_dim": 8, "word_embed_proj_dim": 16, "max_position_embeddings": 24}, 24),
        ("gpt2", {"n_embd": 16, "n_head": 2, "n_layer": 1, "n_positions": 24}, 24),
        ("whisper", {"d_model": 16, "decoder_layers": 1, "decoder_attention_heads": 2, "max_target_positions": 24}, 24),
        ("xlnet", {"d_model": 16, "n_head": 2, "n_layer": 1, "d_inner": 8}, None),  # it says -1
        ("bloom", {"hidden_size": 16, "n_head": 2, "n_layer": 1}, None),
    ],
)
def test_a_model_reads_as_many_positions_as_it_says(model_type, settings, expected):
    ids = {"bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": 2}
    model = build(model_type, **settings, vocab_size=100, **ids)
    assert num_positions(model) == expected
    assert model(torch.arange(3, 3 + (expected or 60))[None]).logits.isfinite().all()
