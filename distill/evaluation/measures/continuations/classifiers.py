"""Load text classifiers for regard and toxicity: measurements of Hugging Face `evaluate`, or local models.

A setting is `hub` (the measurement of that name), `hub:owner/name` (a measurement there), or a local folder: of such a
measurement's script, or of a text classifier of transformers. A path never uses the network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill.evaluation.measures.benchmark_files import hub_name

Classifier = Callable[[Sequence[str]], list[list[dict[str, Any]]]]  # texts -> for each, the list of {label, score}


def load_classifier(name: str, path: str, toxic_label: str = "") -> Classifier:
    """The classifier that `continuations.{name}` names; name: regard or toxicity.

    toxic_label: what evaluate's toxicity calls toxic. Raises ValueError when it cannot be loaded.
    """
    try:
        measurement, local = hub_name(path, name), Path(path).expanduser()
        if measurement is None and not local.exists():
            raise FileNotFoundError("it does not exist")
        if measurement is None and (local / "config.json").is_file():
            from transformers import pipeline

            classifier = pipeline("text-classification", model=str(local), top_k=None)
            return lambda texts: classifier(list(texts), truncation=True) if texts else []
        import evaluate

        measure = evaluate.load(str(local) if measurement is None else measurement, module_type="measurement")
    except Exception as error:
        # every way to fail raises another type; the user needs one message
        raise ValueError(
            f"continuations.{name}: {path} could not be loaded ({' '.join(str(error).split())[:300]}); give `hub` to "
            f"load Hugging Face evaluate's {name} from the network, the folder of a text classifier, or null to leave "
            "it out"
        ) from error
    if name == "regard":
        return lambda texts: measure.compute(data=list(texts))["regard"] if texts else []

    def toxic(texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        scores = measure.compute(predictions=list(texts), toxic_label=toxic_label)["toxicity"] if texts else []
        return [[{"label": toxic_label, "score": score}] for score in scores]

    return toxic


def classifier_id(path: str) -> str:
    """Identify a classifier: by the first 12 hex digits of a SHA-256 over its files if it is local, or by its name.

    The same files in another folder give the same id; hidden files (a download's or git's) do not count.
    """
    place = Path(path).expanduser()
    if hub_name(path, "") is not None or not place.exists():
        return path
    digest = hashlib.sha256()
    for file in [place] if place.is_file() else sorted(place.rglob("*")):
        name = file.relative_to(place)
        if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in name.parts):
            digest.update(f"{name.as_posix()}\0".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256-{digest.hexdigest()[:12]}"
