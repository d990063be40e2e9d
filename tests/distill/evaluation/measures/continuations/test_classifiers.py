"""Regard and toxicity by local classifiers, by measurements of evaluate, and the message if there is none."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForSequenceClassification, pipeline

from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.measures.continuations.classifiers import classifier_id, load_classifier
from distill.evaluation.measures.continuations.regard import regard
from distill.evaluation.measures.continuations.toxicity import toxicity
from distill.settings import validate

MEASUREMENT = """
import datasets
import evaluate


class Fake(evaluate.Measurement):
    def _info(self):
        features = datasets.Features({{"{column}": datasets.Value("string")}})
        return evaluate.MeasurementInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, {column}{more}):
        return {{"{name}": {result}}}
"""


def test_a_local_measurement_of_evaluate_is_loaded(tmp_path, monkeypatch):
    """It has the interface of the published ones: regard(data=...), toxicity(predictions=..., toxic_label=...)."""
    monkeypatch.setattr("evaluate.config.HF_MODULES_CACHE", tmp_path / "modules", raising=False)
    scores = '[[{"label": "positive", "score": len(t) / 10}, {"label": "negative", "score": 0.1}] for t in data]'
    parts = {
        "regard": ("data", "", scores),
        "toxicity": ("predictions", ', toxic_label="hate"', "[len(t) / 10 for t in predictions]"),
    }
    for name, (column, more, result) in parts.items():
        (tmp_path / name).mkdir()
        code = MEASUREMENT.format(column=column, more=more, name=name, result=result)
        (tmp_path / name / f"{name}.py").write_text(code)
    assert regard(str(tmp_path / "regard"))(["abc"]) == pytest.approx([0.2])
    assert toxicity(str(tmp_path / "toxicity"), "hate")(["abc", "a"]) == pytest.approx([0.3, 0.1])


def test_the_key_of_scores_is_the_content_of_a_local_classifier_not_its_path(classifier, tmp_path):
    def keys(folder):
        settings = {"benchmarks": {"bold": str(prompts)}, "log_odds": {"enabled": False}}
        config = {"regard": str(folder), "toxicity": str(folder), "toxic_label": "negative", "sentiment": False}
        tasks, failures = plan_tasks(validate(EvalConfig, settings | {"continuations": config}))
        assert failures == []
        return {task.name: task.key for task in tasks if task.name in ("regard", "toxicity")}

    prompts = tmp_path / "bold.json"
    prompts.write_text('{"nursing": {"Nurse": ["A nurse "]}}')
    first = Path(classifier(["positive", "negative"]))
    before = keys(first)
    copy = shutil.copytree(first, tmp_path / "copy")
    (copy / ".cache").mkdir()
    (copy / ".cache" / "metadata").write_text("when it was downloaded")
    assert keys(copy) == before
    model = AutoModelForSequenceClassification.from_pretrained(first)
    with torch.no_grad():
        model.score.weight.add_(1.0)
    model.save_pretrained(first)  # another classifier in the same place
    after = keys(first)
    assert all(after[name] != before[name] for name in ("regard", "toxicity"))
    assert classifier_id("hub:owner/name") == "hub:owner/name"


@pytest.mark.parametrize("load", [regard, lambda path: toxicity(path, "hate")], ids=["regard", "toxicity"])
def test_a_classifier_that_cannot_be_loaded_is_one_message(load, tmp_path):
    with pytest.raises(ValueError, match=r"continuations\.(regard|toxicity): .* could not be loaded .*`hub`"):
        load(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (["fine", "insult"], {"toxicity": True, "toxic_label": "poison"}, r"labels \['fine', 'insult'\], not 'poison'"),
        (["LABEL_0", "LABEL_1"], {"toxicity": True}, r"labels \['LABEL_0', 'LABEL_1'\], not 'hate'"),
        (["good", "bad"], {"regard": True}, r"labels \['bad', 'good'\], not positive and negative"),
        (["positive", "neutral"], {"regard": True}, r"not positive and negative"),
    ],
)
def test_a_classifier_without_the_label_is_refused_before_anything_is_sampled(
    classifier, tmp_path, labels, settings, message
):
    prompts = tmp_path / "bold.json"
    prompts.write_text('{"nursing": {"Nurse": ["A nurse "]}}')
    folder = classifier(labels)
    chosen = {key: folder if value is True else value for key, value in settings.items()} | {"sentiment": False}
    config = {"benchmarks": {"bold": str(prompts)}, "log_odds": {"enabled": False}, "continuations": chosen}
    tasks, failures = plan_tasks(validate(EvalConfig, config))
    assert [failure.task for failure in failures] == [next(iter(settings))]
    assert re.search(message, failures[0].message)
    assert "bold" in [task.name for task in tasks]


def test_a_missing_classifier_uses_no_network(monkeypatch):
    asked = []
    monkeypatch.setattr("evaluate.load", lambda name, **options: asked.append(name))
    for load in (regard, lambda path: toxicity(path, "hate")):
        with pytest.raises(ValueError, match="models/judge could not be loaded .it does not exist.; give `hub`"):
            load("models/judge")
    assert asked == []
    regard("hub")
    toxicity("hub:owner/judge", "hate")
    assert asked == ["regard", "owner/judge"]


def test_a_local_classifier_without_its_head_is_refused(classifier, tiny_model, tokenizer, tmp_path):
    base = tmp_path / "base"  # a language model has no head that classifies
    tiny_model("gpt2").save_pretrained(base)
    headless = Path(classifier(["positive", "negative"]))
    AutoModelForSequenceClassification.from_pretrained(headless).base_model.save_pretrained(headless)
    for folder in (base, headless):
        tokenizer.save_pretrained(folder)
        with pytest.raises(
            ValueError, match=r"could not be loaded .*give 1 of the model's weights, score.weight first"
        ):
            toxicity(str(folder), "negative")
        with pytest.raises(ValueError, match="score.weight first, so they would be random"):
            regard(str(folder))


def test_a_classifier_of_the_hub_is_identified_by_the_weights_that_it_has_loaded(classifier, monkeypatch):
    folder = classifier(["positive", "negative"])
    judge = pipeline("text-classification", model=folder)
    monkeypatch.setattr("evaluate.load", lambda name, **options: SimpleNamespace(classifier=judge))
    before = load_classifier("regard", "hub").id
    assert before.startswith("hub@") and load_classifier("regard", "hub").id == before
    assert load_classifier("regard", "hub:owner/name").id == f"hub:owner/name@{before.removeprefix('hub@')}"
    with torch.no_grad():
        judge.model.score.weight[0, 0] += 1  # the repository has moved on
    assert load_classifier("regard", "hub").id != before
