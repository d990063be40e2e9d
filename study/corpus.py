"""Build the corpus of the studies on real text: DIR/train.jsonl and DIR/heldout.jsonl from articles and novels.

    python -m study.corpus --out DIR FILE:FIELD [FILE:FIELD ...]

FILE is a .jsonl.gz whose rows have a `text`; FIELD is the field that names the work of a row (`title`, `book`). Whole
works are held out, chosen by a hash of the name, so that no article or novel is on both sides. A work is cut into
documents of whole paragraphs. The order of the documents is fixed by a hash and mixes the files. If DIR was made from
the same files, nothing happens; any other DIR with a corpus is refused.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from distill.files import write_text

MIN_CHARACTERS = 1500  # of a document, except the last one of a work
HELDOUT_FRACTION = 0.03  # of the works


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="FILE:GROUP")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        sources = json.dumps([_source(one) for one in options.sources], indent=2) + "\n"
        record = options.out / "sources.json"  # written last: with it the folder is whole
        if record.exists() and record.read_text(encoding="utf-8") == sources:
            print(f"{options.out} is there already, nothing to do")
            return 0
        if record.exists() or all((options.out / f"{name}.jsonl").exists() for name in ("train", "heldout")):
            raise ValueError(f"{options.out} was not made from these files; remove it, or choose another --out")
        train, heldout = split(options.sources)
        options.out.mkdir(parents=True, exist_ok=True)
        for name, documents in (("train", train), ("heldout", heldout)):
            lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents]
            write_text(options.out / f"{name}.jsonl", "".join(lines))
        write_text(record, sources)
        print(f"{options.out}: {len(train)} training and {len(heldout)} held-out documents")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def split(sources: Sequence[str]) -> tuple[list[str], list[str]]:
    """Training and held-out documents of all files. Raises ValueError, naming file, line and field."""
    parts: tuple[list[str], list[str]] = ([], [])
    for source in sources:
        path, _, group = source.rpartition(":")
        for name, rows in groupby(_rows(Path(path), group), key=lambda row: row[group]):
            is_heldout = _hash(str(name)) < HELDOUT_FRACTION
            parts[is_heldout].extend(documents(row["text"] for row in rows))
    for documents_of_part, where in zip(parts, ("training", "held-out"), strict=True):
        if not documents_of_part:
            raise ValueError(f"{', '.join(sources)}: no work is left for the {where} part; give more of them")
        documents_of_part.sort(key=_hash)
    return parts


def documents(texts: Iterable[str]) -> Iterator[str]:
    """The texts of one work as documents: whole paragraphs, joined until there are MIN_CHARACTERS."""
    paragraphs: list[str] = []
    for text in texts:
        for paragraph in filter(None, map(str.strip, text.split("\n"))):
            paragraphs.append(paragraph)
            if sum(map(len, paragraphs)) >= MIN_CHARACTERS:
                yield "\n".join(paragraphs)
                paragraphs = []
    if paragraphs:
        yield "\n".join(paragraphs)


def _source(source: str) -> tuple[str, str]:
    """FILE:GROUP, without the file's folder, and the SHA-256 of its content. Raises ValueError or FileNotFoundError."""
    name, _, group = source.rpartition(":")
    if not name:
        raise ValueError(f"{source!r} is not FILE:GROUP; name the field of its works, such as {source}:title")
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give the path of a .jsonl.gz file and the field of its works")
    with path.open("rb") as file:
        return f"{path.name}:{group}", hashlib.file_digest(file, "sha256").hexdigest()


def _rows(path: Path, group: str) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path) as file:
            for number, line in enumerate(file, start=1):
                yield _row(line, group, f"{path}:{number}")
    except EOFError as error:
        raise ValueError(f"{path} ends too early ({error}); get it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a whole .gz file ({error}); compress it with gzip, or get it again") from error


def _row(line: bytes, group: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:  # of its encoding too
        raise ValueError(f"{place} is not JSON in UTF-8: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or group not in row:
        raise ValueError(f"{place} lacks the field text or {group!r}; name the field of its works")
    return row


def _hash(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


if __name__ == "__main__":
    sys.exit(main())
