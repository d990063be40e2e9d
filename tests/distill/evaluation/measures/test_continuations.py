"""What is computed from sampled continuations: sentiment, regard, toxicity, fluency, diversity, persons, groups."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measures import bold, continuation_scores, fluency
from distill.evaluation.measures.plan import plan
from distill.evaluation.statistics.estimators import ratio
from distill.models.loading import load_tokenizer
from distill.settings import validate

SETTINGS = StatisticsConfig()


def source(name, group, texts, prompt="The nurse", scored="continuation"):
    return bold.record(bold.Prompt(name, group, prompt), texts, scored)


def found(estimates):
    return {estimate.measurement.name: estimate.measurement for estimate in estimates}


def test_what_is_asked_for_without_prompts_is_a_failure_that_names_them(tmp_path):
    prompts = tmp_path / "gender_prompt.json"
    prompts.write_text(json.dumps({"American_actors": {"A": ["A "]}, "American_actresses": {"B": ["B "]}}))
    asked = {name: str(tmp_path / "none") for name in ("toxicity", "regard", "word_vectors", "reference")}
    off = {"log_odds": {"enabled": False}, "agreement": {"enabled": False}}

    def told(benchmarks, **continuations):
        _, failures = plan(validate(EvalConfig, {**off, "benchmarks": benchmarks, "continuations": continuations}))
        return {failure.task: failure.message for failure in failures}

    assert told({}) == {}
    found = told({}, **asked)
    assert set(found) == {"toxicity", "regard", "word_vector_polarity", "fluency"}
    assert f"continuations.toxicity = '{tmp_path / 'none'}'" in found["toxicity"]
    assert "set benchmarks.bold or benchmarks.bold_persons, or continuations.toxicity=null" in found["toxicity"]
    assert "set benchmarks.bold, or continuations.word_vectors=null" in found["word_vector_polarity"]
    persons = {"bold_persons": str(prompts)}
    assert set(told(persons, word_vectors=asked["word_vectors"])) == {"word_vector_polarity"}
    assert told({"bold": "none.json"}, word_vectors=asked["word_vectors"]).keys() == {"bold"}  # which says it all
    assert told({}, reference=asked["reference"], fluency=False) == {}


# -- sentiment, regard, toxicity -------------------------------------------------------------------------------------


def word_count(texts):
    return [float(len(text.split())) for text in texts]


def test_means_by_gender_and_their_gap():
    calls = []

    def score(texts):
        calls.append(texts)
        return word_count(texts)

    sources = [
        ("professions", source("a", "x", [" and she left early", " he", " neither", "  "])),
        ("professions", source("b", "x", [" he and he"])),
        ("persons", source("c", "American_actors", [" left", " she is"])),
        ("persons", source("d", "American_actresses", [" is it"])),
    ]
    records = continuation_scores.records(sources, score)
    assert len(calls) == 1  # a classifier is called once for many texts
    assert records[0] == {
        "id": "professions/a",
        "prompts": "professions",
        "genders": ["female", "male", "neutral"],
        "scores": [4.0, 1.0, 1.0],
    }
    assert records[2]["genders"] == ["male", "male"]  # the person's, not the words'
    assert json.loads(json.dumps(records)) == records
    measured = found(continuation_scores.summarise_as("toxicity")(records, "c", SETTINGS))
    values = {name: one.value for name, one in measured.items()}
    assert values == {
        "toxicity/professions/female": 4.0,
        "toxicity/professions/male": 2.0,
        "toxicity/professions/gap": 2.0,
        "toxicity/persons/female": 2.0,
        "toxicity/persons/male": 1.5,
        "toxicity/persons/gap": 0.5,
    }
    assert measured["toxicity/professions/male"].num_items == 2
    assert measured["toxicity/persons/gap"].num_items == 3
    assert measured["toxicity/persons/male"].higher_is_better is False


def test_the_gap_is_resampled_by_prompt():
    """The interval covers the gap of two means whose items are clustered; its width is that of the delta method."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(400):
        level = rng.normal(0, 1)
        gender = "female" if number % 2 else "male"
        records.append(
            {"id": str(number), "prompts": "persons", "genders": [gender] * 5}
            | {"scores": [level + (0.5 if number % 2 else 0.0)] * 5}
        )
    gap = found(continuation_scores.summarise_as("sentiment")(records, "c", SETTINGS))["sentiment/persons/gap"]
    assert gap.low < 0.5 < gap.high
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * math.sqrt(2 / 200), rel=0.12)


def test_vader_knows_good_from_bad():
    good, bad, plain, empty = continuation_scores.vader()(
        ["a wonderful day!", "a terrible, cruel crime", "a table", ""]
    )
    assert good > 0.5 > 0 == plain == empty > -0.5 > bad


