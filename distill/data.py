"""Training data: a corpus and a tokenizer in; cached, packed blocks of counterfactual pairs and their batches out.

The blocks are built once, by whichever process comes first, into a folder whose name is a hash of everything that
determines them; every other process and every later run with the same settings reads them from there, memory-mapped.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from filelock import FileLock
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as MapDataset
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerFast

import augment
from augment.align import invert
from augment.lexicon import Lexicon
from distill import corpus, packing
from distill.config import AugmentConfig, DataConfig
from distill.packing import PairedDocument, PairedExample, pack, pair_texts

SCHEMA = pa.schema([(name, pa.list_(pa.int32())) for name in PairedExample._fields])
DOCUMENTS_PER_CHUNK = 256
BLOCKS_PER_RECORD_BATCH = 256
_worker_settings: dict[str, Any] = {}


class Blocks(NamedTuple):
    """The packed blocks of a corpus (rows: the fields of PairedExample) and what is known about them."""

    train: Dataset
    heldout: Dataset
    info: dict[str, Any]


class PairedBatch(NamedTuple):
    """Both views of B rows, padded on the right to T tokens. A NamedTuple survives device transfer and sharding.

    input_ids, cf_input_ids [B, T]; loss_mask, cf_loss_mask [B, T]: true where the prediction made *at* a position, of
    the token after it, is scored; align [B, T]: the position of the counterfactual whose prediction pairs with the one
    made here, or -1; cf_align [B, T]: the same the other way round; has_swap [B]: whether the views differ.

    There is no attention mask: all padding is on the right, where a causal model cannot see it.
    """

    input_ids: Tensor
    loss_mask: Tensor
    align: Tensor
    cf_input_ids: Tensor
    cf_loss_mask: Tensor
    cf_align: Tensor
    has_swap: Tensor

    def exchanged(self) -> PairedBatch:
        """The same batch with the roles of the two views exchanged."""
        return PairedBatch(*self[3:6], *self[:3], self.has_swap)

    def to(self, device: torch.device) -> PairedBatch:
        return PairedBatch(*(tensor.to(device, non_blocking=True) for tensor in self))


# -- building and caching --------------------------------------------------------------------------------------------


def prepare_blocks(
    data: DataConfig, augmentation: AugmentConfig, lexicon: Lexicon, tokenizer: PreTrainedTokenizerFast, seed: int
) -> Blocks:
    """The blocks of a corpus, from the cache or built into it. Any number of processes may call this at once.

    `seed` matters only to augmentation mode `substitute`, whose choice of documents it determines.
    """
    identity = _identity(data, augmentation, lexicon, tokenizer, seed)
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    folder = Path(data.cache_dir) / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        with FileLock(f"{folder}.lock"):
            if not folder.exists():  # another process may have built it while this one waited for the lock
                _build(folder, data, augmentation, lexicon, tokenizer, seed)
    try:
        info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
        train, heldout = (Dataset.from_file(str(folder / f"{name}.arrow")) for name in ("train", "heldout"))
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"the cached blocks in {folder} cannot be read ({reason}); remove that folder") from error
    info |= {name: identity[name] for name in ("corpus", "heldout_corpus", "lexicon")}
    return Blocks(train.with_format("numpy"), heldout.with_format("numpy"), info)


def separators(tokenizer: PreTrainedTokenizerFast, separator: str | None) -> tuple[list[int], list[int]]:
    """The token ids before and after each document.

    By default BOS before and EOS after, or, where they are one token or only one exists, that token before. A named
    `separator` replaces both. Raises ValueError if there is none.
    """
    if separator is not None:
        token_id = tokenizer.get_vocab().get(separator)
        if token_id is None:
            raise ValueError(f"data.separator {separator!r} is not a token of the tokenizer; give one that is")
        return [token_id], []
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if bos is None and eos is None:
        raise ValueError("the tokenizer has neither a BOS nor an EOS token; name one of its tokens in data.separator")
    if bos is None or eos is None or bos == eos:
        return [eos if bos is None else bos], []
    return [bos], [eos]


def _identity(
    data: DataConfig, augmentation: AugmentConfig, lexicon: Lexicon, tokenizer: PreTrainedTokenizerFast, seed: int
) -> dict[str, Any]:
    """Everything that determines the blocks, the source code that makes them included."""
    substitution = [augmentation.fraction, seed] if augmentation.mode == "substitute" else None
    sources = sorted(Path(augment.__file__).parent.glob("*.py"))
    sources += [Path(module.__file__ or "") for module in (corpus, packing)] + [Path(__file__)]
    return {
        "corpus": corpus.corpus_fingerprint(data),
        "heldout_corpus": corpus.corpus_fingerprint(data, heldout=True) if data.heldout_path else None,
        "heldout_fraction": None if data.heldout_path else data.heldout_fraction,
        "reading": [data.text_field, data.txt_document, data.max_documents],
        "tokenizer": tokenizer.backend_tokenizer.to_str(),
        "separators": separators(tokenizer, data.separator),
        "lexicon": lexicon.fingerprint,
        "seq_len": data.seq_len,
        "substitution": substitution,
        "code": [hashlib.sha256(source.read_bytes()).hexdigest() for source in sources],
    }


def _build(
    folder: Path,
    data: DataConfig,
    augmentation: AugmentConfig,
    lexicon: Lexicon,
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
) -> None:
    """Write the blocks and their info.json beside `folder`, then rename: a folder that exists is complete."""
    prefix, suffix = separators(tokenizer, data.separator)
    settings = {"tokenizer": tokenizer, "lexicon": lexicon, "prefix_ids": prefix, "suffix_ids": suffix}
    substituted = augmentation.fraction if augmentation.mode == "substitute" else 0.0
    info: dict[str, Any] = {}

    def write(name: str, texts: Iterable[str], fraction: float) -> None:
        counts = dict.fromkeys(("num_documents", "num_words", "num_pairs", "num_edits"), 0)
        documents = _count(_pair_all(texts, settings, data.num_proc), counts, name)
        flagged = ((document, _draw(f"{seed}:{document.pair.original}") < fraction) for document in documents)
        info[name] = _write_blocks(aside / f"{name}.arrow", pack(flagged, data.seq_len)) | counts
        if info[name]["num_blocks"] == 0:
            raise ValueError(
                f"the {name} part of corpus {data.path} is empty; give more text, another data.heldout_fraction "
                "or a data.heldout_path"
            )

    aside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)  # of a build that was killed
    aside.mkdir()
    try:
        if data.heldout_path is None:
            write("train", _split(data, heldout=False), substituted)
            write("heldout", _split(data, heldout=True), 0.0)
        else:
            write("train", islice(corpus.read_documents(data), data.max_documents), substituted)
            write("heldout", corpus.read_documents(data, heldout=True), 0.0)
        (aside / "info.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _split(data: DataConfig, heldout: bool) -> Iterator[str]:
    """The documents of one side of the split, which a hash of the text decides: duplicates fall on one side."""
    for text in islice(corpus.read_documents(data), data.max_documents):
        if (_draw(text) < data.heldout_fraction) == heldout:
            yield text


def _draw(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") / 2**64


def _pair_all(texts: Iterable[str], settings: dict[str, Any], num_proc: int) -> Iterator[PairedDocument]:
    """`pair_texts` over chunks of texts, on `num_proc` processes, in order and with a bounded number in flight."""
    iterator = iter(texts)
    chunks = iter(lambda: list(islice(iterator, DOCUMENTS_PER_CHUNK)), [])
    if num_proc == 1:
        for chunk in chunks:
            yield from pair_texts(chunk, **settings)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_proc, context, _start_worker, (settings,)) as pool:
        pending: deque[Future[list[PairedDocument]]] = deque()
        try:
            for chunk in chunks:
                pending.append(pool.submit(_pair_in_worker, chunk))
                if len(pending) >= 4 * num_proc:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        except BrokenProcessPool as error:
            raise OSError(
                f"a worker that pairs text has died, most likely for want of memory; lower data.num_proc ({num_proc})"
            ) from error


def _start_worker(settings: dict[str, Any]) -> None:
    """Keep lexicon and tokenizer in a worker: they are sent once, not with every chunk."""
    _worker_settings.update(settings)


def _pair_in_worker(chunk: list[str]) -> list[PairedDocument]:
    return pair_texts(chunk, **_worker_settings)


def _count(documents: Iterable[PairedDocument], counts: dict[str, int], name: str) -> Iterator[PairedDocument]:
    """Pass documents on, adding them up in `counts`, with a progress bar."""
    for document in tqdm(documents, desc=f"pairing the {name} text", unit=" documents", unit_scale=True, leave=False):
        counts["num_documents"] += 1
        counts["num_words"] += len(document.pair.original.split())
        counts["num_pairs"] += bool(document.pair.edits)
        counts["num_edits"] += len(document.pair.edits)
        yield document


def _write_blocks(path: Path, blocks: Iterable[PairedExample]) -> dict[str, int]:
    """Stream blocks into one Arrow file; returns their number and the number of tokens of the original view."""
    num_blocks = num_tokens = 0
    iterator = iter(blocks)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as writer:
        while chunk := list(islice(iterator, BLOCKS_PER_RECORD_BATCH)):
            columns = [pa.array([getattr(b, name) for b in chunk], SCHEMA.field(name).type) for name in SCHEMA.names]
            writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
            num_blocks += len(chunk)
            num_tokens += sum(len(block.input_ids) for block in chunk)
    return {"num_blocks": num_blocks, "num_tokens": num_tokens}


# -- batches ---------------------------------------------------------------------------------------------------------


def collate(examples: Sequence[PairedExample | None], seq_len: int) -> PairedBatch:
    """One batch, every row padded to `seq_len`. None gives a row of padding in which nothing is scored."""
    shape = (len(examples), seq_len)
    ids, cf_ids = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    align, cf_align = torch.full(shape, -1), torch.full(shape, -1)
    loss_mask, cf_loss_mask = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    has_swap = torch.zeros(len(examples), dtype=torch.bool)
    for row, example in enumerate(examples):
        if example is None:
            continue
        num, cf_num = len(example.input_ids), len(example.cf_input_ids)
        ids[row, :num] = torch.from_numpy(example.input_ids)
        cf_ids[row, :cf_num] = torch.from_numpy(example.cf_input_ids)
        align[row, :num] = torch.from_numpy(example.align)
        cf_align[row, :cf_num] = torch.from_numpy(invert(example.align, cf_num))
        loss_mask[row, : num - 1] = True
        cf_loss_mask[row, : cf_num - 1] = True
        has_swap[row] = not np.array_equal(example.input_ids, example.cf_input_ids)
    return PairedBatch(ids, loss_mask, align, cf_ids, cf_loss_mask, cf_align, has_swap)


def training_indices(
    num_blocks: int,
    num_samples: int | None,
    seed: int,
    start_step: int,
    step_size: int,
    micro_size: int,
    rank: int,
    num_processes: int,
) -> Iterator[list[int]]:
    """The blocks of each micro-batch of one process, from optimizer step `start_step` on; -1 stands for no block.

    Sample number s of a run is the same block whatever the number of processes and the size of micro-batches: block
    s mod num_blocks of a permutation drawn from (seed, epoch). So a run resumes, or changes its size, without any
    state. With `num_samples` the run ends after them, its last step short; otherwise it never ends.
    """
    order, order_epoch = np.zeros(0, dtype=np.int64), -1
    position = start_step * step_size
    while num_samples is None or position < num_samples:
        for micro_start in range(position + rank * micro_size, position + step_size, micro_size * num_processes):
            micro = []
            for sample in range(micro_start, micro_start + micro_size):
                epoch, within = divmod(sample, num_blocks)
                if epoch != order_epoch:
                    order, order_epoch = np.random.default_rng([seed, epoch]).permutation(num_blocks), epoch
                micro.append(int(order[within]) if num_samples is None or sample < num_samples else -1)
            yield micro
        position += step_size


def heldout_indices(num_blocks: int, micro_size: int, rank: int, num_processes: int) -> Iterator[list[int]]:
    """Every block once over all processes, in as many micro-batches on each: the last ones are filled up with -1."""
    for start in range(0, num_blocks, micro_size * num_processes):
        first = start + rank * micro_size
        yield [index if index < num_blocks else -1 for index in range(first, first + micro_size)]


def batches(blocks: Dataset, indices: Iterable[list[int]], seq_len: int) -> DataLoader:
    """A loader of PairedBatch over the given micro-batches of block indices."""
    return DataLoader(
        _Rows(blocks),
        batch_sampler=indices,
        collate_fn=partial(collate, seq_len=seq_len),
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # of its own: starting an epoch must not touch the state that dropout draws from
    )


class _Rows(MapDataset):
    """Blocks by index, None for -1."""

    def __init__(self, blocks: Dataset) -> None:
        self.blocks = blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> PairedExample | None:
        if index < 0:
            return None
        row = self.blocks[index]
        return PairedExample(*(np.asarray(row[name], dtype=np.int64) for name in PairedExample._fields))
