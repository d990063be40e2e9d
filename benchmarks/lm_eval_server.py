"""Answer requests with lm-evaluation-harness. `lm_eval_agreement` starts this in the environment that has lm-eval.

    python lm_eval_server.py MODEL DTYPE NUM_THREADS FOLDER

A request is one line of JSON on stdin: [task, file, batch_size, limit]. The answer is one line on stdout: {seconds,
metrics, responses}, which are the wall-clock and CPU seconds of the model's calls, the task's metrics, and the
responses in the order of the file. The first line says which version of lm-eval answers. The tasks are lm-eval's own,
except that they read local files.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Load the model, then answer until stdin ends."""
    model, dtype, num_threads, folder = sys.argv[1:5]
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_DATASETS_CACHE"] = f"{folder}/cache"
    answers, sys.stdout = sys.stdout, sys.stderr  # lm-eval prints to stdout; send that elsewhere

    import lm_eval
    import torch
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(int(num_threads))
    harness = HFLM(pretrained=model, dtype=dtype, device="cpu")
    spent: list[tuple[float, float]] = []
    harness.loglikelihood = timed(harness.loglikelihood, spent)
    harness.loglikelihood_rolling = timed(harness.loglikelihood_rolling, spent)
    settings = task_settings()
    print(json.dumps({"version": lm_eval.__version__}), file=answers, flush=True)
    for request in sys.stdin:
        name, file, batch_size, limit = json.loads(request)
        harness.batch_size_per_gpu = batch_size
        spent.clear()
        answer = evaluate(harness, name, file, limit, settings[name])
        seconds = [sum(times) for times in zip(*spent, strict=True)]
        print(json.dumps({"seconds": seconds, **answer}), file=answers, flush=True)


def task_settings() -> dict[str, dict[str, Any]]:
    """The settings that define each task, with the functions of lm-eval's own tasks."""
    from lm_eval.tasks.crows_pairs import utils as crows_pairs
    from lm_eval.tasks.wikitext import preprocess_wikitext as wikitext

    return {
        "crows_pairs": {
            "output_type": "multiple_choice",
            "doc_to_text": "",
            "doc_to_target": 0,
            "target_delimiter": "",
            "doc_to_choice": crows_pairs.doc_to_choice,
            "process_results": crows_pairs.process_results,
            "metric_list": [metric("pct_stereotype", "mean"), metric("likelihood_diff", "mean")],
        },
        "lambada": {
            "output_type": "loglikelihood",
            "doc_to_text": "{{text.split(' ')[:-1]|join(' ')}}",
            "doc_to_target": "{{' '+text.split(' ')[-1]}}",
            "metric_list": [metric("perplexity", "perplexity"), metric("acc", "mean", higher_is_better=True)],
        },
        "wikitext": {
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": wikitext.wikitext_detokenizer,
            "process_results": wikitext.process_results,
            "metric_list": [
                metric("word_perplexity", "weighted_perplexity"),
                metric("byte_perplexity", "weighted_perplexity"),
                metric("bits_per_byte", "bits_per_byte"),
            ],
        },
    }


def metric(name: str, aggregation: str, higher_is_better: bool = False) -> dict[str, Any]:
    """Make an entry of a task's metric_list."""
    return {"metric": name, "aggregation": aggregation, "higher_is_better": higher_is_better}


def timed(function: Callable[..., Any], spent: list[tuple[float, float]]) -> Callable[..., Any]:
    """Wrap a function so that each call appends its (wall-clock, CPU) seconds to `spent`."""

    def run(*arguments: Any, **options: Any) -> Any:
        started, cpu = time.perf_counter(), time.process_time()
        result = function(*arguments, **options)
        spent.append((time.perf_counter() - started, time.process_time() - cpu))
        return result

    return run


def evaluate(harness: Any, name: str, file: str, limit: int | None, settings: dict[str, Any]) -> dict[str, Any]:
    """The metrics and the responses of one task on the rows of a JSON-lines file."""
    import lm_eval
    from lm_eval.api.task import ConfigurableTask

    config = {
        "task": f"{name}_local",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": file}},
        "test_split": "test",
        "metadata": {"version": 1.0},
        **settings,
    }
    results = lm_eval.simple_evaluate(
        model=harness,
        tasks=[ConfigurableTask(config=config)],
        limit=limit,
        bootstrap_iters=0,
        log_samples=True,
        verbosity="ERROR",
    )
    (samples,) = results["samples"].values()
    (metrics,) = results["results"].values()
    return {
        "metrics": {name: value for name, value in metrics.items() if isinstance(value, float)},
        "responses": [floats(row["filtered_resps"]) for row in sorted(samples, key=lambda row: row["doc_id"])],
    }


def floats(response: Any) -> Any:
    """Nested sequences as nested lists of floats."""
    return [floats(part) for part in response] if isinstance(response, (list, tuple)) else float(response)


if __name__ == "__main__":
    main()
