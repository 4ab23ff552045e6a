"""slimTrain on least squares small enough to be followed step by step in NumPy."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from small_supervised import N_INPUTS, N_OUTPUTS, N_ROWS, PROBLEMS, function, rows

from brenier.inner.sampled_tikhonov import SampledGCV, SampledTikhonov
from brenier.optimizers.adam import Adam
from brenier.optimizers.early_stopping import EarlyStopping, StoppingCriteria
from brenier.optimizers.mechanic import FIRST_SCALE, MechanicAdam
from brenier.optimizers.named import OF_LEAST_SQUARES
from brenier.optimizers.slimtrain import FIRST, SlimTrain
from brenier.status import FitStatus
from brenier.varpro.function import FullFunction

pytestmark = pytest.mark.usefixtures("x64")

NAME = "squared error, dense"
FORM = {"batch_rows": 16, "learning_rate": 0.01, "seed": 0, "memory_depth": 2}
# Adam's constants, which optax has as defaults.
BETA, BETA_2, TINY = 0.9, 0.999, 1e-8
ROUNDING = {"rtol": 1e-7, "atol": 1e-9}


def early_stopping(heldout_loss=None, **criteria):
    criteria = {"max_iter": 100, "patience": 1000, "patience_share": 0.25} | criteria
    return EarlyStopping(StoppingCriteria(**criteria), heldout_loss)


def run(heldout_loss=None, criteria=None, **changes):
    full, x = function(NAME, FullFunction)
    watched = early_stopping(heldout_loss, **criteria or {})
    end = SlimTrain(**FORM | changes).minimize(full, x, watched)
    return end, watched, full


def followed(n_epochs, regularisation):
    """Return x after epochs whose every step is written out, and the lambdas."""
    full, x = function(NAME, FullFunction)
    problem, rng = full.problem, np.random.default_rng(FORM["seed"])
    table, weights = rows(problem)
    omega, q = weights / weights.sum(), len(x) - len(problem.lower)
    theta, w = x[:q], x[q:]
    state = SampledTikhonov.begin(w.reshape(-1, N_OUTPUTS), FORM["memory_depth"], FIRST)
    basis = jax.jit(
        lambda theta, X: problem.template.with_network(problem.network_at(theta)).values(X)
    )
    gradient = jax.jit(
        jax.grad(
            lambda theta, W, X, Y, o: (
                0.5 * o @ ((basis(theta, X) @ W - Y) ** 2).sum(axis=1)
                + problem.regularisation(theta, W.ravel())
            )
        )
    )
    update = jax.jit(lambda state, F, Y, o: state.update(F, Y, o, regularisation))
    mean, square, k, changes = np.zeros(q), np.zeros(q), 0, []
    for _ in range(n_epochs):
        order = rng.permutation(N_ROWS)
        for start in range(0, N_ROWS, FORM["batch_rows"]):
            at = order[start : start + FORM["batch_rows"]]
            X, Y = table[at, :N_INPUTS], table[at, N_INPUTS:]
            o, k = omega[at] / omega[at].sum(), k + 1
            state, change = update(state, basis(theta, X), Y, o)
            g = np.asarray(gradient(theta, state.W, X, Y, o))
            mean, square = BETA * mean + (1 - BETA) * g, BETA_2 * square + (1 - BETA_2) * g**2
            size = np.sqrt(square / (1 - BETA_2**k)) + TINY
            theta = theta - FORM["learning_rate"] * mean / (1 - BETA**k) / size
            changes.append(float(change))
    return np.concatenate([theta, np.ravel(state.W)]), changes


def test_epochs_are_the_steps_written_out():
    told = []
    end, watched, full = run(epochs=3, reported_every=2, told=told.append)
    x, changes = followed(3, SampledGCV())
    np.testing.assert_allclose(np.concatenate(told), changes, **ROUNDING)
    np.testing.assert_allclose(end.x, x, **ROUNDING)
    assert end.status is FitStatus.ITERATION_LIMIT
    assert [p.work_units for p in watched.iterations] == [2 * N_ROWS, 3 * N_ROWS]
    assert full.counters.evaluations == 9


def test_it_learns_and_reports_every_epoch_to_early_stopping():
    end, watched, full = run(criteria={"max_work_units": 20 * N_ROWS})
    assert end.status is FitStatus.ITERATION_LIMIT
    losses = [-p.train_log_likelihood for p in watched.iterations]
    assert len(losses) == 20
    assert min(losses) < 0.6 * losses[0]
    assert watched.best.loss == min(losses)
    x = np.concatenate([watched.best.theta, watched.best.w])
    assert full.uncounted().compute(x).loss == pytest.approx(watched.best.loss)


def test_held_out_rows_stop_it():
    end, watched, _ = run(lambda theta, w: 1.0, {"patience": 2})
    assert end.status is FitStatus.STOPPED_ON_VALIDATION
    assert (len(watched.iterations), watched.best.number) == (4, 1)


def test_a_fixed_lambda_and_no_memory():
    told = []
    run(epochs=2, memory_depth=0, change=0.25, told=told.append)
    np.testing.assert_array_equal(np.concatenate(told), np.full(6, 0.25))


def test_batches_that_are_no_numbers_are_left_out():
    full, x = function(NAME, FullFunction)
    told = []
    slimtrain = SlimTrain(**FORM, told=told.append)
    end = slimtrain.minimize(full, np.full_like(x, np.nan), early_stopping())
    assert end.status is FitStatus.NUMERICAL_FAILURE
    np.testing.assert_array_equal(told[0], np.zeros(3))


def moved(**changes):
    """Return how far the network's weights have moved."""
    full, x = function(NAME, FullFunction)
    end = SlimTrain(**FORM | changes).minimize(full, x, early_stopping())
    return (end.x - x)[: len(x) - len(full.problem.lower)]


def test_mechanic_begins_at_a_tenth_of_adams_step():
    # One mini-batch of all rows.
    first = {"batch_rows": N_ROWS, "epochs": 1}
    np.testing.assert_allclose(
        moved(steps=MechanicAdam, **first), FIRST_SCALE * moved(**first), **ROUNDING
    )


@pytest.mark.parametrize("learning_rate", [1e-6, 1.0])
def test_mechanic_mends_a_bad_learning_rate(learning_rate):
    form = {"learning_rate": learning_rate, "epochs": 30}
    losses = {}
    for steps in (Adam, MechanicAdam):
        _, watched, _ = run(steps=steps, **form)
        losses[steps] = watched.iterations[-1].train_log_likelihood
    assert losses[MechanicAdam] > losses[Adam] + 0.01


@pytest.mark.parametrize("name", ["log loss", "squared error, convex"])
def test_other_problems_are_refused(name):
    full, x = function(name, FullFunction)
    made = OF_LEAST_SQUARES["slimtrain"](1e-6, 0)
    with pytest.raises(ValueError, match="Expected least squares whose last layer has no bounds"):
        made.minimize(full, x, early_stopping())


def test_by_name_it_has_the_papers_settings():
    made = OF_LEAST_SQUARES["slimtrain"](1e-6, 7)
    assert made == SlimTrain(batch_rows=32, learning_rate=1e-3, seed=7)
    scaled = OF_LEAST_SQUARES["slimtrain-mechanic"](1e-6, 7)
    assert scaled == replace(made, learning_rate=0.1, steps=MechanicAdam)
    assert (made.memory_depth, made.first, made.change) == (5, 0.05, None)
    assert set(PROBLEMS) > {NAME}
