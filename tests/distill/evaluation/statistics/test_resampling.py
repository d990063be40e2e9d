"""Bootstrap intervals against closed forms, SciPy and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.statistics import resampling
from distill.evaluation.statistics.estimators import difference_of, mean_columns, moments, ratio, spread
from distill.evaluation.statistics.resampling import bootstrap_interval, bootstrap_values, two_way_interval
from distill.evaluation.statistics.significance import paired_permutation_p


def test_bootstrap_standard_error_of_a_mean_is_the_closed_form():
    x = np.random.default_rng(2).gamma(2.0, size=80)
    interval = bootstrap_interval(mean_columns(x), ratio, num_resamples=20_000)
    assert interval.value == pytest.approx(x.mean())
    assert interval.standard_error == pytest.approx(x.std() / math.sqrt(len(x)), rel=0.02)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("name", ["mean", "spread"])
def test_bootstrap_interval_agrees_with_scipy(method, name):
    x = np.random.default_rng(3).gamma(1.0, size=40)
    columns, statistic = (mean_columns(x), ratio) if name == "mean" else (moments(x), spread)
    scipys = {"mean": np.mean, "spread": lambda data, axis: np.std(data, axis=axis, ddof=1)}[name]
    expected = stats.bootstrap(
        (x,), scipys, n_resamples=40_000, method="BCa" if method == "bca" else method, rng=np.random.default_rng(4)
    )
    found = bootstrap_interval(columns, statistic, num_resamples=40_000, method=method)
    tolerance = 0.06 * expected.standard_error
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=tolerance)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=tolerance)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.03)


def test_expanded_intervals_take_the_quantiles_of_student_and_divide_by_one_cluster_less():
    x = np.random.default_rng(6).gamma(2.0, size=12)
    resampled = bootstrap_values(mean_columns(x), ratio, 2000, seed=0)
    tail = stats.norm.cdf(stats.t.ppf(0.025, 11) * math.sqrt(12 / 11))
    expanded = bootstrap_interval(mean_columns(x), ratio, method="percentile", expanded=True)
    assert (expanded.low, expanded.high) == tuple(np.quantile(resampled, [tail, 1 - tail]))
    plain, wider = (bootstrap_interval(mean_columns(x), ratio, expanded=expanded) for expanded in (False, True))
    assert wider.low < plain.low < plain.high < wider.high
    assert wider.standard_error == plain.standard_error
    two = bootstrap_interval(mean_columns(np.array([1.0, 3.0])), ratio, expanded=True)
    assert (two.low, two.high) == (1.0, 3.0)


def test_bootstrap_resamples_whole_clusters():
    """Five clusters of twenty equal items carry the information of five items, not of a hundred."""
    x = np.array([1.0, 2.0, 4.0, 7.0, 11.0])
    clustered = np.stack([20 * x, np.full(5, 20.0)], axis=1)
    assert bootstrap_interval(clustered, ratio) == bootstrap_interval(mean_columns(x), ratio)


def test_bootstrap_does_not_depend_on_the_chunks(monkeypatch):
    x = np.random.default_rng(5).normal(size=37)
    whole = bootstrap_values(mean_columns(x), ratio, 2000, seed=9)
    p_whole = paired_permutation_p(mean_columns(x + 0.3), mean_columns(x[::-1].copy()), ratio)
    monkeypatch.setattr(resampling, "MAX_CHUNK_ELEMENTS", 1000)
    np.testing.assert_allclose(bootstrap_values(mean_columns(x), ratio, 2000, seed=9), whole, rtol=1e-12)
    assert paired_permutation_p(mean_columns(x + 0.3), mean_columns(x[::-1].copy()), ratio) == p_whole


def test_bootstrap_of_a_constant_has_no_width_and_of_one_cluster_no_interval():
    flat = bootstrap_interval(mean_columns(np.full(10, 2.0)), ratio)
    assert (flat.low, flat.value, flat.high) == (2.0, 2.0, 2.0)
    single = bootstrap_interval(mean_columns(np.array([2.0])), ratio)
    assert single.value == 2.0
    assert math.isnan(single.low)
    assert math.isnan(single.high)


def test_an_interval_of_a_statistic_that_needs_two_clusters_is_that_of_percentiles():
    columns = moments(np.array([0.3, -0.3]))
    found, plain = (bootstrap_interval(columns, spread, method=method) for method in ("bca", "percentile"))
    assert (found.low, found.high) == (plain.low, plain.high) == (0, found.value)


@pytest.mark.parametrize("method", ["percentile", pytest.param("bca", marks=pytest.mark.slow)])
def test_interval_coverage_by_simulation(method):
    """95 % intervals of a ratio over 60 unequal clusters hold the truth in 95 +- 1.5 % of 1,000 repeats."""
    rng = np.random.default_rng(6)
    repeats, hits = 1000, 0
    for repeat in range(repeats):
        sizes = rng.integers(1, 6, size=60).astype(float)
        level = rng.normal(0.7, 0.5, size=60)  # items of a cluster share its level
        columns = np.stack([level * sizes, sizes], axis=1)
        interval = bootstrap_interval(columns, ratio, method=method, seed=repeat)
        hits += interval.low <= 0.7 <= interval.high
    assert abs(hits / repeats - 0.95) <= 0.015


def test_paired_difference_uses_the_pairing():
    """Two models that differ by a constant have a difference without uncertainty, however much items vary."""
    x = np.random.default_rng(7).normal(0, 5, size=30)
    both = np.concatenate([mean_columns(x + 0.25), mean_columns(x)], axis=1)
    interval = bootstrap_interval(both, difference_of(ratio, 2))
    assert interval.value == pytest.approx(0.25)
    assert interval.high - interval.low < 1e-12


def test_a_biased_statistic_has_an_interval_that_holds_its_value():
    """The smaller count over the larger, near parity: resampling can only make it smaller."""
    counts = np.random.default_rng(14).multinomial(1, [0.5, 0.5], size=60).astype(float)
    counts[:30], counts[30:] = (1, 0), (0, 1)

    def smaller_over_larger(sums):
        return sums.min(axis=-1) / sums.max(axis=-1)

    interval = bootstrap_interval(counts, smaller_over_larger)
    assert interval.value == 1.0
    assert interval.low < 0.8
    assert interval.high == 1.0


def test_two_way_interval_is_the_mean_over_seeds_and_covers_both_sources_of_variation():
    rng = np.random.default_rng(0)
    clusters, seeds = rng.normal(size=40), np.array([-0.5, 0.0, 0.5])
    values = clusters[None, :] + seeds[:, None]
    columns = np.stack([values, np.ones_like(values)], axis=2)
    found = two_way_interval(columns, ratio)
    assert found.value == pytest.approx(values.mean())
    expected = np.sqrt(clusters.var() / 40 + seeds.var() / 3)
    assert found.standard_error == pytest.approx(expected, rel=0.1)
    one = two_way_interval(columns[1:2], ratio)
    alone = bootstrap_interval(columns[1], ratio, method="percentile")
    assert (one.value, one.low, one.high) == pytest.approx((alone.value, alone.low, alone.high))


def test_two_way_interval_holds_its_value_though_the_statistic_is_biased():
    lowest = lambda sums: sums.min(axis=-1)  # noqa: E731 - of a few groups: lower on nearly every resample
    columns = np.tile(np.eye(8), (1, 4, 1))
    found = two_way_interval(columns, lowest)
    assert found.value == 4.0
    assert found.low < found.high == found.value


def test_two_way_interval_is_undefined_where_the_statistic_is():
    assert math.isnan(two_way_interval(np.ones((2, 1, 2)), ratio).low)
    assert math.isnan(two_way_interval(np.zeros((2, 5, 2)), ratio).low)
