"""Builders of records of sampled continuations and of tiny text classifiers."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from distill.evaluation.measures.continuations.bold_prompts import Prompt
from distill.evaluation.measures.continuations.sampling import record


@pytest.fixture
def sampled():
    """sampled("id", "group", ["text", ...], prompt="The nurse", scored="continuation"): the record of a prompt."""

    def build(name, group, texts, prompt="The nurse", scored="continuation"):
        return record(Prompt(name, group, prompt), texts, scored)

    return build


@pytest.fixture
def classifier(tokenizer, tmp_path):
    """classifier(["label", ...]): a folder with a tiny text classifier with these labels."""

    def build(labels):
        torch.manual_seed(0)
        config = AutoConfig.for_model(
            "gpt2",
            vocab_size=len(tokenizer),
            n_embd=8,
            n_head=2,
            n_layer=1,
            n_positions=32,
            initializer_range=1.0,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            pad_token_id=tokenizer.bos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.bos_token_id,
        )
        folder = tmp_path / "-".join(labels)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return build
