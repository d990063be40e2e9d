"""A few blocks of text: drawn whatever the order of the documents, separated, and refused if there is too little."""

import pytest

from distill.data.sample import sample_blocks
from distill.data.separators import separators

DOCUMENTS = [f"the doctor said that {name} was late . " * 3 for name in "abcdefghijklmnopqrst"]


def test_the_blocks_do_not_depend_on_the_order_of_the_documents_nor_on_repeats(tokenizer):
    blocks = sample_blocks(DOCUMENTS, tokenizer, (3, 8))
    assert blocks.shape == (3, 8)
    assert blocks.tolist() == sample_blocks([*reversed(DOCUMENTS), *DOCUMENTS], tokenizer, (3, 8)).tolist()


def test_each_document_has_its_separator_and_gives_one_row_at_most(tokenizer):
    (before,), _ = separators(tokenizer, None)
    blocks = sample_blocks(DOCUMENTS, tokenizer, (4, 8))
    assert blocks[:, 0].tolist() == [before] * 4
    texts = {tuple(row[1:]) for row in blocks.tolist()}
    encoded = {tuple(tokenizer(text, add_special_tokens=False)["input_ids"][:7]) for text in DOCUMENTS}
    assert texts <= encoded


def test_too_little_text_is_refused_in_one_line(tokenizer):
    with pytest.raises(
        ValueError, match=r"^FILE is too short: of 64 tokens that are needed it has \d+ .*; give more text$"
    ):
        sample_blocks(DOCUMENTS[:2], tokenizer, (8, 8), name="FILE")


def test_a_token_that_the_model_does_not_know_is_refused(tokenizer):
    with pytest.raises(ValueError, match="FILE holds .* but the model knows 5 ids only"):
        sample_blocks(DOCUMENTS, tokenizer, (2, 8), num_ids=5, name="FILE")
