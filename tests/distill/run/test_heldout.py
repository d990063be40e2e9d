"""The held-out perplexity: over all scored tokens of all processes, even of those that the loss leaves out."""

import dataclasses
import math

import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from step_texts import STEP_TEXTS

from augment.lexicon import load_lexicon
from distill.config import RunConfig
from distill.data.block_files import IDS
from distill.data.blocks import Blocks
from distill.data.packing import PairedExample, pack, pair_texts
from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss.gender_classes import GenderClasses, gender_classes
from distill.run.heldout import evaluate_heldout, heldout_indices
from distill.settings import validate

TEXTS = STEP_TEXTS[:4]


@pytest.fixture
def config() -> RunConfig:
    settings = {"run_dir": "unused", "data": {"path": "unused", "seq_len": 32}, "train": {"max_steps": 1}}
    return validate(RunConfig, settings | {"teacher": {"path": "unused"}, "student": {"layers": [0, 2]}})


@pytest.fixture(scope="module")
def classes(tokenizer) -> GenderClasses:
    return gender_classes(tokenizer, load_lexicon())


@pytest.fixture(scope="module")
def examples(tokenizer) -> list[PairedExample]:
    documents = pair_texts(TEXTS, tokenizer, load_lexicon(), [tokenizer.bos_token_id])
    return list(pack(((document, False) for document in documents), 32))


def stored(examples: list[PairedExample]) -> Dataset:
    rows = [dict(zip(IDS, example, strict=False)) | {"checksum": example.checksum()} for example in examples]
    return Dataset.from_list(rows).with_format("numpy")


def test_a_held_out_loss_too_large_for_a_perplexity_is_reported_as_infinity(config, classes, examples, tiny_model):
    student = tiny_model(seed=2)
    with torch.no_grad():
        student.get_output_embeddings().weight.mul_(1e5)
    rows = stored(examples[:1])
    module = Distiller(student, Objective(config.loss, config.perturb))
    result = evaluate_heldout(Accelerator(cpu=True), module, Blocks(rows, rows, {}), config)
    assert 710 < result["heldout_nats_per_token"] < math.inf
    assert result["heldout_perplexity"] == math.inf


@pytest.mark.parametrize("ce_counterparts", [True, False])
def test_held_out_perplexity_is_the_mean_over_scored_tokens(ce_counterparts, config, classes, examples, tiny_model):
    student = tiny_model(seed=2, resid_pdrop=0.5)
    losses, num_tokens = 0.0, 0
    for example in examples:
        ids = torch.from_numpy(example.input_ids)[None]
        losses += student(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        num_tokens += ids.shape[1] - 1
    rows = stored(examples)
    loss = dataclasses.replace(config.loss, ce_counterparts=ce_counterparts)
    module = Distiller(student, Objective(loss, config.perturb, classes)).train()
    result = evaluate_heldout(Accelerator(cpu=True), module, Blocks(rows, rows, {}), config)
    assert result["heldout_nats_per_token"] == pytest.approx(losses / num_tokens, rel=1e-5)
    assert result["heldout_perplexity"] == pytest.approx(math.exp(losses / num_tokens), rel=1e-5)
    assert module.training


def test_held_out_blocks_come_once_over_all_processes():
    shares = [list(heldout_indices(11, 2, rank, 3)) for rank in range(3)]
    assert len({len(share) for share in shares}) == 1
    assert sorted(i for share in shares for micro in share for i in micro if i >= 0) == list(range(11))
