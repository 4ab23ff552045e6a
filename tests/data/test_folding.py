"""Rows that stand for sets: sums over turns and cells, and the rows a fit sees in their place."""

import numpy as np
import pytest
from scipy import stats

from brenier.data.cells import Cells, check_whole, discrete_columns
from brenier.data.circles import cut_circles, periodic_columns
from brenier.data.folding import Folding

NAMES = ["x", "phase", "count"]
PERIOD = 3.0
# Of quadratures: sixteen Gauss points of a cell, eight a column of two, 256 quasi-random points.
EXACT, OF_TWO, QUASI = 1e-12, 1e-8, 1e-3


def rows(n=500, seed=0):
    rng = np.random.default_rng(seed)
    phase = np.mod(0.1 + 0.3 * rng.normal(size=n), PERIOD) + 1.0
    return np.column_stack([rng.normal(size=n), phase, rng.poisson(2.0, n)])


def folding(X, *, periods=None, discrete=(), weights=None):
    weights = np.ones(len(X)) if weights is None else weights
    circles = cut_circles(X, weights, periodic_columns(periods, NAMES))
    return Folding(circles, Cells(discrete_columns(discrete, NAMES), X.shape[1]))


def plain(scales, mean=1.0):
    """Return the log-density of independent normals."""
    return lambda Y: np.sum(stats.norm.logpdf(Y, mean, scales), axis=1)


@pytest.fixture(scope="module")
def both():
    return folding(rows(), periods={"phase": (1.0, 1.0 + PERIOD)}, discrete=["count"])


def test_without_such_columns_rows_stand_for_themselves():
    X = rows()
    none = folding(X)
    assert none.is_plain
    assert none.log_density(plain(1.0), X) is not None
    np.testing.assert_array_equal(none.fold(X), X)


def test_what_is_spread_folds_to_the_row_again_with_all_of_its_weight(both):
    X = rows()
    weights = np.random.default_rng(1).random(len(X)) * 9
    Y, shares, source = both.spread(X, weights)
    np.testing.assert_allclose(both.fold(Y), X[source], atol=EXACT)
    np.testing.assert_allclose(np.bincount(source, shares), weights, atol=EXACT)
    assert (shares >= 0).all()
    assert len(Y) > 4 * len(X)
    assert (np.diff(source) >= 0).all()


def test_the_cut_is_where_rows_are_fewest(both):
    # The rows are around 1.1, the other side of the circle is half a period on.
    assert both.circles.cut[0] == pytest.approx(1.1 + PERIOD / 2, abs=0.3)
    weights = np.where(rows()[:, 1] < 2.0, 1e-9, 1.0)
    moved = folding(rows(), periods={1: (1.0, 4.0)}, weights=weights)
    assert moved.circles.cut[0] != both.circles.cut[0]


def test_spread_over_both_sides_of_the_cut_the_density_is_smooth_and_sums_to_the_periodic_one():
    x = np.linspace(0.0, PERIOD, 3000, endpoint=False)
    X = np.column_stack([np.zeros_like(x), x, np.zeros_like(x)])
    circles = folding(X, periods={"phase": PERIOD}).circles
    Y, shares, _ = circles.spread(X, np.ones(len(X)))
    assert np.ptp(Y[:, 1]) > PERIOD
    order = np.argsort(Y[:, 1])
    # Neither a jump nor a kink: neighbours on the line have nearly the same weight.
    assert np.abs(np.diff(shares[order])).max() < 5e-3
    assert shares[order][0] < 1e-3
    assert shares[order][-1] < 1e-3


