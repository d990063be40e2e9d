"""Sampling: its distribution, and that it does not depend on batches."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from distill.evaluation.config import ScoringConfig
from distill.evaluation.scoring import generation
from distill.evaluation.scoring.generation import MOST_LIKELY, WIDENING, end_ids, pick, sample
from distill.evaluation.scoring.model_specs import ModelSpec, load_scorer

HOW = {"num_samples": 3, "max_new_tokens": 6, "top_p": 0.9, "seed": 1}
PROMPTS = [
    ("a", "The nurse said that"),
    ("b", "A pilot"),
    ("c", "The teacher said that"),
    ("d", "My neighbour is a baker, and"),
]


def test_pick_samples_the_nucleus_in_proportion():
    logprobs = torch.tensor([0.1, 0.5, 0.3, 0.1]).log().expand(80_000, 4)
    uniforms = torch.from_numpy(np.random.default_rng(0).random(80_000))
    shares = torch.bincount(pick(logprobs, uniforms, 0.75), minlength=4) / 80_000
    np.testing.assert_allclose(shares, [0.0, 0.625, 0.375, 0.0], atol=0.007)
    whole = torch.bincount(pick(logprobs, uniforms, 1.0), minlength=4) / 80_000
    np.testing.assert_allclose(whole, [0.1, 0.5, 0.3, 0.1], atol=0.007)
    edges = torch.tensor([0.0, 1 - 1e-17], dtype=torch.float64)
    assert pick(logprobs[:2], edges, 0.75).tolist() == [1, 2]
    assert pick(logprobs[:2], edges, 1e-9).tolist() == [1, 1]  # never empty: greedy


def test_pick_keeps_the_likeliest_before_the_nucleus():
    logprobs = torch.tensor([0.1, 0.4, 0.3, 0.2]).log().expand(80_000, 4)
    uniforms = torch.from_numpy(np.random.default_rng(0).random(80_000))
    shares = torch.bincount(pick(logprobs, uniforms, 1.0, top_k=3), minlength=4) / 80_000
    np.testing.assert_allclose(shares, [0.0, 4 / 9, 3 / 9, 2 / 9], atol=0.007)
    both = torch.bincount(pick(logprobs, uniforms, 0.7, top_k=3), minlength=4) / 80_000  # 4/9 + 3/9 > 0.7
    np.testing.assert_allclose(both, [0.0, 4 / 7, 3 / 7, 0.0], atol=0.007)


def test_a_nucleus_among_many_tokens_is_that_of_the_sorted_vocabulary():
    rng = np.random.default_rng(1)
    # nuclei of a few tokens, of more than are tried first, of more than are tried next, and of nearly all
    scales = rng.permutation(np.repeat([4.0, 3.0, 1.2, 0.2], 15))
    logprobs = torch.from_numpy(rng.normal(0, 1, (60, 20_000)) * scales[:, None]).float().log_softmax(-1)
    uniforms = torch.from_numpy(rng.random(60))
    expected, sizes = [], []
    for row, number in zip(logprobs.double().exp().numpy(), uniforms.numpy(), strict=True):
        order = np.argsort(-row, kind="stable")
        mass = np.cumsum(row[order])
        nucleus = order[: int(np.searchsorted(mass, 0.9)) + 1]
        kept = np.cumsum(row[nucleus])
        expected.append(int(nucleus[np.searchsorted(kept, number * kept[-1], side="right")]))
        sizes.append(len(nucleus))
    assert min(sizes) < MOST_LIKELY < sorted(sizes)[20] < WIDENING * MOST_LIKELY < sorted(sizes)[35]
    assert sorted(sizes)[35] < WIDENING**2 * MOST_LIKELY < max(sizes)
    assert pick(logprobs, uniforms, 0.9).tolist() == expected


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma2"])
def test_continuations_do_not_depend_on_the_batch(tiny_scorer, architecture):
    together = sample(tiny_scorer(architecture, max_batch_tokens=4096), PROMPTS, **HOW)
    apart = sample(tiny_scorer(architecture, max_batch_tokens=1), PROMPTS[::-1], **HOW)[::-1]
    assert together == apart
    assert [len(texts) for texts in together] == [3, 3, 3, 3]
    assert len({text for texts in together for text in texts}) > 6
    other_seed = sample(tiny_scorer(architecture), PROMPTS, **{**HOW, "seed": 2})
    assert other_seed != together


def test_a_prompt_is_read_once_for_all_its_samples(tiny_scorer):
    scorer, read = tiny_scorer("llama", max_batch_tokens=4096), []
    sample(scorer, PROMPTS, **HOW)  # so that the model is probed before
    layer = scorer.model.get_input_embeddings()
    hook = layer.register_forward_pre_hook(lambda _, inputs: read.append(tuple(inputs[0].shape)))
    sample(scorer, PROMPTS[:1] * 2, **HOW)
    hook.remove()
    num_tokens = len(scorer.start) + len(scorer.encode([PROMPTS[0][1]])["input_ids"][0])
    assert read == [(1, num_tokens), *[(6, 1)] * 5], read


def test_the_cache_is_bounded_in_bytes(tiny_scorer, monkeypatch):
    scorer = tiny_scorer("llama", max_batch_tokens=4096)
    config, sizes, real = scorer.model.config, [], generation._continue
    monkeypatch.setattr(generation, "_continue", lambda *values: sizes.append(len(values[1])) or real(*values))
    plain = sample(scorer, PROMPTS, **HOW)
    assert max(sizes) >= 3
    num_tokens = min(len(ids) for ids in scorer.encode([text for _, text in PROMPTS])["input_ids"]) + 1 + 6
    per_token = 2 * 4 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    monkeypatch.setattr(generation, "MAX_CACHE_BYTES", 2 * num_tokens * per_token)  # two rows of the shortest prompt
    sizes.clear()
    assert sample(scorer, PROMPTS, **HOW) == plain
    assert max(sizes) == 2


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma2"])
def test_greedy_continuations_are_those_of_transformers(tiny_scorer, architecture):
    scorer = tiny_scorer(architecture)
    found = sample(scorer, PROMPTS, **{**HOW, "num_samples": 1, "top_p": 1e-9})
    for (_, prompt), (text,) in zip(PROMPTS, found, strict=True):
        ids = [*scorer.start, *scorer.tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        for _ in range(6):
            with torch.no_grad():
                ids.append(int(scorer.model(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] in (scorer.tokenizer.eos_token_id, scorer.start_id):
                break
        num_prompt = 1 + len(scorer.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        assert text == scorer.tokenizer.decode(ids[num_prompt:], skip_special_tokens=True)


@pytest.mark.data
def test_continuations_keep_the_space_before_their_first_word(shared_data):
    """Llama's tokenizer drops the first space of what it decodes, which would join the word to the prompt's last."""
    scorer = load_scorer(ModelSpec("stories", str(shared_data / "models" / "stories260k")), ScoringConfig())
    texts = sample(scorer, [("a", "Once upon a time, there was a"), ("b", "The little girl")], **HOW)
    found = [text for prompt in texts for text in prompt]
    assert any(text.startswith(" ") for text in found)
    for prompt, continuations in zip(("Once upon a time, there was a", "The little girl"), texts, strict=True):
        for text in continuations:
            ids = scorer.tokenizer(prompt + text, add_special_tokens=False)["input_ids"]
            assert scorer.tokenizer.decode(ids) == prompt + text


def test_tokens_that_the_generation_settings_list_end_a_continuation(tiny_scorer):
    scorer = tiny_scorer()
    own = {scorer.tokenizer.eos_token_id, scorer.start_id}
    assert end_ids(scorer) == own
    (usual,) = sample(scorer, PROMPTS[:1], **{**HOW, "num_samples": 1, "top_p": 1e-9})[0]
    ids = scorer.tokenizer(usual, add_special_tokens=False)["input_ids"]
    third = ids[2]
    for listed in ([third], [own.pop(), third], third):
        scorer.model.generation_config = GenerationConfig(eos_token_id=listed)
        (text,) = sample(scorer, PROMPTS[:1], **{**HOW, "num_samples": 1, "top_p": 1e-9})[0]
        assert text == scorer.tokenizer.decode(ids[: ids.index(third)])


def test_a_saved_model_ends_at_every_token_of_its_generation_config(model_spec):
    """As with an instruct model, whose turns end with another token than its texts."""
    spec = model_spec("chat")
    scorer = load_scorer(spec, ScoringConfig())
    greedy = {**HOW, "num_samples": 1, "top_p": 1e-9}
    usual = [texts[0] for texts in sample(scorer, PROMPTS, **greedy)]
    ids = [scorer.tokenizer(text, add_special_tokens=False)["input_ids"] for text in usual]
    ends = [ids[0][1], ids[-1][-1]]
    GenerationConfig(eos_token_id=[scorer.tokenizer.eos_token_id, *ends]).save_pretrained(spec.path)
    loaded = load_scorer(spec, ScoringConfig())
    assert end_ids(loaded) == {scorer.tokenizer.eos_token_id, scorer.start_id, *ends}
    for own, (text,) in zip(ids, sample(loaded, PROMPTS, **greedy), strict=True):
        stop = min((own.index(end) for end in ends if end in own), default=len(own))
        assert text == scorer.tokenizer.decode(own[:stop])


def test_an_end_token_of_config_json_ends_a_continuation_unless_it_is_a_word(tiny_scorer):
    scorer = replace(tiny_scorer(), tokenizer=copy.deepcopy(tiny_scorer().tokenizer))
    own, word = end_ids(scorer), scorer.tokenizer("nurse", add_special_tokens=False)["input_ids"][-1]
    scorer.tokenizer.add_tokens(["<turn>"], special_tokens=True)
    turn = scorer.tokenizer.convert_tokens_to_ids("<turn>")
    scorer.model.generation_config = GenerationConfig.from_model_config(
        scorer.model.config.__class__(eos_token_id=[word, turn])
    )
    assert end_ids(scorer) == own | {turn}
    scorer.model.generation_config = GenerationConfig()
    assert end_ids(scorer) == own


def test_a_continuation_ends_at_the_end_token_and_at_the_context(tiny_scorer):
    scorer = tiny_scorer()
    stop = scorer.tokenizer.eos_token_id
    head = scorer.model.get_output_embeddings().weight
    with torch.no_grad():
        scorer.model.transformer.ln_f.bias.fill_(1.0)
        head.fill_(0.0)
        head[stop] = 5.0  # every state predicts the end
    assert sample(scorer, PROMPTS[:1], **{**HOW, "num_samples": 1, "top_p": 1e-9}) == [[""]]
    full = tiny_scorer("llama")
    (text,) = sample(full, [("p", "The nurse " * 30 + "left")], **{**HOW, "num_samples": 1, "max_new_tokens": 50})[0]
    assert len(full.tokenizer(text, add_special_tokens=False)["input_ids"]) <= 64 - 62 + 2
    with pytest.raises(ValueError, match="must leave room"):
        sample(full, [("p", "The nurse " * 40 + "left")], **HOW)
