"""Trees of sequences: no sequence is lost or mixed up, and scores are those of every row alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from distill.evaluation.scoring.logprobs import Row, score_rows
from distill.evaluation.scoring.prefix_sharing import MIN_SHARED, can_share_prefixes, tree_states, trees

ARCHITECTURES = ["gpt2", "llama"]


def sequences_that_share(num, vocabulary, seed=0):
    """Sequences that branch off from a few stems, some of them prefixes of others."""
    rng = np.random.default_rng(seed)
    stems = [rng.integers(vocabulary, size=12).tolist() for _ in range(4)]
    return [
        (*stems[rng.integers(4)][: rng.integers(1, 13)], *rng.integers(vocabulary, size=rng.integers(0, 9)).tolist())
        for _ in range(num)
    ]


def test_a_tree_holds_every_sequence_once_and_common_beginnings_once():
    sequences = [(1, 2, 3, 4, 5), (1, 2, 3, 4, 6, 7), (9, 9), (1, 2, 3, 4), (1, 2, 8)]
    found = trees(sequences)
    (joined,) = (tree for tree in found if 0 in tree.paths)
    assert set(joined.paths) == {0, 1, 3}
    assert sorted(joined.ids) == [1, 2, 3, 4, 5, 6, 7]
    assert {frozenset(tree.paths) for tree in found} == {frozenset({0, 1, 3}), frozenset({2}), frozenset({4})}
    many = sequences_that_share(200, 30)
    for limit in (20, 64, 10_000):
        found = trees(many, limit)
        assert sorted(number for tree in found for number in tree.paths) == list(range(200))
        for tree in found:
            assert len(tree.ids) <= max(limit, max(map(len, tree.paths.values())))
            for number, path in tree.paths.items():
                assert [tree.ids[place] for place in path] == list(many[number])
                assert [tree.depths[place] for place in path] == list(range(len(path)))
                assert [tree.parents[place] for place in path] == [-1, *path[:-1]]
    assert sum(len(tree.ids) for tree in trees(many)) < 0.7 * sum(map(len, many))
    assert MIN_SHARED > 1  # a common start token alone joins nothing


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_with_shared_prefixes_are_those_of_every_row_alone(tiny_scorer, architecture):
    plain = tiny_scorer(architecture)
    assert can_share_prefixes(plain.model)
    sharing = replace(plain, shares_prefixes=True)
    rng = np.random.default_rng(1)
    rows = []
    for ids in sequences_that_share(60, 300):
        positions = sorted(rng.integers(len(ids), size=3).tolist())
        rows.append(Row(ids, positions, rng.integers(300, size=3).tolist()))
    for expected, found in zip(score_rows(plain, rows), score_rows(sharing, rows), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=2e-6)
    for expected, found in zip(
        score_rows(replace(plain, max_batch_tokens=1), rows), score_rows(sharing, rows), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=2e-6)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_token_sees_its_ancestors_only(tiny_scorer, attention):
    model = tiny_scorer("llama", attn_implementation=attention).model
    sequences = sequences_that_share(12, 300, seed=3)
    batch = trees(sequences)
    with torch.no_grad():
        hidden = tree_states(model, batch)
        for line, tree in enumerate(batch):
            for number, path in tree.paths.items():
                alone = model.base_model(torch.tensor([sequences[number]])).last_hidden_state[0]
                torch.testing.assert_close(hidden[line, path], alone, atol=1e-5, rtol=1e-5)


def test_a_model_that_ignores_mask_or_positions_does_not_share(tiny_scorer, monkeypatch):
    model = tiny_scorer("gpt2").model
    assert can_share_prefixes(model)
    forward = model.base_model.forward
    for ignored in ("attention_mask", "position_ids"):
        monkeypatch.setattr(
            model.base_model, "forward", lambda *a, ignored=ignored, **k: forward(*a, **k | {ignored: None})
        )
        assert not can_share_prefixes(model)
    monkeypatch.setattr(model.base_model, "forward", lambda input_ids, use_cache=True: forward(input_ids))
    assert not can_share_prefixes(model)


WINDOWED = {
    "mistral": {},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 0},
    "gpt_neo": {"num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]]},
}


@pytest.mark.parametrize("architecture", WINDOWED)
@pytest.mark.parametrize("window", [16, 128])
def test_a_model_whose_layers_see_a_window_only_does_not_share(architecture, window):
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "max_position_embeddings": 512}
    if architecture != "gpt_neo":
        sizes |= {"intermediate_size": 32, "num_key_value_heads": 1}
    for width in (window, 512):  # a window as wide as the context is none
        torch.manual_seed(0)
        widths = {"sliding_window": width, "window_size": width}
        settings = sizes | widths | WINDOWED[architecture] | {"vocab_size": 300, "initializer_range": 0.3}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **settings)).eval()
        assert can_share_prefixes(model) == (width == 512)


@pytest.mark.parametrize("num_positions", [4, 6, 64])
def test_a_short_context_is_no_obstacle(tiny_scorer, num_positions):
    model = tiny_scorer("gpt2", n_positions=num_positions).model
    assert can_share_prefixes(model) == (num_positions > MIN_SHARED)
