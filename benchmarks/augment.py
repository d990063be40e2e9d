"""Speed and memory of the augmenter: corpus files in, a JSON record out.

`python benchmarks/augment.py CORPUS.jsonl.gz [...]` prints, per file: words per second of `swap` on one core (wall and
CPU time, best of three, texts in memory), of the whole command with one and two workers, and the peak memory of the
command on about 10 MB and about 130 MB of input. A word is what stands between blanks in the original.
"""

import argparse
import gzip
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

# This file has the package's name: without its own folder on the path, `augment` is the package.
sys.path[0] = str(Path(__file__).resolve().parents[1])
from augment import load_lexicon, swap  # noqa: E402


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
import json, sys
from pathlib import Path
from augment import load_lexicon
from augment.rows import RowOptions
from augment.stream import swap_file
if __name__ == "__main__":
    report = swap_file(Path(sys.argv[1]), Path(sys.argv[2]), RowOptions(load_lexicon()), int(sys.argv[3]))
    # VmHWM is this program's own peak; getrusage would report the size of the process that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps({"words_per_second": round(report.words_per_second), "peak_mib": round(peak, 1)}))
"""


def run_command(source: Path, folder: Path, num_workers: int) -> dict[str, float]:
    """One run of the streamed swap in a process of its own: words per second and that process's peak memory in MiB."""
    script = folder / "child.py"
    script.write_text(_CHILD, encoding="utf-8")
    target = folder / "out.jsonl"
    arguments = [sys.executable, str(script), str(source), str(target), str(num_workers)]
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env={"PYTHONPATH": root})
    target.unlink()
    return dict(json.loads(done.stdout))


def lines_up_to(texts: list[str], num_bytes: int) -> Iterator[str]:
    """JSON lines of the texts, repeated until `num_bytes` are reached."""
    written = 0
    while True:
        for text in texts:
            line = json.dumps({"text": text}, ensure_ascii=False) + "\n"
            yield line
            written += len(line.encode("utf-8"))
            if written >= num_bytes:
                return


def main() -> None:
    """Measure every file given and print one JSON record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="+")
    parser.add_argument("--max-words", type=int, default=3_000_000, help="words of each file used for swap alone")
    options = parser.parse_args()
    record: dict[str, object] = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "lexicon": load_lexicon().fingerprint[:12],
    }
    for path in options.corpus:
        texts = read_texts(path, options.max_words)
        entry: dict[str, object] = {"swap": measure_swap(texts)}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for megabytes in (10, 130):
                source = folder / f"{megabytes}.jsonl"
                with open(source, "w", encoding="utf-8") as out:
                    out.writelines(lines_up_to(texts, megabytes * 10**6))
                entry[f"command_{megabytes}_mb_1_worker"] = run_command(source, folder, 1)
            entry["command_130_mb_2_workers"] = run_command(folder / "130.jsonl", folder, 2)
        record[path.name] = entry
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
