"""The tokens that stand between the documents of a corpus."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast

from distill.config import DataConfig
from distill.data.chat_template import start_of_conversations


def separators(tokenizer: PreTrainedTokenizerFast, separator: str | None) -> tuple[list[int], list[int]]:
    """The token ids before and after each document.

    By default BOS comes before and EOS after. If both are the same token or only one exists, that token comes before. A
    named `separator`, a token or the text of one, replaces both. Raises ValueError if there is no such token.
    """
    if separator is not None:
        named = tokenizer.get_vocab().get(separator)
        ids = [named] if named is not None else tokenizer(separator, add_special_tokens=False)["input_ids"]
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id != named:
            raise ValueError(f"data.separator {separator!r} is not a token of the tokenizer; give one that is")
        return ids, []
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if bos is None and eos is None:
        raise ValueError("the tokenizer has neither a BOS nor an EOS token; name one of its tokens in data.separator")
    if bos is None or eos is None or bos == eos:
        return [eos if bos is None else bos], []
    return [bos], [eos]


def separators_of(data: DataConfig, tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[int]]:
    """The token ids before and after each document of a corpus. Raises ValueError as `separators`.

    The template of a conversation gives it a beginning and an end, so only a named `separator` comes before it. A
    completion ends with EOS, if there is one, because a model that was not told to stop goes on.
    """
    if data.format == "chat" and data.separator is None:
        return [], []
    before, after = separators(tokenizer, data.separator)
    if data.format == "prompt_completion" and tokenizer.eos_token_id is not None:
        after = [tokenizer.eos_token_id]
    return before, after


def start_of_documents(data: DataConfig, tokenizer: PreTrainedTokenizerFast) -> int:
    """The token that begins each document. Raises ValueError if none tells where a conversation begins."""
    before, _ = separators_of(data, tokenizer)
    return before[0] if before else start_of_conversations(tokenizer)
