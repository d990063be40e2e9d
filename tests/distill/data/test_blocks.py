"""The cache of blocks: built once, built again when anything changes, and continued after an interruption."""

import dataclasses
import errno
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from augment.lexicon import load_lexicon
from distill.config import AugmentConfig, DataConfig
from distill.data import block_files
from distill.data import blocks as data_module
from distill.data.block_files import IDS
from distill.data.blocks import prepare_blocks
from distill.data.separators import separators
from distill.models.loading import load_tokenizer

LEXICON = load_lexicon()


def test_separators_by_default_and_by_name(tokenizer):
    assert separators(tokenizer, None) == ([tokenizer.bos_token_id], [])
    assert separators(tokenizer, "Ġshe") == ([tokenizer.get_vocab()["Ġshe"]], [])
    assert separators(tokenizer, " she") == separators(tokenizer, "Ġshe")
    assert separators(tokenizer, "\n") == ([tokenizer.get_vocab()["Ċ"]], [])
    with pytest.raises(ValueError, match=r"data.separator '' is not a token"):
        separators(tokenizer, "")
    with pytest.raises(ValueError, match=r"data.separator '<nope>' is not a token of the tokenizer"):
        separators(tokenizer, "<nope>")


@pytest.fixture
def settings(small_world, tmp_path) -> DataConfig:
    return DataConfig(
        path=str(small_world / "train.jsonl"), seq_len=48, cache_dir=str(tmp_path / "cache"), heldout_fraction=0.2
    )


def rows(dataset) -> list:
    return [[list(row[name]) for name in IDS] for row in dataset]


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


def test_training_text_that_is_also_held_out_is_refused(tmp_path, tokenizer):
    """By another spelling, behind a link, as a copy, and as the only file of a folder."""
    corpus, folder = tmp_path / "c.jsonl", tmp_path / "copies"
    corpus.write_text("".join(json.dumps({"text": f"She met him {number} times."}) + "\n" for number in range(30)))
    folder.mkdir()
    copy = Path(shutil.copy(corpus, folder / "copy.jsonl"))
    (tmp_path / "link.jsonl").symlink_to(corpus)
    shared = {"path": str(corpus), "seq_len": 16, "cache_dir": str(tmp_path / "cache")}
    for heldout in (f"{tmp_path}/./c.jsonl", tmp_path / "link.jsonl", copy, folder):
        settings = DataConfig(**shared, heldout_path=str(heldout))
        with pytest.raises(ValueError, match="data.heldout_path .* holds the text of data.path .*set it to null"):
            prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    copy.write_text(json.dumps({"text": "She met others."}) + "\n")
    settings = DataConfig(**shared, heldout_path=str(copy))
    assert len(prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0).heldout) == 1


def test_an_empty_side_of_the_split_is_refused_and_leaves_nothing(tmp_path, tokenizer):
    (tmp_path / "c.txt").write_text("One document only.\n")
    settings = DataConfig(path=str(tmp_path / "c.txt"), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="is empty; give more text, another data.heldout_fraction"):
        prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


class Killed(BaseException):
    """Raised where a process would be killed."""


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
    real, names = data_module.write_blocks, []

    def write_blocks(path: Path, blocks, is_masked):
        names.append(path.name)
        if path.name == "train-00002.arrow" and names.count(path.name) == 1:
            path.write_bytes(b"half of a shard")
            raise Killed
        return real(path, blocks, is_masked)

    monkeypatch.setattr(data_module, "write_blocks", write_blocks)
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

    monkeypatch.setattr(block_files, "sync", full)
    with pytest.raises(OSError, match=r"cannot be written into .*\(No space left.*; make room, or set data.cache_dir"):
        prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert len(list((tmp_path / "cache").glob("*.partial"))) == 1


def test_a_cache_that_cannot_be_written_is_named_with_its_setting(settings, tokenizer, tmp_path, monkeypatch):
    def prepare() -> None:
        prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)

    (tmp_path / "cache").write_text("a file")
    with pytest.raises(
        OSError, match=r"blocks cannot be written into .*cache \(File exists\); set data.cache_dir to a"
    ):
        prepare()
    (tmp_path / "cache").unlink()
    for code, message in (
        (errno.ENOSPC, "No space left.*; make room"),
        (errno.EROFS, "Read-only.*; set data.cache_dir"),
    ):

        def fail(path: Path, *_: object, code: int = code) -> None:
            raise OSError(code, os.strerror(code), str(path))

        monkeypatch.setattr(data_module, "write_text", fail)  # of the corpus's fingerprint
        with pytest.raises(OSError, match=rf"blocks cannot be written into .*cache \({message}"):
            prepare()


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


@pytest.mark.slow
def test_several_workers_give_the_same_blocks(settings, tokenizer, tmp_path):
    alone = prepare_blocks(settings, AugmentConfig(), LEXICON, tokenizer, seed=0)
    other = DataConfig(**(vars(settings) | {"num_proc": 2, "cache_dir": str(tmp_path / "other")}))
    together = prepare_blocks(other, AugmentConfig(), LEXICON, tokenizer, seed=0)
    assert rows(together.train) == rows(alone.train)
    assert together.info == alone.info
