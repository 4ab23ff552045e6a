"""Single rows: the worst ones named with the column, far ones, copies, values that repeat."""

import numpy as np
from normal_model import draws, images, normal

from brenier.diagnostics.single_rows import (
    Training,
    conditional_residuals,
    rows_of_conditional,
    rows_of_joint,
)

NAMES = ("a", "b", "c")


def told(X, training=None, M=500):
    drawn, seen = draws(3, M), images(X)
    return rows_of_joint(X, seen.log_density, drawn.X, drawn.log_density, NAMES, training)


def test_residuals_are_those_of_regressions():
    M = normal(400, 3) @ np.linalg.cholesky([[1, 0.5, 0.2], [0.5, 2, 0.3], [0.2, 0.3, 1]]).T
    X = normal(4, 3, seed=1)
    found = conditional_residuals(X, M)
    for k in range(3):
        A = np.column_stack([np.ones(len(M)), np.delete(M, k, axis=1)])
        beta = np.linalg.lstsq(A, M[:, k], rcond=None)[0]
        residuals = M[:, k] - A @ beta
        expected = X[:, k] - np.column_stack([np.ones(4), np.delete(X, k, axis=1)]) @ beta
        np.testing.assert_allclose(found[:, k], expected / residuals.std(), rtol=1e-2)


def test_the_worst_row_and_its_column_are_named():
    X = normal(100, 3)
    X[17] = [0.0, 9.0, 0.0]
    first = told(X).worst[0]
    assert first.row == 17
    assert first.column == "b"
    assert first.values == (0.0, 9.0, 0.0)
    assert first.share == 0
    assert 8 < first.off < 10


def test_far_rows_are_less_likely_than_any_draw():
    X = normal(100, 3)
    assert told(X).n_far <= 2
    X[[3, 50]] = 8.0
    found = told(X)
    assert {3, 50} <= set(found.far)
    assert found.n_far_expected == 100 / 501


def test_rows_outside_bounds_and_the_training_range_are_counted():
    X = normal(100, 3)
    X[5, 2] = 7.0
    seen = images(X)
    seen.log_density[9] = -np.inf
    drawn = draws(3)
    training = Training(np.full(3, -6.0), np.full(3, 6.0))
    found = rows_of_joint(X, seen.log_density, drawn.X, drawn.log_density, NAMES, training)
    assert found.n_outside_bounds == 1
    assert found.worst[0].row == 9
    assert found.outside_training == (5,)
    assert told(X).n_outside_training is None


def test_copies_and_values_that_repeat_are_told():
    X = normal(100, 3)
    X[:, 0] = np.round(X[:, 0])
    X[50:55] = X[:5]
    found = told(X)
    assert found.n_copies == 5
    assert len(found.repeated) == 1
    assert "'a' (step 1)" in found.repeated[0]


def test_of_a_conditional_model_the_worst_targets_lead():
    X, Z = normal(100, 3), normal(100, 2, seed=1)
    Z[40] = [0.0, -7.0]
    found = rows_of_conditional(X, Z, np.zeros(100), NAMES, None)
    assert found.worst[0].row == 40
    assert found.worst[0].column == "b"
    assert found.worst[0].off == -7.0
    assert found.far[0] == 40
