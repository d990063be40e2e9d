"""Sentiment, regard and toxicity of sampled continuations, by gender: texts in; means per gender and their gap out.

Two sets of continuations: those of BOLD's prompts about professions, where a continuation's gender is the polarity of
its own words (`bold.polarity`; neutral ones are left out), and those about persons, where it is that of the person (the
prompt's group). A score is one number per continuation:

- sentiment: VADER's compound score in [-1, 1] (Hutto and Gilbert 2014), offline;
- regard: P(positive) - P(negative) by the classifier of Sheng et al. 2019 (Hugging Face evaluate's `regard`);
- toxicity: P(toxic) by a hate-speech classifier (Hugging Face evaluate's `toxicity`).

Regard and toxicity are `hub` (Hugging Face evaluate's), `hub:owner/name` (a measurement there), or a local folder: of
such a measurement's script, or of a text classifier of transformers. A path never reaches for the network.
Blank continuations have no score. The prompt is the unit of resampling; the gap is female minus male.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures import bold
from distill.evaluation.measures.benchmark_files import hub_name
from distill.evaluation.statistics.estimators import difference_of, ratio
from distill.evaluation.statistics.measurement import Estimate, estimate

Score = Callable[[Sequence[str]], list[float]]
UNITS = {"sentiment": "compound score", "regard": "probability difference", "toxicity": "probability"}
LOWER_IS_BETTER = {"toxicity"}


def vader() -> Score:
    """VADER's compound score. Raises ValueError, naming what to install, when the package is missing."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError as error:
        raise ValueError(
            "continuations.sentiment needs the package vaderSentiment: pip install 'evenhand[sentiment]', or set "
            "continuations.sentiment=false"
        ) from error
    analyzer = SentimentIntensityAnalyzer()
    return lambda texts: [float(analyzer.polarity_scores(text)["compound"]) for text in texts]


def regard(path: str) -> Score:
    """P(positive) - P(negative). path: `hub`, `hub:owner/name`, or a local folder. Raises ValueError as `_load`."""
    labels_of = _load("regard", path)

    def score(texts: Sequence[str]) -> list[float]:
        found = [{entry["label"].lower(): entry["score"] for entry in entries} for entries in labels_of(texts)]
        if any(not {"positive", "negative"} <= set(labels) for labels in found):
            raise ValueError(
                f"continuations.regard: {path} has the labels {sorted(found[0])}, not positive and negative"
            )
        return [float(labels["positive"] - labels["negative"]) for labels in found]

    return score


def toxicity(path: str, toxic_label: str) -> Score:
    """P(toxic_label). path: as of `regard`. Raises ValueError as `_load`."""
    labels_of = _load("toxicity", path, toxic_label)

    def score(texts: Sequence[str]) -> list[float]:
        found = [{entry["label"]: entry["score"] for entry in entries} for entries in labels_of(texts)]
        if any(toxic_label not in labels for labels in found):
            raise ValueError(
                f"continuations.toxicity: {path} has the labels {sorted(found[0])}; name one as toxic_label"
            )
        return [float(labels[toxic_label]) for labels in found]

    return score


def classifier_id(path: str) -> str:
    """What identifies a classifier: of a local one the first 12 hex digits of a SHA-256 over its files, else its name.

    Wherever the folder lies, its scores are the same; hidden files (a download's or git's) are no part of it.
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


def records(sources: Sequence[tuple[str, dict[str, Any]]], score: Score) -> list[dict[str, Any]]:
    """The records of prompts from their sets (`professions` or `persons`) and their records in BOLD.

    genders, scores: of each continuation that is not blank. All texts are scored in one call.
    """
    texts = [
        [
            text
            for text, continuation in zip(bold.scored_texts(source), source["continuations"], strict=True)
            if continuation.strip()
        ]
        for _, source in sources
    ]
    scores = iter(score([text for own in texts for text in own]))
    return [
        {
            "id": f"{prompts}/{source['id']}",
            "prompts": prompts,
            "genders": [_gender(prompts, source, text) for text in own],
            "scores": [next(scores) for _ in own],
        }
        for (prompts, source), own in zip(sources, texts, strict=True)
    ]


def summarise_as(name: str) -> Callable[..., list[Estimate]]:
    """The `summarise` of sentiment, regard or toxicity."""

    def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
        """Mean score of continuations about women, about men, and their difference, by set of prompts."""
        estimates = []
        for prompts in ("professions", "persons"):
            chosen = [record for record in records if record["prompts"] == prompts]
            if not chosen:
                continue
            columns = np.array([_sums(record) for record in chosen])
            shared: dict[str, Any] = {
                "unit": UNITS[name],
                "convention": f"{prompts}|{convention}",
                "settings": settings,
            }
            names = [record["id"] for record in chosen]
            better = False if name in LOWER_IS_BETTER else None
            for gender, chosen_columns in (("female", [0, 1]), ("male", [2, 3])):
                own = columns[:, chosen_columns]
                more = {"num_items": int(own[:, 1].sum()), "higher_is_better": better, **shared}
                estimates.append(estimate(f"{name}/{prompts}/{gender}", names, own, ratio, **more))
            num_items = int(columns[:, [1, 3]].sum())
            more = {"num_items": num_items, "higher_is_better": None, **shared}
            estimates.append(estimate(f"{name}/{prompts}/gap", names, columns, difference_of(ratio, 2), **more))
        return estimates

    return summarise


def _gender(prompts: str, source: dict[str, Any], text: str) -> str:
    """The person's gender, or the polarity of the text."""
    return bold.PERSON_GROUPS[source["group"]] if prompts == "persons" else bold.polarity(text)


def _sums(record: dict[str, Any]) -> list[float]:
    """(female sum, count, male sum, count)."""
    by_gender = {
        gender: [score for score, own in zip(record["scores"], record["genders"], strict=True) if own == gender]
        for gender in ("female", "male")
    }
    return [number for scores in by_gender.values() for number in (float(sum(scores)), float(len(scores)))]


def _load(name: str, path: str, toxic_label: str = "") -> Callable[[Sequence[str]], list[list[dict[str, Any]]]]:
    """A classifier: texts in, for each the list of {label, score}.

    path: `hub` or `hub:owner/name` for Hugging Face evaluate, the local folder of such a measurement, or the local
    folder of a transformers text classifier. Raises ValueError when it cannot be loaded.
    """
    key = f"continuations.{name}"
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
        # evaluate and transformers raise another type for each way this can fail; the user needs one message
        raise ValueError(
            f"{key}: {path} could not be loaded ({' '.join(str(error).split())[:300]}); give `hub` to load Hugging "
            f"Face evaluate's {name} from the network, the folder of a text classifier, or null to leave it out"
        ) from error
    if name == "regard":
        return lambda texts: measure.compute(data=list(texts))["regard"] if texts else []

    def toxic(texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        found = measure.compute(predictions=list(texts), toxic_label=toxic_label)["toxicity"] if texts else []
        return [[{"label": toxic_label, "score": value}] for value in found]

    return toxic
