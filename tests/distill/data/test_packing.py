"""Packing: no token is lost, both views are cut at the same word, and predictions stay aligned."""

import numpy as np
import pytest

from augment.lexicon import load_lexicon
from distill.data.packing import pack, pair_texts
from distill.data.separators import separators
from distill.models.loading import load_tokenizer

LEXICON = load_lexicon()
TEXTS = [
    "The woman said that she lost her keys. My father went home because he was tired.",
    "The nurse said hello.",
    "Mrs Reed, a doctor, told him that the boy was hers.",
    "He liked it.",
    "\n\n  The man said that his sister saw her brother at work with himself and a friend of his.  ",
    "Ünïcode 🎉 and she 🎉",
]


@pytest.fixture(params=["small world", "gpt2", "llama"])
def any_tokenizer(request, tokenizer):
    if request.param == "small world":
        return tokenizer
    shared = request.getfixturevalue("shared_data")
    return load_tokenizer(str(shared / {"gpt2": "tokenizer/gpt2", "llama": "models/stories260k"}[request.param]))


@pytest.mark.data
def test_documents_decode_to_both_views_and_align_outside_edits(any_tokenizer):
    prefix, suffix = separators(any_tokenizer, None)
    for text, document in zip(TEXTS, pair_texts(TEXTS, any_tokenizer, LEXICON, prefix, suffix), strict=True):
        own, other, align = document.example[:3]
        assert own.tolist() == prefix + any_tokenizer(text, add_special_tokens=False)["input_ids"] + suffix
        cf_ids = any_tokenizer(document.pair.counterfactual, add_special_tokens=False)["input_ids"]
        assert other.tolist() == prefix + cf_ids + suffix
        paired = align[align >= 0]
        assert (np.diff(paired) > 0).all()
        assert (align[0], align[-1]) == (0, len(other) - 1)
        gendered = {edit.source for edit in document.pair.edits} | {edit.target for edit in document.pair.edits}
        for position, partner in enumerate(align):
            if partner >= 0 and own[position] != other[partner]:
                piece = any_tokenizer.decode([own[position]]).strip()
                assert any(piece.lower() in word.lower() for word in gendered), piece


@pytest.mark.data
@pytest.mark.parametrize("seq_len", [12, 16, 31, 200])
def test_packing_keeps_every_token_of_both_views_and_cuts_at_the_same_word(any_tokenizer, seq_len):
    prefix, suffix = separators(any_tokenizer, None)
    documents = pair_texts(TEXTS, any_tokenizer, LEXICON, prefix, suffix)
    flags = [index % 2 == 0 for index in range(len(documents))]
    for exchanged in ([False] * len(documents), flags):
        blocks = list(pack(zip(documents, exchanged, strict=True), seq_len))
        assert all(max(len(b.input_ids), len(b.cf_input_ids)) <= seq_len for b in blocks)
        sides = [d.example.exchanged() if e else d.example for d, e in zip(documents, exchanged, strict=True)]
        whole = np.concatenate([block.input_ids for block in blocks])
        assert whole.tolist() == np.concatenate([side.input_ids for side in sides]).tolist()
        cf_whole = np.concatenate([block.cf_input_ids for block in blocks])
        assert cf_whole.tolist() == np.concatenate([side.cf_input_ids for side in sides]).tolist()
        offset, document_offset, aligned, expected = 0, 0, [], []
        for block in blocks:
            aligned += [a + offset if a >= 0 else -1 for a in block.align]
            offset += len(block.cf_input_ids)
            assert block.align[-1] == len(block.cf_input_ids) - 1
        for side in sides:
            expected += [a + document_offset if a >= 0 else -1 for a in side.align]
            document_offset += len(side.cf_input_ids)
        assert aligned == expected


@pytest.mark.data
def test_substitution_does_not_move_the_cuts(any_tokenizer):
    documents = pair_texts(TEXTS, any_tokenizer, LEXICON, *separators(any_tokenizer, None))
    plain = list(pack(((document, False) for document in documents), 16))
    exchanged = list(pack(((document, True) for document in documents), 16))
    assert [b.exchanged().input_ids.tolist() for b in exchanged] == [b.input_ids.tolist() for b in plain]


def test_a_word_longer_than_a_block_is_cut_between_its_tokens(tokenizer):
    (document,) = pair_texts(["See this " + "x1Y" * 40 + " she end."], tokenizer, LEXICON, [0])
    blocks = list(pack([(document, False)], 16))
    assert np.concatenate([block.input_ids for block in blocks]).tolist() == document.example.input_ids.tolist()
    assert all(len(block.cf_input_ids) <= 16 for block in blocks)


def test_text_without_white_space_is_cut_between_tokens(tokenizer):
    (document,) = pair_texts(["漢字" * 30], tokenizer, LEXICON, [0])
    blocks = list(pack([(document, False)], 20))
    assert len(blocks) > 3
    for block in blocks[1:-1]:
        assert "�" not in tokenizer.decode(block.input_ids)  # never inside a character
