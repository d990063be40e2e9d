"""Train the small world's byte-level BPE tokenizer and save it as a folder for `AutoTokenizer.from_pretrained`.

It is a fast tokenizer in the style of GPT-2 (a space belongs to the word that follows it), and decoding returns every
text exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from distill.smallworld.people import GENDERED_NOUNS, PRONOUNS, TITLES

END_OF_TEXT = "<|endoftext|>"
# The trainer sees every gendered word this many times besides the texts. So both words of a pair become single tokens,
# even in a form that the texts use for only one of the two.
_NUM_SHOWN = 1000


def gendered_forms() -> list[str]:
    """The forms that must be one token each: lower case after a space, title case with and without a space."""
    lower = dict.fromkeys(word for pair in (*PRONOUNS.values(), *GENDERED_NOUNS) for word in pair)
    titled = [word.capitalize() for word in lower] + list(TITLES)
    return [f" {word}" for word in lower] + [f" {word}" for word in titled] + titled


def train_tokenizer(texts: Iterable[str], vocab_size: int, out_dir: Path) -> int:
    """Train on the texts, save into `out_dir`, return the number of tokens in the vocabulary (at most `vocab_size`).

    Raises ValueError when the vocabulary is too small to hold every gendered word as one token.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(chain(texts, _shown_words()), trainer)
    split = [form for form in gendered_forms() if len(tokenizer.encode(form).ids) != 1]
    if split:
        raise ValueError(
            f"vocab_size is {vocab_size}: too small, it splits {len(split)} gendered words such as {split[0]!r}; "
            "give a larger one (2000 is the default)"
        )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(out_dir)
    return int(tokenizer.get_vocab_size())


def _shown_words() -> Iterator[str]:
    for form in gendered_forms():
        yield from [form] * _NUM_SHOWN
