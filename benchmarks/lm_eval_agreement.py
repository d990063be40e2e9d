"""Agreement and speed against lm-evaluation-harness: a model and benchmark files in; a table, and JSON if wanted, out.

    python -m benchmarks.lm_eval_agreement MODEL --data FOLDER [--lm-eval-python PYTHON] [--items 40] [--articles 2]
        [--full] [--batch-sizes 1 8 32]

Both score the same items of the same local files with the same dtype and number of threads: CrowS-Pairs (gender),
LAMBADA and WikiText-2. lm-eval (tested: 0.4.13) may live in an environment of its own. It gets the best of several
batch sizes; the two alternate, so that both meet the same load, and the best of their repeats counts. Timed is what
each does from texts to log-likelihoods, without loading models and files, in wall-clock
seconds and in seconds of CPU time, which a busy machine disturbs less.

FOLDER holds crows_pairs.csv, lambada.jsonl and wikitext.txt (each may be gzipped: .csv.gz and so on), as published.
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
from distill.evaluation.measures import crows_pairs, lambada, wikitext
from distill.evaluation.scoring.model_specs import load_scorer, parse_models

CALIBRATION_ITEMS = 16

# Runs where lm-eval is: reads one request per line, answers with one line. Its functions are those of its own tasks.
CHILD = """
import json, os, sys, time
os.environ["HF_HUB_OFFLINE"] = "1"
answers, sys.stdout = sys.stdout, sys.stderr
import torch
model, dtype, threads, folder = sys.argv[1:5]
os.environ["HF_DATASETS_CACHE"] = folder + "/cache"
torch.set_num_threads(int(threads))
import lm_eval
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks.crows_pairs import utils as crows
from lm_eval.tasks.wikitext import preprocess_wikitext as wikitext
lm = HFLM(pretrained=model, dtype=dtype, device="cpu")
tasks = {
    "crows_pairs": dict(output_type="multiple_choice", doc_to_text="", doc_to_target=0, target_delimiter="",
        doc_to_choice=crows.doc_to_choice, process_results=crows.process_results,
        metric_list=[dict(metric="pct_stereotype", aggregation="mean", higher_is_better=False),
                     dict(metric="likelihood_diff", aggregation="mean", higher_is_better=False)]),
    "lambada": dict(output_type="loglikelihood", doc_to_text="{{text.split(' ')[:-1]|join(' ')}}",
        doc_to_target="{{' '+text.split(' ')[-1]}}",
        metric_list=[dict(metric="perplexity", aggregation="perplexity", higher_is_better=False),
                     dict(metric="acc", aggregation="mean", higher_is_better=True)]),
    "wikitext": dict(output_type="loglikelihood_rolling", doc_to_text="", doc_to_target=wikitext.wikitext_detokenizer,
        process_results=wikitext.process_results,
        metric_list=[dict(metric=name, aggregation=how, higher_is_better=False) for name, how in (
            ("word_perplexity", "weighted_perplexity"), ("byte_perplexity", "weighted_perplexity"),
            ("bits_per_byte", "bits_per_byte"))]),
}
spent = []
def timed(function):
    def run(*a, **k):
        started, cpu = time.perf_counter(), time.process_time()
        found = function(*a, **k)
        spent.append((time.perf_counter() - started, time.process_time() - cpu))
        return found
    return run
