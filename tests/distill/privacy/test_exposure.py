"""Exposure: published cases, and what is known of secrets that nobody planted."""

import math

import numpy as np
import pytest

from distill.privacy.exposure import exposure, null_exposure, rank_among

REFERENCES = -np.arange(1.0, 17.0)  # log-likelihoods of the other secrets


@pytest.mark.parametrize(("loss", "bits"), [(0.1, 4), (20, math.log2(16 / 17)), (3.5, math.log2(16) - math.log2(4))])
def test_published_cases(loss, bits):
    """Those of TensorFlow Privacy's tests: 16 references, and a secret beside them."""
    assert exposure(rank_among(-loss, REFERENCES), 16) == pytest.approx(bits)


def test_equal_likelihoods_count_half():
    assert rank_among(-3.0, REFERENCES) == 3.5
    assert rank_among(0.0, np.zeros(9)) == 5.5


@pytest.mark.parametrize("num_secrets", [2, 10, 1000])
def test_unplanted_secrets_have_the_mean_of_all_ranks(num_secrets):
    every = [exposure(rank, num_secrets) for rank in range(1, num_secrets + 1)]
    assert null_exposure(num_secrets) == pytest.approx(np.mean(every))


def test_many_unplanted_secrets_come_near_one_over_ln_two():
    assert null_exposure(10**6) == pytest.approx(1 / math.log(2), abs=1e-4)
    values = np.random.default_rng(0).normal(size=(2000, 1000))
    found = [exposure(rank_among(row[0], row[1:]), 1000) for row in values]
    assert np.mean(found) == pytest.approx(null_exposure(1000), abs=1.96 * 1.4427 / math.sqrt(2000))
