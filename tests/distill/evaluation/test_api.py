"""evaluate_model: the same numbers as eval.py's parts, from a path and from a loaded model; its messages."""

import pytest
from datasets import Dataset, DatasetDict

from distill.evaluation import EvalConfig, Measurement, evaluate_model
from distill.evaluation.config import LogOddsConfig, StatisticsConfig
from distill.evaluation.measures import log_odds as log_odds_module
from distill.evaluation.measures.prompts import neutral_prompts
from distill.evaluation.scoring.scorer import Scorer, start_token

CSV = ",sent_more,sent_less,bias_type\n0,The nurse said she left.,The nurse said he left.,gender\n"


@pytest.fixture
def crows(tmp_path):
    """A CrowS-Pairs file of one pair."""
    path = tmp_path / "crows.csv"
    path.write_text(CSV)
    return str(path)


def test_three_lines_measure_a_path_and_a_loaded_model_alike(tiny_model, tokenizer, tmp_path, crows):
    model = tiny_model("llama", attention_dropout=0.5)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    settings = {"benchmarks": {"crows_pairs": crows}, "agreement": {"enabled": False}, "they": {"enabled": False}}
    measured = evaluate_model(tmp_path / "model", settings=settings)
    assert {name.split("/")[0] for name in measured} == {"log_odds", "crows_pairs"}
    assert all(isinstance(measurement, Measurement) for measurement in measured.values())
    loaded = evaluate_model(model.train(), tokenizer, settings=settings)  # in training mode, as after a training
    assert loaded.keys() == measured.keys()
    for name, measurement in loaded.items():
        assert measurement.value == pytest.approx(measured[name].value, abs=1e-5)
    scorer = Scorer("x", model, tokenizer, start_token(tokenizer), 512)
    records = log_odds_module.score(scorer, neutral_prompts(LogOddsConfig(), None))
    direct = log_odds_module.summarise(records, "c", StatisticsConfig())
    for estimate in direct:
        assert measured[estimate.measurement.name].value == pytest.approx(estimate.measurement.value, abs=1e-5)


def test_tasks_are_chosen_and_may_depend_on_each_other(tiny_model, tokenizer, tmp_path):
    prompts = tmp_path / "profession_prompt.json"
    prompts.write_text('{"nursing_specialties": {"Nurse": ["A nurse is ", "The nurse said that "]}}')
    settings = {"benchmarks": {"bold": str(prompts)}, "generation": {"num_samples": 2, "max_new_tokens": 8}}
    measured = evaluate_model(tiny_model(), tokenizer, tasks=["bold", "diversity"], settings=settings)
    assert {name.split("/")[0] for name in measured} == {"bold", "diversity"}
    with pytest.raises(
        ValueError, match="diversity is computed from the records of bold, which is not among the tasks"
    ):
        evaluate_model(tiny_model(), tokenizer, tasks=["diversity"], settings=settings)


def test_messages(tiny_model, tokenizer, tmp_path):
    with pytest.raises(ValueError, match="needs its tokenizer"):
        evaluate_model(tiny_model())
    with pytest.raises(ValueError, match="tokenizer is given, but model is a path .*leave tokenizer out"):
        evaluate_model(tmp_path, tokenizer)
    with pytest.raises(ValueError, match="unknown config key scorin"):
        evaluate_model(tiny_model(), tokenizer, settings={"scorin": {}})
    with pytest.raises(ValueError, match="'stereoset' is not among the tasks"):
        evaluate_model(tiny_model(), tokenizer, tasks=["stereoset"], settings=EvalConfig())
    missing = {"benchmarks": {"stereoset": str(tmp_path / "dev.json")}}
    for tasks in (None, ["stereoset"]):
        with pytest.raises(
            ValueError, match="stereoset: benchmarks.stereoset: .*dev.json does not exist.*evenhand data get"
        ):
            evaluate_model(tiny_model(), tokenizer, tasks=tasks, settings=missing)


def test_a_text_that_cannot_be_read_fails_its_tasks(tiny_model, tokenizer, tmp_path):
    settings = {"text": {"path": str(tmp_path / "none.jsonl")}, "perplexity": {"enabled": True}}
    for tasks in (None, ["perplexity"], ["log_odds", "counterfactual_gap"]):
        with pytest.raises(ValueError, match="^text: corpus .*none.jsonl does not exist; set text.path to a file"):
            evaluate_model(tiny_model(), tokenizer, tasks=tasks, settings=settings)
    assert evaluate_model(tiny_model(), tokenizer, tasks=["log_odds"], settings=settings)
    settings["perplexity"]["enabled"] = False
    with pytest.raises(ValueError, match="'perplexity' is not among the tasks"):
        evaluate_model(tiny_model(), tokenizer, tasks=["perplexity"], settings=settings)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.mkdir(), "folder .* holds no"),
        (
            lambda path: path.write_text('{"body": "a"}'),
            r"has no field 'text' .*; set text.text_field or repair the row",
        ),
        (lambda path: path.write_text(""), "is empty: .*; check text.path"),
        (
            lambda path: DatasetDict({"test": Dataset.from_dict({"text": ["a"]})}).save_to_disk(path),
            r"has no split 'train' \(it has test\); set text.path to the folder of one of them",
        ),
    ],
)
def test_messages_about_the_text_name_its_settings(tiny_model, tokenizer, tmp_path, write, message):
    path = tmp_path / "text.jsonl"
    write(path)
    with pytest.raises(ValueError, match=f"^text: .*{message}") as caught:
        evaluate_model(tiny_model(), tokenizer, tasks=["perplexity"], settings={"text": {"path": str(path)}})
    assert "data." not in str(caught.value).replace(str(path), "")
