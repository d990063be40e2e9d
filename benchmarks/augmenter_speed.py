"""Speed and memory of the augmenter: corpus files in, one dated JSON record out.

`python -m benchmarks.augmenter_speed CORPUS.jsonl.gz [...]` measures and writes `augment_<date>.json` beside this file:

- per file, words per second of `swap` on one core (wall and CPU time, best of three, texts in memory);
- per file, the whole command on about 130 MB of JSON lines with one and with two workers: words per second, CPU seconds
  of the parent and of all processes, and the ratio of the two speeds;
- per file, peak memory of the command on about 10 MB, to compare with that on 130 MB;
- the time to import the package.

A word is what stands between blanks in the original. The record says how busy the machine was: wall times and the ratio
mean something on an idle machine only.
"""

import argparse
import gzip
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

_ROOT = Path(__file__).resolve().parents[1]
_SMALL_MB, _COMMAND_MB = 10, 130


def read_texts(path: Path, max_words: int) -> list[str]:
    """Texts of a JSON-lines file until `max_words` are reached."""
    texts, num_words = [], 0
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            texts.append(json.loads(line)["text"])
            num_words += len(texts[-1].split())
            if num_words >= max_words:
                break
    return texts


def measure_swap(texts: list[str]) -> dict[str, float]:
    """Words per second of swap on one core, best of three passes."""
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


_CHILD = """
import json, resource, sys
from pathlib import Path
from augment import load_lexicon
from augment.files.rows import RowOptions
from augment.files.stream import swap_file

def cpu_seconds(who):
    used = resource.getrusage(who)
    return round(used.ru_utime + used.ru_stime, 2)

if __name__ == "__main__":
    report = swap_file(Path(sys.argv[1]), Path(sys.argv[2]), RowOptions(load_lexicon()), int(sys.argv[3]))
    # VmHWM is this program's own peak; getrusage would report the size of the process that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(json.dumps({
        "words_per_second": round(report.words_per_second),
        "parent_cpu_seconds": cpu_seconds(resource.RUSAGE_SELF),
        "cpu_seconds": round(cpu_seconds(resource.RUSAGE_SELF) + cpu_seconds(resource.RUSAGE_CHILDREN), 2),
        "peak_mib": round(int(status["VmHWM"].split()[0]) / 1024, 1),
    }))
"""


def run_command(source: Path, folder: Path, num_workers: int) -> dict[str, float]:
    """One run of the streamed swap in processes of its own; `peak_mib` is the parent's peak memory."""
    script, target = folder / "child.py", folder / "out.jsonl"
    script.write_text(_CHILD, encoding="utf-8")
    arguments = [sys.executable, str(script), str(source), str(target), str(num_workers)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(_ROOT)})
    target.unlink()
    return dict(json.loads(done.stdout))


def measure_import() -> float:
    """Seconds to import the package, best of five fresh interpreters."""
    code = "import time; t = time.perf_counter(); import augment; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_ROOT).stdout
        for _ in range(5)
    ]
    return round(min(float(run) for run in runs), 4)


def write_lines(texts: list[str], megabytes: int, path: Path) -> Path:
    """JSON lines of the texts, repeated until the file has the size."""
    with open(path, "w", encoding="utf-8") as out:
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


def measure_file(texts: list[str], folder: Path) -> dict[str, object]:
    """Speed of `swap` and of the command on one corpus."""
    small = run_command(write_lines(texts, _SMALL_MB, folder / "small.jsonl"), folder, 1)
    source = write_lines(texts, _COMMAND_MB, folder / "large.jsonl")
    one, two = run_command(source, folder, 1), run_command(source, folder, 2)
    return {
        "swap": measure_swap(texts),
        f"command_{_SMALL_MB}_mb_1_worker": small,
        f"command_{_COMMAND_MB}_mb_1_worker": one,
        f"command_{_COMMAND_MB}_mb_2_workers": two,
        "ratio_2_workers": round(two["words_per_second"] / one["words_per_second"], 3),
    }


def main() -> None:
    """Measure every file given, write the dated record and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="+")
    parser.add_argument("--max-words", type=int, default=1_500_000, help="words of each file that are used")
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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in options.corpus:
            record[path.name] = measure_file(read_texts(path, options.max_words), folder)
    text = json.dumps(record, indent=1)
    part = options.out / f"augment_{record['date']}.json.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(part.with_suffix(""))
    print(text)


if __name__ == "__main__":
    main()
