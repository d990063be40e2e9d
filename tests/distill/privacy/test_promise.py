"""The white-box bound of epsilon, from runs of which only metrics.jsonl is there, and what is compared with what."""

import json
import math

import numpy as np
import pytest

from distill.config import RunConfig
from distill.privacy.accountant import COARSE, FINE, Steps, epsilon_of
from distill.privacy.promise import LEAST_NOISE, confidence_of_each, noise_result, promise_of, promise_result
from distill.run.private.canaries import NUM_CANARIES, canaries_in, metrics_of
from distill.settings import validate

NOISE, RATE, NUM_STEPS, DELTA = 1.2, 0.02, 50, 1e-4
PROMISED = epsilon_of(Steps(NOISE, RATE, NUM_STEPS), DELTA, COARSE)
CONFIDENCE = confidence_of_each(0.95)


def stated(total: float = PROMISED) -> dict:
    own = {"epsilon": PROMISED, "delta": DELTA, "noise_multiplier": NOISE, "sample_rate": RATE, "steps": NUM_STEPS}
    return own | {"total": {"epsilon": total, "delta": DELTA}}


def run(folder, noise: float, clip: float = 1.0, num_logged: int = NUM_STEPS):
    """A run folder whose steps had this noise and clip."""
    rng, lines = np.random.default_rng(0), []
    for step in range(num_logged):
        is_in = canaries_in("5e" * 32, step)
        lines.append({"step": step + 1} | metrics_of(clip * is_in + noise * rng.standard_normal(NUM_CANARIES), is_in))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_run_with_the_stated_noise_has_a_bound_just_below_its_promise(tmp_path):
    found = noise_result(run(tmp_path, NOISE), stated(), CONFIDENCE)
    assert 0.8 * PROMISED < found["epsilon_at_least"] <= PROMISED
    assert NOISE < found["noise_at_most"] < 1.1 * NOISE
    assert found["measured"] == pytest.approx(NOISE, rel=0.02) and found["gap"] == pytest.approx(1, abs=0.1)
    assert found["epsilon_at_least"] == pytest.approx(
        epsilon_of(Steps(found["noise_at_most"], RATE, NUM_STEPS), DELTA, FINE), rel=2e-3
    )


@pytest.mark.parametrize(
    ("noise", "clip"), [(NOISE / 2, 1.0), (NOISE, 2.0), (0.0, 1.0), (NOISE / 8, 1.0), (NOISE, 1000.0)]
)
def test_less_noise_and_a_longer_clip_break_the_promise(noise, clip, tmp_path):
    found = noise_result(run(tmp_path, noise, clip), stated(), CONFIDENCE)
    assert found["epsilon_at_least"] > 2 * PROMISED
    assert found["noise_at_most"] == pytest.approx(noise / clip, rel=0.1)
    floor = Steps(LEAST_NOISE * NOISE, RATE, NUM_STEPS)
    assert found["epsilon_at_least"] <= epsilon_of(floor, DELTA, COARSE)


def test_half_the_noise_is_caught_in_two_logged_steps_and_a_tenth_less_in_fifty(tmp_path):
    for noise, num_logged in ((NOISE / 2, 2), (0.9 * NOISE, NUM_STEPS)):
        found = noise_result(run(tmp_path, noise, num_logged=num_logged), stated(), CONFIDENCE)
        assert found["epsilon_at_least"] > PROMISED


def test_without_canaries_or_with_canaries_that_are_lost_in_noise_nothing_is_said(tmp_path):
    found = noise_result(run(tmp_path, 1000.0), stated(), CONFIDENCE)
    assert (found["epsilon_at_least"], found["noise_at_most"]) == (0.0, None)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    assert noise_result(tmp_path, stated(), CONFIDENCE) is None
    found = promise_result(tmp_path, stated(), {}, None, CONFIDENCE)
    assert (found["bounds"], found["noise"], found["is_broken"]) == ({}, None, False)


def test_a_run_that_promises_nothing_has_nothing_to_keep(tmp_path):
    given = {"run_dir": "unused", "data": {"path": "unused"}, "student": {"config": {"model_type": "gpt2"}}}
    given |= {"teacher": None, "loss": {"kd_weight": 0, "ce_weight": 1}, "perturb": {"operation": "none"}}
    given |= {"train": {"max_steps": 1}, "optim": {"max_grad_norm": 0}}
    assert promise_of(tmp_path, validate(RunConfig, given)) is None
    assert promise_of(tmp_path, validate(RunConfig, given | {"privacy": {"epsilon": math.inf}})) is None
    private = validate(RunConfig, given | {"privacy": {"epsilon": 3}})
    with pytest.raises(ValueError, match="privacy.json cannot be read"):
        promise_of(tmp_path, private)
    (tmp_path / "privacy.json").write_text(json.dumps(stated()))
    assert promise_of(tmp_path, private) == stated()


@pytest.mark.parametrize(("loss", "canaries", "broken"), [(1.0, 1.0, False), (5.1, 1.0, True), (1.0, 5.1, True)])
def test_what_the_student_gives_away_is_compared_with_the_total(loss, canaries, broken, tmp_path):
    student, planted = {"loss": {"epsilon_at_least": loss}}, {"epsilon_at_least": canaries}
    found = promise_result(run(tmp_path, NOISE), stated(total=5.0), student, planted, CONFIDENCE)
    assert found["is_broken"] == broken
    promised = {name: bound["promised"] for name, bound in found["bounds"].items()}
    assert promised == {"membership (loss)": 5.0, "canaries in the text": 5.0, "white-box canaries": PROMISED}
    own = promise_result(run(tmp_path, NOISE / 2), stated(total=1000.0), {}, None, CONFIDENCE)
    assert own["is_broken"]  # what the teacher may give away is no excuse for less noise
