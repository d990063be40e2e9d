"""HateXplain: the reader, its messages, and AUCs by their definitions."""

import gzip
import json

import numpy as np
import pytest

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.classifiers import hatexplain
from distill.evaluation.measures.classifiers.hatexplain import COMMUNITIES, read, summarise
from distill.evaluation.statistics.group_auc import power_mean
from distill.evaluation.statistics.roc import auc, count_scores


def entry(labels, targets, text="a b"):
    annotators = [
        {"label": label, "annotator_id": n, "target": own}
        for n, (label, own) in enumerate(zip(labels, targets, strict=True))
    ]
    return {"post_id": "x", "annotators": annotators, "rationales": [], "post_tokens": text.split()}


POSTS = {
    "one": entry(["normal"] * 3, [["None"]] * 3),
    "two": entry(["hatespeech", "offensive", "hatespeech"], [["Women", "Islam"], ["Women"], ["Islam"]], "b c"),
    "three": entry(["offensive", "normal", "offensive"], [["Women"], ["None"], ["Jewish"]], "c d"),
}


def write(folder, posts=POSTS, parts=None):
    parts = parts or {"train": ["away"], "val": ["one"], "test": ["two", "three"]}
    (folder / "dataset.json").write_text(json.dumps(posts))
    (folder / "post_id_divisions.json.gz").write_bytes(gzip.compress(json.dumps(parts).encode()))
    return str(folder)


def test_majorities_decide_on_the_label_and_on_communities(tmp_path):
    parts = read(write(tmp_path))
    two, three = parts["test"]
    assert (two.text, two.label, two.communities) == ("b c", 1, ("Islam", "Women"))
    assert (three.label, three.communities) == (1, ())
    assert parts["train"] == []
    problem = hatexplain.problem(str(tmp_path), FineTuningConfig())
    assert [item.text for item in problem.train] == ["a b"]
    assert [item.label for item in problem.test] == [1, 1]


@pytest.mark.parametrize(
    ("posts", "parts", "message"),
    [
        ({"one": POSTS["one"]}, None, "the post two of the part test is missing"),
        (POSTS | {"two": entry(["normal", "offensive", "hatespeech"], [[]] * 3)}, None, "the post two has no text, or"),
        (POSTS | {"two": entry(["normal"] * 3, [[]] * 3, "")}, None, "the post two has no text, or no majority"),
        (POSTS | {"two": {"annotators": []}}, None, "is not in the published format, at two.post_tokens"),
        (POSTS, {"train": [], "test": []}, "it has the parts train, test, not train, val and test"),
    ],
)
def test_a_damaged_file_is_one_message(tmp_path, posts, parts, message):
    with pytest.raises(
        ValueError, match=rf"benchmarks\.hatexplain: .*{message}.* To get the file again: evenhand data get hatexplain"
    ):
        read(write(tmp_path, posts, parts))


def test_areas_are_those_of_the_published_definitions(values):
    rng = np.random.default_rng(0)
    records = []
    for number in range(200):
        about = [c for c in ("Women", "Islam", "Jewish") if rng.random() < 0.3]
        label = int(rng.random() < 0.5)
        records.append({"id": str(number), "label": label, "communities": about, "p": float(rng.random() + label / 4)})
    records[0]["communities"] = ["Asian"]  # one post is too few
    measured = values(summarise(records, "c", StatisticsConfig()))
    p, toxic = (np.array([record[name] for record in records]) for name in ("p", "label"))
    toxic = toxic == 1
    areas = {kind: [] for kind in hatexplain.KINDS}
    anyone = np.array([bool(record["communities"]) for record in records])
    for community in ("Women", "Islam", "Jewish"):
        about = np.array([community in record["communities"] for record in records])
        members = {
            "subgroup": about,
            "bpsn": (about & ~toxic) | (anyone & ~about & toxic),
            "bnsp": (about & toxic) | (anyone & ~about & ~toxic),
        }
        for kind, member in members.items():
            areas[kind].append(float(auc(count_scores(p[member & toxic], p[member & ~toxic]))))
    for kind, own in areas.items():
        assert measured[f"hatexplain/{kind}"] == pytest.approx(power_mean(np.array(own), -5.0))
        assert measured[f"hatexplain/women/{kind}"] == pytest.approx(own[0])
    assert measured["hatexplain/auc"] == pytest.approx(float(auc(count_scores(p[toxic], p[~toxic]))))


@pytest.mark.data
def test_the_real_files(shared_data):
    folder = shared_data / "hate" / "hatexplain"
    parts = read(str(folder))
    assert {name: len(posts) for name, posts in parts.items()} == {"train": 0, "val": 1922, "test": 1924}
    assert sum(post.label for post in parts["test"]) == 594 + 548
    assert sum("Women" in post.communities for post in parts["test"]) == 147
    assert {community for post in parts["test"] for community in post.communities} == set(COMMUNITIES)
