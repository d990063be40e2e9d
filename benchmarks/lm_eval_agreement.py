"""Compare our scores and our speed with lm-evaluation-harness: a line per task, and JSON on request.

    python -m benchmarks.lm_eval_agreement MODEL --data FOLDER [--lm-eval-python PYTHON] [--items 40] [--articles 2]
        [--full] [--batch-sizes 1 8 32]

Both score the same items of the same local files, with the same dtype and number of threads: CrowS-Pairs (gender),
LAMBADA and WikiText-2. lm-eval (tested: 0.4.13) may be installed in a different environment. We try several batch sizes
for lm-eval and use its best. The two take turns, so that both meet the same load, and the best repeat of each counts.
The time is from texts to log-likelihoods, without loading models and files. It is given in wall-clock seconds and in
seconds of CPU time, which a busy machine disturbs less.

FOLDER holds crows_pairs.csv, lambada.jsonl and wikitext.txt as published; each may be gzipped (.csv.gz and so on).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.evaluation.config import PerplexityConfig, ScoringConfig
from distill.evaluation.measures.published import crows_pairs, lambada, wikitext
from distill.evaluation.scoring.model_specs import load_scorer, parse_models

SERVER = Path(__file__).with_name("lm_eval_server.py")
NUM_CALIBRATION_ITEMS = 16  # to compare lm-eval's batch sizes


@dataclass(frozen=True)
class SharedTask:
    """A task that both can run.

    items: the items for `score`, our function. rows: the same items in lm-eval's form. ours, theirs: get the
    log-probabilities of an item from our record, and from lm-eval's response. headline: computes the task's metric from
    our records. metric: lm-eval's name of that metric.
    """

    name: str
    items: list[Any]
    rows: list[dict[str, str]]
    score: Callable[..., list[dict[str, Any]]]
    ours: Callable[[dict[str, Any]], list[float]]
    theirs: Callable[[Any], list[float]]
    headline: Callable[[list[dict[str, Any]]], float]
    metric: str


def find(folder: Path, name: str) -> str:
    """Find the file of that name in the folder, gzipped or not. Raises FileNotFoundError."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return str(path)
    raise FileNotFoundError(f"{folder / name} does not exist, nor does {name}.gz; see --help for what --data holds")


def shared_tasks(folder: Path, num_items: int | None, num_articles: int | None) -> list[SharedTask]:
    """Read the three tasks, with their first items only. num_items, num_articles: how many; None for all."""
    pairs = [pair for pair in crows_pairs.read(find(folder, "crows_pairs.csv")) if pair.bias_type == "gender"]
    passages = lambada.read(find(folder, "lambada.jsonl"))
    articles = wikitext.read(find(folder, "wikitext.txt"))
    pairs, passages, articles = pairs[:num_items], passages[:num_items], articles[:num_articles]

    def score_articles(scorer: Any, items: list[wikitext.Article]) -> list[dict[str, Any]]:
        return wikitext.score(scorer, items, PerplexityConfig())

    return [
        SharedTask(
            "crows_pairs",
            pairs,
            [{"sent_more": pair.more, "sent_less": pair.less, "bias_type": pair.bias_type} for pair in pairs],
            crows_pairs.score,
            lambda record: [record["logprob_more"], record["logprob_less"]],
            lambda response: [response[0][0], response[1][0]],
            lambda records: float(np.mean([record["logprob_more"] > record["logprob_less"] for record in records])),
            "pct_stereotype,none",
        ),
        SharedTask(
            "lambada",
            passages,
            [{"text": passage.context + passage.target} for passage in passages],
            lambada.score,
            lambda record: [record["logprob"]],
            lambda response: [response[0][0]],
            lambda records: float(np.exp(-np.mean([record["logprob"] for record in records]))),
            "perplexity,none",
        ),
        SharedTask(
            "wikitext",
            articles,
            [{"page": article.raw} for article in articles],
            score_articles,
            lambda record: [record["logprob"]],
            lambda response: [response[0]],
            lambda records: float(
                np.exp(-sum(record["logprob"] for record in records) / sum(record["num_words"] for record in records))
            ),
            "word_perplexity,none",
        ),
    ]


