"""Blocks as a stream: those of the cache, divided among processes, and the same ones after any interruption."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from augment.lexicon import load_lexicon
from distill.config import AugmentConfig, DataConfig, RunConfig
from distill.data import blocks as blocks_module
from distill.data import stream as stream_module
from distill.data.blocks import Blocks, prepare_blocks
from distill.data.pairing import in_parts, pairing_settings
from distill.data.split import substitution
from distill.data.stream import BlockStream, check_streaming
from distill.settings import load_config

LEXICON = load_lexicon()
SUBSTITUTE = AugmentConfig(mode="substitute")
NUM_ROWS = 60
MINIMAL = """
run_dir: runs/x
data: {path: corpus.txt, streaming: true}
teacher: {path: some/teacher}
student: {layers: [0, 2]}
train: {max_steps: 10}
"""


@pytest.fixture
def texts(small_world) -> list[str]:
    with (small_world / "train.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in islice(file, NUM_ROWS)]
    texts[7] = " "  # no document
    texts[11] = " ".join(texts[20:30])  # several parts
    return texts


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Texts are divided, and packing begins anew, often enough for these few; blocks stay in the order of the text."""
    for module in (blocks_module, stream_module):
        monkeypatch.setattr(module, "in_parts", partial(in_parts, longest=1000))
    monkeypatch.setattr(blocks_module, "CHARACTERS_PER_SHARD", 3000)
    monkeypatch.setattr(stream_module, "TOKENS_PER_WINDOW", 1)


