"""Selection by chi-square, the mean by enumeration of every selection, and its independence of the order of answers."""

import itertools
from collections import Counter
from math import prod

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from distill.federated.selection import aggregate, period_of, select, shares

SIZES = [5, 30, 0, 15, 50]
VALUES = [1.0, -2.0, 7.0, 0.5, 3.0]  # of the one weight that each client would send
NUM_ROUNDS = 4000


def test_uniform_selection_takes_every_group_of_clients_equally_often():
    groups = Counter(tuple(select(SIZES, 2, "uniform", 3, number)) for number in range(NUM_ROUNDS))
    assert set(groups) == set(itertools.combinations([0, 1, 3, 4], 2))
    assert chisquare(list(groups.values())).pvalue > 0.01


def test_selection_by_activity_is_in_proportion_to_the_sizes():
    drawn = Counter(c for number in range(NUM_ROUNDS) for c in select(SIZES, 3, "activity", 3, number))
    frequencies = [drawn[client] for client in (0, 1, 3, 4)]
    expected = 3 * NUM_ROUNDS * np.array([5, 30, 15, 50]) / 100
    assert drawn[2] == 0
    assert chisquare(frequencies, expected).pvalue > 0.01
    assert chisquare(frequencies).pvalue < 1e-9  # the test tells it from uniform selection


def test_draws_by_activity_do_not_depend_on_each_other():
    pairs = Counter(tuple(select([1, 3], 2, "activity", 5, number)) for number in range(NUM_ROUNDS))
    expected = NUM_ROUNDS * np.array([1, 6, 9]) / 16
    assert chisquare([pairs[0, 0], pairs[0, 1], pairs[1, 1]], expected).pvalue > 0.01


def mean_of(selected, sizes, how) -> float:
    of_clients = shares(selected, sizes, how)
    answers = {client: {"w": torch.tensor(VALUES[client], dtype=torch.float64)} for client in of_clients}
    return aggregate(answers, of_clients)["w"].item()


def test_by_activity_the_expected_mean_is_that_of_all_clients_by_size():
    sizes = [5, 30, 15, 50]
    probabilities = [size / 100 for size in sizes]
    whole = sum(p * value for p, value in zip(probabilities, VALUES, strict=False))

    def expected(how: str) -> float:
        draws = itertools.product(range(4), repeat=3)
        return sum(prod(probabilities[c] for c in drawn) * mean_of(drawn, sizes, how) for drawn in draws)

    assert expected("activity") == pytest.approx(whole, abs=1e-12)
    assert abs(expected("uniform") - whole) > 0.1  # weighting by size after selecting by size counts it twice


def test_by_uniform_selection_the_expected_mean_is_exact_for_equal_sizes_only():
    groups = list(itertools.combinations(range(4), 2))
    equal = [mean_of(group, [7] * 4, "uniform") for group in groups]
    assert sum(equal) / len(groups) == pytest.approx(sum(VALUES[:4]) / 4, abs=1e-12)
    sizes = [5, 30, 15, 50]
    whole = sum(size * value for size, value in zip(sizes, VALUES, strict=False)) / 100
    assert mean_of(range(4), sizes, "uniform") == pytest.approx(whole, abs=1e-12)  # all clients: no error either
    unequal = [mean_of(group, sizes, "uniform") for group in groups]
    assert abs(sum(unequal) / len(groups) - whole) > 0.1  # FedAvg's mean of some clients is a ratio


def test_shares_count_a_client_that_was_drawn_twice_twice():
    assert shares([1, 3, 3, 4], SIZES, "activity") == {1: 0.25, 3: 0.5, 4: 0.25}
    assert shares([1, 3], SIZES, "uniform") == {1: 30 / 45, 3: 15 / 45}


def test_the_order_of_answers_makes_no_difference():
    generator = torch.Generator().manual_seed(0)
    answers = {client: {"w": torch.randn(1000, generator=generator)} for client in range(6)}
    of_clients = shares(range(6), [3, 1, 4, 1, 5, 9], "uniform")
    reference = aggregate(answers, of_clients)["w"]
    for order in itertools.islice(itertools.permutations(range(6)), 0, 720, 37):
        assert torch.equal(aggregate({client: answers[client] for client in order}, of_clients)["w"], reference)
    exact = sum(of_clients[c] * answers[c]["w"].double() for c in range(6))
    assert torch.equal(reference, exact.float())


def test_the_weights_of_one_client_come_back_bit_for_bit():
    weights = {"w": torch.randn(1000, generator=torch.Generator().manual_seed(1))}
    assert torch.equal(aggregate({3: weights}, {3: 1.0})["w"], weights["w"])


def test_a_round_needs_clients_with_text_and_takes_as_many_as_there_are():
    assert select(SIZES, 10, "uniform", 0, 0) == [0, 1, 3, 4]
    with pytest.raises(ValueError, match=r"no client has text in round 8; lower federated\.periods"):
        select([0, 0], 1, "activity", 0, 7)


def test_answers_that_do_not_fit_are_refused():
    weights = {"w": torch.zeros(2)}
    with pytest.raises(ValueError, match=r"clients \[2\] were selected and did not answer"):
        aggregate({1: weights}, {1: 0.5, 2: 0.5})
    with pytest.raises(ValueError, match="client 2 has sent weights of another model than client 1"):
        aggregate({1: weights, 2: {"w": torch.zeros(3)}}, {1: 0.5, 2: 0.5})


def test_periods_divide_the_rounds():
    assert [period_of(number, 7, 3) for number in range(7)] == [0, 0, 0, 1, 1, 2, 2]
    assert {period_of(number, 7, 1) for number in range(7)} == {0}
