"""Load text classifiers for regard and toxicity: measurements of Hugging Face `evaluate`, or local models.

A setting is `hub` (the measurement of that name), `hub:owner/name` (a measurement there), or a local folder: of such a
measurement's script, or of a text classifier of transformers. A path never uses the network.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from distill.evaluation.measures.published.benchmark_files import hub_data_set
from distill.models.files import check_files
from distill.models.loading import load_weights

Classify = Callable[[Sequence[str]], list[list[dict[str, Any]]]]  # texts -> for each, the list of {label, score}


@dataclass(frozen=True)
class Classifier:
    """A text classifier and what identifies it."""

    classify: Classify
    id: str


def load_classifier(name: str, path: str, toxic_label: str = "") -> Classifier:
    """The classifier that `continuations.{name}` names; name: regard or toxicity.

    toxic_label: what evaluate's toxicity calls toxic. Raises ValueError when it cannot be loaded, or is not whole.
    """
    try:
        measurement, local = hub_data_set(path, name), Path(path).expanduser()
        if measurement is None and not local.exists():
            raise FileNotFoundError("it does not exist")
        if measurement is None and (local / "config.json").is_file():
            return Classifier(_text_classifier(str(local)), classifier_id(path))
        import evaluate

        measure = evaluate.load(str(local) if measurement is None else measurement, module_type="measurement")
    except Exception as error:
        # every way to fail raises another type; the user needs one message
        raise ValueError(
            f"continuations.{name}: {path} could not be loaded ({' '.join(str(error).split())[:300]}); give `hub` to "
            f"load Hugging Face evaluate's {name} from the network, the folder of a text classifier, or null to leave "
            "it out"
        ) from error
    identity = classifier_id(path) if measurement is None else f"{path}{_revision(measure)}"
    if name == "regard":
        return Classifier(lambda texts: measure.compute(data=list(texts))["regard"] if texts else [], identity)

    def toxic(texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        scores = measure.compute(predictions=list(texts), toxic_label=toxic_label)["toxicity"] if texts else []
        return [[{"label": toxic_label, "score": score}] for score in scores]

    return Classifier(toxic, identity)


def _text_classifier(folder: str) -> Classify:
    """A local classifier of transformers. Raises ValueError if its checkpoint lacks weights, such as the head."""
    model = load_weights(AutoModelForSequenceClassification, folder)
    check_files(folder, "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    classifier = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    return lambda texts: classifier(list(texts), truncation=True) if texts else []


def _revision(measure: Any) -> str:
    """`@` and 12 hex digits of a SHA-256 over a measurement's code and the models that it has loaded."""
    digest = hashlib.sha256()
    with contextlib.suppress(OSError, TypeError):  # code that is in no file
        digest.update(inspect.getsource(inspect.getmodule(type(measure)) or type(measure)).encode())
    for name, value in sorted(getattr(measure, "__dict__", {}).items()):
        model = getattr(value, "model", value)  # a pipeline has a model
        if isinstance(model, nn.Module):
            digest.update(name.encode())
            for key, weight in model.state_dict().items():
                digest.update(f"{key}\0{tuple(weight.shape)}".encode())
                digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return f"@{digest.hexdigest()[:12]}"


def classifier_id(path: str) -> str:
    """Identify a classifier: by the first 12 hex digits of a SHA-256 over its files if it is local, or by its name.

    The same files in another folder give the same id; hidden files (a download's or git's) do not count.
    """
    place = Path(path).expanduser()
    if hub_data_set(path, "") is not None or not place.exists():
        return path
    digest = hashlib.sha256()
    for file in [place] if place.is_file() else sorted(place.rglob("*")):
        name = file.relative_to(place)
        if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in name.parts):
            digest.update(f"{name.as_posix()}\0".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256-{digest.hexdigest()[:12]}"