def test_the_density_of_an_angle_is_the_sum_over_its_turns():
    X = rows()
    found = folding(X, periods={"phase": PERIOD})
    cut = found.circles.cut[0]
    # As rows that were fitted between the cut and a turn later.
    normal = plain(np.array([1.0, 0.5, 1.0]), np.array([0.0, cut + PERIOD / 2, 0.0]))
    value = found.log_density(normal, X)
    turns = [X + np.outer([k * PERIOD] * len(X), [0, 1, 0]) for k in range(-9, 10)]
    assert cut == pytest.approx(2.6, abs=0.4)
    expected = np.logaddexp.reduce([normal(Y) for Y in turns])
    np.testing.assert_allclose(value, expected, atol=1e-6)
    np.testing.assert_allclose(found.log_density(normal, turns[3]), value, atol=1e-9)


@pytest.mark.parametrize(
    ("discrete", "tolerance"), [(["count"], EXACT), (["x", "count"], OF_TWO), (NAMES, QUASI)]
)
def test_the_probability_of_a_whole_number_is_that_of_its_cell(discrete, tolerance):
    X = np.round(rows())
    found, scales = folding(X, discrete=discrete), np.array([1.2, 1.5, 1.7])
    value = found.log_density(plain(scales), X)
    is_cell = np.isin(NAMES, discrete)
    edges = stats.norm.cdf(X + 0.5, 1.0, scales) - stats.norm.cdf(X - 0.5, 1.0, scales)
    each = np.where(is_cell, edges, stats.norm.pdf(X, 1.0, scales))
    expected = np.log(each).sum(axis=1)
    np.testing.assert_allclose(np.exp(value), np.exp(expected), atol=tolerance)


def test_between_whole_numbers_is_nothing():
    X = rows()
    found = folding(X, discrete=["count"])
    assert found.log_density(plain(1.0), X + [0, 0, 0.25]).max() == -np.inf


def test_plain_rows_are_drawn_as_the_density_within_the_cell():
    X = np.zeros((20_000, 3))
    found, scales = folding(X, discrete=["count"]), np.array([1.0, 1.0, 0.4])
    drawn = found.drawn(plain(scales), X, np.random.default_rng(0))[:, 2]
    within = stats.truncnorm((-0.5 - 1) / 0.4, (0.5 - 1) / 0.4, 1.0, 0.4)
    assert stats.kstest(drawn, within.cdf).statistic < 0.02
    np.testing.assert_array_equal(found.fold(np.column_stack([X[:, :2], drawn])), X)


def test_plain_rows_are_drawn_on_either_side_of_the_cut():
    X = np.column_stack([np.zeros(4000), np.full(4000, 1.0), np.zeros(4000)])
    found = folding(X, periods={"phase": PERIOD})
    drawn = found.drawn(lambda Y: -0.3 * Y[:, 1], X, np.random.default_rng(0))[:, 1]
    values, counts = np.unique(np.round(drawn, 9), return_counts=True)
    np.testing.assert_allclose(np.diff(values), PERIOD)
    shares = np.exp(-0.3 * values)
    np.testing.assert_allclose(counts / 4000, shares / shares.sum(), atol=0.03)


@pytest.mark.parametrize(
    ("periods", "words"),
    [
        ({"phse": 1.0}, "'phse'. Did you mean 'phase'"),
        ({"phase": 0.0}, "low < high"),
        ({"phase": (2.0, 1.0)}, "low < high"),
        ({"phase": "1"}, "its length, or as a pair"),
        ({"phase": (0.0, np.inf)}, "finite"),
        ([1.0], "as a mapping of columns"),
    ],
)
def test_periods_that_are_none(periods, words):
    with pytest.raises(ValueError, match="^Expected ") as error:
        periodic_columns(periods, NAMES)
    assert words in str(error.value)


@pytest.mark.parametrize("discrete", ["count", ["cuont"], [7]])
def test_columns_that_are_not_there(discrete):
    with pytest.raises(ValueError, match="^Expected discrete"):
        discrete_columns(discrete, NAMES)


def test_a_half_is_no_whole_number():
    X = rows()
    X[[3, 8], 2] += 0.5
    with pytest.raises(ValueError, match=r"'count'; got 2 rows of others \(row 3: .*row 8"):
        check_whole(X, np.array([2]), NAMES)
