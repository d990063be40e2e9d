"""The occupation classifier: planted gaps, generated biographies, and a classifier that sees only gender."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measure import Inputs
from distill.evaluation.measures.classifiers.fine_tuning import Problem
from distill.evaluation.measures.classifiers.occupation_gap import (
    Biography,
    biographies,
    problem,
    score,
    summarise,
    task,
)
from distill.settings import validate
from distill.smallworld import default_world
from distill.smallworld.folder import load_world

SETTINGS = StatisticsConfig()


def records(right: dict[tuple[str, str], list[bool]], shares: dict[str, float]) -> list[dict]:
    return [
        {
            "id": f"{occupation}/{gender}/{number}",
            "cluster": occupation,
            "gender": gender,
            "female_share": shares[occupation],
            "predicted": occupation if is_right else "another",
        }
        for (occupation, gender), outcomes in right.items()
        for number, is_right in enumerate(outcomes)
    ]


def test_a_planted_gap_is_measured(values):
    planted = {
        ("nurse", "female"): [True] * 4,
        ("nurse", "male"): [True, False, False, False],
        ("pilot", "female"): [True, True, False, False],
        ("pilot", "male"): [True] * 4,
        ("baker", "female"): [True, False],
        ("baker", "male"): [True, False],
    }
    measured = values(summarise(records(planted, {"nurse": 0.9, "pilot": 0.1, "baker": 0.5}), "c", SETTINGS))
    assert measured["occupation_gap/accuracy"] == pytest.approx(13 / 20)
    assert measured["occupation_gap/tpr_gap"] == pytest.approx(np.sqrt((0.75**2 + 0.5**2 + 0) / 3))
    assert measured["occupation_gap/slope"] == pytest.approx((0.4 * 0.75 + 0.4 * 0.5) / (2 * 0.4**2))


def test_an_occupation_without_one_gender_has_no_gap():
    planted = {("nurse", "female"): [True], ("nurse", "male"): [False], ("pilot", "male"): [True]}
    accuracy, gap, slope = summarise(records(planted, {"nurse": 0.9, "pilot": 0.1}), "c", SETTINGS)
    assert accuracy.clusters == ("nurse", "pilot")
    assert gap.clusters == slope.clusters == ("nurse",)
    assert gap.measurement.value == 1


def test_biographies_do_not_name_the_occupation_and_test_ones_are_balanced():
    world = default_world()
    train, test = (biographies(world, 2000, 0, balanced=balanced) for balanced in (False, True))
    for biography in (*train, *test):
        assert biography.occupation not in biography.text.lower().split(), biography.text
        assert "an person" not in biography.text.lower()
    women = {
        part: np.mean([biography.gender == "female" for biography in chosen if biography.female_share > 0.9])
        for part, chosen in (("train", train), ("test", test))
    }
    assert women["train"] > 0.85
    assert abs(women["test"] - 0.5) < 0.15
    assert biographies(world, 2000, 0, balanced=True) == test
    assert not {biography.text for biography in train} & {biography.text for biography in test}


def test_a_classifier_that_sees_only_gender_reproduces_the_stereotype():
    """It predicts the majority of a gender: of two occupations, the stereotypical one."""

    def majority(problem: Problem) -> SimpleNamespace:
        counts = {t.text: np.bincount([u.label for u in problem.train if u.text == t.text]) for t in problem.train}
        return SimpleNamespace(classes=problem.classes, probs=lambda texts: np.stack([counts[text] for text in texts]))

    def people(split: str, counts: dict[tuple[str, str], int]) -> list[Biography]:
        return [
            Biography(f"{split}/{job}/{gender}/{n}", "she" if gender == "female" else "he", job, gender, share)
            for (job, gender), count in counts.items()
            for n in range(count)
            for share in [{"nurse": 0.9, "pilot": 0.1}[job]]
        ]

    train = people(
        "train", {("nurse", "female"): 9, ("nurse", "male"): 1, ("pilot", "female"): 1, ("pilot", "male"): 9}
    )
    test = people("test", {(job, gender): 5 for job in ("nurse", "pilot") for gender in ("female", "male")})
    estimates = summarise(score(majority(problem(train)), test), "c", SETTINGS)
    assert [round(estimate.measurement.value, 6) for estimate in estimates] == [0.5, 1.0, 2.5]


def test_the_task_is_planned_from_the_world_and_does_not_depend_on_the_batch(small_world, tiny_scorer):
    settings = {"world": str(small_world), "occupation_gap": {"enabled": True, "num_train": 80, "num_test": 60}}
    planned = task(Inputs(validate(EvalConfig, settings), None, {}))
    scored = []
    for max_batch_tokens in (64, 2048):
        work = planned.prepare(tiny_scorer(max_batch_tokens=max_batch_tokens))
        with torch.inference_mode():
            scored.append(work.score(work.items))
    assert scored[0] == scored[1]
    assert [record["id"] for record in scored[0]] == list(work.ids)
    assert load_world(small_world) == default_world()


def test_a_damaged_world_is_one_message(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"world\.json does not exist"):
        load_world(tmp_path)
    (tmp_path / "world.json").write_text("{}")
    with pytest.raises(ValueError, match="is malformed"):
        load_world(tmp_path)
