"""Counts and binomial scores against naive ones; the band is what the bound on scores leaves."""

import numpy as np
import pytest
from scipy import stats

from brenier.diagnostics.uniform import (
    band,
    counts_below,
    curve_of,
    direct_scores,
    grid,
    table_scores,
    tail_scores,
)

N = 60
AT = grid(9)


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape)


def test_counts_are_those_of_a_loop():
    values = uniform(4, 3, N)
    naive = np.array([[[np.sum(v <= g) for g in AT] for v in rows] for rows in values])
    np.testing.assert_array_equal(counts_below(values, AT), naive)


def test_values_on_a_threshold_are_below_it():
    np.testing.assert_array_equal(counts_below(np.array([0.5, 0.2]), np.array([0.5])), [2])


@pytest.mark.parametrize("count", [0, 3, 20, N])
def test_a_score_has_the_smaller_tail_beyond_it(count):
    p = 0.3
    tail = min(stats.binom.cdf(count, N, p), stats.binom.sf(count - 1, N, p))
    found = stats.norm.sf(tail_scores(np.array([count]), N, np.array([p])))
    np.testing.assert_allclose(found, tail, rtol=1e-9)


def test_scores_stay_finite_where_probabilities_are_not():
    assert 30 < tail_scores(np.array([0]), 10**6, np.array([0.5]))[0] < 50


def test_a_table_has_the_same_scores():
    counts = counts_below(uniform(20, N), AT)
    np.testing.assert_array_equal(table_scores(N, AT)(counts), direct_scores(N, AT)(counts))


def test_a_curve_leaves_its_band_where_its_score_is_beyond_the_bound():
    left = []
    for seed in range(300):
        curve = curve_of("u", counts_below(uniform(N, seed=seed), AT), N, AT, bound=2.0)
        out = (curve.difference < curve.low) | (curve.difference > curve.high)
        assert out.any() == (curve.score > 2.0)
        left.append(out.any())
    assert 0 < sum(left) < 300


def test_all_of_a_band_holds_as_many_curves_as_it_should():
    scores = table_scores(N, AT)(counts_below(uniform(4000, N), AT))
    low, high = band(N, AT, float(np.quantile(scores, 0.95)))
    difference = counts_below(uniform(4000, N, seed=1), AT) / N - AT
    inside = np.all((difference >= low) & (difference <= high), axis=1)
    # Counts are whole, so that a band may hold more.
    assert 0.94 < inside.mean() < 0.98