def test_vader_missing_names_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "vaderSentiment.vaderSentiment", None)
    with pytest.raises(ValueError, match=r"continuations.sentiment needs .*evenhand\[sentiment\].*sentiment=false"):
        continuation_scores.vader()


@pytest.fixture
def classifier(tokenizer, tmp_path):
    """Builds a folder with a tiny text classifier with these labels."""

    def build(labels):
        torch.manual_seed(0)
        config = AutoConfig.for_model(
            "gpt2",
            vocab_size=len(tokenizer),
            n_embd=8,
            n_head=2,
            n_layer=1,
            n_positions=32,
            initializer_range=1.0,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            pad_token_id=tokenizer.bos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.bos_token_id,
        )
        folder = tmp_path / "-".join(labels)
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return build


def test_a_local_classifier_gives_regard_and_toxicity(classifier):
    texts = ["The nurse said that she left.", "A pilot."]
    path = classifier(["positive", "negative", "neutral"])
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    tokenizer = load_tokenizer(path)
    expected = []
    for text in texts:
        with torch.no_grad():
            probs = model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0].softmax(-1)
        expected.append(probs)
    regard = continuation_scores.regard(path)(texts)
    assert regard == pytest.approx([float(probs[0] - probs[1]) for probs in expected], abs=1e-5)
    toxicity = continuation_scores.toxicity(path, "negative")(texts)
    assert toxicity == pytest.approx([float(probs[1]) for probs in expected], abs=1e-5)
    assert continuation_scores.regard(path)([]) == []
    with pytest.raises(ValueError, match=r"has the labels \['negative', 'neutral', 'positive'\]"):
        continuation_scores.toxicity(path, "hate")(texts)
    with pytest.raises(ValueError, match="continuations.regard: .* not positive and negative"):
        continuation_scores.regard(classifier(["hate", "nothate"]))(texts)


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
    """In the interface of the published measurements: regard(data=...), toxicity(predictions=..., toxic_label=...)."""
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
    assert continuation_scores.regard(str(tmp_path / "regard"))(["abc"]) == pytest.approx([0.2])
    assert continuation_scores.toxicity(str(tmp_path / "toxicity"), "hate")(["abc", "a"]) == pytest.approx([0.3, 0.1])


def test_scores_are_kept_under_what_a_local_classifier_is_not_where_it_lies(classifier, tmp_path):
    def keys(folder):
        settings = {"benchmarks": {"bold": str(prompts)}, "log_odds": {"enabled": False}}
        how = {"regard": str(folder), "toxicity": str(folder), "toxic_label": "negative", "sentiment": False}
        tasks, failures = plan(validate(EvalConfig, settings | {"continuations": how}))
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
    assert continuation_scores.classifier_id("hub:owner/name") == "hub:owner/name"


def test_a_classifier_that_cannot_be_loaded_is_one_message(tmp_path):
    for load in (continuation_scores.regard, lambda path: continuation_scores.toxicity(path, "hate")):
        with pytest.raises(ValueError, match=r"continuations\.(regard|toxicity): .* could not be loaded .*`hub`"):
            load(str(tmp_path / "none"))


def test_a_missing_classifier_asks_nobody(monkeypatch):
    asked = []
    monkeypatch.setattr("evaluate.load", lambda name, **options: asked.append(name))
    for load in (continuation_scores.regard, lambda path: continuation_scores.toxicity(path, "hate")):
        with pytest.raises(ValueError, match="models/judge could not be loaded .it does not exist.; give `hub`"):
            load("models/judge")
    assert asked == []
    continuation_scores.regard("hub")
    continuation_scores.toxicity("hub:owner/judge", "hate")
    assert asked == ["regard", "owner/judge"]


# -- fluency and diversity -------------------------------------------------------------------------------------------


def test_diversity_has_its_closed_form():
    record = fluency.diversity_record(source("a", "x", ["a b a b a b", "a b", "", " c"]))
    assert record == {
        "id": "a",
        "num_continuations": 4,
        "num_empty": 1,
        "num_1grams": 9,
        "num_distinct_1grams": 3,
        "num_2grams": 6,
        "num_distinct_2grams": 2,
        "num_3grams": 4,
        "num_distinct_3grams": 2,
        "repetition": pytest.approx(1 - 2 / 3),  # abab, baba, abab
        "num_repetition": 1,
    }
    other = fluency.diversity_record(source("b", "x", ["d e f g", "x"]))
    values = {
        name: one.value for name, one in found(fluency.summarise_diversity([record, other], "c", SETTINGS)).items()
    }
    assert values == pytest.approx(
        {
            "diversity/distinct_1": 8 / 14,
            "diversity/distinct_2": 5 / 9,
            "diversity/distinct_3": 4 / 6,
            "diversity/repetition": (1 / 3 + 0) / 2,
            "diversity/empty": 1 / 6,
        }
    )


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_fluency_equals_a_slow_reference(tiny_scorer, architecture):
    scorer = tiny_scorer(architecture)
    sources = [source("a", "x", [" said that she left", "", " smiled"]), source("b", "x", [" was tired."])]
    records = fluency.score(scorer, sources)
    cost, count = 0.0, 0
    for text in (" said that she left", " smiled", " was tired."):
        ids = [*scorer.start, *scorer.tokenizer("The nurse" + text, add_special_tokens=False)["input_ids"]]
        num = len(scorer.tokenizer("The nurse", add_special_tokens=False)["input_ids"]) + len(scorer.start)
        with torch.no_grad():
            logprobs = scorer.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        cost -= sum(float(logprobs[i - 1, ids[i]]) for i in range(num, len(ids)))
        count += len(ids) - num
    (perplexity,) = fluency.summarise(records, "c", SETTINGS)
    assert perplexity.measurement.value == pytest.approx(math.exp(cost / count), rel=1e-5)
    assert perplexity.measurement.num_items == count
    assert perplexity.clusters == ("a", "b")


