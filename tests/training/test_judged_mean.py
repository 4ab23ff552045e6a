"""What judge rows say: means by regression, their errors, and how often their intervals hold."""

import numpy as np
import pytest

from brenier.data.rows import WeightedRows
from brenier.potential.gaussian import ConditionalGaussian, Gaussian
from brenier.training.judged_mean import Squares, judged_mean

N, M = 900, 100


def weighted(X, weights=None, block=None):
    weights = np.ones(len(X)) if weights is None else weights
    return WeightedRows(X, weights, np.arange(len(X)) / len(X), block)


def table(rng, degrees=8, n=3):
    """Return rows of a multivariate t: to fit a Gaussian to, and to judge."""
    X = rng.normal(size=(N + M, n)) / np.sqrt(rng.chisquare(degrees, size=(N + M, 1)) / degrees)
    train, judge = weighted(X[:N]), weighted(X[N:])
    gaussian = Gaussian.fit(train.X, train.weights)
    left_out = gaussian.squares_left_out(train.X, train.weights)
    return judge, Squares(left_out, gaussian.squares(judge.X), train)


def value(X):
    """Return what a heavy-tailed density would gain: linear in the square far out."""
    squares = np.sum(X**2, axis=1)
    return 0.3 * squares - 2.0 * np.log1p(squares / 4.0)


def test_squares_left_out_are_those_of_fits_without_the_row():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(12, 3)), rng.uniform(0.5, 2.0, size=12)
    for n, fit in (
        (3, lambda X, w: Gaussian.fit(X, w)),
        (1, lambda X, w: ConditionalGaussian.fit(X, 1, w, 0.0, ridge=0.0, least_sd=0.0)),
    ):
        found = fit(X, weights).squares_left_out(X, weights)
        for j in range(12):
            rest = np.arange(12) != j
            without = fit(X[rest], weights[rest]).squares(X[j : j + 1])[0]
            assert found[j] == pytest.approx(without, rel=1e-9), n


def test_a_value_that_the_squares_know_has_no_error_but_theirs():
    judge, squares = table(np.random.default_rng(1))
    known = 2.0 * squares.judge + 1.0
    found = judged_mean(known, judge, squares)
    whole = np.concatenate([squares.judge, squares.train])
    assert found.mean == pytest.approx(2.0 * whole.mean() + 1.0)
    expected = 2.0 * whole.std() / np.sqrt(len(whole))
    assert found.standard_error == pytest.approx(expected, rel=0.01)
    plain = judged_mean(known, judge, None)
    assert plain.standard_error > 2 * found.standard_error


def test_intervals_hold_where_students_do_not():
    rng = np.random.default_rng(2)
    big = rng.normal(size=(400_000, 3)) / np.sqrt(rng.chisquare(8, size=(400_000, 1)) / 8)
    truth = value(big).mean()
    inside = {"regression": 0, "plain": 0}
    n_tables = 300
    for _ in range(n_tables):
        judge, squares = table(rng)
        for name, known in (("regression", squares), ("plain", None)):
            low, high = judged_mean(value(judge.X), judge, known).interval
            inside[name] += low <= truth <= high
    # Three standard errors of a share of 300.
    assert inside["regression"] / n_tables > 0.95 - 3 * np.sqrt(0.05 * 0.95 / n_tables)
    assert inside["plain"] < inside["regression"]


def test_one_row_that_makes_the_covariance_leaves_the_plain_mean():
    judge, squares = table(np.random.default_rng(3))
    X = squares.rows.X.copy()
    X[0] = 1e6
    gaussian = Gaussian.fit(X, squares.rows.weights)
    far = Squares(
        gaussian.squares_left_out(X, squares.rows.weights),
        gaussian.squares(judge.X),
        squares.rows.at(X),
    )
    values = value(judge.X)
    assert not far.usable
    assert judged_mean(values, judge, far) == judged_mean(values, judge, None)
    assert judged_mean(values, judge, None).mean == pytest.approx(values.mean())


def test_rows_of_a_block_count_as_one():
    rng = np.random.default_rng(4)
    values = np.repeat(rng.normal(size=20), 5)
    rows = weighted(rng.normal(size=(100, 2)), block=np.repeat(np.arange(20), 5))
    found = judged_mean(values, rows, None)
    expected = values[::5].std(ddof=1) / np.sqrt(20)
    # Residuals are divided by one less a row's share.
    assert found.standard_error == pytest.approx(expected / (1 - 1 / 100), rel=1e-9)
    assert found.degrees == 19
    low, high = found.interval
    assert high - low > 2 * 1.96 * found.standard_error


def test_infinite_values_and_too_few_rows_have_no_error():
    rows = weighted(np.zeros((5, 1)))
    assert np.isnan(judged_mean(np.array([-np.inf, 0, 0, 0, 0.0]), rows, None).standard_error)
    assert np.isnan(judged_mean(np.zeros(1), weighted(np.zeros((1, 1))), None).standard_error)
