"""Turn a corpus into packed blocks of counterfactual pairs, cached on disk.

The first process to need them builds the blocks, into a folder whose name is a hash of everything that determines
them; all others read them from there, memory-mapped. The corpus is read as a stream and written in shards, so memory
does not grow with it, and an interrupted build continues after its last whole shard.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset
from filelock import FileLock
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerFast

from augment.lexicon import Lexicon
from distill.config import AugmentConfig, CanaryConfig, DataConfig
from distill.data import corpus
from distill.data.batches import BlockStates
from distill.data.block_files import read_shards, write_blocks
from distill.data.canaries import with_canaries
from distill.data.chat_template import template_of
from distill.data.documents import Document
from distill.data.packing import PairedDocument, pack, pack_apart
from distill.data.pairing import first_parts, in_parts, pair_all, pairing_settings
from distill.data.pieces import Documents, read_documents_of, write_num_pieces
from distill.data.split import chosen_documents, substitution, train_and_heldout
from distill.files import write_text, writing
from distill.settings import to_dict

# Raise this number whenever the same text and settings can give other blocks (reading, alignment, packing, the split):
# cached blocks of another version are not used. tests/distill/data/test_blocks_version.py says when.
BLOCKS_VERSION = 3
CHARACTERS_PER_SHARD = 2**26


class Blocks(NamedTuple):
    """The packed blocks of a corpus; the columns are the fields of PairedExample and their checksum.

    info: counts and fingerprints. key: a hash of everything that determines the blocks. states: reads the teacher's
    cached states of training blocks, heldout_states those of held-out blocks; None if they are not cached. documents:
    which training blocks belong to which document, if no block holds pieces of several.
    """

    train: Dataset
    heldout: Dataset
    info: dict[str, Any]
    key: str = ""
    states: Callable[[Sequence[int]], BlockStates] | None = None
    heldout_states: Callable[[Sequence[int]], BlockStates] | None = None
    documents: Documents | None = None


# -- building and caching --------------------------------------------------------------------------------------------


def prepare_blocks(
    data: DataConfig,
    augmentation: AugmentConfig,
    lexicon: Lexicon,
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    num_ids: int | None = None,
    canaries: CanaryConfig | None = None,
    by_document: bool = False,
    chosen: Sequence[int] | None = None,
    heldout_blocks: int | None = None,
) -> Blocks:
    """The blocks of a corpus, from the cache or built into it. Any number of processes may call this at once.

    seed: for augmentation mode `substitute`, which documents it replaces; and for the canaries, if any. num_ids: how
    many ids the models know, if the tokenizer has more. by_document: whether each training block holds a piece of one
    document only. chosen: pack only the training documents of these numbers, and no held-out ones. heldout_blocks: pack
    only the held-out documents, and of them only the first so many blocks. Raises ValueError or OSError with one
    message for bad text, damaged blocks or a full disk.
    """
    pairing = pairing_settings(data, lexicon, tokenizer, num_ids)
    cache = Path(data.cache_dir)
    with writing("the blocks", cache, "data.cache_dir", "; finished shards are kept"):
        cache.mkdir(parents=True, exist_ok=True)
        identity = _identity(data, augmentation, pairing, seed)
        if canaries is not None:
            identity["canaries"] = [to_dict(canaries), seed]
        if by_document:
            identity["by_document"] = True
        if chosen is not None:
            identity["documents"] = list(chosen)
        if heldout_blocks is not None:
            identity["heldout_blocks"] = heldout_blocks
        corpus.check_heldout(data, identity["corpus"], identity["heldout_corpus"])
        folder = cache / hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
        if not folder.exists():
            with FileLock(f"{folder}.lock"):
                if not folder.exists():  # another process may have built it while this one waited for the lock
                    if chosen is None:  # of many clients, each line would be one of many
                        _announce(folder, data, "blocks" if heldout_blocks is None else "held-out blocks")
                    _build(folder, data, augmentation, pairing, seed, canaries, by_document, chosen, heldout_blocks)
    try:
        info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
        sides = {name: read_shards(folder, name, counts["num_blocks"]) for name, counts in info.items()}
        pieces = read_documents_of(folder, info["train"], sides["train"]) if by_document else None
    except Exception as error:  # damaged bytes fail in many ways
        reason = " ".join(str(error).split())
        raise ValueError(f"the cached blocks in {folder} cannot be read ({reason}); remove that folder") from error
    if heldout_blocks is not None:
        info["blocks_version"] = BLOCKS_VERSION  # a stream is no other one when it resumes
    recorded = ("corpus", "heldout_corpus", "lexicon", "chat_template")
    info |= {name: value for name, value in identity.items() if name in recorded}
    none = next(iter(sides.values())).select([])
    return Blocks(sides.get("train", none), sides.get("heldout", none), info, folder.name, documents=pieces)


def _announce(folder: Path, data: DataConfig, what: str) -> None:
    """Say that blocks are being prepared, because that can take long."""
    num_others = len(list(folder.parent.glob("*/info.json")))
    hint = f" (folders beside it for other text, settings or versions: {num_others})" if num_others else ""
    verb = "continuing to prepare" if folder.with_name(folder.name + ".partial").exists() else "preparing"
    print(f"{verb} the {what} of {data.path} in {folder}{hint}", file=sys.stderr, flush=True)


def _identity(data: DataConfig, augmentation: AugmentConfig, pairing: dict[str, Any], seed: int) -> dict[str, Any]:
    """Everything that determines the blocks, including the version of the code. pairing: arguments of `pair_texts`."""
    template = {"chat_template": template_of(pairing["tokenizer"]).fingerprint} if data.format == "chat" else {}
    return {
        **sources(data, pairing["lexicon"]),
        "heldout_fraction": None if data.heldout_path else data.heldout_fraction,
        "reading": [data.text_field, data.txt_document, data.max_documents],
        "tokenizer": pairing["tokenizer"].backend_tokenizer.to_str(),
        "separators": [pairing["prefix_ids"], pairing["suffix_ids"]],
        "seq_len": data.seq_len,
        "substitution": [augmentation.fraction, seed] if augmentation.mode == "substitute" else None,
        "version": BLOCKS_VERSION,
        **{name: value for name, value in pairing.items() if name == "num_ids"},
        **({} if data.format == "text" else {"format": data.format}),
        **template,
    }


def sources(data: DataConfig, lexicon: Lexicon) -> dict[str, str | None]:
    """The fingerprints, as of now, of what blocks are made from: `corpus`, `heldout_corpus` and `lexicon`."""
    return {
        "corpus": corpus.stored_fingerprint(data),
        "heldout_corpus": corpus.stored_fingerprint(data, heldout=True) if data.heldout_path else None,
        "lexicon": lexicon.fingerprint,
    }


# -- building --------------------------------------------------------------------------------------------------------


def _build(
    folder: Path,
    data: DataConfig,
    augmentation: AugmentConfig,
    pairing: dict[str, Any],
    seed: int,
    canaries: CanaryConfig | None,
    by_document: bool,
    chosen: Sequence[int] | None,
    heldout_blocks: int | None,
) -> None:
    """Write the blocks and their info.json into a temporary folder, then rename it: `folder` is complete if it exists.

    Whole shards of an interrupted build are used. Bad data removes them, because repairing it changes the corpus.
    """
    if chosen is not None:
        sides = {"train": chosen_documents(data, chosen)}
    else:
        train, heldout = train_and_heldout(data)
        sides = {"train": with_canaries(train, data, canaries, seed), "heldout": heldout}
    if heldout_blocks is not None:
        del sides["train"]
    aside = folder.with_name(folder.name + ".partial")
    aside.mkdir(exist_ok=True)
    try:
        info = {}
        for name, part in sides.items():
            apart = by_document and name == "train"
            divided = first_parts if apart else in_parts
            documents: Iterator[Document] = divided(map(str, part)) if data.format == "text" else part
            drawn = substitution(augmentation if name == "train" else AugmentConfig(), seed)
            info[name] = _write_part(aside / name, documents, drawn, pairing, data, apart, heldout_blocks)
        write_text(aside / "info.json", json.dumps(info, indent=2) + "\n")
        aside.rename(folder)
    except ValueError:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _write_part(
    stem: Path,
    documents: Iterator[Document],
    is_substituted: Callable[[str], bool],
    pairing: dict[str, Any],
    data: DataConfig,
    apart: bool,
    limit: int | None,
) -> dict[str, int]:
    """Write the shards (stem-00000.arrow and so on) of one side of the split, after those that exist; returns counts.

    pairing: the arguments of `pair_texts`. apart: whether a block holds a piece of one document only; their numbers per
    document then stand in stem-00000.npy and so on. limit: the number of blocks after which it ends, so that no
    more is read than that needs. Raises ValueError if there is not a single block.
    """
    done = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(stem.parent.glob(f"{stem.name}-*.json"))]
    num_done = sum(counts["num_documents"] for counts in done)
    num_proc = data.num_proc if limit is None else 1  # several would read far ahead
    with closing(pair_all(islice(documents, num_done, None), pairing, num_proc)) as paired:
        about = f"pairing the {stem.name} text"
        bar = tqdm(paired, about, None, False, initial=num_done, unit=" documents", unit_scale=True)
        for shard in () if _is_full(done, limit) else shards(iter(bar)):
            counts: Counter[str] = Counter()
            flagged = ((document, is_substituted(document.pair.original)) for document in shard)
            file = stem.with_name(f"{stem.name}-{len(done):05d}.arrow")
            counted, num_pieces = _count(flagged, counts), list[int]()
            blocks = pack_apart(counted, data.seq_len, num_pieces) if apart else pack(counted, data.seq_len)
            blocks = islice(blocks, None if limit is None else limit - _num_blocks(done))
            done.append(write_blocks(file, blocks, data.format != "text") | counts)
            if apart:
                write_num_pieces(file, num_pieces)
            write_text(file.with_suffix(".json"), json.dumps(done[-1]))
            if _is_full(done, limit):
                break
    if _num_blocks(done) == 0:
        raise ValueError(
            f"the {stem.name} part of corpus {data.path} is empty; give more text, another data.heldout_fraction or a "
            "data.heldout_path"
        )
    return {key: sum(counts[key] for counts in done) for key in done[0]}


def _is_full(done: list[dict[str, int]], limit: int | None) -> bool:
    """Whether the shards that are written, of these counts, hold all `limit` blocks. An interrupted build may."""
    return limit is not None and _num_blocks(done) >= limit


def _num_blocks(done: list[dict[str, int]]) -> int:
    """The blocks in the shards that are written, of these counts."""
    return sum(counts["num_blocks"] for counts in done)


def shards(documents: Iterator[PairedDocument], num_characters: int = 0) -> Iterator[Iterator[PairedDocument]]:
    """The documents in shards of at least CHARACTERS_PER_SHARD characters, each to be consumed before the next one.

    num_characters: how many the first shard has already.
    """

    def part(first: PairedDocument, num_characters: int) -> Iterator[PairedDocument]:
        for document in chain([first], documents):
            yield document
            num_characters += len(document.pair.original)
            if num_characters >= CHARACTERS_PER_SHARD:
                return

    for first in documents:
        yield part(first, num_characters)
        num_characters = 0


def _count(
    documents: Iterable[tuple[PairedDocument, bool]], counts: Counter[str]
) -> Iterator[tuple[PairedDocument, bool]]:
    """Pass documents and their flags on, and count the documents in `counts`."""
    for document, flag in documents:
        counts["num_documents"] += 1
        counts["num_words"] += len(document.pair.original.split())
        counts["num_pairs"] += bool(document.pair.edits)
        counts["num_edits"] += len(document.pair.edits)
        yield document, flag