def test_a_continuation_beyond_the_reference_is_one_message(tiny_scorer):
    with pytest.raises(ValueError, match=r"than the model's context of 64 .*generation.max_new_tokens"):
        fluency.score(tiny_scorer(), [source("a", "x", [" left" * 80])])
    with pytest.raises(ValueError, match="all continuations are empty"):
        fluency.summarise([{"id": "a", "logprob": 0.0, "num_tokens": 0}], "c", SETTINGS)


# -- BOLD ------------------------------------------------------------------------------------------------------------


def test_empty_continuations_measure_nothing():
    empty = [source("a", "x", ["", "  "]), source("b", "x", ["\n"])]
    with pytest.raises(ValueError, match="all continuations of 2 prompts are empty.*scoring.start_token"):
        bold.summarise(empty, "c", SETTINGS)
    with pytest.raises(ValueError, match="all continuations of 2 prompts are empty"):
        bold.summarise_persons(empty, "c", SETTINGS)


def test_prompt_and_continuation_can_be_scored_together():
    texts = [" left early", " saw him and his"]
    assert source("a", "x", texts, "The woman")["num_neutral"] == 1
    both = source("a", "x", texts, "The woman", "prompt+continuation")
    assert (both["num_female"], both["num_male"]) == (1, 1)
    blank = source("b", "x", [" ", " smiled"], "The woman", "prompt+continuation")
    (record,) = continuation_scores.records([("professions", blank)], lambda texts: [len(text) for text in texts])
    assert record["scores"] == [len("The woman smiled")]  # nothing was said in the other


def test_the_group_table_has_counts_ratios_and_intervals():
    records = [source(str(n), "nursing_specialties", [" she", " she", " he" if n % 3 else " she"]) for n in range(30)]
    records += [source(f"e{n}", "engineering_branches", [" he", " it"]) for n in range(10)]
    rows = {row["group"]: row for row in bold.group_table(records, SETTINGS)}
    assert list(rows) == ["nursing_specialties", "engineering_branches", "science", "healthcare", "all"]
    nursing = rows["nursing_specialties"]
    assert (nursing["num_male"], nursing["num_female"], nursing["num_neutral"]) == (20, 70, 0)
    assert nursing["ratio"] == pytest.approx(2 / 7)
    assert nursing["log_ratio"] == pytest.approx(math.log(2 / 7))
    assert nursing["low"] < nursing["log_ratio"] < nursing["high"]
    assert rows["healthcare"] == {**nursing, "group": "healthcare"}
    assert rows["engineering_branches"]["ratio"] == 0
    assert math.isnan(rows["engineering_branches"]["log_ratio"])
    assert rows["all"]["num_prompts"] == 40
    measured = found(bold.summarise(records, "c", SETTINGS))
    assert measured["bold/healthcare/log_ratio"].value == nursing["log_ratio"]
    assert "bold/arts/log_ratio" not in measured


def test_persons_agreement_is_over_gendered_continuations():
    records = [
        source("a", "American_actors", [" he", " she", " it"]),
        source("b", "American_actresses", [" she", " she", " he"]),
    ]
    (agreement,) = bold.summarise_persons(records, "c", SETTINGS)
    assert agreement.measurement.value == pytest.approx(3 / 5)
    assert ratio(agreement.columns).tolist() == pytest.approx([1 / 2, 2 / 3])


def test_person_prompts_are_of_two_known_groups(tmp_path):
    path = tmp_path / "gender_prompt.json"
    path.write_text('{"American_actors": {"A": ["A is "]}, "Canadian_actors": {"B": ["B is "]}}')
    with pytest.raises(ValueError, match="benchmarks.bold_persons: .*'Canadian_actors'.*gender_prompt.json"):
        bold.read_persons(str(path))
