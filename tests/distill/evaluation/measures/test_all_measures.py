"""The list of measures: list, settings and documentation agree, and every measurement has its description."""

import re
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from distill.evaluation.config import BenchmarksConfig, ContinuationsConfig, EvalConfig, StatisticsConfig
from distill.evaluation.measure import Inputs
from distill.evaluation.measures import log_odds
from distill.evaluation.measures.all_measures import DESCRIPTIONS, MEASURES, plan_tasks
from distill.evaluation.measures.published import winobias
from distill.evaluation.results import SHARE_REMOVED
from distill.evaluation.suite import evaluate
from distill.settings import validate

PAGE = Path(__file__).parents[4] / "docs" / "evaluation.md"
OF_CONTINUATIONS = {"word_vectors": "word_vector_polarity"}  # settings that are not called as their measure


def test_every_measure_is_called_as_its_file_and_its_task():
    folder = Path(log_odds.__file__).parent
    files = {path.stem for path in folder.rglob("*.py") if "\nMEASURE = Measure(" in path.read_text(encoding="utf-8")}
    assert files == set(MEASURES)


def test_list_and_settings_name_the_same_measures():
    sections = {name for name, section in vars(EvalConfig()).items() if hasattr(section, "enabled")}
    benchmarks = {field.name for field in fields(BenchmarksConfig)}
    switches = {"sentiment", "regard", "toxicity", "word_vectors", "diversity", "fluency"}
    assert switches <= {field.name for field in fields(ContinuationsConfig)}
    assert sections | benchmarks | {OF_CONTINUATIONS.get(name, name) for name in switches} == set(MEASURES)


def test_the_page_names_the_same_measures():
    text = PAGE.read_text(encoding="utf-8")
    tables = text[text.index("### Disparity") : text.index("### Data")]
    rows = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(MEASURES)


def test_the_example_of_the_page_is_a_measure(tiny_scorer, slow_logprobs, tmp_path):
    (block,) = (
        block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S) if "MEASURE =" in block
    )
    names = dict(vars(winobias))  # the page says that its imports are those of this module
    exec(block, names)
    path = tmp_path / "sentences.txt"
    path.write_text("The nurse left.\nA pilot smiled when he left.\n")
    measure, scorer = names["MEASURE"], tiny_scorer()
    config = SimpleNamespace(benchmarks=SimpleNamespace(sentences=str(path)))
    work = measure.task(Inputs(config, None, {})).prepare(scorer)
    records = work.score(work.items)
    (estimate,) = measure.summarise(records, *work.conventions(records), StatisticsConfig())
    logprobs = [slow_logprobs(scorer, line).sum() for line in path.read_text().splitlines()]
    assert estimate.measurement.value == pytest.approx(sum(logprobs) / 2, abs=1e-4)
    assert estimate.measurement.name in measure.descriptions


def test_every_measurement_has_a_description_and_every_description_a_measurement(everything, model_spec):
    evaluation = evaluate([model_spec("model")], validate(EvalConfig, everything))
    assert evaluation.failures == []
    (result,) = evaluation.results
    assert list(result.tasks) == list(MEASURES)
    assert set(result.estimates) == set(DESCRIPTIONS) - {SHARE_REMOVED}  # that one takes two models
    assert len(DESCRIPTIONS) == sum(len(measure.descriptions) for measure in MEASURES.values())  # no name twice


def test_a_measure_that_is_left_out_has_no_task():
    tasks, failures = plan_tasks(validate(EvalConfig, {name: {"enabled": False} for name in ("log_odds", "agreement")}))
    assert (tasks, failures) == ([], [])
