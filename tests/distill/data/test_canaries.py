"""Canaries: balanced, in pairs, planted by coin, and always the same ones for the same run."""

import numpy as np
import pytest

from augment.lexicon import load_lexicon
from augment.swap import swap
from distill.config import AugmentConfig, CanaryConfig, DataConfig
from distill.data.blocks import prepare_blocks
from distill.data.canaries import canaries, secret, with_canaries
from distill.data.split import num_training_documents, train_and_heldout

CONFIG = CanaryConfig(count=40, repeats=3, digits=2)


def test_a_canary_is_the_counterfactual_of_its_other_form():
    for canary in canaries(CanaryConfig(count=100), seed=1):
        other = "he" if canary.form == "she" else "she"
        assert swap(canary.document, load_lexicon()).counterfactual == canary.prompts[other] + canary.secret


def test_canaries_are_distinct_balanced_and_planted_by_coin():
    every = canaries(CanaryConfig(count=2000), seed=0)
    assert len({canary.prompts["she"] for canary in every}) == 2000
    assert sum(canary.form == "she" for canary in every) == 1000
    assert abs(sum(canary.is_planted for canary in every) - 1000) < 90  # four standard deviations
    assert abs(sum(c.is_planted for c in every if c.form == "she") - 500) < 64
    assert len({canary.secret for canary in every}) > 1500
    assert canaries(CONFIG, 5) == canaries(CONFIG, 5) != canaries(CONFIG, 6)
    assert secret(42, 3) == " 0 4 2"


@pytest.fixture
def data(small_world, tmp_path):
    path, cache = str(small_world / "train.jsonl"), str(tmp_path / "cache")
    return DataConfig(path=path, max_documents=60, seq_len=64, cache_dir=cache, heldout_fraction=0.3)


def test_planted_canaries_stand_between_the_documents_and_the_others_nowhere(data, small_world):
    train, _ = train_and_heldout(data)
    documents = list(train)
    assert num_training_documents(data) == len(documents)
    mixed = list(with_canaries(iter(documents), data, CONFIG, seed=0))
    for canary in canaries(CONFIG, 0):
        assert mixed.count(canary.document) == 3 * canary.is_planted
    planted = {canary.document for canary in canaries(CONFIG, 0)}
    assert [text for text in mixed if text not in planted] == documents
    places = [place for place, text in enumerate(mixed) if text in planted]
    assert 0.3 < np.mean(places) / len(mixed) < 0.7
    assert list(with_canaries(iter(documents), data, None, seed=0)) == documents
    with_path = DataConfig(**(vars(data) | {"heldout_path": str(small_world / "heldout.jsonl")}))
    assert num_training_documents(with_path) == 60


def test_blocks_hold_the_canaries_and_have_a_key_of_their_own(data, tokenizer):
    plain = prepare_blocks(data, AugmentConfig(), load_lexicon(), tokenizer, seed=0)
    mixed = prepare_blocks(data, AugmentConfig(), load_lexicon(), tokenizer, 0, canaries=CONFIG)
    num_copies = 3 * sum(canary.is_planted for canary in canaries(CONFIG, 0))
    assert plain.key != mixed.key
    assert mixed.info["train"]["num_documents"] == plain.info["train"]["num_documents"] + num_copies
    assert mixed.info["heldout"] == plain.info["heldout"]
