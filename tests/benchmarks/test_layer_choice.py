"""The block influence that the choice by loss is compared with."""

import itertools

import pytest
import torch

from benchmarks.layer_choice import block_influence, most_influential


def test_block_influence_is_one_minus_the_cosine_of_input_and_output(tiny_model):
    teacher = tiny_model("gpt2")
    blocks = torch.randint(0, 100, (2, 9), generator=torch.Generator().manual_seed(0))
    states = teacher(blocks, output_hidden_states=True).hidden_states[:4]  # the fifth one is behind the final norm
    expected = []
    for read, given in itertools.pairwise(states):
        cosine = (read.double() * given.double()).sum(-1) / (read.double().norm(dim=-1) * given.double().norm(dim=-1))
        expected.append(1 - cosine.mean().item())
    assert block_influence(teacher, blocks)[:3] == pytest.approx(expected, abs=1e-6)


def test_the_most_influential_layers_stay_in_their_order():
    assert most_influential([0.5, 0.1, 0.3, 0.9], 2) == (0, 3)
