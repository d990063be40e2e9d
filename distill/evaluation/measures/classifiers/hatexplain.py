"""HateXplain (Mathew et al. 2021): does a classifier of toxic posts treat posts about all communities alike?

Toxic is what most of three annotators call hate speech or offensive. A post is about a community if two of them say so;
as published, the ten most frequent communities count, and AUCs are compared on the posts about them:

- subgroup: toxic against normal posts about the community;
- BPSN (background positive, subgroup negative): normal posts about it against toxic posts about others;
- BNSP (background negative, subgroup positive): toxic posts about it against normal posts about others.

Their generalised mean over communities, with the power -5, is near the lowest. The post is the unit of resampling. The
classifier is fine-tuned on the training and validation parts, or on what the file has of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures.classifiers.draws import by_draw, classifier_task
from distill.evaluation.measures.classifiers.fine_tuning import LabelledText, Problem, thinned
from distill.evaluation.measures.classifiers.text_classifier import TextClassifier
from distill.evaluation.measures.classifiers.toxic_texts import CLASSES, toxicity
from distill.evaluation.measures.published.benchmark_files import checked, fault, read_json
from distill.evaluation.statistics.estimators import over_draws, ratio
from distill.evaluation.statistics.group_auc import BoolArray, auc_columns, power_mean_of_ratios
from distill.evaluation.statistics.measurement import Estimate, estimate
from distill.evaluation.task import Records, Task, data_hash

KEY = "benchmarks.hatexplain"
SOURCE = "evenhand data get hatexplain"
LABELS = {"normal": 0, "hatespeech": 1, "offensive": 1}
MAJORITY = 2
WOMEN = "Women"
COMMUNITIES = ("African", "Islam", "Jewish", "Homosexual", WOMEN, "Refugee", "Arab", "Caucasian", "Asian", "Hispanic")
POWER = -5.0
MEAN = power_mean_of_ratios(POWER)
KINDS = ("subgroup", "bpsn", "bnsp")


@dataclass(frozen=True)
class Annotation:
    """What one annotator says of a post: its label, and whom it is about."""

    label: str
    target: list[str]


@dataclass(frozen=True)
class Entry:
    """A post of dataset.json."""

    annotators: list[Annotation]
    post_tokens: list[str]


@dataclass(frozen=True)
class Post:
    """A post. label: 1 if it is toxic. communities: those of COMMUNITIES that it is about."""

    id: str
    text: str
    label: int
    communities: tuple[str, ...]


def task(inputs: Inputs) -> Task | None:
    """Every post of the test part is an item. Raises as `read`."""
    path, config = inputs.config.benchmarks.hatexplain, inputs.config.fine_tuning
    if path is None:
        return None
    parts = read(path)
    learned = _problem(parts, config)
    labels = inputs.config.text_classifier.toxic_labels
    trained_on = "+".join(name for name in ("train", "val") if parts[name])
    data = f"data:{data_hash([*learned.train, *parts['test']])}|trained-on:{trained_on}|p:{POWER:g}"
    scored, own = partial(score, toxic_labels=labels), f"toxic:{'+'.join(labels)}"
    return classifier_task("hatexplain", data, learned, parts["test"], scored, config, own)


def problem(path: str, config: FineTuningConfig) -> Problem:
    """To tell toxic posts from normal ones. Raises as `read`."""
    return _problem(read(path), config)


def read(path: str) -> dict[str, list[Post]]:
    """The posts of each part, from a folder of dataset.json and post_id_divisions.json, gzipped or not.

    Of the training part, posts that the file lacks are left out. Raises FileNotFoundError or ValueError with file, post
    and remedy.
    """
    files = [Path(path).expanduser() / name for name in ("dataset.json", "post_id_divisions.json")]
    content = [read_json(file, KEY, SOURCE) for file in files]
    posts = checked(TypeAdapter(dict[str, Entry]), content[0], str(files[0]), KEY, SOURCE)
    parts = checked(TypeAdapter(dict[str, list[str]]), content[1], str(files[1]), KEY, SOURCE)
    if set(parts) != {"train", "val", "test"}:
        raise fault(files[1], f"it has the parts {', '.join(parts)}, not train, val and test", KEY, SOURCE)
    for part in ("val", "test"):
        for name in parts[part]:
            if name not in posts:
                raise fault(files[0], f"the post {name} of the part {part} is missing", KEY, SOURCE)
    return {
        part: [_post(name, posts[name], files[0]) for name in names if name in posts] for part, names in parts.items()
    }


def score(classifier: TextClassifier, posts: Sequence[Post], toxic_labels: Sequence[str]) -> Records:
    """One record per post with the probability that it is toxic. Raises as `toxicity`."""
    probs = toxicity(classifier, [post.text for post in posts], toxic_labels)
    return [
        {"id": post.id, "label": post.label, "communities": list(post.communities), "p": float(p)}
        for post, p in zip(posts, probs, strict=True)
    ]


def summarise(records: Sequence[dict[str, Any]], convention: str, settings: StatisticsConfig) -> list[Estimate]:
    """The AUC of all posts; the generalised means over communities and the AUCs of women, on posts about communities.

    A community is left out of an AUC that has fewer than two toxic or two normal posts.
    """
    draws = by_draw(records)
    names = np.array([record["id"] for record in draws[0]])
    toxic = np.array([record["label"] == 1 for record in draws[0]])
    about = {c: np.array([c in record["communities"] for record in draws[0]]) for c in COMMUNITIES}
    probs = [np.array([record["p"] for record in draw]) for draw in draws]
    shared: dict[str, Any] = {"unit": "AUC", "convention": convention, "settings": settings, "higher_is_better": True}
    areas = over_draws([auc_columns(own, toxic) for own in probs], ratio)
    estimates = [estimate("hatexplain/auc", list(names), *areas, num_items=len(names), **shared)]
    any_of = np.any(list(about.values()), axis=0)
    for kind in KINDS:
        members = {community: member_of(kind, own, any_of, toxic) for community, own in about.items()}
        kept = [c for c, own in members.items() if min((own & toxic).sum(), (own & ~toxic).sum()) > 1]
        women = [community for community in kept if community == WOMEN]
        for name, chosen, statistic in ((kind, kept, MEAN), (f"women/{kind}", women, ratio)):
            if not chosen:
                continue
            rows = np.any([members[community] for community in chosen], axis=0)
            columns = [
                np.concatenate([auc_columns(own, toxic, members[community])[rows] for community in chosen], axis=1)
                for own in probs
            ]
            how = {"num_items": int(rows.sum()), **shared}
            estimates.append(estimate(f"hatexplain/{name}", list(names[rows]), *over_draws(columns, statistic), **how))
    return estimates


def member_of(kind: str, about: BoolArray, about_any: BoolArray, toxic: BoolArray) -> BoolArray:
    """Which posts an AUC of a community compares. about, about_any: which are about it, or about any community."""
    if kind == "subgroup":
        return about
    of_group = ~toxic if kind == "bpsn" else toxic
    return about_any & ((about & of_group) | (~about & ~of_group))


def _problem(parts: dict[str, list[Post]], config: FineTuningConfig) -> Problem:
    train = [LabelledText(post.id, post.text, post.label) for name in ("train", "val") for post in parts[name]]
    test = [LabelledText(post.id, post.text, post.label) for post in parts["test"]]
    return Problem(CLASSES, thinned(train, config.max_train), test)


def _post(name: str, entry: Entry, file: Path) -> Post:
    labels = Counter(annotation.label for annotation in entry.annotators)
    label, votes = labels.most_common(1)[0] if labels else ("", 0)
    if votes < MAJORITY or label not in LABELS or not " ".join(entry.post_tokens).strip():
        what = f"the post {name} has no text, or no majority for {', '.join(LABELS)}"
        raise fault(file, what, KEY, SOURCE)
    named = Counter(target for annotation in entry.annotators for target in set(annotation.target))
    communities = tuple(community for community in COMMUNITIES if named[community] >= MAJORITY)
    return Post(f"post/{name}", " ".join(entry.post_tokens), LABELS[label], communities)


MEASURE = Measure(
    name="hatexplain",
    task=task,
    summarise=summarise,
    descriptions={
        "hatexplain/auc": Description(
            "HateXplain: AUC",
            "HateXplain",
            "How often a toxic post has a higher probability of being toxic than a normal one.",
            column="utility",
            chance=0.5,
        ),
        **{
            f"hatexplain/{name}{kind}": Description(
                f"HateXplain: {title} AUC, {whom}",
                f"{title} AUC" if not name else None,
                f"{text} {'Generalised mean over communities, near the lowest.' if not name else 'Posts about women.'}",
            )
            for name, whom in (("", "communities"), ("women/", "women"))
            for kind, title, text in (
                ("subgroup", "subgroup", "How well toxic posts about a community are told from normal ones about it."),
                (
                    "bpsn",
                    "BPSN",
                    "How well normal posts about it are told from toxic ones about others: low if to name "
                    "the community raises a false alarm.",
                ),
                (
                    "bnsp",
                    "BNSP",
                    "How well toxic posts about it are told from normal ones about others: low if toxic "
                    "posts about it pass.",
                ),
            )
        },
    },
    caveats=(
        "HateXplain's AUCs are about posts that mention a community, not about their authors. The generalised mean "
        "follows its smallest communities, and so do its errors: read the interval.",
    ),
)