def write_jsonl(file: Path, rows: list[dict]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def config(path: str, tmp_path: Path, **settings) -> DataConfig:
    return DataConfig(path=path, seq_len=32, cache_dir=str(tmp_path / "cache"), heldout_fraction=0.1, **settings)


def open_stream(data: DataConfig, tokenizer, rank: int = 0, num_processes: int = 1) -> BlockStream:
    return BlockStream(
        data=data,
        pairing=pairing_settings(data, LEXICON, tokenizer),
        is_substituted=substitution(SUBSTITUTE, 0),
        seed=0,
        rank=rank,
        num_processes=num_processes,
        blocks_per_step=3,
    )


def cached_blocks(data: DataConfig, tokenizer, **options) -> Blocks:
    return prepare_blocks(replace(data, streaming=False), SUBSTITUTE, LEXICON, tokenizer, seed=0, **options)


def checksums(blocks) -> list[int]:
    return [int(block["checksum"]) for block in blocks]


def streamed(stream: BlockStream, num_blocks: int, step: int = 0) -> list[int]:
    return [block.checksum() for block in islice(stream.blocks(step), num_blocks)]


def corpus(kind: str, texts: list[str], tmp_path: Path) -> DataConfig:
    rows = [{"text": text} for text in texts]
    folder = tmp_path / "corpus"
    if kind == "jsonl":
        return config(write_jsonl(tmp_path / "corpus.jsonl", rows), tmp_path)
    if kind == "completions":
        halves = [{"prompt": text[: len(text) // 2], "completion": text[len(text) // 2 :]} for text in texts]
        halves = [row for row in halves if row["completion"].strip()]
        return config(write_jsonl(tmp_path / "corpus.jsonl", halves), tmp_path, format="prompt_completion")
    if kind == "saved":
        Dataset.from_list(rows).save_to_disk(folder)
        return config(str(folder), tmp_path)
    folder.mkdir()  # several files of two kinds
    write_jsonl(folder / "a.jsonl", rows[:25])
    pq.write_table(pa.Table.from_pylist(rows[25:]), folder / "b.parquet")
    return config(str(folder), tmp_path)


@pytest.mark.parametrize("kind", ["jsonl", "folder", "completions", "saved"])
def test_a_stream_gives_the_blocks_of_the_cache_again_and_again(kind, texts, tmp_path, tokenizer):
    data = corpus(kind, texts, tmp_path)
    expected = checksums(cached_blocks(data, tokenizer).train)
    assert len(expected) > 40
    assert streamed(open_stream(data, tokenizer), 2 * len(expected) + 5) == [*expected, *expected, *expected[:5]]


@pytest.mark.parametrize("kind", ["jsonl", "folder"])
def test_two_processes_divide_the_documents(kind, texts, tmp_path, tokenizer):
    """Of one file each reads every second row, of two files each reads one."""
    data = corpus(kind, texts, tmp_path)
    rows = [{"text": text} for text in texts]
    shares = [rows[:25], rows[25:]] if kind == "folder" else [rows[0::2], rows[1::2]]
    for rank, share in enumerate(shares):
        own = config(write_jsonl(tmp_path / f"{rank}.jsonl", share), tmp_path)
        expected = checksums(cached_blocks(own, tokenizer).train)
        assert streamed(open_stream(data, tokenizer, rank, 2), len(expected) + 2) == [*expected, *expected[:2]]


@pytest.mark.parametrize("num_processes", [1, 2])
@pytest.mark.parametrize("kind", ["folder", "completions", "saved"])
def test_a_stream_goes_on_after_any_step(kind, num_processes, texts, tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr(stream_module, "TOKENS_PER_WINDOW", 32 * 7)  # a window is no whole number of steps of 3
    data = corpus(kind, texts, tmp_path)
    whole = streamed(open_stream(data, tokenizer, num_processes - 1, num_processes), 200)  # several passes
    assert len(set(whole)) < 150
    running = open_stream(data, tokenizer, num_processes - 1, num_processes)
    blocks = running.blocks(0)
    read = [next(blocks).checksum(), next(blocks).checksum()]  # as the thread that loads ahead does
    for step in range(60):
        state = json.loads(json.dumps(running.state_dict(step)))
        read += [next(blocks).checksum() for _ in range(3)]
        if step % 4 == 1:
            resumed = open_stream(data, tokenizer, num_processes - 1, num_processes)
            resumed.load_state_dict(state)
            assert streamed(resumed, 9, step) == whole[3 * step : 3 * step + 9]
    assert read == whole[: len(read)]


def test_the_order_within_windows_follows_from_the_seed(texts, tmp_path, tokenizer, monkeypatch):
    data = corpus("jsonl", texts, tmp_path)
    in_order = streamed(open_stream(data, tokenizer), 40)
    monkeypatch.setattr(stream_module, "TOKENS_PER_WINDOW", 32 * 20)
    orders = [streamed(open_stream(data, tokenizer), 40) for _ in range(2)]
    other = open_stream(data, tokenizer)
    other.seed = 1
    assert orders[0] == orders[1] != streamed(other, 40)
    for start in (0, 20):
        window = slice(start, start + 20)
        assert orders[0][window] != in_order[window] and Counter(orders[0][window]) == Counter(in_order[window])


def test_only_the_first_held_out_blocks_are_kept(texts, tmp_path, tokenizer):
    data = replace(corpus("jsonl", texts, tmp_path), streaming=True)
    whole = cached_blocks(data, tokenizer)
    assert len(whole.heldout) > 3
    shutil.rmtree(data.cache_dir)
    few = cached_blocks(data, tokenizer, heldout_blocks=3)
    assert checksums(few.heldout) == checksums(whole.heldout)[:3] and len(few.train) == 0
    assert few.info["heldout"]["num_blocks"] == 3 and "train" not in few.info
    assert not list((tmp_path / "cache").rglob("train-*"))
    more = cached_blocks(data, tokenizer, heldout_blocks=1000)  # than there are
    assert checksums(more.heldout) == checksums(whole.heldout)


def test_an_interrupted_build_of_the_held_out_blocks_is_finished(texts, tmp_path, tokenizer):
    """It was interrupted between the shard with the last block and its info.json."""
    data = replace(corpus("jsonl", texts, tmp_path), streaming=True)
    few = cached_blocks(data, tokenizer, heldout_blocks=3)
    (info,) = (tmp_path / "cache").glob("*/info.json")
    info.unlink()
    info.parent.rename(info.parent.with_name(info.parent.name + ".partial"))
    again = cached_blocks(data, tokenizer, heldout_blocks=3)
    assert checksums(again.heldout) == checksums(few.heldout)
    assert again.info == few.info
    assert len(list((tmp_path / "cache").rglob("heldout-*.arrow"))) == 1


def test_what_cannot_be_read_is_named(texts, tmp_path, tokenizer):
    few = config(write_jsonl(tmp_path / "few.jsonl", [{"text": texts[0]}]), tmp_path, heldout_path="other")
    with pytest.raises(ValueError, match=r"few.jsonl has no document for process 1 of 2; give more text, or launch"):
        streamed(open_stream(few, tokenizer, 1, 2), 1)
    bad = config(write_jsonl(tmp_path / "bad.jsonl", [{"text": "He left."}, {"txt": "x"}]), tmp_path)
    with pytest.raises(ValueError, match=r"bad.jsonl:2 has no field 'text' \(it has txt\); set data.text_field"):
        streamed(open_stream(bad, tokenizer), 1)
    pages = Dataset.from_list([{"page": "He left."}])
    pages.save_to_disk(tmp_path / "pages")
    with pytest.raises(ValueError, match=r"pages has no column 'text' \(it has page\); set data.text_field"):
        streamed(open_stream(config(str(tmp_path / "pages"), tmp_path), tokenizer), 1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.max_steps=null", "train.epochs=1"], "train.epochs cannot .*; set train.max_steps, and train.epochs"),
        (["data.max_documents=5"], "data.max_documents cannot .*; give a shorter text, or leave it out"),
        (["teacher.targets=cached"], "teacher.targets cannot .*; set it to `online`"),
        (["student.layers=auto", "student.keep=2"], "student.layers cannot .*; choose with `evenhand layers`, and"),
        (["canaries={count: 4}"], "canaries cannot .*; leave them out"),
        (["privacy={epsilon: 1}", "optim.max_grad_norm=0"], "privacy cannot .*; set data.streaming to false"),
        (
            ["federated={clients: {by: gender, count: 4, alpha: 1}, clients_per_round: 2, local_steps: 5}"],
            "federated cannot .*; set data.streaming to false",
        ),
    ],
)
def test_what_needs_the_whole_text_is_refused(overrides, message, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(MINIMAL)
    check_streaming(load_config(RunConfig, file))
    with pytest.raises(ValueError, match=message):
        check_streaming(load_config(RunConfig, file, overrides))
    check_streaming(load_config(RunConfig, file, ["data.streaming=false", "teacher.targets=cached"]))


@pytest.mark.slow
def test_pairing_on_several_processes_changes_nothing(texts, tmp_path, tokenizer):
    data = corpus("jsonl", texts, tmp_path)
    alone = streamed(open_stream(data, tokenizer), 60)
    assert streamed(open_stream(replace(data, num_proc=2), tokenizer), 60) == alone
