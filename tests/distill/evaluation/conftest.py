"""A builder of scorers over tiny random models."""

from collections.abc import Callable

import pytest

from distill.evaluation.scoring import Scorer, start_token


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
