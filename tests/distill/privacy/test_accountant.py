"""The accountant against published numbers, closed forms, and prices of other units of privacy."""

import math
import sys

import pytest
from dp_accounting.pld import privacy_loss_distribution

from distill.privacy.accountant import (
    COARSE,
    Steps,
    check_accountant,
    epsilon_curve,
    epsilon_of,
    noise_for,
    rdp_epsilon_of,
)
from distill.privacy.epsilon import gaussian_delta, gaussian_epsilon


@pytest.mark.parametrize(
    ("steps", "delta", "pld", "rdp"),
    [
        (Steps(1.5, 0.04, 2250), 1e-5, 6.768787, 7.329335),
        (Steps(0.8, 0.01, 1000), 1e-5, 3.141018, 3.695613),
        (Steps(1.0, 256 / 60000, 14040), 1e-5, 2.820202, 3.076069),
        (Steps(1.1, 256 / 60000, 14062), 1e-5, 2.381686, 2.596556),
        (Steps(0.6, 0.008, 3000), 1e-6, 11.077871, 12.433963),
    ],
)
def test_epsilons_are_those_computed_with_the_library_alone(steps, delta, pld, rdp):
    assert epsilon_of(steps, delta) == pytest.approx(pld, rel=1e-6)
    assert 0.999999 * rdp <= rdp_epsilon_of(steps, delta) <= 1.09 * rdp  # with fractional orders it is `rdp` itself


def test_epsilons_are_those_that_opacus_publishes():
    """Its tests: RDP 7.32911117, and 6.777395712 by PRV, whose own error bound is 0.01."""
    steps = Steps(1.5, 0.04, 2250)
    assert rdp_epsilon_of(steps, 1e-5) == pytest.approx(7.32911117, rel=2e-4)
    assert epsilon_of(steps, 1e-5) == pytest.approx(6.777395712, abs=0.01)


@pytest.mark.parametrize(("num_steps", "prv"), [(2250, 1.34765625), (2000, 1.2915)])
def test_noise_is_what_opacus_publishes(num_steps, prv):
    """Of 90 epochs at a rate of 0.04, and of 2,000 steps, for epsilon 8: found by bisection to 0.01."""
    assert noise_for(8.0, 1e-5, 0.04, num_steps) == pytest.approx(prv, abs=0.01)


def test_one_step_without_sampling_is_the_gaussian_mechanism():
    step = Steps(1.0, 1.0, 1)
    assert epsilon_of(step, 1e-5) == pytest.approx(gaussian_epsilon(1.0, 1e-5), rel=1e-4)
    assert epsilon_of(step, 1e-5) == pytest.approx(4.377178, rel=1e-4)
    noise = noise_for(1.0, 1e-5, 1.0, 1)
    assert noise == pytest.approx(3.7306316, rel=1e-3)
    assert gaussian_delta(1 / noise, 1.0) <= 1e-5
    assert gaussian_delta(1.0, 1.0) == pytest.approx(0.1269367, rel=1e-6)


@pytest.mark.parametrize(
    ("num_records", "batch", "num_steps", "epsilon", "noise"),
    [
        (20000, 256, 782, 1, 1.5117),
        (3000, 128, 469, 3, 1.3404),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                (20000, 256, 782, 8, 0.5993),
                (20000, 256, 782, 3, 0.8441),
                (200000, 1024, 586, 8, 0.5014),
                (40000, 512, 300, 8, 0.5456),
                (40000, 512, 300, 3, 0.7574),
                (40000, 512, 300, 1, 1.1701),
                (40000, 256, 300, 8, 0.4723),
                (40000, 256, 300, 3, 0.6439),
            ]
        ),
    ],
)
def test_noise_is_enough_and_hardly_more(num_records, batch, num_steps, epsilon, noise):
    delta, rate = num_records**-1.1, batch / num_records
    found = noise_for(float(epsilon), delta, rate, num_steps)
    assert found == pytest.approx(noise, rel=1e-3)
    assert epsilon_of(Steps(found, rate, num_steps), delta) <= epsilon
    assert epsilon_of(Steps(0.998 * found, rate, num_steps), delta, COARSE) > epsilon


def test_two_rows_of_a_document_cost_more_than_one_row_states():
    """Why a document and its counterfactual are one record.

    20,000 pairs, 256 rows a step, ten passes. A library that counts 40,000 rows states 5.73. But a document has two of
    them: of both, 0, 1 or 2 are in a step, so that it moves the sum by as many clips, and that is an epsilon of 11.66.
    A pair as one record, with 256 pairs a step, has 8.00 at the same noise. If both rows always came together and were
    clipped apart, the sum would move by two clips: 71.
    """
    num_pairs, noise = 20000, 0.5993
    delta, rate = num_pairs**-1.1, 256 / (2 * num_pairs)
    per_row = epsilon_of(Steps(noise, rate, 1562), delta, COARSE)
    chances = [(1 - rate) ** 2, 2 * rate * (1 - rate), rate**2]
    of_two_rows = privacy_loss_distribution.from_mixture_gaussian_mechanism(
        noise, [0.0, 1.0, 2.0], chances, value_discretization_interval=COARSE
    )
    assert per_row == pytest.approx(5.730, rel=1e-3)
    assert of_two_rows.self_compose(1562).get_epsilon_for_delta(delta) == pytest.approx(11.661, rel=1e-3)
    assert epsilon_of(Steps(noise, 2 * rate, 781), delta, COARSE) == pytest.approx(7.997, rel=1e-3)
    assert epsilon_of(Steps(noise / 2, 2 * rate, 781), delta, COARSE) == pytest.approx(71.292, rel=1e-3)


def test_epsilon_grows_with_steps_and_falls_with_noise():
    steps = Steps(0.8, 0.01, 100)
    curve = epsilon_curve(steps, 1e-5, num_points=5)
    assert [number for number, _ in curve] == [20, 40, 60, 80, 100]
    assert [value for _, value in curve] == sorted(value for _, value in curve)
    assert curve[-1][1] >= epsilon_of(steps, 1e-5) > epsilon_of(steps._replace(noise_multiplier=0.9), 1e-5)
    assert epsilon_of(steps._replace(num_steps=0), 1e-5) == 0
    assert math.isinf(epsilon_of(steps._replace(noise_multiplier=0.0), 1e-5))
    assert epsilon_curve(steps._replace(num_steps=3), 1e-5, num_points=8)[-1][0] == 3


def test_what_cannot_be_promised_and_a_missing_package_are_one_line(monkeypatch):
    with pytest.raises(ValueError, match=r"no amount of noise gives epsilon 1e-09 .* set a larger privacy.epsilon"):
        noise_for(1e-9, 1e-12, 1.0, 100000)
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(ValueError, match=r"pip install 'evenhand\[privacy\]'"):
        check_accountant()
