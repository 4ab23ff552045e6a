"""Convex regression: the shape is kept wherever it is asked, and rows are fitted."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from brenier.data.rows import WeightedRows, canonical_rows
from brenier.optimizers.early_stopping import Clock
from brenier.status import FitStatus
from brenier.supervised.convex import (
    ConvexFunction,
    Shape,
    fit_convex,
    quadratic_axes,
    ridge_by_gcv,
)
from brenier.supervised.convex_settings import SEARCH, ConvexSettings

N, NOISE = 90, 0.1
SMALL = replace(SEARCH, widths=(4, 4), n_folds=3, max_iter=30)
SETTINGS = ConvexSettings()
# Rounding of values as large as those at the ends.
ROUNDING = 1e-12
FREE = np.zeros(2, dtype=int)
UNLIMITED = Clock()


def bowl(X):
    """Return a convex function that increases in the second column."""
    return np.abs(X[:, 0]) + np.logaddexp(0.0, 3.0 * X[:, 1])


def table(sign=1.0):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(N, 2))
    y = sign * bowl(X) + NOISE * rng.normal(size=N)
    return canonical_rows(np.column_stack([7.0 + X, 100.0 + y]), None, 0)


def fit(shape, rows=None, clock=UNLIMITED, **changes):
    settings = replace(SMALL, **changes)
    with jax.enable_x64(True):
        rows = table() if rows is None else rows
        return fit_convex(rows, shape, settings, SETTINGS, seed=0, clock=clock)


def error(function, sign=1.0):
    """Return the root mean squared error on fresh rows."""
    X = np.random.default_rng(1).uniform(-1, 1, size=(500, 2))
    return np.sqrt(np.mean((function(7.0 + X) - 100.0 - sign * bowl(X)) ** 2))


@pytest.fixture(scope="module")
def convex():
    return fit(Shape(1.0, FREE))


@pytest.fixture(scope="module")
def concave():
    """Return a concave function that decreases in the second column."""
    return fit(Shape(-1.0, np.array([0, -1])), table(-1.0))


@pytest.mark.parametrize("spread", [1.0, 1e3])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_it_is_convex_on_random_segments_near_and_far(sign, spread, convex, concave):
    function = (convex if sign > 0 else concave).function
    rng = np.random.default_rng(2)
    # A hundred thousand of all cases together.
    a, b = 7.0 + spread * rng.normal(size=(2, 25_000, 2))
    middle, ends = function((a + b) / 2), np.stack([function(a), function(b)])
    slack = ROUNDING * (1.0 + np.abs(ends).sum(axis=0))
    assert np.all(sign * middle <= sign * ends.mean(axis=0) + slack)


def test_it_is_monotone_where_it_is_asked_to_be(concave):
    rng = np.random.default_rng(3)
    X = 7.0 + 100.0 * rng.normal(size=(2000, 2))
    further = X + [0.0, 1.0] * rng.exponential(size=(2000, 1))
    before, after = concave.function(X), concave.function(further)
    assert np.all(after <= before + ROUNDING * (1.0 + np.abs(before)))


def test_it_is_nearer_to_the_truth_than_an_affine_function(convex, concave):
    X = table().X[:, :2] - 7.0
    affine = np.column_stack([X, np.ones(N)])
    left = bowl(X) - affine @ np.linalg.lstsq(affine, bowl(X), rcond=None)[0]
    assert error(convex.function) < 0.3 * np.std(left)
    assert error(concave.function, -1.0) < 0.3 * np.std(left)


def test_what_is_held_out_is_told(convex):
    rows = table()
    assert len(convex.folds) == SMALL.n_folds
    left = np.sqrt(np.mean((convex.heldout - rows.X[:, 2]) ** 2))
    assert 0.8 * NOISE < left < 2.0 * NOISE
    # The penalty follows the noise's share of the target's variance, from one down.
    share = NOISE**2 / np.var(rows.X[:, 2])
    for fold in convex.folds:
        assert 0.1 * share < fold.decay / (SMALL.precision / (N * 2 / 3)) < 1.0 + 1e-9


def test_units_do_not_matter(convex):
    # A power of two changes no digit, and the order of the rows, which is by their contents, stays.
    rows = table()
    other = fit(Shape(1.0, FREE), rows.at(2.0**10 * rows.X))
    X = rows.X[:, :2]
    expected = 2.0**10 * convex.function(X)
    np.testing.assert_allclose(other.function(2.0**10 * X), expected, rtol=1e-12)


def test_predictions_do_not_depend_on_the_batch(convex):
    X = 7.0 + np.random.default_rng(4).normal(size=(600, 2))
    together = convex.function(X)
    apart = np.concatenate([convex.function(X[:5]), convex.function(X[5:])])
    np.testing.assert_allclose(together, apart, rtol=1e-12)


def test_a_constant_target_is_predicted_and_so_is_a_single_row():
    rows = table()
    constant = rows.at(np.column_stack([rows.X[:, :2], np.full(N, 5.0)]))
    found = fit(Shape(1.0, FREE), constant, max_iter=2).function(rows.X[:4, :2])
    np.testing.assert_allclose(found, 5.0, rtol=1e-12)
    found = fit(Shape(1.0, FREE), constant[:1], max_iter=2).function(rows.X[:4, :2])
    np.testing.assert_allclose(found, 5.0, rtol=1e-12)


def test_without_time_there_is_a_function_all_the_same():
    found = fit(Shape(1.0, FREE), clock=Clock(0.0))
    assert isinstance(found.function, ConvexFunction)
    assert {fold.status for fold in found.folds} == {FitStatus.TIME_LIMIT}


def test_axes_are_those_of_the_quadratic_form():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(200, 3))
    axis = np.array([3.0, 4.0, 0.0]) / 5.0
    rows = WeightedRows(
        np.column_stack([X, (X @ axis) ** 2 + X[:, 0]]), np.ones(200), np.zeros(200)
    )
    free = np.array([True, True, False])
    axes = quadratic_axes(rows, free, SETTINGS)
    assert axes.shape == (2, 3)
    assert np.max(np.abs(axes @ axis)) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_array_equal(
        quadratic_axes(rows, free, replace(SETTINGS, quadratic_columns=1)), np.eye(3)[:2]
    )
    assert quadratic_axes(rows, np.zeros(3, dtype=bool), SETTINGS).shape == (0, 3)


RIDGES = (1e-3, 1e-2, 0.1, 1.0)


def test_ridge_is_the_best_of_its_grid_by_generalised_cross_validation():
    rng = np.random.default_rng(6)
    F, weights = rng.normal(size=(30, 8)), rng.uniform(0.5, 2.0, size=30)
    y = F[:, 0] + rng.normal(size=30)
    root = np.sqrt(weights / weights.sum())[:, None]
    A = root * (F - root.T**2 @ F)
    target = root[:, 0] * (y - root[:, 0] ** 2 @ y)
    candidates = []
    for rho in RIDGES:
        inverse = np.linalg.inv(A.T @ A + rho * np.eye(8))
        left = target - A @ inverse @ A.T @ target
        freedom = 29 - np.trace(A @ inverse @ A.T)
        candidates.append((left @ left / freedom**2, inverse @ A.T @ target))
    best = min(candidates, key=lambda pair: pair[0])[1]
    np.testing.assert_allclose(ridge_by_gcv(F, y, weights, RIDGES), best, rtol=1e-8)


def test_a_fit_that_is_stopped_before_it_begins_leaves_nothing():
    clock = Clock()
    clock.stop.set()
    with pytest.raises(KeyboardInterrupt):
        fit(Shape(1.0, FREE), clock=clock)
