"""Measures on continuations, requested without any prompts to continue."""

import json

from distill.evaluation.config import EvalConfig
from distill.evaluation.measures.all_measures import plan_tasks
from distill.settings import validate


def test_a_measure_without_prompts_fails_and_names_them(tmp_path):
    prompts = tmp_path / "gender_prompt.json"
    prompts.write_text(json.dumps({"American_actors": {"A": ["A "]}, "American_actresses": {"B": ["B "]}}))
    missing = str(tmp_path / "none")
    asked = dict.fromkeys(("toxicity", "regard", "word_vectors", "reference"), missing)
    off = {"log_odds": {"enabled": False}, "agreement": {"enabled": False}}

    def messages(benchmarks, **continuations):
        config = validate(EvalConfig, {**off, "benchmarks": benchmarks, "continuations": continuations})
        return {failure.task: failure.message for failure in plan_tasks(config)[1]}

    assert messages({}) == {}
    without = messages({}, **asked)
    assert set(without) == {"toxicity", "regard", "word_vector_polarity", "fluency"}
    assert f"continuations.toxicity = '{missing}'" in without["toxicity"]
    assert "set benchmarks.bold or benchmarks.bold_persons, or continuations.toxicity=null" in without["toxicity"]
    assert "set benchmarks.bold, or continuations.word_vectors=null" in without["word_vector_polarity"]
    persons = {"bold_persons": str(prompts)}
    assert set(messages(persons, word_vectors=missing)) == {"word_vector_polarity"}
    assert messages({"bold": "none.json"}, word_vectors=missing).keys() == {"bold"}  # this message says it all
    assert messages({}, reference=missing, fluency=False) == {}
