"""Build the corpus of the studies on real text: DIR/train.jsonl and DIR/heldout.jsonl, from articles and novels.

    python -m study.corpus --out DIR [--people FILE.jsonl] FILE:FIELD [FILE:FIELD ...]

FILE is a .jsonl or .jsonl.gz file whose rows have a field `text`. FIELD is the field that names a row's work (`title`,
`book`). A hash of its name decides whether a work is held out, so that no article or novel is on both sides. Every work
is cut into documents of whole paragraphs. Another hash puts the documents in a fixed order that mixes the files. With
--people the training part is half texts of `evenhand people` and half documents, by characters. If DIR was made from
the same files, nothing happens. If DIR holds another corpus, the command refuses.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from pathlib import Path

from augment.command_line import exit_code
from augment.files.texts import encodable_text_of, open_bytes, parse_row, text_of
from distill.files import write_text

MIN_CHARACTERS = 1500  # of a document; the last document of a work may be shorter
HELDOUT_FRACTION = 0.03  # of the works


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="FILE:FIELD", help="a file, and its field that names a work")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write")
    parser.add_argument("--people", metavar="FILE.jsonl", help="texts of `evenhand people`: half of the training part")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _write(options))


def _write(options: argparse.Namespace) -> None:
    people = [] if options.people is None else [f"{options.people}:text"]
    sources = json.dumps([_fingerprint(source) for source in (*options.sources, *people)], indent=2) + "\n"
    record = options.out / "sources.json"  # written last: a folder that has it is complete
    if record.exists() and record.read_text(encoding="utf-8") == sources:
        print(f"{options.out} was made from these files already; nothing to do")
        return
    if record.exists() or all((options.out / f"{name}.jsonl").exists() for name in ("train", "heldout")):
        raise ValueError(f"{options.out} was not made from these files; remove it, or choose another --out")
    train, heldout = split(options.sources)
    if options.people is not None:
        train = half_of_each(train, [text for _, text in _works_and_texts(Path(options.people), "text")])
    options.out.mkdir(parents=True, exist_ok=True)
    for name, documents in (("train", train), ("heldout", heldout)):
        lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents]
        write_text(options.out / f"{name}.jsonl", "".join(lines))
    write_text(record, sources)
    print(f"{options.out}: {len(train)} training and {len(heldout)} held-out documents")


def split(sources: Sequence[str]) -> tuple[list[str], list[str]]:
    """The training and the held-out documents of all files. Raises ValueError, naming file, line and field."""
    parts: tuple[list[str], list[str]] = ([], [])
    for source in sources:
        path, _, field = source.rpartition(":")
        for work, rows in groupby(_works_and_texts(Path(path), field), key=lambda row: row[0]):
            is_heldout = _hash(work) < HELDOUT_FRACTION
            parts[is_heldout].extend(documents(text for _, text in rows))
    for part, name in zip(parts, ("training", "held-out"), strict=True):
        if not part:
            raise ValueError(f"{', '.join(sources)}: no work falls into the {name} part; give more works")
        part.sort(key=_hash)
    return parts


def half_of_each(documents: Sequence[str], texts: Sequence[str]) -> list[str]:
    """All texts, mixed with as many of the first documents as have their characters. Raises ValueError without that."""
    ends = list(accumulate(map(len, documents)))
    num_characters = sum(map(len, texts))
    if not texts or not ends or ends[-1] < num_characters:
        raise ValueError(
            f"--people has {num_characters:,} characters, the documents {ends[-1] if ends else 0:,}; half of the "
            "training part is of each, so give texts, and more works than texts"
        )
    num_documents = bisect_left(ends, num_characters) + 1
    return sorted([*texts, *documents[:num_documents]], key=_hash)


def documents(texts: Iterable[str]) -> Iterator[str]:
    """Cut the texts of one work into documents: whole paragraphs, joined until they have MIN_CHARACTERS."""
    paragraphs: list[str] = []
    for text in texts:
        for paragraph in filter(None, map(str.strip, text.split("\n"))):
            paragraphs.append(paragraph)
            if sum(map(len, paragraphs)) >= MIN_CHARACTERS:
                yield "\n".join(paragraphs)
                paragraphs = []
    if paragraphs:
        yield "\n".join(paragraphs)


def _fingerprint(source: str) -> tuple[str, str]:
    """FILE:FIELD without the file's folder, and the SHA-256 of the file. Raises ValueError or FileNotFoundError."""
    name, _, field = source.rpartition(":")
    if not name:
        raise ValueError(f"{source!r} is not FILE:FIELD; add the field that names a row's work, such as {source}:title")
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give FILE:FIELD with an existing .jsonl or .jsonl.gz file")
    with path.open("rb") as file:
        return f"{path.name}:{field}", hashlib.file_digest(file, "sha256").hexdigest()


def _works_and_texts(path: Path, field: str) -> Iterator[tuple[str, str]]:
    """The name of the work, and the text, of each row. Raises ValueError, naming file, line and field."""
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = parse_row(line)
                work, text = text_of(row, field, "FILE:FIELD"), encodable_text_of(row, "text", "FILE:FIELD")
            except ValueError as error:
                raise ValueError(f"{path}:{number} {error}") from None
            yield work, text


def _hash(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


if __name__ == "__main__":
    sys.exit(main())
