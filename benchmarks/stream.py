"""Memory while a large corpus is turned into blocks, killed half-way and continued: a size in, a JSON record out.

    python benchmarks/stream.py --gigabytes 1 --folder DIR [--num-proc 2] [--out RESULT.json] [--plot RESULT.png]

Writes a synthetic corpus of that size (documents of ten texts of the small world, each with a number of its own),
prepares its blocks in processes whose private memory (RssAnon, all of them together) is read every second, kills them
when half of the shards are there, starts again, and at last reads batches at random. Flat means: the last quarter of
the samples is no higher than the second. Linux only; DIR needs four times the size.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean

# This folder holds an augment.py: without it on the path, `augment` is the package.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from augment.lexicon import load_lexicon  # noqa: E402
from distill.batches import batches  # noqa: E402
from distill.config import AugmentConfig, DataConfig  # noqa: E402
from distill.data import CHARACTERS_PER_SHARD, Blocks, prepare_blocks  # noqa: E402
from distill.models import load_tokenizer  # noqa: E402
from distill.smallworld.default_world import default_world  # noqa: E402
from distill.smallworld.folder import CorpusParameters, build_corpus  # noqa: E402

NUM_BASE_DOCUMENTS = 5000
TEXTS_PER_DOCUMENT = 10  # about 2.5 KB, a short article
NUM_BATCHES = 2000
SAMPLE_SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--num-proc", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--child", choices=["prepare", "read"], help="what a process that is measured does")
    options = parser.parse_args()
    if options.child:
        blocks = prepare(options.folder, options.num_proc)
        if options.child == "read":
            read(blocks)
        return
    write_corpus(options.folder, round(options.gigabytes * 1e9))
    result = measure(options)
    text = json.dumps(result)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    if options.plot:
        plot(result, options.plot)
    print(json.dumps({key: value for key, value in result.items() if not key.startswith("samples")}))


def write_corpus(folder: Path, num_bytes: int) -> None:
    """corpus.jsonl of at least num_bytes, and the small world it is made of with its tokenizer."""
    world = folder / "world"
    if not world.exists():
        parameters = CorpusParameters(num_documents=NUM_BASE_DOCUMENTS, num_heldout=100, seed=0, vocab_size=2000)
        build_corpus(world, default_world(), parameters)
    texts = [json.loads(line)["text"] for line in (world / "train.jsonl").open(encoding="utf-8")]
    corpus = folder / "corpus.jsonl"
    if corpus.exists() and corpus.stat().st_size >= num_bytes:
        return
    written = number = 0
    with corpus.open("w", encoding="utf-8") as file:
        while written < num_bytes:
            number += 1
            parts = [texts[(number * 7 + i) % len(texts)] for i in range(TEXTS_PER_DOCUMENT)]
            written += file.write(json.dumps({"text": " ".join([f"Text {number}.", *parts])}) + "\n")


def prepare(folder: Path, num_proc: int) -> Blocks:
    data = DataConfig(
        path=str(folder / "corpus.jsonl"),
        heldout_path=str(folder / "world" / "heldout.jsonl"),
        seq_len=256,
        cache_dir=str(folder / "cache"),
        num_proc=num_proc,
    )
    tokenizer = load_tokenizer(str(folder / "world" / "tokenizer"))
    return prepare_blocks(data, AugmentConfig(), load_lexicon(), tokenizer, seed=0)


def read(blocks: Blocks) -> None:
    """Batches of blocks at random, as an epoch would read them."""
    draw = random.Random(0)
    indices = [[draw.randrange(len(blocks.train)) for _ in range(8)] for _ in range(NUM_BATCHES)]
    num_tokens = sum(int(batch.loss_mask.sum()) for batch in batches(blocks.train, indices, 256))
    print(f"{num_tokens} tokens read from {len(blocks.train)} blocks")


def measure(options: argparse.Namespace) -> dict:
    """Run the phases and put their numbers together."""
    corpus = options.folder / "corpus.jsonl"
    half = max(1, round(corpus.stat().st_size / CHARACTERS_PER_SHARD / 2))
    killed = run(options, "prepare", stop=lambda: num_shards(options.folder) >= half)
    shards_at_kill = num_shards(options.folder)
    continued = run(options, "prepare")
    reading = run(options, "read")
    first, second = ([mb for _, mb in samples["samples"]] for samples in (killed, continued))
    quarter = max(1, len(second) // 4)
    return {
        "gigabytes": corpus.stat().st_size / 1e9,
        "num_proc": options.num_proc,
        "num_shards_when_killed": shards_at_kill,
        "num_shards": len(list(options.folder.glob("cache/*/train-*.arrow"))),
        "seconds_until_killed": killed["seconds"],
        "seconds_continued": continued["seconds"],
        "private_mb_second_quarter": round(mean(second[quarter : 2 * quarter] or second), 1),
        "private_mb_last_quarter": round(mean(second[-quarter:]), 1),
        "private_mb_max": max(first + second),
        "private_mb_max_reading": max(mb for _, mb in reading["samples"]),
        "samples_killed": killed["samples"],
        "samples_continued": continued["samples"],
        "samples_reading": reading["samples"],
    }


def num_shards(folder: Path) -> int:
    return len(list(folder.glob("cache/*.partial/train-*.json")))


def run(options: argparse.Namespace, child: str, stop=lambda: False) -> dict:
    """Run one phase in a process group of its own until it ends or `stop` says so; sample its private memory."""
    command = [sys.executable, __file__, "--folder", str(options.folder), "--num-proc", str(options.num_proc)]
    started, samples = time.monotonic(), []
    process = subprocess.Popen([*command, "--child", child], start_new_session=True, stdout=sys.stderr)
    while process.poll() is None and not stop():
        time.sleep(SAMPLE_SECONDS)
        samples.append((round(time.monotonic() - started, 1), private_mb(process.pid)))
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()
    elif process.returncode:
        raise RuntimeError(f"{child} ended with {process.returncode}")
    return {"seconds": round(time.monotonic() - started, 1), "samples": samples}


def private_mb(group: int) -> float:
    """RssAnon of all processes of a group, in MB."""
    kilobytes = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                lines = (status.parent / "status").read_text().splitlines()
                kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return round(kilobytes / 1000, 1)


def plot(result: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.5))
    for name in ("killed", "continued", "reading"):
        seconds, megabytes = zip(*result[f"samples_{name}"], strict=True)
        axes.plot(seconds, megabytes, label=name)
    axes.set(xlabel="seconds", ylabel="private memory, all processes (MB)", ylim=(0, None))
    axes.set_title(f"{result['gigabytes']:.1f} GB of text, {result['num_proc']} workers")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