class Harness:
    """lm-eval in another process (lm_eval_server.py), which has loaded the model."""

    def __init__(self, python: str, model: str, dtype: str, num_threads: int, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [python, str(SERVER), model, dtype, str(num_threads), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "lm_eval.log").open("w"),
            text=True,
        )
        self.version = self._answer()["version"]

    def run(self, task: SharedTask, batch_size: int, limit: int | None = None) -> dict[str, Any]:
        """Run a task, and return its seconds, metrics and responses."""
        file = self.folder / f"{task.name}.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in task.rows), encoding="utf-8")
        assert self.process.stdin is not None
        print(json.dumps([task.name, str(file), batch_size, limit]), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            log = (self.folder / "lm_eval.log").read_text().strip().splitlines()
            raise RuntimeError(f"lm-eval ended: {log[-1] if log else 'no message'}; is it in --lm-eval-python?")
        return json.loads(line)


def measure(
    task: SharedTask, scorer: Any, harness: Harness, repeats: int, batch_sizes: Sequence[int]
) -> dict[str, Any]:
    """Compare the scores item by item, and the best time of each of the two, which take turns.

    batch_sizes: of these, lm-eval gets the one with which it needs the least CPU time.
    """
    batch_size = batch_sizes[0]
    if len(batch_sizes) > 1:
        rates = {size: harness.run(task, size, NUM_CALIBRATION_ITEMS)["seconds"][1] for size in batch_sizes}
        batch_size = min(rates, key=lambda size: rates[size])
    task.score(scorer, task.items[:1])  # warm up
    ours, theirs = [], []
    for _ in range(repeats):
        started, cpu = time.perf_counter(), time.process_time()
        records = task.score(scorer, task.items)
        ours.append((time.perf_counter() - started, time.process_time() - cpu))
        answer = harness.run(task, batch_size)
        theirs.append(answer["seconds"])
    mine = np.array([task.ours(record) for record in records])
    other = np.array([task.theirs(response) for response in answer["responses"]])
    return {
        "task": task.name,
        "num_items": len(task.items),
        "largest_difference_nats": float(np.abs(mine - other).max()),
        "largest_relative_difference": float((np.abs(mine - other) / np.abs(other)).max()),
        "metric": task.metric.partition(",")[0],
        "ours": task.headline(records),
        "theirs": answer["metrics"][task.metric],
        "lm_eval_batch_size": batch_size,
        **{
            f"{clock}_{what}": value
            for clock, mine_best, theirs_best in zip(("wall", "cpu"), np.min(ours, 0), np.min(theirs, 0), strict=True)
            for what, value in (
                ("seconds", float(mine_best)),
                ("seconds_lm_eval", float(theirs_best)),
                ("times_faster", float(theirs_best / mine_best)),
            )
        },
    }


def in_words(outcome: dict[str, Any]) -> str:
    """Write the outcome of `measure` on one line."""
    largest, relative = outcome["largest_difference_nats"], outcome["largest_relative_difference"]
    times = "; ".join(
        f"{clock} {outcome[f'{clock}_seconds']:.1f} s, lm-eval {outcome[f'{clock}_seconds_lm_eval']:.1f} s: "
        f"{outcome[f'{clock}_times_faster']:.2f} times faster"
        for clock in ("wall", "cpu")
    )
    return (
        f"{outcome['task']}: {outcome['num_items']} items; largest difference {largest:.1e} nats ({relative:.1e} "
        f"relative); {outcome['metric']} {outcome['ours']:.5f}, lm-eval {outcome['theirs']:.5f}; lm-eval with batches "
        f"of {outcome['lm_eval_batch_size']}; {times}"
    )


def main() -> None:
    """Measure all tasks, print a line for each, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a local folder or hub name")
    parser.add_argument("--data", type=Path, required=True, help="folder with the three benchmark files")
    parser.add_argument("--lm-eval-python", default=sys.executable, help="the Python that has lm-eval")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--items", type=int, default=40, help="pairs of CrowS-Pairs and passages of LAMBADA")
    parser.add_argument("--articles", type=int, default=2, help="articles of WikiText-2")
    parser.add_argument("--full", action="store_true", help="all items and articles")
    parser.add_argument("--tasks", nargs="+", default=["crows_pairs", "lambada", "wikitext"])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32], help="for lm-eval to try")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    (spec,) = parse_models([options.model])
    scorer = load_scorer(spec, ScoringConfig(dtype=options.dtype))
    limits = (None, None) if options.full else (options.items, options.articles)
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(options.lm_eval_python, spec.path, options.dtype, options.threads, Path(folder))
        print(f"lm-eval {harness.version}, {options.dtype}, {options.threads} threads")
        for task in shared_tasks(options.data, *limits):
            if task.name not in options.tasks:
                continue
            outcomes.append(measure(task, scorer, harness, options.repeats, options.batch_sizes))
            print(in_words(outcomes[-1]), flush=True)
        harness.process.kill()
    if options.json is not None:
        options.json.write_text(json.dumps(outcomes, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
