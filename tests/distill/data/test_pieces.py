"""Blocks of one document each: what a private run needs, and what stream packing cannot give."""

import itertools
import json

import numpy as np
import pytest

from augment.lexicon import load_lexicon
from distill.config import AugmentConfig, DataConfig
from distill.data import blocks as data_module
from distill.data.blocks import Blocks, prepare_blocks
from distill.data.pairing import first_parts
from distill.data.pieces import Documents

LEXICON = load_lexicon()
TEXTS = [
    f"The woman said that she lost {number} keys. " + "My father went home because he was tired. " * (number % 5)
    for number in range(60)
]


def prepare(tmp_path, name: str, texts: list[str], tokenizer, by_document: bool = True, **settings) -> Blocks:
    path, heldout = tmp_path / f"{name}.jsonl", tmp_path / "heldout.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    heldout.write_text(json.dumps({"text": "The man said that he found a key."}) + "\n", encoding="utf-8")
    settings = {"seq_len": 24, "heldout_path": str(heldout), "cache_dir": str(tmp_path / "cache")} | settings
    data = DataConfig(path=str(path), **settings)
    return prepare_blocks(data, AugmentConfig(), LEXICON, tokenizer, seed=0, by_document=by_document)


def rows_by_document(blocks: Blocks) -> list[list[tuple]]:
    rows = [tuple(tuple(row[name].tolist()) for name in ("input_ids", "cf_input_ids", "align")) for row in blocks.train]
    starts = blocks.documents.starts
    return [rows[start:end] for start, end in itertools.pairwise(starts)]


def test_every_document_has_its_own_blocks_and_loses_no_token(tmp_path, tokenizer):
    blocks = prepare(tmp_path, "whole", TEXTS, tokenizer)
    documents = rows_by_document(blocks)
    assert blocks.documents.num_documents == blocks.info["train"]["num_documents"] == len(documents) == len(TEXTS)
    assert max(map(len, documents)) > 2 and min(map(len, documents)) == 1
    for text, pieces in zip(TEXTS, documents, strict=True):
        ids = [token for row, _, _ in pieces for token in row]
        assert ids == [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        assert max(len(view) for piece in pieces for view in piece[:2]) <= 24


def test_removing_a_document_changes_no_other_documents_blocks(tmp_path, tokenizer):
    with_it = rows_by_document(prepare(tmp_path, "with", TEXTS, tokenizer))
    without = rows_by_document(prepare(tmp_path, "without", TEXTS[:7] + TEXTS[8:], tokenizer))
    assert without == with_it[:7] + with_it[8:]


def test_stream_packing_is_why_private_runs_have_blocks_of_their_own(tmp_path, tokenizer):
    """Packed one after another, one document less moves the text of most blocks behind it: clipping a block by its
    norm then promises nothing about a document.
    """

    def stream(name: str, texts: list[str]) -> set[tuple]:
        return {
            tuple(row["input_ids"].tolist())
            for row in prepare(tmp_path, name, texts, tokenizer, by_document=False).train
        }

    whole, without = stream("with", TEXTS), stream("without", TEXTS[1:])
    assert len(whole - without) > 0.5 * len(whole)


def test_long_pieces_come_more_often_than_short_ones():
    documents = Documents(np.array([0, 1, 4]), np.array([0, 5, 15, 25, 26]))
    places = (np.arange(21000) + 0.5) / 21000
    pieces = documents.pieces_at(np.ones(21000, dtype=np.int64), places)
    assert np.bincount(pieces).tolist() == [0, 10000, 10000, 1000]
    assert documents.pieces_at(np.array([0, 1, 1]), np.array([0.999999, 0.0, 0.999999])).tolist() == [0, 1, 3]
    assert documents.pieces_at(np.zeros(0, dtype=np.int64), np.zeros(0)).tolist() == []


def test_blocks_by_document_are_kept_apart_in_the_cache_and_survive_shards(tmp_path, tokenizer, monkeypatch):
    whole = prepare(tmp_path, "whole", TEXTS, tokenizer)
    packed = prepare(tmp_path, "whole", TEXTS, tokenizer, by_document=False)
    assert packed.documents is None and packed.key != whole.key
    assert len(packed.heldout) == len(whole.heldout)
    monkeypatch.setattr(data_module, "CHARACTERS_PER_SHARD", 1000)
    in_shards = prepare(tmp_path, "whole", TEXTS, tokenizer, cache_dir=str(tmp_path / "shards"))
    assert len(list((tmp_path / "shards").glob("*/train-*.npy"))) > 3
    assert rows_by_document(in_shards) == rows_by_document(whole)
    assert in_shards.documents.tokens.tolist() == whole.documents.tokens.tolist()


def test_a_lost_list_of_documents_says_which_folder_to_remove(tmp_path, tokenizer):
    whole = prepare(tmp_path, "whole", TEXTS, tokenizer)
    file = tmp_path / "cache" / whole.key / "train-00000.npy"
    np.save(file, np.load(file)[:-1])
    with pytest.raises(ValueError, match=r"cannot be read \(the documents have .* blocks, but .*; remove that folder"):
        prepare(tmp_path, "whole", TEXTS, tokenizer)


def test_a_document_longer_than_a_part_stays_one_document():
    texts = ["a short one", "one two three four five"]
    assert list(first_parts(texts, longest=12)) == ["a short one", "one two"]
