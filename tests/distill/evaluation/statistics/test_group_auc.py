"""AUC: pairs counted one by one, pseudo-values, generalised means."""

import numpy as np
import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.statistics.estimators import ratio
from distill.evaluation.statistics.group_auc import (
    auc_columns,
    power_mean,
    power_mean_of_ratios,
    ratio_difference,
)
from distill.evaluation.statistics.measurement import estimate


def by_pairs(scores, positive):
    pairs = [(p > n) + (p == n) / 2 for p in scores[positive] for n in scores[~positive]]
    return np.mean(pairs)


def texts(seed=0, num=60, step=0.25):
    rng = np.random.default_rng(seed)
    positive = rng.random(num) < 0.4
    return np.round((rng.normal(size=num) + positive) / step) * step, positive  # with ties


@pytest.mark.parametrize("seed", range(4))
def test_the_area_is_the_share_of_pairs_in_the_right_order(seed):
    scores, positive = texts(seed)
    assert float(ratio(auc_columns(scores, positive).sum(axis=0))) == pytest.approx(by_pairs(scores, positive))
    member = np.random.default_rng(seed).random(60) < 0.6
    columns = auc_columns(scores, positive, member)
    assert float(ratio(columns.sum(axis=0))) == pytest.approx(by_pairs(scores[member], positive[member]))
    assert not columns[~member].any()


def test_the_standard_error_is_that_of_delong():
    scores, positive = texts(num=300)
    names = [str(number) for number in range(300)]
    how = {"unit": "AUC", "num_items": 300, "higher_is_better": True, "convention": "c", "settings": StatisticsConfig()}
    found = estimate("a", names, auc_columns(scores, positive), ratio, **how).measurement
    won = np.array([[(p > n) + (p == n) / 2 for n in scores[~positive]] for p in scores[positive]])
    variance = won.mean(axis=1).var(ddof=1) / len(won) + won.mean(axis=0).var(ddof=1) / won.shape[1]
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=0.06)
    assert found.low < found.value < found.high


def test_one_text_of_a_kind_has_no_interval():
    with pytest.raises(ValueError, match="of 3 texts 1 are positive"):
        auc_columns(np.arange(3.0), np.array([True, False, False]))


def test_the_generalised_mean_lies_between_the_lowest_and_the_mean():
    values = np.array([0.9, 0.5, 0.7])
    assert power_mean(values, 1.0) == pytest.approx(values.mean())
    assert power_mean(values, -200.0) == pytest.approx(0.5, abs=0.01)
    assert power_mean(values, -5.0) == pytest.approx(((0.9**-5 + 0.5**-5 + 0.7**-5) / 3) ** -0.2)
    assert power_mean(np.array([0.0, 0.5]), -5.0) == 0
    sums = np.array([[1.8, 2.0, 5.0, 10.0, 0.7, 1.0], [3.0, 2.0, 5.0, 10.0, 0.5, 1.0]])
    found = power_mean_of_ratios(-5.0)(sums)
    assert found.tolist() == pytest.approx(
        [float(power_mean(own, -5.0)) for own in (values, np.array([1.0, 0.5, 0.5]))]
    )


@pytest.mark.parametrize("published", [0.6467, 0.6810, 0.6664, 0.6026, 0.7568, 0.7802])
def test_the_formula_gives_a_published_number_from_areas_that_have_it(published):
    """The subgroup AUCs of HateXplain's six models; the areas of communities are made up to have that mean."""
    areas = published * np.linspace(0.9, 1.2, 9)
    last = (10 * published**-5 - (areas**-5).sum()) ** -0.2
    assert power_mean(np.append(areas, last), -5.0) == pytest.approx(published)


def test_the_difference_of_two_shares():
    assert ratio_difference(np.array([3.0, 4.0, 1.0, 2.0])) == 0.25
