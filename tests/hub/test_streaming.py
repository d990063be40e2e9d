"""A corpus on the hub as a stream: at its commit, in pieces, the blocks of the cache, and one clear error."""

import io
import json
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augment.lexicon import load_lexicon
from distill.config import AugmentConfig, DataConfig
from distill.data.blocks import prepare_blocks
from distill.data.corpus import read_documents
from distill.data.pairing import pairing_settings
from distill.data.split import substitution
from distill.data.stream import BlockStream

LEXICON = load_lexicon()


def open_stream(data: DataConfig, tokenizer, rank: int = 0, num_processes: int = 1) -> BlockStream:
    return BlockStream(
        data=data,
        pairing=pairing_settings(data, LEXICON, tokenizer),
        is_substituted=substitution(AugmentConfig(), 0),
        seed=0,
        rank=rank,
        num_processes=num_processes,
        blocks_per_step=4,
    )


@pytest.fixture
def data(hub, small_world, tmp_path, monkeypatch) -> DataConfig:
    """A Parquet file of the hub, of several row groups, behind a card."""
    monkeypatch.setattr("distill.data.stream.TOKENS_PER_WINDOW", 1)
    with (small_world / "train.jsonl").open(encoding="utf-8") as file:
        rows = [{"text": json.loads(line)["text"], "number": number} for number, line in enumerate(islice(file, 50))]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, row_group_size=7)
    commit = hub.add("me/text", {"train.parquet": buffer.getvalue(), "README.md": b"card"}, "datasets")
    path = f"me/text@{commit}"
    return DataConfig(path=path, seq_len=32, streaming=True, heldout_fraction=0.1, cache_dir=str(tmp_path / "cache"))


def test_a_stream_from_the_hub_gives_the_blocks_of_the_text_and_resumes(data, small_world, tmp_path, tokenizer):
    lines = (small_world / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:50]
    (tmp_path / "own.jsonl").write_text("".join(lines), encoding="utf-8")
    own = DataConfig(path=str(tmp_path / "own.jsonl"), seq_len=32, heldout_fraction=0.1, cache_dir=data.cache_dir)
    cached = prepare_blocks(own, AugmentConfig(), LEXICON, tokenizer, seed=0)
    expected = [int(block["checksum"]) for block in cached.train]
    assert list(read_documents(data)) == list(read_documents(own))

    stream = open_stream(data, tokenizer)
    blocks = stream.blocks(0)
    assert [next(blocks).checksum() for _ in range(len(expected) + 4)] == [*expected, *expected[:4]]
    running = open_stream(data, tokenizer)
    blocks = running.blocks(0)
    for step in (1, 2, 3, 4):
        assert [next(blocks).checksum() for _ in range(4)] == expected[4 * step - 4 : 4 * step]
        resumed = open_stream(data, tokenizer)
        resumed.load_state_dict(json.loads(json.dumps(running.state_dict(step))))
        again = [block.checksum() for block in islice(resumed.blocks(step), 8)]
        assert again == expected[4 * step : 4 * step + 8]
    shares = [
        {tuple(block.input_ids) for block in islice(open_stream(data, tokenizer, rank, 2).blocks(0), 10)}
        for rank in (0, 1)
    ]
    assert len(shares[0] | shares[1]) == 20


def test_what_is_wrong_with_a_stream_from_the_hub_is_one_clear_error(data, hub, tokenizer):
    commit = hub.add("me/pages", {"train.jsonl": b'{"page": "The nurse left."}\n'}, "datasets")
    pages = open_stream(DataConfig(path=f"me/pages@{commit}", streaming=True), tokenizer)
    with pytest.raises(ValueError, match=r"me/pages@\w+ has no column 'text' \(it has page\); set data.text_field"):
        next(pages.blocks(0))
    with pytest.raises(FileNotFoundError, match="corpus me/none is neither a local path nor a dataset that could be"):
        next(open_stream(DataConfig(path="me/none", streaming=True), tokenizer).blocks(0))
