"""Follow the swap of a file: the record that lets it resume, the list of malformed rows, and the progress bar."""

import hashlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from augment.files.rows import Block, Counts, RowOptions
from augment.files.safe import write_text

REMEDY_FOR_DEAD_WORKERS = "run the same command with fewer --workers; it resumes where it stopped"


@dataclass(frozen=True)
class FileReport:
    """What was done. `counts` cover the whole file, interruptions included; the speed is that of the last run."""

    counts: Counts
    words_per_second: float
    malformed_path: Path | None


@dataclass
class Progress:
    """What a run has safely on disk.

    identity: a hash of the input and the options. position: how far into the input, in decompressed bytes (Parquet: in
    blocks). output_bytes, malformed_bytes: the sizes of the output and of the list of malformed rows. counts: so far.
    """

    identity: str
    position: int
    output_bytes: int
    malformed_bytes: int
    counts: Counts

    @staticmethod
    def load(path: Path, wanted: str) -> "Progress":
        """The progress noted at `path` if its identity is the `wanted` one, otherwise a fresh start."""
        fresh = Progress(wanted, 0, 0, 0, Counts())
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            return Progress(**{**noted, "counts": Counts(**noted["counts"])}) if noted["identity"] == wanted else fresh
        except (OSError, ValueError, KeyError, TypeError):
            return fresh


def identity(source: Path, options: RowOptions) -> str:
    """A hash of what must stay the same for a run to resume: the input's name, size and time, and the options."""
    stat = source.stat()
    about = (
        *(source.name, stat.st_size, stat.st_mtime_ns, options.text_field, options.pairs),
        *(options.min_confidence, options.spacy_model),
    )
    return hashlib.sha256(repr((about, options.lexicon.fingerprint)).encode()).hexdigest()


class Journal:
    """Keeps the progress of a swap in `<target>.progress` and its malformed rows in `<target>.malformed.jsonl`.

    Use it as a context manager around the work. It also shows the bar, and removes the note of progress at the end. If
    not `resumable`, because the output so far is gone, the work starts from the beginning.
    """

    def __init__(self, source: Path, target: Path, options: RowOptions, resumable: bool) -> None:
        self._note = target.with_name(target.name + ".progress")
        self._malformed = target.with_name(target.name + ".malformed.jsonl")
        if not resumable:
            self._note.unlink(missing_ok=True)
        begun = self._note.exists()
        self.progress = Progress.load(self._note, identity(source, options))
        if begun and not self.progress.position:
            print(f"{target}: begun with other rules, options or input; beginning again", file=sys.stderr)
        self._source = source
        self._words_before = self.progress.counts.num_words

    def __enter__(self) -> "Journal":
        self._begun = time.perf_counter()
        self._rejected = open_truncated(self._malformed, self.progress.malformed_bytes)
        size = self._source.stat().st_size
        self._bar = tqdm(total=size, unit="B", unit_scale=True, desc=self._source.name, disable=None)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._bar.close()
        self._rejected.close()
        if kind is None:
            self._note.unlink()
            if not self.progress.malformed_bytes:
                self._malformed.unlink()

    def add(self, block: Block, size: int, bytes_read: int) -> None:
        """Count a block, and list its malformed rows by their number, from 1.

        size: how far the block advances `position`. bytes_read: how much of the input file has been read, for the bar.
        """
        counts = self.progress.counts
        for number, reason in block.malformed:
            line = json.dumps({"line": counts.num_lines + number + 1, "reason": reason}, ensure_ascii=False)
            self._rejected.write(line.encode("utf-8") + b"\n")
        counts.add(block.counts)
        self.progress.position += size
        share = counts.num_changed / max(counts.num_rows, 1)
        self._bar.set_postfix_str(f"{self._rate():,.0f} words/s, {share:.1%} of rows changed", refresh=False)
        self._bar.update(bytes_read - self._bar.n)

    def save(self, out: IO[bytes] | None = None) -> None:
        """Bring `out` and the list of malformed rows to the disk, then note the progress."""
        for file in (self._rejected, out):
            if file is not None:
                file.flush()
                os.fsync(file.fileno())
        self.progress.malformed_bytes = self._rejected.tell()
        self.progress.output_bytes = out.tell() if out is not None else 0
        write_text(self._note, json.dumps(asdict(self.progress)))

    def report(self) -> FileReport:
        """What was done; call it when the work is complete."""
        malformed = self._malformed if self.progress.malformed_bytes else None
        return FileReport(self.progress.counts, self._rate(), malformed)

    def _rate(self) -> float:
        """Words per second of this run."""
        seconds = max(time.perf_counter() - self._begun, 1e-9)
        return (self.progress.counts.num_words - self._words_before) / seconds


def open_truncated(path: Path, size: int) -> IO[bytes]:
    """Open a file for writing at its end, after cutting it to `size` bytes; an absent file is created."""
    file = open(path, "r+b" if path.is_file() else "w+b")  # noqa: SIM115
    file.truncate(size)
    file.seek(size)
    return file
