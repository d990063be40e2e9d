"""The operations for GPUs compute what transformers' own do, and attention makes masks only where they are needed."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, masking_utils

from distill.models import gpu_operations
from distill.models.gpu_operations import CAUSAL, MASKED, use_gpu_operations
from distill.models.probe import last_states

SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 4}
GROUPED = SMALL | {"num_key_value_heads": 2, "vocab_size": 90}
SIZES = {
    "gpt2": {"n_embd": 16, "n_head": 2, "n_layer": 2, "n_positions": 64, "vocab_size": 90},
    "llama": GROUPED,
    "mistral": GROUPED | {"sliding_window": 8},
}
IDS = torch.arange(2 * 24).view(2, 24) + 3


def build(kind):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES[kind], bos_token_id=0, eos_token_id=0))


@pytest.fixture
def looks(monkeypatch):
    """How often transformers looked at position ids."""
    found, real = [], masking_utils.find_packed_sequence_indices
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda ids: found.append(ids) or real(ids))
    return found


@pytest.mark.parametrize(
    ("kind", "seq_len", "expected"),
    [
        ("gpt2", 24, CAUSAL),
        ("llama", 24, CAUSAL),
        ("mistral", 24, MASKED),
        ("mistral", 8, CAUSAL),
        ("llama", None, MASKED),
    ],
)
def test_states_are_the_same_and_no_mask_is_made_unless_it_is_needed(kind, seq_len, expected, looks):
    model = build(kind)
    plain = last_states(copy.deepcopy(model).eval(), IDS[:, :seq_len])
    settings = model.config.to_dict()
    use_gpu_operations(model, seq_len)
    assert model.training and model.config._attn_implementation == expected
    looks.clear()
    torch.testing.assert_close(last_states(model.eval(), IDS[:, :seq_len]), plain, rtol=1e-5, atol=1e-6)
    assert len(looks) == (expected == MASKED)
    assert model.config.to_dict() == settings  # so the student is saved as it was


def test_generation_and_padded_rows_are_the_same():
    model = build("llama").eval()
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    mask = torch.ones(2, 24, dtype=torch.long)
    mask[1, :9] = 0
    plain = model.generate(IDS, attention_mask=mask, **options)
    use_gpu_operations(model)
    assert torch.equal(model.generate(IDS, attention_mask=mask, **options), plain)


def test_a_model_in_half_precision_is_tried_on_the_cpu_too():
    model = build("llama").bfloat16()
    use_gpu_operations(model, 24)
    assert model.config._attn_implementation == CAUSAL


def test_groups_are_read_as_groups_where_there_is_a_kernel_for_them(monkeypatch):
    model = build("llama").eval()
    plain = last_states(model, IDS)
    use_gpu_operations(model, 24)
    repeated, real = [], gpu_operations.repeat_kv
    monkeypatch.setattr(gpu_operations, "repeat_kv", lambda *values: repeated.append(values) or real(*values))
    torch.testing.assert_close(last_states(model, IDS), plain)
    assert len(repeated) == 2 * 2  # keys and values of two layers
    monkeypatch.setattr(gpu_operations, "_has_grouped_kernel", lambda query: True)
    torch.testing.assert_close(last_states(model, IDS), plain)
    assert len(repeated) == 2 * 2


def test_other_attention_is_left_alone():
    model = build("gpt2")
    model.set_attn_implementation("eager")
    use_gpu_operations(model, 24)
    assert model.config._attn_implementation == "eager"