lm.loglikelihood, lm.loglikelihood_rolling = timed(lm.loglikelihood), timed(lm.loglikelihood_rolling)
print(json.dumps({"version": lm_eval.__version__}), file=answers, flush=True)
for line in sys.stdin:
    name, file, batch_size, limit = json.loads(line)
    lm.batch_size_per_gpu = batch_size
    config = dict(task=name + "_local", dataset_path="json", dataset_kwargs=dict(data_files=dict(test=file)),
        test_split="test", metadata=dict(version=1.0), **tasks[name])
    spent.clear()
    found = lm_eval.simple_evaluate(model=lm, tasks=[ConfigurableTask(config=config)], limit=limit, bootstrap_iters=0,
        log_samples=True, verbosity="ERROR")
    (samples,) = found["samples"].values()
    (metrics,) = found["results"].values()
    flat = lambda r: [flat(x) for x in r] if isinstance(r, (list, tuple)) else float(r)
    metrics = {k: v for k, v in metrics.items() if isinstance(v, float)}
    answer = {"seconds": [sum(times) for times in zip(*spent)], "metrics": metrics,
        "responses": [flat(s["filtered_resps"]) for s in sorted(samples, key=lambda s: s["doc_id"])]}
    print(json.dumps(answer), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Benchmark:
    """items: what ours scores. rows: the same as lm-eval reads them. score: ours. logprobs: per item from our records
    and from lm-eval's responses. headline: the metric of the task from our records, and its name there."""

    name: str
    items: list[Any]
    rows: list[dict[str, str]]
    score: Callable[..., list[dict[str, Any]]]
    ours: Callable[[dict[str, Any]], list[float]]
    theirs: Callable[[Any], list[float]]
    headline: Callable[[list[dict[str, Any]]], float]
    metric: str


def find(folder: Path, name: str) -> str:
    """The file of that name in the folder, gzipped or not."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return str(path)
    raise FileNotFoundError(f"{folder / name} does not exist, nor does {name}.gz; see --help for what --data holds")


def benchmarks(folder: Path, num_items: int | None, num_articles: int | None) -> list[Benchmark]:
    """The three tasks that both have, cut to their first items."""
    pairs = [pair for pair in crows_pairs.read(find(folder, "crows_pairs.csv")) if pair.bias_type == "gender"]
    passages = lambada.read(find(folder, "lambada.jsonl"))
    articles = wikitext.read(find(folder, "wikitext.txt"))
    pairs, passages, articles = pairs[:num_items], passages[:num_items], articles[:num_articles]

    def score_articles(scorer: Any, items: list[wikitext.Article]) -> list[dict[str, Any]]:
        return wikitext.score(scorer, items, PerplexityConfig())

    return [
        Benchmark(
            "crows_pairs",
            pairs,
            [{"sent_more": pair.more, "sent_less": pair.less, "bias_type": pair.bias_type} for pair in pairs],
            crows_pairs.score,
            lambda record: [record["logprob_more"], record["logprob_less"]],
            lambda response: [response[0][0], response[1][0]],
            lambda records: float(np.mean([record["logprob_more"] > record["logprob_less"] for record in records])),
            "pct_stereotype,none",
        ),
        Benchmark(
            "lambada",
            passages,
            [{"text": passage.context + passage.target} for passage in passages],
            lambada.score,
            lambda record: [record["logprob"]],
            lambda response: [response[0][0]],
            lambda records: float(np.exp(-np.mean([record["logprob"] for record in records]))),
            "perplexity,none",
        ),
        Benchmark(
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
    """lm-eval in a process of its own, with the model loaded."""

    def __init__(self, python: str, model: str, dtype: str, threads: int, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [python, "-c", CHILD, model, dtype, str(threads), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "lm_eval.log").open("w"),
            text=True,
        )
        self.version = self._answer()["version"]

    def run(self, benchmark: Benchmark, batch_size: int, limit: int | None = None) -> dict[str, Any]:
        """Seconds, metrics and responses of a task."""
        file = self.folder / f"{benchmark.name}.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in benchmark.rows), encoding="utf-8")
        assert self.process.stdin is not None
        print(json.dumps([benchmark.name, str(file), batch_size, limit]), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            log = (self.folder / "lm_eval.log").read_text().strip().splitlines()
            raise RuntimeError(f"lm-eval ended: {log[-1] if log else 'no message'}; is it in --lm-eval-python?")
        return json.loads(line)


def measure(
    benchmark: Benchmark, scorer: Any, harness: Harness, repeats: int, batch_sizes: Sequence[int]
) -> dict[str, Any]:
    """Agreement item by item, and the best time of each, alternating. batch_sizes: lm-eval gets the fastest of them."""
    batch_size = batch_sizes[0]
    if len(batch_sizes) > 1:
        rates = {size: harness.run(benchmark, size, CALIBRATION_ITEMS)["seconds"][1] for size in batch_sizes}
        batch_size = min(rates, key=lambda size: rates[size])
    benchmark.score(scorer, benchmark.items[:1])  # both are warm now
    ours, theirs = [], []
    for _ in range(repeats):
        started, cpu = time.perf_counter(), time.process_time()
        records = benchmark.score(scorer, benchmark.items)
        ours.append((time.perf_counter() - started, time.process_time() - cpu))
        answer = harness.run(benchmark, batch_size)
        theirs.append(answer["seconds"])
    mine = np.array([benchmark.ours(record) for record in records])
    other = np.array([benchmark.theirs(response) for response in answer["responses"]])
    return {
        "task": benchmark.name,
        "num_items": len(benchmark.items),
        "largest_difference_nats": float(np.abs(mine - other).max()),
        "largest_relative_difference": float((np.abs(mine - other) / np.abs(other)).max()),
        "metric": benchmark.metric.partition(",")[0],
        "ours": benchmark.headline(records),
        "theirs": answer["metrics"][benchmark.metric],
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


def line(one: dict[str, Any]) -> str:
    """A task's outcome in words."""
    largest, relative = one["largest_difference_nats"], one["largest_relative_difference"]
    return (
        f"{one['task']}: {one['num_items']} items; largest difference {largest:.1e} nats ({relative:.1e} relative); "
        f"{one['metric']} {one['ours']:.5f}, lm-eval {one['theirs']:.5f}; lm-eval with batches of "
        f"{one['lm_eval_batch_size']}; "
        + "; ".join(
            f"{clock} {one[f'{clock}_seconds']:.1f} s, lm-eval {one[f'{clock}_seconds_lm_eval']:.1f} s: "
            f"{one[f'{clock}_times_faster']:.2f} times faster"
            for clock in ("wall", "cpu")
        )
    )


def main() -> None:
    """Run all tasks and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a local folder or hub name")
    parser.add_argument("--data", type=Path, required=True, help="folder with the three benchmark files")
    parser.add_argument("--lm-eval-python", default=sys.executable, help="the Python that has lm-eval")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--items", type=int, default=40, help="pairs of CrowS-Pairs and passages of LAMBADA")
    parser.add_argument("--articles", type=int, default=2, help="articles of WikiText-2")
    parser.add_argument("--full", action="store_true", help="all of them")
    parser.add_argument("--tasks", nargs="+", default=["crows_pairs", "lambada", "wikitext"])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32], help="of lm-eval, whose own is 1")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    (spec,) = parse_models([options.model])
    scorer = load_scorer(spec, ScoringConfig(dtype=options.dtype))
    limits = (None, None) if options.full else (options.items, options.articles)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(options.lm_eval_python, spec.path, options.dtype, options.threads, Path(folder))
        print(f"lm-eval {harness.version}, {options.dtype}, {options.threads} threads")
        for benchmark in benchmarks(options.data, *limits):
            if benchmark.name not in options.tasks:
                continue
            one = measure(benchmark, scorer, harness, options.repeats, options.batch_sizes)
            found.append(one)
            print(line(one), flush=True)
        harness.process.kill()
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
