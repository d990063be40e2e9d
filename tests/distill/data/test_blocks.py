"""Packing and caching: nothing is lost, views stay aligned, and what is finished is used again."""

import dataclasses
import errno
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from augment.lexicon import load_lexicon
from distill.config import AugmentConfig, DataConfig
from distill.data import blocks as data_module
from distill.data import pairing
from distill.data.blocks import prepare_blocks, separators
from distill.data.packing import PairedExample, pack, pair_texts
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
        own, other, align = document.example
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


def test_separators_by_default_and_by_name(tokenizer):
    assert separators(tokenizer, None) == ([tokenizer.bos_token_id], [])
    assert separators(tokenizer, "Ġshe") == ([tokenizer.get_vocab()["Ġshe"]], [])
    with pytest.raises(ValueError, match=r"data.separator '<nope>' is not a token of the tokenizer"):
        separators(tokenizer, "<nope>")


# -- cache -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(small_world, tmp_path) -> DataConfig:
    return DataConfig(
        path=str(small_world / "train.jsonl"), seq_len=48, cache_dir=str(tmp_path / "cache"), heldout_fraction=0.2
    )


def rows(dataset) -> list:
    return [[list(row[name]) for name in PairedExample._fields] for row in dataset]


def test_blocks_are_cached_and_rebuilt_when_anything_that_matters_changes(settings, tokenizer, tmp_path, monkeypatch):
    first = prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    info = first.info
    assert info["train"]["num_documents"] + info["heldout"]["num_documents"] == 400
    assert 40 <= info["heldout"]["num_documents"] <= 120
    assert info["train"]["num_blocks"] == len(first.train)
    assert 0 < info["train"]["num_pairs"] <= info["train"]["num_documents"] <= info["train"]["num_words"]
    build = data_module._build
    monkeypatch.setattr(data_module, "_build", lambda *_: pytest.fail("built again"))
    again = prepare_blocks(settings, AugmentConfig(mode="augment"), LEXICON, tokenizer, seed=1)
    assert rows(again.train) == rows(first.train)

    monkeypatch.setattr(data_module, "_build", build)
    variants = [
        (DataConfig(**(vars(settings) | {"seq_len": 40})), AugmentConfig(), 0),
        (DataConfig(**(vars(settings) | {"max_documents": 100})), AugmentConfig(), 0),
        (settings, AugmentConfig(mode="substitute", fraction=1.0), 0),
        (settings, AugmentConfig(mode="substitute", fraction=0.5), 1),
    ]
    for data, augmentation, seed in variants:
        prepare_blocks(data, augmentation, LEXICON, tokenizer, seed)
    assert len(list((tmp_path / "cache").glob("*/info.json"))) == 1 + len(variants)
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_a_corpus_is_read_for_its_fingerprint_only_when_it_was_written(settings, tokenizer, tmp_path, monkeypatch):
    copy = tmp_path / "train.jsonl"
    copy.write_bytes(Path(settings.path).read_bytes())
    config = dataclasses.replace(settings, path=str(copy))
    read, real = [], data_module.corpus.corpus_fingerprint
    monkeypatch.setattr(data_module.corpus, "corpus_fingerprint", lambda *words: [read.append(1), real(*words)][1])
    first = prepare_blocks(config, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert prepare_blocks(config, AugmentConfig(), LEXICON, tokenizer, seed=0).info == first.info
    assert len(read) == 1 and first.info["corpus"] == real(config)
    copy.write_bytes(copy.read_bytes().replace(b"woman", b"WOMAN"))  # as long as before
    changed = prepare_blocks(config, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert len(read) == 2 and changed.info["corpus"] == real(config) != first.info["corpus"]


def test_substitution_exchanges_the_views_of_the_training_part_only(settings, tokenizer):
    plain = prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    full = prepare_blocks(settings, AugmentConfig(mode="substitute", fraction=1.0), LEXICON, tokenizer, seed=0)
    assert [row[:2] for row in rows(full.train)] == [[row[1], row[0]] for row in rows(plain.train)]
    assert rows(full.heldout) == rows(plain.heldout)


def test_duplicate_documents_fall_on_one_side_of_the_split(tmp_path, tokenizer):
    (tmp_path / "c.txt").write_text("\n".join(f"Document number {i % 50} is here." for i in range(200)))
    settings = DataConfig(
        path=str(tmp_path / "c.txt"), seq_len=16, cache_dir=str(tmp_path / "cache"), heldout_fraction=0.3
    )
    blocks = prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    sides = [
        set(tokenizer.decode(np.concatenate([row["input_ids"] for row in part])).split("<|endoftext|>")) - {""}
        for part in (blocks.train, blocks.heldout)
    ]
    assert len(sides[0]) + len(sides[1]) >= 50
    assert len(sides[0] & sides[1]) <= 2  # pieces cut at the end of a block, at most


def test_an_empty_side_of_the_split_is_refused_and_leaves_nothing(tmp_path, tokenizer):
    (tmp_path / "c.txt").write_text("One document only.\n")
    settings = DataConfig(path=str(tmp_path / "c.txt"), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="is empty; give more text, another data.heldout_fraction"):
        prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    ("num_proc", "heldout"), [(1, "fraction"), (1, "corpus"), pytest.param(2, "corpus", marks=pytest.mark.slow)]
)
def test_a_build_that_was_killed_continues_after_its_last_whole_shard(
    num_proc, heldout, settings, small_world, tokenizer, tmp_path, monkeypatch
):
    monkeypatch.setattr(data_module, "CHARACTERS_PER_SHARD", 20_000)
    if heldout == "corpus":
        settings = DataConfig(**(vars(settings) | {"heldout_path": str(small_world / "heldout.jsonl")}))
    whole = prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    shards = list((tmp_path / "cache").glob("*/train-*.arrow"))
    assert len(shards) > 3

    settings = DataConfig(**(vars(settings) | {"cache_dir": str(tmp_path / "killed"), "num_proc": num_proc}))
    real, names = data_module._write_blocks, []

    def write_blocks(path: Path, blocks):
        names.append(path.name)
        if path.name == "train-00002.arrow" and names.count(path.name) == 1:
            path.write_bytes(b"half of a shard")
            raise Killed
        return real(path, blocks)

    monkeypatch.setattr(data_module, "_write_blocks", write_blocks)
    with pytest.raises(Killed):
        prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    again = prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert names.count("train-00000.arrow") == names.count("train-00001.arrow") == 1
    assert names.count("train-00002.arrow") == 2
    assert rows(again.train) == rows(whole.train)
    assert rows(again.heldout) == rows(whole.heldout)
    assert again.info == whole.info


def test_one_line_says_that_blocks_are_prepared_and_none_that_they_are_read(settings, tokenizer, tmp_path, capsys):
    prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    lines = [line for line in capsys.readouterr().err.splitlines() if "blocks of" in line]
    assert len(lines) == 1 and lines[0].startswith(f"preparing the blocks of {settings.path} in {tmp_path / 'cache'}")
    prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert "blocks of" not in capsys.readouterr().err
    other = DataConfig(**(vars(settings) | {"seq_len": settings.seq_len + 1}))
    prepare_blocks(other, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert "(folders beside it for other text, settings or versions: 1)" in capsys.readouterr().err


def test_a_full_disk_keeps_the_finished_shards(settings, tokenizer, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(data_module, "sync", full)
    with pytest.raises(OSError, match=r"cannot be written into .*\(No space left.*; make room, or set data.cache_dir"):
        prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert len(list((tmp_path / "cache").glob("*.partial"))) == 1


def _prepare_in_child(settings, folder, queue):
    tokenizer = load_tokenizer(folder)
    queue.put(json.dumps(prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0).info))


@pytest.mark.slow
def test_processes_that_start_together_build_once(settings, small_world, tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    arguments = (settings, str(small_world / "tokenizer"), queue)
    processes = [context.Process(target=_prepare_in_child, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    assert len({queue.get(timeout=120) for _ in processes}) == 1
    for process in processes:
        process.join()
    assert len(list((tmp_path / "cache").glob("*/info.json"))) == 1


def test_several_workers_give_the_same_blocks(settings, tokenizer, tmp_path):
    alone = prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    other = DataConfig(**(vars(settings) | {"num_proc": 2, "cache_dir": str(tmp_path / "other")}))
    together = prepare_blocks(other, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert rows(together.train) == rows(alone.train)
    assert together.info == alone.info


def _runs(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _worker_pids(settings, pipe):
    def texts():
        yield from ["The nurse said that she left."] * 600
        pipe.send([worker.pid for worker in multiprocessing.active_children()])
        time.sleep(600)

    list(pairing.pair_all(texts(), settings, num_proc=2))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks for processes in /proc")
def test_workers_end_with_a_parent_that_was_killed(tokenizer):
    settings = {"tokenizer": tokenizer, "lexicon": LEXICON, "prefix_ids": [0], "suffix_ids": []}
    ours, theirs = multiprocessing.Pipe()
    parent = multiprocessing.get_context("spawn").Process(target=_worker_pids, args=(settings, theirs))
    parent.start()
    workers = ours.recv()
    parent.kill()
    parent.join()
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(("length", "sizes"), [(10, [256, 44]), (2**18, [4] * 75), (2**21, [1] * 300)])
def test_a_worker_gets_so_many_documents_or_so_much_text_at_a_time(length, sizes):
    texts = iter(["x" * length] * 300)
    assert [len(chunk) for chunk in iter(lambda: pairing._chunk(texts), [])] == sizes


def test_a_worker_that_dies_is_reported_and_nothing_hangs(tokenizer):
    def texts():
        yield from ["The nurse said that she left."] * 600
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGKILL)
        yield from ["He stayed."] * 6000

    settings = {"tokenizer": tokenizer, "lexicon": LEXICON, "prefix_ids": [0], "suffix_ids": []}
    with pytest.raises(OSError, match=r"one of 2 workers has died, .*; lower data.num_proc \(2\)"):
        list(pairing.pair_all(texts(), settings, num_proc=2))
