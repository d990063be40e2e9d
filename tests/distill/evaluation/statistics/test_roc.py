"""ROC statistics against loops over all pairs, a published case, and their invariances."""

import numpy as np
import pytest

from distill.evaluation.statistics.roc import auc, count_scores, roc_curve, separation, supported_fprs, tpr_at_fpr

OUT = np.arange(100.0)


@pytest.fixture
def tied():
    rng = np.random.default_rng(0)
    return rng.integers(6, size=40) + 1.0, rng.integers(5, size=30) * 1.0


def test_the_area_is_the_share_of_pairs_in_order_with_ties_halved(tied):
    positives, negatives = tied
    pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    assert auc(count_scores(positives, negatives)) == pytest.approx(np.mean(pairs))
    assert auc(count_scores(negatives, positives)) == pytest.approx(1 - np.mean(pairs))
    assert auc(count_scores(np.zeros(7), np.zeros(9))) == 0.5


def test_the_published_case_of_scores_that_are_shifted_by_nine_and_a_half():
    counted = count_scores(OUT + 9.5, OUT)
    assert tpr_at_fpr(counted, 0.01) == 0.11
    assert auc(counted) == pytest.approx(np.mean([p > n for p in OUT + 9.5 for n in OUT])) == pytest.approx(0.5905)
    # jax_privacy's 0.595 lets an attacker draw lots between thresholds: it joins the upper corners of the curve
    false, true = roc_curve(counted)
    corners = [(f, t) for f, t in zip(false, true, strict=True) if t == true[np.isclose(false, f)].max()]
    assert np.trapezoid(*np.transpose(corners)[::-1]) == pytest.approx(0.595)


def test_the_rate_at_few_false_alarms_is_that_of_the_best_threshold(tied):
    counted = count_scores(*tied)
    for fpr in (0.0, 0.05, 0.2, 0.5, 1.0):
        rates = [(np.mean(tied[0] >= cut), np.mean(tied[1] >= cut)) for cut in [9, *np.unique(np.concatenate(tied))]]
        assert tpr_at_fpr(counted, fpr) == pytest.approx(max(true for true, false in rates if false <= fpr))


def test_the_curve_has_the_area(tied):
    false, true = roc_curve(count_scores(*tied))
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true, false) == pytest.approx(auc(count_scores(*tied)))


def test_only_rates_with_ten_false_alarms_are_supported():
    assert supported_fprs(99) == ()
    assert supported_fprs(100) == (0.1,)
    assert supported_fprs(1000) == (0.1, 0.01)
    assert supported_fprs(10_000) == (0.1, 0.01, 0.001)


def test_intervals_hold_the_truth_and_are_as_wide_as_hanley_and_mcneil_say():
    covered, widths, truth = 0, [], 0.75
    for seed in range(100):
        rng = np.random.default_rng(seed)
        # exponential scores whose area is known: P(positive > negative) = rate / (1 + rate)
        area, rates = separation(rng.exponential(3, 80), rng.exponential(1, 100), (0.1,), num_resamples=200, seed=seed)
        covered += area.low <= truth <= area.high
        widths.append(area.standard_error)
        assert rates[0.1].low <= rates[0.1].value <= rates[0.1].high
    assert covered >= 88
    q1, q2 = truth / (2 - truth), 2 * truth**2 / (1 + truth)
    variance = (truth * (1 - truth) + 79 * (q1 - truth**2) + 99 * (q2 - truth**2)) / 8000
    assert np.mean(widths) == pytest.approx(variance**0.5, rel=0.1)


def test_groups_that_are_wholly_apart_or_equal_get_exact_intervals():
    area, _ = separation(OUT + 200, OUT)
    assert area.value == 1 and 0.96 < area.low < 1 == area.high
    area, _ = separation(np.zeros(50), np.zeros(60))
    assert area.value == 0.5 and 0.45 < area.low < 0.5 < area.high < 0.55


def test_groups_without_scores_are_refused():
    with pytest.raises(ValueError, match="scores of the negatives are none"):
        count_scores(OUT, OUT[:0])
    with pytest.raises(ValueError, match="scores of the positives are not numbers"):
        count_scores(np.array([np.nan]), OUT)
