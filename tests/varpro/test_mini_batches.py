"""Descent by mini-batches, against its formulas written out in NumPy."""

from dataclasses import replace
from itertools import islice

import jax.numpy as jnp
import numpy as np
import pytest
from small_problem import N_ROWS, WIDTHS, function, problem, rows, units

from brenier.inner.solution import WarmStart
from brenier.varpro.function import LEAST_SLACK
from brenier.varpro.mini_batches import (
    BATCH_ROWS,
    BETA,
    BETA_2,
    RATE,
    STEPS,
    TINY,
    WEIGHTING,
    Descent,
    MiniBatchFunction,
)
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import PIN
from brenier.varpro.sample import PaddedSample

pytestmark = pytest.mark.usefixtures("x64")


def on_rows(problem, cold, theta):
    sample = MiniBatchFunction.sample_of(problem, *rows())
    made = MiniBatchFunction(problem, sample, cold, N_ROWS)
    return made, made.start(theta)


def descending(n_radial=0):
    made, x = function(MiniBatchFunction, n_radial=n_radial)
    return on_rows(made.problem, made.cold, x[: -len(made.cold.w)])


def calls(function, n, seed=0):
    return list(islice(function.batches(np.random.default_rng(seed)), n))


def test_steps_are_those_of_the_formulas():
    function, x = descending()
    (batches,) = calls(function, 1)
    average, z, square, mean = x, x, np.zeros_like(x), 0.0
    for k, (X, omega) in enumerate(zip(batches.X, batches.omega, strict=True)):
        y = (1 - BETA) * z + BETA * average
        batch = PaddedSample(X[None], omega[None])
        J, _, gradient, _ = function.problem.full_value_and_gradient(y, batch)
        square = (1 - BETA_2) * np.asarray(gradient) ** 2 + BETA_2 * square
        size = np.sqrt(square / (1 - BETA_2 ** (k + 1)))
        z = np.maximum(z - RATE * np.asarray(gradient) / (size + TINY), function.lower)
        share = (WEIGHTING + 1) / (k + 1 + WEIGHTING)
        average, mean = average + share * (z - average), mean + share * (float(J) - mean)
    descent, here = function.descend(Descent.begin(x), batches)
    np.testing.assert_allclose(descent.x, average, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(descent.z, z, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(descent.square, square, rtol=1e-8, atol=1e-14)
    assert (int(descent.n_steps), int(descent.n_skipped)) == (STEPS, 0)
    assert here.loss == here.value == pytest.approx(mean, rel=1e-10)
    np.testing.assert_array_equal(here.x, descent.x)
    theta, w = function.problem.split(here.x)
    np.testing.assert_array_equal(here.theta, theta)
    np.testing.assert_allclose(here.w, w, rtol=0, atol=LEAST_SLACK)
    assert (here.w > function.problem.lower).all()
    # Two calls go on one after the other.
    assert int(function.descend(descent, batches)[0].n_steps) == 2 * STEPS


def test_all_rows_come_once_before_any_comes_again():
    function, _ = descending()
    X, weights = rows()
    number = {row.tobytes(): k for k, row in enumerate(X)}
    seen, share = [], []
    for batches in calls(function, 3):
        assert batches.X.shape == (STEPS, BATCH_ROWS, 2)
        seen.extend(number[row.tobytes()] for row in batches.X.reshape(-1, 2))
        share.extend(batches.omega.ravel())
    whole = len(seen) // N_ROWS
    epochs = np.reshape(seen[: whole * N_ROWS], (whole, N_ROWS))
    assert (np.sort(epochs) == np.arange(N_ROWS)).all()
    assert (epochs[0] != epochs[1]).any()
    # Of an epoch's batches, the mean of weighted sums is the sum over all rows.
    np.testing.assert_allclose(
        np.array(share) * BATCH_ROWS, (weights / weights.sum())[seen] * N_ROWS, rtol=1e-12
    )


def test_the_order_of_the_rows_is_the_seed_s():
    function, _ = descending()
    (one,), (same,), (other,) = (calls(function, 1, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.X, same.X)
    assert (one.X != other.X).any()


def test_weights_that_are_held_at_zero_stay_there():
    whole, width = problem(n_radial=2), WIDTHS[-1]
    lower, ridge = np.array(whole.lower), np.array(whole.ridge)
    idle = slice(width, width + 2)
    lower[idle], ridge[idle] = -np.inf, PIN
    w = np.array([0.1] * width + [0.0] * 2 + [1.0, 1.0, 0.0, 0.0])
    function, x = on_rows(
        replace(whole, lower=lower, ridge=ridge),
        WarmStart.cold(jnp.asarray(w)),
        to_vector(units("bounds", 2)),
    )
    _, here = function.descend(Descent.begin(x), *calls(function, 1))
    np.testing.assert_array_equal(here.w[idle], 0.0)
    assert (here.w[:width] != 0.1).all()
    assert here.loss < 10


def test_batches_that_give_no_direction_are_left_out():
    function, x = descending()
    (batches,) = calls(function, 1)
    broken = np.array(batches.X)
    broken[3, 5] = np.nan
    descent, here = function.descend(Descent.begin(x), replace(batches, X=broken))
    assert (int(descent.n_steps), int(descent.n_skipped)) == (STEPS - 1, 1)
    assert np.isfinite(here.x).all()
    # They are counted call by call.
    assert int(function.descend(descent, batches)[0].n_skipped) == 0


def test_work_is_counted():
    function, x = descending()
    function.descend(Descent.begin(x), *calls(function, 1))
    assert function.counters.work_units == STEPS * BATCH_ROWS
    assert function.counters.evaluations == STEPS
    assert function.counters.gradient_seconds > 0
    first, *others = function.first_calls(x)
    assert not others
    first()
    assert function.counters.evaluations == STEPS
