"""Columns are put in an order that their contents give: rows, copies, theirs do not matter."""

import numpy as np
import pytest

from brenier.data.column_order import column_order
from brenier.data.rows import canonical_rows

RNG = np.random.default_rng(0)
N = 200
RANKS = np.stack([RNG.permutation(N) for _ in range(4)], axis=1).astype(float)
TABLES = {
    "normal": RNG.normal(size=(N, 4)),
    "ranks": RANKS,
    "counts": RNG.poisson(2.0, (N, 4)).astype(float),
    "zeros of both signs": np.where(RNG.random((N, 4)) < 0.3, -0.0, RANKS),
    "one constant": RANKS * [1, 1, 0, 1],
    "one row": RNG.normal(size=(1, 4)),
}


@pytest.mark.parametrize("name", TABLES)
def test_columns_come_in_one_order_whatever_theirs_and_that_of_rows(name):
    X = TABLES[name]
    ordered = X[:, column_order(X)]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows, columns = rng.permutation(len(X)), rng.permutation(4)
        other = X[rows][:, columns]
        np.testing.assert_array_equal(other[:, column_order(other)], ordered[rows])
        copies = np.repeat(X[:, columns], rng.integers(1, 4, len(X)), axis=0)
        np.testing.assert_array_equal(columns[column_order(copies)], columns[column_order(other)])


def test_units_do_not_matter():
    X = TABLES["normal"]
    np.testing.assert_array_equal(column_order(X * [2.0, 0.5, 8.0, 1e9]), column_order(X))


def test_columns_that_can_be_exchanged_have_any_order():
    X = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]])
    assert sorted(column_order(X)) == [0, 1]


@pytest.mark.parametrize("name", TABLES)
def test_rows_keep_their_places_when_columns_move(name):
    X, columns = TABLES[name], np.array([2, 0, 3, 1])
    one, other = canonical_rows(X, None, 0), canonical_rows(X[:, columns], None, 0)
    np.testing.assert_array_equal(one.X[:, columns], other.X)
    np.testing.assert_array_equal(one.position, other.position)
    np.testing.assert_array_equal(one.weights, other.weights)


def test_rows_of_the_same_cells_are_not_one():
    X = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [5.0, 0.5]])
    rows = canonical_rows(X, None, 0)
    found = {tuple(row): weight for row, weight in zip(rows.X.tolist(), rows.weights, strict=True)}
    assert found == {(1.0, 2.0): 2, (2.0, 1.0): 1, (5.0, 0.5): 1}
    assert len(np.unique(rows.position)) == 2
