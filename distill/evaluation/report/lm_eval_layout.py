"""Export an evaluation in the layout of lm-evaluation-harness (0.4.x).

    OUT/MODEL/results_DATE.json          one entry per task, its metrics as `name,none` and `name_stderr,none`
    OUT/MODEL/samples_TASK_DATE.jsonl    one line per item

MODEL is the path or hub name as the harness writes it, so the files lie beside its own. If several models of the
evaluation share that name, their labels are added. Tasks are called evenhand_NAME, because they follow this project's
conventions (which are in `configs`), not those of the harness's task of that name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from distill.evaluation.results import model_records, read_results
from distill.evaluation.scoring.model_specs import file_name
from distill.evaluation.task import Records
from distill.files import write_text

PREFIX = "evenhand_"


def export(path: Path, out: Path) -> list[Path]:
    """Write every model of a results.json, and return the paths of the written files. path: the file or its folder.

    Raises FileNotFoundError or ValueError if it, or its per-example records, cannot be read.
    """
    file = path / "results.json" if path.is_dir() else path
    results = read_results(file)
    written = []
    date = results["created"].split("+")[0].replace(":", "-") + ".000000"
    folders = _folder_names(results["models"])
    for model in results["models"]:
        records = model_records(model, file.parent)
        folder = out / folders[model["label"]]
        folder.mkdir(parents=True, exist_ok=True)
        samples = {
            f"{PREFIX}{task}": [_sample(number, record) for number, record in enumerate(rows)]
            for task, rows in records.items()
        }
        summary = _summary(results, model, folder.name, samples)
        written.append(folder / f"results_{date}.json")
        write_text(written[-1], json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        for task, lines in samples.items():
            written.append(folder / f"samples_{task}_{date}.jsonl")
            write_text(written[-1], "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))
    return written


def _folder_names(models: Sequence[dict[str, Any]]) -> dict[str, str]:
    """By label: the model's name as the harness sanitises it; if several models share it, with the label added."""
    names = {model["label"]: re.sub(r'["<>:/\\|?*\[\]]+', "__", _model_name(model)) for model in models}
    shared = list(names.values())
    return {label: f"{name}__{file_name(label)}" if shared.count(name) > 1 else name for label, name in names.items()}


def _summary(
    results: dict[str, Any], model: dict[str, Any], folder: str, samples: dict[str, Records]
) -> dict[str, Any]:
    """The content of results_DATE.json. folder: the name of the folder that it will be in."""
    metrics, better, configs = _by_task(results["measurements"], model, samples)
    return {
        "results": metrics,
        "group_subtasks": {task: [] for task in metrics},
        "configs": configs,
        "versions": dict.fromkeys(metrics, results["versions"]["evenhand"]),
        "n-shot": dict.fromkeys(metrics, 0),
        "higher_is_better": better,
        "n-samples": {task: {"original": len(samples[task]), "effective": len(samples[task])} for task in metrics},
        "config": {
            "model": "evenhand",
            "model_args": {"pretrained": _model_name(model), "dtype": model["dtype"]},
            "model_num_parameters": model["num_parameters"],
            "model_dtype": model["dtype"],
            "model_sha": model["fingerprint"],
            "device": model["device"],
            "limit": None,
            "bootstrap_iters": results["config"]["statistics"]["num_resamples"],
            "random_seed": results["config"]["statistics"]["seed"],
        },
        "git_hash": results["versions"]["git_revision"],
        "date": datetime.fromisoformat(results["created"]).timestamp(),
        "transformers_version": results["versions"]["transformers"],
        "max_length": model["context_tokens"],
        "task_hashes": {
            task: _hash("".join(line["doc_hash"] + line["prompt_hash"] + line["target_hash"] for line in lines))
            for task, lines in samples.items()
        },
        "model_source": "evenhand",
        "model_name": _model_name(model),
        "model_name_sanitized": folder,
        "total_evaluation_time_seconds": str(sum(task["seconds"] for task in model["tasks"].values())),
    }


def _by_task(
    measurements: Sequence[dict[str, Any]], model: dict[str, Any], samples: dict[str, Records]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, bool | None]], dict[str, dict[str, Any]]]:
    """By task of a model: its metrics, whether higher is better for each, and its configuration."""
    metrics: dict[str, dict[str, Any]] = {}
    better: dict[str, dict[str, bool | None]] = {}
    configs: dict[str, dict[str, Any]] = {}
    for entry in measurements:
        family, _, metric = entry["name"].partition("/")
        task = f"{PREFIX}{_task_of(family, model)}"
        name = (metric if task == f"{PREFIX}{family}" else entry["name"]).replace(",", ";")
        if entry["model"] != model["label"] or task not in samples:
            continue
        line = metrics.setdefault(task, {"name": task, "alias": task, "sample_len": len(samples[task])})
        line[f"{name},none"] = entry["value"]
        line[f"{name}_stderr,none"] = "N/A" if entry["standard_error"] is None else entry["standard_error"]
        better.setdefault(task, {})[name] = entry["higher_is_better"]
        config = configs.setdefault(task, {"task": task, "output_type": "", "num_fewshot": 0, "metadata": {}})
        config["metadata"][name] = entry["signature"]
    return metrics, better, configs


def _sample(number: int, record: dict[str, Any]) -> dict[str, Any]:
    """A line of samples_TASK_DATE.jsonl.

    The log-likelihoods are the responses. All numbers are metrics of the item; true and false are 1 and 0. A response
    is marked as greedy if the record's `is_greedy` says so.
    """
    prompt = str(record.get("prompt", ""))
    texts = record.get("continuations")
    scored = [key for key, value in record.items() if _is_number(value) and re.match("(cf_)?(logprob|score)", key)]
    metrics = {key: float(value) for key, value in record.items() if isinstance(value, int | float)}
    if texts is not None:
        arguments = {"gen_args_0": {"arg_0": prompt, "arg_1": "{}"}}
        responses: list[Any] = [list(texts)]
    else:
        arguments = {f"gen_args_{place}": {"arg_0": prompt, "arg_1": key} for place, key in enumerate(scored)}
        responses = [[[str(record[key]), str(record.get("is_greedy", False))]] for key in scored]
    document = {key: value for key, value in record.items() if key not in metrics and key != "continuations"}
    target = str(record.get("gender", record.get("target", "")))
    return {
        "doc_id": number,
        "doc": document,
        "target": target,
        "arguments": arguments,
        "resps": responses,
        "filtered_resps": [response[0] for response in responses if response],
        "filter": "none",
        "metrics": list(metrics),
        "doc_hash": _hash(json.dumps(document, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(target),
        **metrics,
    }


def _task_of(family: str, model: dict[str, Any]) -> str:
    """The task of a measurement `family/...`: the task of that name, or one whose name the family ends with."""
    if family in model["tasks"]:
        return family
    return next((task for task in model["tasks"] if family.endswith(task)), family)


def _model_name(model: dict[str, Any]) -> str:
    return model["path"] if model["gguf_file"] is None else f"{model['path']}/{model['gguf_file']}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
