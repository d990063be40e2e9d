"""The student: from layers of a teacher, from settings, from a checkpoint."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, OPTConfig, SmolLM3Config

from distill.config import StudentConfig
from distill.models.loading import load_causal_lm, load_tokenizer
from distill.models.sizes import num_parameters
from distill.models.student import build_student, student_from_layers


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_a_student_of_all_layers_is_the_teacher_and_of_some_layers_holds_those(architecture, tiny_model):
    teacher = tiny_model(architecture)
    ids = torch.randint(0, 100, (2, 9), generator=torch.Generator().manual_seed(0))
    for every in ((0, 1, 2, 3), "all"):
        whole = student_from_layers(teacher, every).eval()
        torch.testing.assert_close(whole(ids).logits, teacher(ids).logits)
        assert not {p.data_ptr() for p in whole.parameters()} & {p.data_ptr() for p in teacher.parameters()}

    some = student_from_layers(teacher, (3, 1)).eval()
    assert some.config.num_hidden_layers == 2
    layers = {"gpt2": "transformer.h", "llama": "model.layers"}[architecture]
    theirs, mine = teacher.get_submodule(layers), some.get_submodule(layers)
    for index, layer in enumerate((3, 1)):
        for name, weight in theirs[layer].state_dict().items():
            assert torch.equal(weight, mine[index].state_dict()[name])
            assert weight.data_ptr() != mine[index].state_dict()[name].data_ptr()  # a copy: training must not touch it
    assert (some(ids).logits - teacher(ids).logits).abs().max() > 1e-3


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_students_survive_saving_with_their_ties_and_dtype(architecture, tiny_model, tmp_path):
    teacher = tiny_model(architecture).to(torch.bfloat16)
    student = student_from_layers(teacher, (0, 3))
    assert {p.dtype for p in student.parameters()} == {torch.float32}
    student.save_pretrained(tmp_path / "student")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    tied = loaded.get_input_embeddings().weight is loaded.get_output_embeddings().weight
    assert tied == (architecture == "gpt2")
    for name, weight in student.state_dict().items():
        assert torch.equal(weight, loaded.state_dict()[name])


def test_students_from_settings_a_file_and_a_checkpoint(folder, tokenizer, tmp_path):
    settings = {"model_type": "llama", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    settings |= {"intermediate_size": 8}
    torch.manual_seed(0)
    first = build_student(StudentConfig(config=settings, dropout=0.1), None, tokenizer)
    assert first.config.vocab_size == len(tokenizer)
    assert first.config.eos_token_id == tokenizer.eos_token_id
    assert first.config.attention_dropout == 0.1
    assert first.training
    (tmp_path / "config.json").write_text(json.dumps(settings))
    torch.manual_seed(0)
    second = build_student(StudentConfig(config=str(tmp_path), dropout=0.1), None, tokenizer)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    third = build_student(StudentConfig(checkpoint=str(folder)), None, tokenizer)
    assert num_parameters(third) == num_parameters(load_causal_lm(str(folder)))
    assert {m.p for m in third.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}
    first.save_pretrained(tmp_path / "llama")
    fourth = build_student(StudentConfig(checkpoint=str(tmp_path / "llama"), dropout=0.3), None, tokenizer)
    assert fourth.model.layers[0].self_attn.attention_dropout == 0.3


def test_a_random_student_with_dropout_is_no_model_that_transforms_its_logits(tokenizer):
    settings = {"model_type": "gpt2", "n_layer": 2, "n_embd": 16, "n_head": 2}
    student = build_student(StudentConfig(config=settings, dropout=0.5), None, tokenizer)
    assert student.training
    assert student.transformer.drop.p == 0.5


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "gpt_neo", "num_layers": 1, "attention_types": [[["global"], 1]], "num_heads": 2},
        {"model_type": "biogpt", "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8},
        {"model_type": "opt", "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 8, "layerdrop": 0.5},
    ],
    ids=lambda settings: settings["model_type"],
)
def test_dropout_is_off_by_default_whatever_an_architecture_calls_it(settings, tokenizer):
    settings |= {"hidden_size": 8, "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 0}
    student = build_student(StudentConfig(config=settings | {"pad_token_id": 0}), None, tokenizer).train()
    ids = torch.arange(8)[None]
    first = student(ids).logits
    assert all(torch.equal(student(ids).logits, first) for _ in range(3))


def small(config_class: type, **settings: object) -> object:
    """A configuration of four narrow layers, whatever the architecture calls these settings."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "vocab_size": 300, "pad_token_id": 0, "initializer_range": 0.3}
    return config_class(**(sizes | settings))


def test_layers_that_know_their_place_are_kept_right_or_refused():
    torch.manual_seed(0)
    heads = {"num_attention_heads": 2, "intermediate_size": 8}
    opt = AutoModelForCausalLM.from_config(
        small(OPTConfig, num_attention_heads=2, ffn_dim=8, word_embed_proj_dim=16, max_position_embeddings=16)
    )
    assert student_from_layers(opt.eval(), (1, 3)).config.num_hidden_layers == 2
    smollm3 = AutoModelForCausalLM.from_config(small(SmolLM3Config, num_key_value_heads=1, **heads)).eval()
    assert smollm3.config.no_rope_layers == [1, 1, 1, 0]
    assert student_from_layers(smollm3, (0, 3)).config.no_rope_layers == [1, 0]
    by_depth = AutoModelForCausalLM.from_config(
        small(GPT2Config, n_head=2, scale_attn_by_inverse_layer_idx=True, max_position_embeddings=16)
    )
    assert student_from_layers(by_depth.eval(), (0, 1)).config.num_hidden_layers == 2
    with pytest.raises(ValueError, match="the layers of .* depend on their place"):
        student_from_layers(by_depth.eval(), (0, 3))
    assert len(by_depth.transformer.h) == 4  # the check takes layers out and puts them back


@pytest.mark.slow
@pytest.mark.data
def test_gpt2_small_halves_to_distilgpt2s_size_and_stays_tied(shared_data):
    tokenizer = load_tokenizer(str(shared_data / "tokenizer" / "gpt2"))
    teacher = build_student(StudentConfig(config=str(shared_data / "tokenizer" / "gpt2")), None, tokenizer)
    student = student_from_layers(teacher, (0, 2, 4, 7, 9, 11))
    assert num_parameters(teacher) == 124_439_808
    assert num_parameters(student) == 81_912_576
    assert student.get_input_embeddings().weight is student.get_output_embeddings().weight


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("says_tied", [True, False])
def test_a_student_of_layers_is_tied_if_its_teacher_is_whatever_its_configuration_says(
    architecture, says_tied, tiny_model, tokenizer, tmp_path
):
    tiny_model(architecture, tie_word_embeddings=False).save_pretrained(tmp_path / "own_head")
    settings = json.loads((tmp_path / "own_head" / "config.json").read_text())
    (tmp_path / "own_head" / "config.json").write_text(json.dumps(settings | {"tie_word_embeddings": says_tied}))
    teacher = load_causal_lm(str(tmp_path / "own_head"))
    student = student_from_layers(teacher, (0, 1, 2, 3)).eval()
    student.save_pretrained(tmp_path / "student")
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    ids = torch.tensor([[5, 6, 7, 8]])
    for model in (student, reloaded):
        torch.testing.assert_close(model(ids).logits, teacher(ids).logits)
        assert model.get_output_embeddings().weight is not model.get_input_embeddings().weight
    tied = student_from_layers(tiny_model(architecture, tie_word_embeddings=True), (0, 2))
    assert tied.get_output_embeddings().weight is tied.get_input_embeddings().weight
