"""Partitions against published sizes, a slow reference in plain Python, and their limits."""

import random
from collections import Counter

import numpy as np
import pytest

from distill.federated.partition import (
    Partition,
    by_field,
    by_labels,
    by_quantity,
    gender_labels,
    label_sizes,
    periods,
)

# MNIST's training images by digit, in the order in which its digits first appear.
MNIST = {5: 5421, 0: 5923, 4: 5842, 1: 6742, 9: 5949, 2: 5958, 3: 6131, 6: 5918, 7: 6265, 8: 5851}
LABELS = [label for label, number in (("a", 300), ("b", 120), ("c", 60), ("d", 20)) for _ in range(number)]


def test_sizes_are_those_in_the_documentation_of_flwr_datasets():
    sizes = label_sizes(list(MNIST.values()), 10, 0.5, np.random.default_rng(42))
    assert sizes.sum(1).tolist() == list(MNIST.values())
    assert sorted(sizes.sum(0).tolist()) == [2134, 2615, 3646, 6011, 6170, 6386, 6715, 7653, 8435, 10235]


def slow_dirichlet(chance: random.Random, alpha: float, number: int) -> list[float]:
    """Gamma variates, each divided by their sum."""
    draws = [chance.gammavariate(alpha, 1) for _ in range(number)]
    return [draw / sum(draws) for draw in draws]


def slow_sizes(labels: list[str], num_clients: int, alpha: float, min_documents: int, seed: int) -> list[int]:
    """The definition read out: document after document, without a formula of the module under test."""
    chance = random.Random(seed)
    while True:
        has = [0] * num_clients
        for label in dict.fromkeys(labels):
            shares = slow_dirichlet(chance, alpha, num_clients)
            shares = [0 if has[c] * num_clients > len(labels) else shares[c] for c in range(num_clients)]
            number = labels.count(label)
            bounds = [sum(shares[: c + 1]) / sum(shares) * number for c in range(num_clients)]
            for document in range(number):
                owner = next((c for c in range(num_clients) if document + 1 <= bounds[c]), num_clients - 1)
                has[owner] += 1
        if min(has) >= min_documents:
            return sorted(has)


def assert_same_law(ours: list[list[int]], theirs: list[list[int]]) -> None:
    """Means of the sorted sizes within four standard errors, standard deviations within a third."""
    mine, other = np.array(ours, dtype=float), np.array(theirs, dtype=float)
    error = np.sqrt(mine.var(0, ddof=1) / len(mine) + other.var(0, ddof=1) / len(other))
    assert (np.abs(mine.mean(0) - other.mean(0)) < 4 * error).all(), (mine.mean(0), other.mean(0), error)
    ratio = mine.std(0, ddof=1) / other.std(0, ddof=1)
    assert ((ratio > 0.7) & (ratio < 1.4)).all(), ratio


@pytest.mark.parametrize("alpha", [0.3, 2.0])
def test_sizes_by_labels_have_the_means_and_spreads_of_a_slow_reference(alpha):
    ours = [sorted(by_labels(LABELS, 5, alpha, 3, seed).sizes().tolist()) for seed in range(200)]
    assert_same_law(ours, [slow_sizes(LABELS, 5, alpha, 3, seed) for seed in range(200)])


def test_sizes_by_quantity_have_the_means_and_spreads_of_a_slow_reference():
    ours = [sorted(by_quantity(1000, 5, 0.7, 1, seed).sizes().tolist()) for seed in range(200)]
    theirs, chance = [], random.Random(0)
    while len(theirs) < 200:
        sizes = sorted(round(1000 * share) for share in slow_dirichlet(chance, 0.7, 5))
        if sizes[0] >= 1:
            theirs.append(sizes)
    assert_same_law(ours, theirs)


def test_a_large_alpha_gives_every_client_the_mixture_of_the_corpus():
    partition = by_labels(LABELS, 4, 1e9, seed=3)
    for client in range(4):
        counts = Counter(LABELS[document] for document in partition.documents(client))
        assert counts == pytest.approx({"a": 75, "b": 30, "c": 15, "d": 5}, abs=1)


@pytest.mark.parametrize("alpha", [1e-6, 1e-300])
def test_a_tiny_alpha_gives_each_label_to_one_client(alpha):
    labels = [number % 12 for number in range(1200)]
    for seed in range(20):
        owner = by_labels(labels, 3, alpha, seed=seed).owner
        assert all(len(set(owner[label::12])) == 1 for label in range(12))
        assert set(owner) == {0, 1, 2}


def test_every_document_has_one_client_and_the_seed_alone_decides():
    first, again, other = (by_labels(LABELS, 5, 0.5, seed=seed) for seed in (1, 1, 2))
    assert first.owner.tolist() == again.owner.tolist() != other.owner.tolist()
    documents = np.concatenate([first.documents(client) for client in range(5)])
    assert sorted(documents.tolist()) == list(range(len(LABELS)))
    assert first.sizes().tolist() == [len(first.documents(client)) for client in range(5)]
    assert by_quantity(99, 3, 1.0, seed=4).owner.tolist() == by_quantity(99, 3, 1.0, seed=4).owner.tolist()


def test_a_client_gets_documents_of_a_label_from_all_over_the_corpus():
    partition = by_labels(["same"] * 1000, 2, 1e9)
    assert np.corrcoef(partition.owner, np.arange(1000))[0, 1] == pytest.approx(0, abs=0.1)


def test_by_field_makes_a_client_of_every_value():
    partition = by_field(["Emma", "Persuasion", "Emma", "Dubliners"])
    assert partition.names == ("Dubliners", "Emma", "Persuasion")
    assert partition.owner.tolist() == [1, 2, 1, 0]


def test_the_label_by_gender_is_the_sign_of_the_gendered_words():
    assert gender_labels(np.array([3, 0, 2, 0]), np.array([1, 4, 2, 0])) == [1, -1, 0, 0]


def test_clients_with_too_few_documents_are_drawn_anew_then_refused():
    assert all(by_labels(LABELS, 5, 0.3, 20, seed).sizes().min() >= 20 for seed in range(20))
    with pytest.raises(ValueError, match=r"11 draws of 5 clients each left one with fewer than 95 documents \(at best"):
        by_labels(LABELS, 5, 0.3, 95)
    with pytest.raises(ValueError, match="500 training documents are too few for 60 clients with at least 10 each"):
        by_quantity(500, 60, 1.0)


def test_periods_are_equal_parts_of_each_client_in_the_order_of_the_corpus():
    partition = Partition(np.array([0, 1, 0, 0, 1, 0, 0, 0, 0]), ("a", "b"))
    period = periods(partition, 3)
    assert period[partition.documents(0)].tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert period[partition.documents(1)].tolist() == [0, 1]
    assert periods(partition, 1).tolist() == [0] * 9


def test_sums_are_over_the_documents_of_each_client():
    partition = Partition(np.array([0, 2, 0, 2]), ("a", "b", "c"))
    assert partition.sums(np.array([1, 2, 3, 4])).tolist() == [4, 0, 6]
    assert partition.sizes().tolist() == [2, 0, 2]
