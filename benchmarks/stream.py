"""Measure memory while a large corpus is made into blocks, with a kill half-way and a resumption.

    python -m benchmarks.stream --gigabytes 1 --folder DIR [--num-proc 2] [--out RESULT.json] [--plot RESULT.png]

Writes a corpus of that size; each document is ten texts of the small world and a number of its own. Starts processes
that prepare its blocks, kills them when half of the shards are written, and starts them again. Then reads batches at
random. Every few seconds it notes the private memory (RssAnon) of all these processes together. Memory is flat if the
last quarter of the samples is no higher than the second. If this command is interrupted, the same command resumes it.
Linux only; DIR needs four times the size of the corpus.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from augment.lexicon import load_lexicon
from distill.config import AugmentConfig, DataConfig
from distill.data.batches import batches
from distill.data.blocks import CHARACTERS_PER_SHARD, Blocks, prepare_blocks
from distill.models.loading import load_tokenizer
from distill.smallworld.default_world import default_world
from distill.smallworld.folder import CorpusParameters, build_corpus

ROOT = Path(__file__).parents[1]
NUM_BASE_DOCUMENTS = 5000
TEXTS_PER_DOCUMENT = 10  # about 2.5 KB, a short article
NUM_BATCHES = 2000
SAMPLE_SECONDS = 5.0
SAMPLES = "samples.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--num-proc", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the result with all samples as JSON")
    parser.add_argument("--plot", type=Path, help="draw the samples as PNG")
    parser.add_argument("--child", choices=["prepare", "read"], help=argparse.SUPPRESS)
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
    print(json.dumps({key: value for key, value in result.items() if key != "samples"}))


def write_corpus(folder: Path, num_bytes: int) -> None:
    """Write corpus.jsonl with at least `num_bytes`, and the small world with the tokenizer that it is made from."""
    world = folder / "world"
    if not world.exists():
        parameters = CorpusParameters(num_documents=NUM_BASE_DOCUMENTS, num_heldout=100, seed=0, vocab_size=2000)
        build_corpus(world, default_world(), parameters)
    texts = [json.loads(line)["text"] for line in (world / "train.jsonl").open(encoding="utf-8")]
    corpus = folder / "corpus.jsonl"
    if corpus.exists() and corpus.stat().st_size >= num_bytes:
        return
    (folder / SAMPLES).unlink(missing_ok=True)  # these samples and the cached blocks belong to another corpus
    if (folder / "cache").exists():
        shutil.rmtree(folder / "cache")
    written = number = 0
    with corpus.open("w", encoding="utf-8") as file:
        while written < num_bytes:
            number += 1
            parts = [texts[(number * 7 + i) % len(texts)] for i in range(TEXTS_PER_DOCUMENT)]
            written += file.write(json.dumps({"text": " ".join([f"Text {number}.", *parts])}) + "\n")


def prepare(folder: Path, num_proc: int) -> Blocks:
    """Prepare the blocks of the corpus, or resume this."""
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
    """Read batches of randomly drawn blocks, as an epoch does."""
    draw = random.Random(0)
    indices = [[draw.randrange(len(blocks.train)) for _ in range(8)] for _ in range(NUM_BATCHES)]
    num_tokens = sum(int(batch.loss_mask.sum()) for batch in batches(blocks.train, indices, 256))
    print(f"{num_tokens} tokens read from {len(blocks.train)} blocks")


def measure(options: argparse.Namespace) -> dict:
    """Run the phases that an earlier, interrupted command has not run, and return the result."""
    corpus = options.folder / "corpus.jsonl"
    half = max(1, round(corpus.stat().st_size / CHARACTERS_PER_SHARD / 2))
    if not (options.folder / SAMPLES).exists():
        run(options, "prepare", stop=lambda: num_shards(options.folder) >= half)
    run(options, "prepare")
    run(options, "read")
    samples = [json.loads(line) for line in (options.folder / SAMPLES).read_text(encoding="utf-8").splitlines()]
    building = [sample for sample in samples if sample["child"] == "prepare"]
    total = len(list(options.folder.glob("cache/*/train-*.arrow")))

    def between(low: float, high: float) -> float | None:
        """The mean private memory (MB) while these proportions of the shards were written; None without a sample."""
        during = [sample["mb"] for sample in building if low * total <= sample["num_shards"] < high * total]
        return round(mean(during), 1) if during else None

    return {
        "gigabytes": corpus.stat().st_size / 1e9,
        "num_proc": options.num_proc,
        "num_shards": total,
        "num_starts": len({sample["started"] for sample in building}),
        "seconds_building": round(sum(sample["seconds"] for sample in last_of_each_run(building)), 1),
        "private_mb_second_quarter": between(0.25, 0.5),
        "private_mb_last_quarter": between(0.75, 1),
        "private_mb_max": max(sample["mb"] for sample in building),
        "private_mb_max_reading": max(sample["mb"] for sample in samples if sample["child"] == "read"),
        "samples": [[s["child"], s["started"], s["num_shards"], s["mb"]] for s in samples],
    }


def last_of_each_run(samples: list[dict]) -> list[dict]:
    """The last sample of each start of the processes."""
    return list({sample["started"]: sample for sample in samples}.values())


def num_shards(folder: Path) -> int:
    """How many shards of blocks are complete."""
    return len(list(folder.glob("cache/*/train-*.json")))


def run(options: argparse.Namespace, child: str, stop: Callable[[], bool] = lambda: False) -> None:
    """Run one phase in its own process group until it ends or `stop` returns true; append its samples to the file."""
    command = [sys.executable, "-m", "benchmarks.stream", "--num-proc", str(options.num_proc)]
    command += ["--folder", str(options.folder.resolve()), "--child", child]
    started, begin = round(time.time()), time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=sys.stderr)
    with (options.folder / SAMPLES).open("a", encoding="utf-8") as file:
        while process.poll() is None and not stop():
            time.sleep(SAMPLE_SECONDS)
            sample = {"child": child, "started": started, "seconds": round(time.monotonic() - begin, 1)}
            sample |= {"num_shards": num_shards(options.folder), "mb": private_mb(process.pid)}
            print(json.dumps(sample), file=file, flush=True)
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()
    elif process.returncode:
        raise RuntimeError(f"{child} ended with {process.returncode}")


def private_mb(group: int) -> float:
    """The private memory (RssAnon) of all processes of a process group, in MB."""
    kilobytes = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                lines = (status.parent / "status").read_text().splitlines()
                kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # the process has ended in the meantime
    return round(kilobytes / 1000, 1)


def plot(result: dict, path: Path) -> None:
    """Draw private memory against the amount of text that is done."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.5))
    starts = sorted({started for _, started, *_ in result["samples"]})
    for number, start in enumerate(starts, 1):
        chosen = [sample for sample in result["samples"] if sample[1] == start]
        share = [num_shards / result["num_shards"] * result["gigabytes"] for _, _, num_shards, _ in chosen]
        axes.plot(share, [sample[3] for sample in chosen], ".", markersize=3, label=f"{chosen[0][0]}, start {number}")
    axes.set(xlabel="GB of text done", ylabel="private memory, all processes (MB)", ylim=(0, None))
    axes.set_title(f"{result['gigabytes']:.1f} GB of text, {result['num_proc']} workers")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
