"""Measure speed and memory of the augmenter on corpus files, and write one dated JSON record.

    python -m benchmarks.augmenter_speed CORPUS.jsonl.gz [...] [--max-words 1500000] [--out FOLDER]

writes augment_DATE.json beside this file, or into FOLDER. For each corpus the record holds

- the words per second of `swap` on one core (wall and CPU time, best of three, texts in memory);
- for the whole command on about 130 MB of JSON lines, with one and with two workers: words per second, CPU seconds of
  the parent and of all processes, and the ratio of the two speeds;
- the command's peak memory on about 10 MB, to compare with that on 130 MB.

It also holds the time to import the package. Words are separated by white space and counted in the original. The record
says how busy the machine was, because wall times and the ratio mean something on an idle machine only.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from augment import load_lexicon, swap
from augment.files.texts import read_texts

ROOT = Path(__file__).resolve().parents[1]
SMALL_MB, LARGE_MB = 10, 130


def main() -> None:
    """Measure every corpus, write the record and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="+")
    parser.add_argument("--max-words", type=int, default=1_500_000, help="how many words of each corpus to use")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the record")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record: dict[str, object] = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "num_cores": os.cpu_count(),
        "load_average_at_start": round(os.getloadavg()[0], 2),
        "lexicon": load_lexicon().fingerprint[:12],
        "import_seconds": measure_import(),
    }
    with tempfile.TemporaryDirectory() as folder:
        for path in options.corpus:
            record[path.name] = measure_corpus(first_texts(path, options.max_words), Path(folder))
    text = json.dumps(record, indent=1)
    (options.out / f"augment_{record['date']}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def first_texts(path: Path, max_words: int) -> list[str]:
    """Read the first texts of a corpus, until they have `max_words` words."""
    texts, num_words = [], 0
    for text in read_texts(path):
        texts.append(text)
        num_words += len(text.split())
        if num_words >= max_words:
            break
    return texts


def measure_corpus(texts: list[str], folder: Path) -> dict[str, object]:
    """Measure `swap` and the command on one corpus."""
    small = run_command(write_lines(texts, SMALL_MB, folder / "small.jsonl"), folder, 1)
    source = write_lines(texts, LARGE_MB, folder / "large.jsonl")
    one_worker, two_workers = run_command(source, folder, 1), run_command(source, folder, 2)
    return {
        "swap": measure_swap(texts),
        f"command_{SMALL_MB}_mb_1_worker": small,
        f"command_{LARGE_MB}_mb_1_worker": one_worker,
        f"command_{LARGE_MB}_mb_2_workers": two_workers,
        "ratio_2_workers": round(two_workers["words_per_second"] / one_worker["words_per_second"], 3),
    }


def measure_swap(texts: list[str]) -> dict[str, float]:
    """Measure the words per second of `swap` on one core, best of three passes."""
    swap("He left.")  # builds the tables
    num_words = sum(len(text.split()) for text in texts)
    wall, cpu = [], []
    for _ in range(3):
        begun, cpu_begun = time.perf_counter(), time.process_time()
        for text in texts:
            swap(text)
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - cpu_begun)
    return {
        "num_words": num_words,
        "words_per_second_wall": round(num_words / min(wall)),
        "words_per_second_cpu": round(num_words / min(cpu)),
    }


def run_command(source: Path, folder: Path, num_workers: int) -> dict[str, float]:
    """Run the streamed swap once in new processes. In the result, `peak_mib` is the parent's peak memory."""
    target = folder / "out.jsonl"
    command = [sys.executable, "-m", "benchmarks.swap_once", str(source), str(target), str(num_workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    target.unlink()
    return dict(json.loads(done.stdout))


def measure_import() -> float:
    """Measure the seconds to import the package, best of five fresh interpreters."""
    code = "import time; t = time.perf_counter(); import augment; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
        for _ in range(5)
    ]
    return round(min(float(run) for run in runs), 4)


def write_lines(texts: list[str], megabytes: int, path: Path) -> Path:
    """Write the texts as JSON lines, again and again until the file has the size. Returns the path."""
    with path.open("w", encoding="utf-8") as out:
        out.writelines(_lines_up_to(texts, megabytes * 10**6))
    return path


def _lines_up_to(texts: list[str], num_bytes: int) -> Iterator[str]:
    written = 0
    while True:
        for text in texts:
            line = json.dumps({"text": text}, ensure_ascii=False) + "\n"
            yield line
            written += len(line.encode("utf-8"))
            if written >= num_bytes:
                return


if __name__ == "__main__":
    main()
