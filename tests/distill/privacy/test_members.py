"""Who counts as a member: what the run has read whole."""

import pytest

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.blocks import prepare_blocks
from distill.data.separators import separators
from distill.data.split import is_drawn, train_and_heldout
from distill.models.run_models import RunModels
from distill.privacy.members import groups_of, view_in_training
from distill.run.schedule import plan_schedule, training_indices
from distill.settings import load_config, replace, to_dict, validate


@pytest.fixture
def short_run(config_file, tokenizer):
    """The configuration of a run of three steps, with its provenance, its models and its blocks."""
    settings = ["train.max_steps=3", "augment.mode=none", "data.heldout_fraction=0.1", "data.seq_len=128"]
    config = load_config(RunConfig, config_file, settings)
    blocks = prepare_blocks(config.data, config.augment, load_lexicon(), tokenizer, config.seed)
    config = replace(config, provenance={"data": blocks.info, "git_revision": "none"})
    return config, RunModels(tokenizer, None, None), blocks


@pytest.fixture(autouse=True)
def every_id(monkeypatch):
    monkeypatch.setattr(RunModels, "num_ids", None)


def test_a_short_run_has_only_members_that_it_has_read_whole(short_run):
    config, models, blocks = short_run
    schedule = plan_schedule(config, len(blocks.train), 1)
    micro_batches = training_indices(schedule, len(blocks.train), config.seed, 0, 0, 1)
    read = {index for _ in range(3 * schedule.micro_steps) for index in next(micro_batches)}
    assert len(read) == 24 < len(blocks.train)
    (separator,), _ = separators(models.tokenizer, None)
    documents: list[list[int]] = []
    whole: list[bool] = []
    for index in range(len(blocks.train)):
        for token in blocks.train[index]["input_ids"].tolist():
            if token == separator:
                documents.append([])
                whole.append(True)
            documents[-1].append(token)
            whole[-1] &= index in read
    expected = {models.tokenizer.decode(own[1:]) for own, is_whole in zip(documents, whole, strict=True) if is_whole}
    groups = groups_of(config, models, 10**6)
    assert set(groups.members) == expected and expected
    train, heldout = (set(side) for side in train_and_heldout(config.data))
    assert set(groups.members) < train and set(groups.others) == heldout
    assert groups.is_random
    assert len(groups_of(config, models, 10).members) == 10
    with pytest.raises(ValueError, match=r"at least 10 of each"):
        groups_of(replace(config, train=replace(config.train, max_steps=1)), models, 5)


def test_of_a_private_run_every_document_is_a_member_because_the_promise_is_about_each(short_run):
    config, models, _ = short_run
    private = {"privacy": {"epsilon": 8}, "optim": {"max_grad_norm": 0}, "student": {"layers": [0, 3]}}
    config = validate(RunConfig, to_dict(config) | private)
    train, heldout = (set(side) for side in train_and_heldout(config.data))
    groups = groups_of(config, models, 10**6)
    assert set(groups.members) == train and set(groups.others) == heldout


def test_after_an_epoch_all_documents_are_members(short_run):
    config, models, blocks = short_run
    config = replace(config, train=replace(config.train, max_steps=-(-len(blocks.train) // 8)))
    train, _ = train_and_heldout(config.data)
    assert set(groups_of(config, models, 10**6).members) == set(train)


def test_other_swap_rules_cannot_tell_what_a_short_run_has_read(short_run):
    config, models, blocks = short_run
    config = replace(config, provenance=config.provenance | {"data": blocks.info | {"lexicon": "another"}})
    with pytest.raises(ValueError, match=r"depends on the swap rules, which have changed since; audit it with .* none"):
        groups_of(config, models, 10)


def test_a_held_out_text_that_was_also_trained_on_is_no_other(short_run, tmp_path, small_world):
    config, models, blocks = short_run
    held = tmp_path / "held.jsonl"
    lines = (small_world / "train.jsonl").read_text().splitlines(keepends=True)
    held.write_text("".join(lines[:1] + lines[250:260]))
    config = replace(
        config,
        data=replace(config.data, heldout_path=str(held)),
        train=replace(config.train, max_steps=len(blocks.train)),
    )
    groups = groups_of(config, models, 100)
    assert len(groups.others) == 10 and not set(groups.others) & set(groups.members)
    assert not groups.is_random


def test_substitution_trains_on_the_counterfactual_of_those_that_are_drawn(config_file):
    config = load_config(RunConfig, config_file)
    assert not view_in_training(config, "The man slept.")
    substituted = replace(config, augment=replace(config.augment, mode="substitute", fraction=0.5))
    for number in range(8):
        text = f"The man slept {number} hours."
        assert view_in_training(substituted, text) == is_drawn(config.seed, 0.5, text)
