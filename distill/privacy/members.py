"""Who was in a run's training data, and who could have been: documents that it has read, and those it held out."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from augment.lexicon import Lexicon, load_lexicon
from distill.config import RunConfig
from distill.data.blocks import prepare_blocks, sources
from distill.data.canaries import canaries, with_canaries
from distill.data.pairing import first_parts, in_parts
from distill.data.separators import separators
from distill.data.split import draw, is_drawn, train_and_heldout
from distill.models.run_models import RunModels
from distill.run.schedule import plan_schedule, training_indices
from distill.settings import load_config, replace

MIN_DOCUMENTS = 10  # of fewer, no attack says anything


class Groups(NamedTuple):
    """Texts that the run has read, and texts that it has not. is_random: whether a hash of the text told them apart,
    so that the two differ in nothing else.
    """

    members: list[str]
    others: list[str]
    is_random: bool


def read_run(folder: Path, corpus: str | None) -> RunConfig:
    """The configuration of a finished run. corpus: where its text is now, if not at data.path.

    Raises FileNotFoundError for what is no run folder, ValueError for a run that is not finished.
    """
    file = folder / "config.yaml"
    if not file.is_file():
        raise FileNotFoundError(
            f"{folder} is not a run folder (it has no config.yaml), so nobody knows what the model was trained on; "
            "name the folder that evenhand train has written"
        )
    config = load_config(RunConfig, file)
    if not (folder / "student").is_dir() or config.provenance is None:
        raise ValueError(f"{folder} is not a finished run (it has no student); finish it with evenhand train")
    if config.data.format != "text":
        raise ValueError(
            f"{folder} was trained on rows (data.format: {config.data.format}), but the audit reads plain text; audit "
            "a run on plain text instead"
        )
    if config.data.streaming:
        raise ValueError(
            f"{folder} has read its text as a stream (data.streaming), so it is not known which documents its steps "
            "have read; audit a run with data.streaming=false instead"
        )
    return config if corpus is None else replace(config, data=replace(config.data, path=corpus))


def check_corpus(folder: Path, config: RunConfig, lexicon: Lexicon) -> None:
    """Raise FileNotFoundError if the run's text is not at hand, ValueError if it is not the text of its training."""
    assert config.provenance is not None
    recorded: dict[str, Any] = config.provenance["data"]
    try:
        current = sources(config.data, lexicon)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"the text that {folder} was trained on is not at hand ({error}); without it nobody knows who was in it; "
            "put it back, or say where it is with --corpus"
        ) from error
    for name, path in (("corpus", config.data.path), ("heldout_corpus", config.data.heldout_path)):
        if current[name] != recorded[name]:
            raise ValueError(
                f"{path} has changed since {folder} was trained on it, so nobody knows who was in it; restore it, or "
                "say with --corpus where the former text is"
            )


def groups_of(config: RunConfig, models: RunModels, num: int) -> Groups:
    """At most `num` members and `num` others, drawn by a hash of the text.

    Raises ValueError for fewer than MIN_DOCUMENTS of either, and what `train_and_heldout` raises.
    """
    train, heldout = train_and_heldout(config.data)
    others = dict.fromkeys(_drawn(in_parts(map(str, heldout)), num))
    train = with_canaries(train, config.data, config.canaries, config.seed)
    planted = {canary.document for canary in canaries(config.canaries, config.seed)} if config.canaries else set()
    divided = in_parts if config.privacy is None else first_parts
    read = (text for text in _read_by_the_run(config, models, divided(map(str, train))) if text not in planted)
    members = _drawn(_without(read, others), num)
    if min(len(members), len(others)) < MIN_DOCUMENTS:
        raise ValueError(
            f"there are {len(members)} documents that the run has read and {len(others)} that it has not; an audit "
            f"needs at least {MIN_DOCUMENTS} of each; train longer, or hold out more (data.heldout_fraction)"
        )
    return Groups(members, list(others), config.data.heldout_path is None)


def view_in_training(config: RunConfig, text: str) -> bool:
    """Whether the run read, or would have read, the counterfactual of this text in its place."""
    return config.augment.mode == "substitute" and is_drawn(config.seed, config.augment.fraction, text)


def _drawn(texts: Iterable[str], num: int) -> list[str]:
    """At most `num` of the texts, each once; a hash decides, so their order makes no difference."""
    return list(dict(heapq.nsmallest(num, ((draw(f"audit:{text}"), text) for text in texts))).values())


def _without(texts: Iterable[str], others: dict[str, None]) -> Iterator[str]:
    """The texts; those that are also among the others are taken out of these: a user's held-out text may hold them."""
    for text in texts:
        others.pop(text, None)
        yield text


def _read_by_the_run(config: RunConfig, models: RunModels, documents: Iterable[str]) -> Iterator[str]:
    """The documents that the run has read from their first to their last token; of a private run, all."""
    assert config.provenance is not None
    if config.privacy is not None:  # its promise is about all that it could draw
        yield from documents
        return
    num_blocks = config.provenance["data"]["train"]["num_blocks"]
    schedule = plan_schedule(config, num_blocks, num_processes=1)
    num_read = schedule.max_steps * schedule.rows_per_step
    if min(num_read, schedule.num_samples or num_read) >= num_blocks:
        yield from documents
        return
    micro_batches = training_indices(schedule, num_blocks, config.seed, 0, rank=0, num_processes=1)
    read = np.zeros(num_blocks, dtype=bool)
    for indices in islice(micro_batches, schedule.max_steps * schedule.micro_steps):
        read[[index for index in indices if index >= 0]] = True
    for text, is_read in zip(documents, _documents_within(config, models, read), strict=True):
        if is_read:
            yield text


def _documents_within(config: RunConfig, models: RunModels, read: np.ndarray) -> list[bool]:
    """Of every training document whether all blocks that hold a piece of it are among `read` [num_blocks].

    The blocks one after another are the documents one after another, each behind a separator. Raises ValueError if the
    swap rules are not those of the run, or if a document holds the separator itself.
    """
    assert config.provenance is not None
    lexicon = load_lexicon(config.augment.tiers, config.augment.lexicon)
    if lexicon.fingerprint != config.provenance["data"]["lexicon"]:
        raise ValueError(
            "the run has read only a part of its text, and which part depends on the swap rules, which have changed "
            f"since; audit it with the version that trained it (git revision {config.provenance['git_revision']})"
        )
    blocks = prepare_blocks(
        config.data, config.augment, lexicon, models.tokenizer, config.seed, models.num_ids, config.canaries
    )
    (separator, *_), _ = separators(models.tokenizer, config.data.separator)
    within: list[bool] = []
    for index, is_read in enumerate(read):
        ids = blocks.train[index]["input_ids"]
        starts = int((ids == separator).sum())
        if ids[0] != separator:  # the last document goes on
            within[-1] &= bool(is_read)
        within += [bool(is_read)] * starts
    if len(within) != config.provenance["data"]["train"]["num_documents"]:
        raise ValueError(
            "a document of the run's text holds the token that separates documents, so it is not known which documents "
            "its steps have read; train for at least one epoch, or set data.separator"
        )
    return within
