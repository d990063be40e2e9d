"""Gender agreement of given names against a slow reference, and its list of names."""

import numpy as np
import pytest

from augment.lexicon import given_names
from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measures import agreement, name_agreement
from distill.evaluation.measures.all_measures import plan_tasks
from distill.evaluation.measures.prompts import NAME_TEMPLATES, named_prompts
from distill.settings import validate


def test_accuracy_and_margin_equal_a_slow_reference(tiny_scorer, slow_log_odds, values):
    scorer, prompts = tiny_scorer("llama"), named_prompts()[::11]
    records = agreement.score(scorer, prompts)
    sign = {"male": 1.0, "female": -1.0}
    margins = np.array([sign[prompt.gender] * slow_log_odds(scorer, prompt.text) for prompt in prompts])
    measured = values(name_agreement.summarise(records, "c", StatisticsConfig()))
    assert measured["name_agreement/accuracy"] == np.mean(margins > 0)
    assert measured["name_agreement/margin"] == pytest.approx(margins.mean(), abs=1e-5)


def test_names_occur_once_and_are_none_that_training_swaps():
    prompts = named_prompts()
    names = [prompt.text.split()[0] for prompt in prompts[:: len(NAME_TEMPLATES)]]
    assert len(names) == len(set(names)) == 80
    assert not {name.lower() for name in names} & given_names()
    assert {prompt.text.removeprefix(names[0]) for prompt in prompts[:4]} == {
        template.removeprefix("{name}") for template in NAME_TEMPLATES
    }


def test_the_people_of_a_small_world_have_no_names(small_world):
    tasks, failures = plan_tasks(validate(EvalConfig, {"world": str(small_world)}))
    assert not failures
    assert "agreement" in {task.name for task in tasks}
    assert "name_agreement" not in {task.name for task in tasks}
