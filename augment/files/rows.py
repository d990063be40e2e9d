"""Swap a block of rows: what a worker does, for every file format and for `datasets.map`.

Rows that cannot be read are listed with their number and reason, and every row that is left out is counted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from augment.files.tables import check_column
from augment.files.texts import decode, parse_row, text_of
from augment.lexicon import Lexicon
from augment.pair import CounterfactualPair
from augment.swap import Reader, swap
from augment.tagger import load_reader

PAIR_COLUMNS = ("counterfactual", "edits")


@dataclass(frozen=True)
class RowOptions:
    """What to do with each row.

    text_field: the JSON or Parquet column of the text. pairs: add the columns PAIR_COLUMNS instead of replacing the
    text. min_confidence: rows whose least certain edit is below it are left out and counted. spacy_model: an installed
    spaCy model that decides her and his in place of the built-in rules.
    """

    lexicon: Lexicon
    text_field: str = "text"
    pairs: bool = False
    min_confidence: float = 0.0
    spacy_model: str = ""


@cache
def _reader(spacy_model: str) -> Reader:
    return load_reader(spacy_model)


@dataclass
class Counts:
    """Totals over rows. `num_lines` counts blank lines too; `num_words` are blank-separated words of the originals."""

    num_lines: int = 0
    num_rows: int = 0
    num_changed: int = 0
    num_unsure: int = 0
    num_malformed: int = 0
    num_words: int = 0
    num_masculine_to_feminine: int = 0
    num_feminine_to_masculine: int = 0

    def add(self, other: "Counts") -> None:
        """Add another block's totals."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class Block:
    """A swapped block: output rows, totals, and (row number within the block, reason) of malformed rows."""

    lines: list[bytes] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    malformed: list[tuple[int, str]] = field(default_factory=list)


def swap_counted(text: str, options: RowOptions, counts: Counts) -> CounterfactualPair | None:
    """Swap a text and count it. Returns None if an edit is too uncertain, so that the row must be left out."""
    pair = swap(text, options.lexicon, _reader(options.spacy_model) if options.spacy_model else None)
    counts.num_rows += 1
    counts.num_words += len(text.split())
    if pair.edits:
        if pair.confidence < options.min_confidence:
            counts.num_unsure += 1
            return None
        counts.num_changed += 1
        counts.num_masculine_to_feminine += pair.num_masculine_to_feminine
        counts.num_feminine_to_masculine += pair.num_feminine_to_masculine
    return pair


def swap_text_lines(lines: Sequence[bytes], options: RowOptions) -> Block:
    """Swap the lines of a .txt file. Line ends stay as they are."""
    block = Block(counts=Counts(num_lines=len(lines)))
    for number, raw in enumerate(lines):
        try:
            text = decode(raw)
        except ValueError as error:
            _reject(block, number, str(error))
            continue
        pair = swap_counted(text, options, block.counts)
        if pair is not None:
            block.lines.append(pair.counterfactual.encode("utf-8") if pair.edits else raw)
    return block


def swap_json_lines(lines: Sequence[bytes], options: RowOptions) -> Block:
    """Swap the text field of JSON lines. An unchanged row keeps its bytes; blank lines stay."""
    block = Block(counts=Counts(num_lines=len(lines)))
    for number, raw in enumerate(lines):
        if not raw.strip():
            block.lines.append(raw)
            continue
        try:
            row = parse_row(raw)
            text = text_of(row, options.text_field, "--field")
            taken = [name for name in PAIR_COLUMNS if options.pairs and name in row]
            if taken:
                raise ValueError(f"has a field {taken[0]!r}, which --pairs would add; rename it or leave it out")
        except ValueError as error:
            _reject(block, number, str(error))
            continue
        pair = swap_counted(text, options, block.counts)
        if pair is None:
            continue
        if not pair.edits and not options.pairs:
            block.lines.append(raw)
            continue
        row |= edit_columns(pair) if options.pairs else {options.text_field: pair.counterfactual}
        end = b"\n" if raw.endswith(b"\n") else b""
        block.lines.append(_dump(row).encode("utf-8") + end)
    return block


def _dump(row: dict[str, Any]) -> str:
    dumped = json.dumps(row, ensure_ascii=False)
    try:
        dumped.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, which JSON can escape and UTF-8 cannot hold
        return json.dumps(row)
    return dumped


def edit_columns(pair: CounterfactualPair) -> dict[str, Any]:
    """The columns that `pairs` adds for one row: the counterfactual and its edits."""
    edits = [
        {
            "start": e.start,
            "end": e.end,
            "source": e.source,
            "target": e.target,
            "rule": e.rule,
            "confidence": round(e.confidence, 4),
        }
        for e in pair.edits
    ]
    return {"counterfactual": pair.counterfactual, "edits": edits}


def _reject(block: Block, number: int, reason: str) -> None:
    block.counts.num_rows += 1
    block.counts.num_malformed += 1
    block.malformed.append((number, reason))


def swap_column(texts: Sequence[Any], options: RowOptions) -> tuple[list[int], list[CounterfactualPair], Block]:
    """Swap the texts of a column. Returns the numbers of the rows that stay, their pairs, and a block without lines."""
    block = Block(counts=Counts(num_lines=len(texts)))
    kept: list[int] = []
    pairs: list[CounterfactualPair] = []
    for number, value in enumerate(texts):
        try:
            text = text_of({options.text_field: value}, options.text_field, "--field")
        except ValueError as error:
            _reject(block, number, str(error))
            continue
        pair = swap_counted(text, options, block.counts)
        if pair is not None:
            kept.append(number)
            pairs.append(pair)
    return kept, pairs, block


def add_counterfactuals(
    batch: Mapping[str, list[Any]], text_field: str = "text", lexicon: Lexicon | None = None
) -> dict[str, list[Any]]:
    """For `dataset.map(add_counterfactuals, batched=True)`: the new columns `counterfactual` and `edits`.

    Bind other arguments with `functools.partial` or `fn_kwargs`. Raises ValueError when the field is absent.
    """
    check_column("the batch", batch, text_field, "text_field")
    added = [edit_columns(swap(text, lexicon)) for text in batch[text_field]]
    return {"counterfactual": [row["counterfactual"] for row in added], "edits": [row["edits"] for row in added]}
