"""Builders of scorers over tiny random models, of their folders, and of evaluations of these."""

from collections.abc import Callable
from pathlib import Path

import pytest

from distill.evaluation.scoring.scorer import Scorer, start_token
from eval import main

CONFIG = Path(__file__).parents[3] / "configs" / "eval" / "smallworld.yaml"


@pytest.fixture
def tiny_scorer(tiny_model, tokenizer) -> Callable[..., Scorer]:
    """tiny_scorer("llama", seed=1, bos=False, max_batch_tokens=64, **model settings)."""

    def build(architecture="gpt2", seed=0, bos=True, max_batch_tokens=512, **settings) -> Scorer:
        model = tiny_model(architecture, seed=seed, **settings)
        return Scorer(
            f"{architecture}-{seed}", model, tokenizer, start_token(tokenizer) if bos else None, max_batch_tokens
        )

    return build


@pytest.fixture
def character_tokenizer():
    """A tokenizer without special tokens in which a pronoun takes several tokens: one token per character."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    characters = sorted(set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.'-"))
    backend = Tokenizer(models.WordLevel({character: index for index, character in enumerate(characters)}, "."))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=backend)


@pytest.fixture
def save(tiny_model, tokenizer, tmp_path):
    """Saves a tiny model with its tokenizer and returns the folder."""

    def build(name, architecture="gpt2", own_tokenizer=None, **settings):
        folder = tmp_path / name
        chosen = own_tokenizer or tokenizer
        tiny_model(architecture, vocab_size=len(chosen), **settings).save_pretrained(folder)
        chosen.save_pretrained(folder)
        return folder

    return build


@pytest.fixture
def evaluated(small_world, save, tmp_path):
    """evaluated("out", "a=PATH", ...): the folder of an evaluation on the small world and a small CrowS-Pairs.

    code: what eval.py has to exit with.
    """
    crows = tmp_path / "crows.csv"
    rows = [f"{n},The nurse {n} said she left.,The nurse {n} said he left.,gender" for n in range(30)]
    crows.write_text("\n".join([",sent_more,sent_less,bias_type", *rows]) + "\n")

    def build(name, *words, code=0):
        settings = [f"world={small_world}", f"text.path={small_world / 'heldout.jsonl'}", "text.max_documents=12"]
        settings += [
            "statistics.num_permutations=999",
            "counterfactual_gap.enabled=false",  # slow to prepare, and compared as the others are
            f"benchmarks.crows_pairs={crows}",
        ]
        assert main(["--config", str(CONFIG), "--out", str(tmp_path / name), *settings, *words]) == code
        return tmp_path / name

    return build
