"""The statistics against closed forms, scipy, brute force and simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.statistics import resampling as st


def ones(values):
    """Columns of a mean."""
    return np.stack([values, np.ones_like(values)], axis=1)


# -- statistics of sums ----------------------------------------------------------------------------------------------


def test_statistics_of_sums_equal_their_textbook_forms():
    rng = np.random.default_rng(1)
    x = rng.normal(3.0, 2.0, 50)
    y = 0.4 * x + rng.normal(size=50)
    assert st.ratio(ones(x).sum(0)) == pytest.approx(x.mean())
    assert st.exp_ratio(ones(x).sum(0)) == pytest.approx(math.exp(x.mean()))
    assert st.spread(st.moments(x).sum(0)) == pytest.approx(x.std(ddof=1))
    fit = stats.linregress(x, y)
    assert st.slope(st.joint_moments(x, y).sum(0)) == pytest.approx(fit.slope)
    assert st.correlation(st.joint_moments(x, y).sum(0)) == pytest.approx(fit.rvalue)


def test_statistics_are_nan_where_they_are_not_defined():
    constant, varying = np.full(5, 0.3), np.arange(5.0)
    assert math.isnan(st.correlation(st.joint_moments(constant, varying).sum(0)))
    assert math.isnan(st.correlation(st.joint_moments(varying, constant).sum(0)))
    assert math.isnan(st.slope(st.joint_moments(constant, varying).sum(0)))
    assert math.isnan(st.spread(st.moments(np.array([2.0])).sum(0)))
    assert math.isnan(st.ratio(np.zeros(2)))


def test_statistics_take_stacks_of_sums():
    sums = np.random.default_rng(0).random((4, 3, 6)) + 1.0
    for statistic in (st.ratio, st.exp_ratio, st.spread, st.slope, st.correlation):
        assert statistic(sums).shape == (4, 3)


# -- intervals -------------------------------------------------------------------------------------------------------


def test_bootstrap_standard_error_of_a_mean_is_the_closed_form():
    x = np.random.default_rng(2).gamma(2.0, size=80)
    interval = st.bootstrap_interval(ones(x), st.ratio, num_resamples=20_000)
    assert interval.value == pytest.approx(x.mean())
    assert interval.standard_error == pytest.approx(x.std() / math.sqrt(len(x)), rel=0.02)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("name", ["mean", "spread"])
def test_bootstrap_interval_agrees_with_scipy(method, name):
    x = np.random.default_rng(3).gamma(1.0, size=40)
    columns, statistic = (ones(x), st.ratio) if name == "mean" else (st.moments(x), st.spread)
    scipys = {"mean": np.mean, "spread": lambda data, axis: np.std(data, axis=axis, ddof=1)}[name]
    expected = stats.bootstrap(
        (x,), scipys, n_resamples=40_000, method="BCa" if method == "bca" else method, rng=np.random.default_rng(4)
    )
    found = st.bootstrap_interval(columns, statistic, num_resamples=40_000, method=method)
    tolerance = 0.06 * expected.standard_error
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=tolerance)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=tolerance)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.03)


def test_bootstrap_resamples_whole_clusters():
    """Five clusters of twenty equal items carry the information of five items, not of a hundred."""
    x = np.array([1.0, 2.0, 4.0, 7.0, 11.0])
    clustered = np.stack([20 * x, np.full(5, 20.0)], axis=1)
    assert st.bootstrap_interval(clustered, st.ratio) == st.bootstrap_interval(ones(x), st.ratio)


def test_bootstrap_does_not_depend_on_the_chunks(monkeypatch):
    x = np.random.default_rng(5).normal(size=37)
    whole = st.bootstrap_values(ones(x), st.ratio, 2000, seed=9)
    p_whole = st.paired_permutation_p(ones(x + 0.3), ones(x[::-1].copy()), st.ratio)
    monkeypatch.setattr(st, "MAX_CHUNK_ELEMENTS", 1000)
    np.testing.assert_allclose(st.bootstrap_values(ones(x), st.ratio, 2000, seed=9), whole, rtol=1e-12)
    assert st.paired_permutation_p(ones(x + 0.3), ones(x[::-1].copy()), st.ratio) == p_whole


def test_bootstrap_of_a_constant_has_no_width_and_of_one_cluster_no_interval():
    flat = st.bootstrap_interval(ones(np.full(10, 2.0)), st.ratio)
    assert (flat.low, flat.value, flat.high) == (2.0, 2.0, 2.0)
    single = st.bootstrap_interval(ones(np.array([2.0])), st.ratio)
    assert single.value == 2.0
    assert math.isnan(single.low)
    assert math.isnan(single.high)


def test_an_interval_of_a_statistic_that_needs_two_clusters_is_that_of_percentiles():
    columns = st.moments(np.array([0.3, -0.3]))
    found, plain = (st.bootstrap_interval(columns, st.spread, method=method) for method in ("bca", "percentile"))
    assert (found.low, found.high) == (plain.low, plain.high) == (0, found.value)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_interval_coverage_by_simulation(method):
    """95 % intervals of a ratio over 60 unequal clusters hold the truth in 95 +- 1.5 % of 1,000 repeats."""
    rng = np.random.default_rng(6)
    repeats, hits = 1000, 0
    for repeat in range(repeats):
        sizes = rng.integers(1, 6, size=60).astype(float)
        level = rng.normal(0.7, 0.5, size=60)  # items of a cluster share its level
        columns = np.stack([level * sizes, sizes], axis=1)
        interval = st.bootstrap_interval(columns, st.ratio, method=method, seed=repeat)
        hits += interval.low <= 0.7 <= interval.high
    assert abs(hits / repeats - 0.95) <= 0.015


def test_paired_difference_uses_the_pairing():
    """Two models that differ by a constant have a difference without uncertainty, however much items vary."""
    x = np.random.default_rng(7).normal(0, 5, size=30)
    both = np.concatenate([ones(x + 0.25), ones(x)], axis=1)
    interval = st.bootstrap_interval(both, st.difference_of(st.ratio, 2))
    assert interval.value == pytest.approx(0.25)
    assert interval.high - interval.low < 1e-12


# -- tests -----------------------------------------------------------------------------------------------------------


def test_exact_permutation_p_equals_enumerated_sign_flips():
    difference = np.array([0.9, -0.2, 0.4, 1.1, 0.3, -0.1, 0.7, 0.2])
    base = np.random.default_rng(8).normal(size=8)
    flips = [abs(np.dot(signs, difference)) for signs in itertools.product([1, -1], repeat=8)]
    expected = np.mean(np.array(flips) >= abs(difference.sum()) - 1e-9)
    assert st.paired_permutation_p(ones(base + difference), ones(base), st.ratio) == expected


def test_monte_carlo_permutation_p_agrees_with_scipy_for_a_statistic_that_is_not_a_mean():
    rng = np.random.default_rng(9)
    x, y = rng.normal(0, 1.35, 25), rng.normal(0, 1.0, 25)
    found = st.paired_permutation_p(st.moments(x), st.moments(y), st.spread, num_permutations=40_000)
    expected = stats.permutation_test(
        (x, y),
        lambda a, b, axis: np.abs(np.std(a, axis=axis, ddof=1) - np.std(b, axis=axis, ddof=1)),
        permutation_type="samples",
        vectorized=True,
        alternative="greater",
        n_resamples=40_000,
        rng=np.random.default_rng(10),
    )
    assert found == pytest.approx(expected.pvalue, abs=0.01)


def test_permutation_p_has_its_nominal_false_positive_rate():
    rng = np.random.default_rng(11)
    repeats, rejected = 4000, 0
    for repeat in range(repeats):
        common = rng.normal(size=40)
        x, y = common + rng.normal(size=40), common + rng.normal(size=40)
        rejected += st.paired_permutation_p(ones(x), ones(y), st.ratio, num_permutations=999, seed=repeat) < 0.05
    assert abs(rejected / repeats - 0.05) <= 0.015


def test_permutation_p_of_equal_models_is_one_and_of_clear_differences_small():
    x = np.random.default_rng(12).normal(size=50)
    assert st.paired_permutation_p(ones(x), ones(x), st.ratio) == 1.0
    assert st.paired_permutation_p(ones(x + 1.0), ones(x), st.ratio, num_permutations=9999) == 1e-4


def test_mcnemar_is_the_permutation_test_of_zeros_and_ones():
    rng = np.random.default_rng(13)
    x, y = (rng.random(14) < 0.7).astype(float), (rng.random(14) < 0.4).astype(float)
    gained, lost = int(((x == 1) & (y == 0)).sum()), int(((x == 0) & (y == 1)).sum())
    assert st.mcnemar_p(gained, lost) == pytest.approx(
        st.paired_permutation_p(ones(x), ones(y), st.ratio, num_permutations=2**14)
    )
    assert st.mcnemar_p(9, 2) == pytest.approx(2 * (1 + 11 + 55) / 2**11)
    assert st.mcnemar_p(0, 0) == st.mcnemar_p(3, 3) == 1.0


def test_a_biased_statistic_has_an_interval_that_holds_its_value():
    """The smaller count over the larger, near parity: resampling can only make it smaller."""
    counts = np.random.default_rng(14).multinomial(1, [0.5, 0.5], size=60).astype(float)
    counts[:30], counts[30:] = (1, 0), (0, 1)

    def smaller_over_larger(sums):
        return sums.min(axis=-1) / sums.max(axis=-1)

    interval = st.bootstrap_interval(counts, smaller_over_larger)
    assert interval.value == 1.0
    assert interval.low < 0.8
    assert interval.high == 1.0


def test_holm_by_hand():
    assert st.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert st.holm([0.6, 0.9]) == [1.0, 1.0]
    adjusted = st.holm([0.02, math.nan, 0.5])
    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == 0.5
    assert st.holm([]) == []


def test_minimum_detectable_effect_is_found_at_its_power():
    effect = st.minimum_detectable_effect(2.0)
    assert effect == pytest.approx(2.0 * (1.959964 + 0.841621), rel=1e-6)
    power = stats.norm.sf(stats.norm.ppf(0.975), loc=effect / 2.0)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_non_inferiority_looks_at_the_upper_end():
    interval = st.Interval(0.02, -0.01, 0.049, 0.015)
    assert st.non_inferior(interval, 0.05) is True
    assert st.non_inferior(interval, 0.03) is False
    assert st.non_inferior(st.Interval(0.02, math.nan, math.nan, math.nan), 0.05) is None
    with pytest.raises(ValueError, match="margin is 0"):
        st.non_inferior(interval, 0)


# -- seeds -----------------------------------------------------------------------------------------------------------


def test_two_way_interval_is_the_mean_over_seeds_and_covers_both_sources_of_variation():
    rng = np.random.default_rng(0)
    clusters, seeds = rng.normal(size=40), np.array([-0.5, 0.0, 0.5])
    values = clusters[None, :] + seeds[:, None]
    columns = np.stack([values, np.ones_like(values)], axis=2)
    found = st.two_way_interval(columns, st.ratio)
    assert found.value == pytest.approx(values.mean())
    expected = np.sqrt(clusters.var() / 40 + seeds.var() / 3)
    assert found.standard_error == pytest.approx(expected, rel=0.1)
    one = st.two_way_interval(columns[1:2], st.ratio)
    alone = st.bootstrap_interval(columns[1], st.ratio, method="percentile")
    assert (one.value, one.low, one.high) == pytest.approx((alone.value, alone.low, alone.high))


def test_two_way_interval_holds_its_value_though_the_statistic_is_biased():
    lowest = lambda sums: sums.min(axis=-1)  # noqa: E731 - of a few groups: lower on nearly every resample
    columns = np.tile(np.eye(8), (1, 4, 1))
    found = st.two_way_interval(columns, lowest)
    assert found.value == 4.0
    assert found.low < found.high == found.value


def test_two_way_interval_is_undefined_where_the_statistic_is():
    assert math.isnan(st.two_way_interval(np.ones((2, 1, 2)), st.ratio).low)
    assert math.isnan(st.two_way_interval(np.zeros((2, 5, 2)), st.ratio).low)


def test_the_mean_over_seeds_of_blocks_is_that_of_each_block():
    columns = np.random.default_rng(0).uniform(1, 2, size=(3, 7, 2))
    flat = columns.transpose(1, 0, 2).reshape(7, 6)
    expected = np.mean([st.ratio(block.sum(axis=0)) for block in columns])
    assert st.mean_over_seeds(st.ratio, 3)(flat.sum(axis=0)) == pytest.approx(expected)
    assert st.removed_share(st.ratio, 2)(np.array([1.0, 4.0, 2.0, 4.0])) == 0.5
    assert st.root_ratio(np.array([8.0, 2.0])) == 2.0
