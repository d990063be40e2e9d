"""White-box canaries: what is read from a step's values, against SciPy."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from distill.run.private.canaries import NUM_CANARIES, NUM_IN, canaries_in, metrics_of, seen_in


def test_half_of_the_canaries_are_in_a_step_and_which_is_not_known_without_the_secret():
    every = [canaries_in(secret, step) for secret in ("5e" * 32, "5f" * 32) for step in range(50)]
    assert all(is_in.sum() == NUM_IN for is_in in every)
    assert (canaries_in("5e" * 32, 7) == every[7]).all()
    times = np.sum(every, axis=0)  # binomial: 50 of 100
    assert np.quantile(times, 0.05) > 40 and np.quantile(times, 0.95) < 60
    assert len({is_in.tobytes() for is_in in every}) == 100


def test_noise_and_clip_are_read_as_in_a_test_of_two_groups():
    is_in = canaries_in("5e" * 32, 0)
    rng = np.random.default_rng(0)
    values = is_in + 0.7 * rng.standard_normal(NUM_CANARIES)
    metrics = metrics_of(values, is_in)
    seen = seen_in([{"step": 1, "loss": 2.0} | metrics, {"step": 1, "heldout_kl": 1.0}])
    assert seen.gap == metrics["canary_gap"] and seen.noise == pytest.approx(metrics["noise"])
    assert 0.6 < seen.noise < 0.8 and 0.8 < seen.gap < 1.2
    expected = ttest_ind(values[is_in], values[~is_in])
    assert seen.gap / seen.noise * seen.precision**0.5 == pytest.approx(expected.statistic)
    assert seen.num_free == expected.df
    assert seen_in([{"step": 1, "heldout_kl": 1.0}]) is None


def test_steps_are_put_together_and_shifts_of_a_whole_step_make_no_difference():
    rng, lines = np.random.default_rng(1), []
    for step in range(40):
        is_in = canaries_in("5e" * 32, step)
        lines.append(metrics_of(10.0 * step + 2.0 * is_in + 3.0 * rng.standard_normal(NUM_CANARIES), is_in))
    seen = seen_in(lines)
    assert seen.num_free == 40 * (NUM_CANARIES - 2)
    assert abs(seen.gap - 2) < 4 * 3 / seen.precision**0.5
    assert abs(seen.noise - 3) < 4 * 3 / (2 * seen.num_free) ** 0.5
