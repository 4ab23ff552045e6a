"""Optimizers, on functions that have nothing to do with networks, and on one that has."""

from dataclasses import dataclass

import numpy as np
import pytest
from small_problem import N_ROWS, function, rows, sample

from brenier.optimizers.adam import Adam
from brenier.optimizers.early_stopping import Clock, EarlyStopping, StoppingCriteria
from brenier.optimizers.gauss_newton import GaussNewton
from brenier.optimizers.gradient_descent import GradientDescent
from brenier.optimizers.lbfgs import LBFGS
from brenier.optimizers.schedule_free import LEAST_GAIN, LEAST_ITERATIONS, ScheduleFreeAdam
from brenier.optimizers.sgd import SGD
from brenier.optimizers.warm_up import WarmedUp
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, Evaluated, FullFunction
from brenier.varpro.mini_batches import BATCH_ROWS, STEPS, MiniBatchFunction

pytestmark = pytest.mark.usefixtures("x64")


@dataclass
class Quadratic(AbstractFunction):
    """A convex quadratic 1/2 (x - centre) . Q (x - centre) + level, under bounds."""

    centre: np.ndarray = None  # pyright: ignore
    level: float = 0.0
    sign: float = 1.0
    seen: list = None  # pyright: ignore

    @property
    def lower(self):
        return np.array([0.0, 0.0, -np.inf])

    def start(self, theta):
        return theta

    def compute(self, x):
        d = x - self.centre
        self.seen.append(x.copy())
        value, gradient = 0.5 * d @ Q @ d + self.level, self.sign * (Q @ d)
        self.counters.work_units += self.n_rows
        return Evaluated(x.copy(), x.copy(), np.zeros(0), value, value, gradient)

    @property
    def state(self):
        return {}

    def recall(self, values):
        pass

    def curvature(self, here):
        return lambda v: Q @ v


Q = np.diag([1.0, 10.0, 100.0])
CENTRE = np.array([2.0, -3.0, 1.0])
OPTIMUM = np.array([2.0, 0.0, 1.0])
START = np.array([1.0, 1.0, 0.0])
TOL = 1e-6
OPTIMIZERS = {
    "L-BFGS": LBFGS(tol=TOL),
    "gradient descent": GradientDescent(tol=TOL),
    "Gauss-Newton": GaussNewton(tol=TOL),
}
on_all = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def quadratic(centre=CENTRE, **changes):
    of_network = {"problem": None, "sample": None, "cold": None}
    own = {"n_rows": N_ROWS, "centre": centre, "seen": []}
    return Quadratic(**of_network | own | changes)


def early_stopping(heldout_loss=None, max_seconds=None, **criteria):
    criteria = {"max_iter": 100, "patience": 1000, "patience_share": 0.25} | criteria
    return EarlyStopping(StoppingCriteria(**criteria), heldout_loss, Clock(max_seconds))


def likelihoods(watched):
    return [progress.train_log_likelihood for progress in watched.iterations]


@on_all
def test_minimum_within_bounds(optimizer):
    minimised, watched = quadratic(), early_stopping(max_iter=3000)
    end = OPTIMIZERS[optimizer].minimize(minimised, START, watched)
    assert end.status is FitStatus.CONVERGED
    np.testing.assert_allclose(end.x, OPTIMUM, atol=TOL)
    assert (np.array(minimised.seen) >= minimised.lower).all()
    # Every iterate descends, and the best is the last.
    n_iter = len(watched.iterations)
    assert (np.diff(likelihoods(watched)) >= 0).all()
    assert watched.best.number == n_iter
    assert [progress.iteration for progress in watched.iterations] == [*range(1, n_iter + 1)]


@on_all
def test_converged_where_it_starts(optimizer):
    end = OPTIMIZERS[optimizer].minimize(quadratic(), OPTIMUM, early_stopping())
    assert end.status is FitStatus.CONVERGED
    np.testing.assert_array_equal(end.x, OPTIMUM)


@on_all
@pytest.mark.parametrize(
    ("criteria", "status", "n_iter"),
    [
        ({"max_iter": 2}, FitStatus.ITERATION_LIMIT, 2),
        ({"max_work_units": 1}, FitStatus.ITERATION_LIMIT, 1),
        ({"max_seconds": 0.0}, FitStatus.TIME_LIMIT, 0),
    ],
)
def test_limits(optimizer, criteria, status, n_iter):
    watched = early_stopping(**criteria)
    end = OPTIMIZERS[optimizer].minimize(quadratic(), START, watched)
    assert (end.status, len(watched.iterations)) == (status, n_iter)
    assert (end.x >= quadratic().lower).all()


@on_all
def test_a_fit_that_was_stopped_stops_the_run(optimizer):
    watched = early_stopping()
    watched.clock.stop.set()
    end = OPTIMIZERS[optimizer].minimize(quadratic(), START, watched)
    assert (end.status, len(watched.iterations)) == (FitStatus.INTERRUPTED, 0)


@on_all
def test_held_out_rows_stop_the_run(optimizer):
    # The held-out loss is the same at every iterate, so the first stays the best.
    watched = early_stopping(lambda theta, w: 1.0, patience=2)
    far = quadratic(np.array([1e3, 1e4, 1e5]))
    end = OPTIMIZERS[optimizer].minimize(far, START, watched)
    assert end.status is FitStatus.STOPPED_ON_VALIDATION
    assert (len(watched.iterations), watched.best.number) == (4, 1)


@on_all
def test_no_progress_against_a_wrong_gradient(optimizer):
    end = OPTIMIZERS[optimizer].minimize(quadratic(sign=-1.0), START, early_stopping())
    assert end.status is FitStatus.NO_PROGRESS
    np.testing.assert_array_equal(end.x, START)


@on_all
def test_nothing_finite_to_start_from(optimizer):
    end = OPTIMIZERS[optimizer].minimize(quadratic(level=np.nan), START, early_stopping())
    assert end.status is FitStatus.NUMERICAL_FAILURE


def test_lbfgs_converges_loosely_where_the_objective_stops_falling():
    # Relative to a level of 1e9 the last digits of the fall are below tol^2.
    end = LBFGS(tol=1e-5).minimize(quadratic(level=1e9), START, early_stopping())
    assert end.status is FitStatus.CONVERGED_LOOSELY


def test_lbfgs_meets_the_limit_of_its_evaluations():
    # So far from the minimum the first line search takes more evaluations than two iterations may.
    far, watched = quadratic(np.full(3, 1e6)), early_stopping(max_iter=2)
    end = LBFGS(tol=TOL, max_evaluations_per_iteration=1).minimize(far, START, watched)
    assert end.status is FitStatus.ITERATION_LIMIT
    assert len(watched.iterations) == 1
    assert not watched.exhausted
    assert len(far.seen) > 3


def test_adam_goes_through_all_rows_in_every_epoch_and_stays_within_bounds():
    minimised = quadratic(sample=sample())
    watched = early_stopping()
    adam = Adam(eliminates=True, batch_rows=25, learning_rate=0.3, seed=0, epochs=60)
    end = adam.minimize(minimised, START, watched)
    # Its own limit, not that of the run.
    assert (end.status, watched.exhausted) == (FitStatus.ITERATION_LIMIT, False)
    assert (end.x >= minimised.lower).all()
    np.testing.assert_allclose(end.x, OPTIMUM, atol=0.01)
    # Batches of 25, 25 and 10 rows; what early stopping sees costs nothing.
    assert [p.work_units for p in watched.iterations] == [60 * (k + 1) for k in range(60)]
    assert len(minimised.seen) == 4 * 60
    again = adam.minimize(quadratic(sample=sample()), START, early_stopping())
    np.testing.assert_array_equal(again.x, end.x)


def test_adam_leaves_batches_out_that_give_no_direction():
    adam = Adam(eliminates=True, batch_rows=25, learning_rate=0.3, seed=0)
    end = adam.minimize(quadratic(sample=sample(), level=np.nan), START, early_stopping())
    assert end.status is FitStatus.NUMERICAL_FAILURE
    np.testing.assert_array_equal(end.x, START)


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_compiled_epochs_take_the_steps_that_single_ones_would(kind):
    full, x = function(FullFunction)
    form = {"batch_rows": 25, "learning_rate": 0.01, "seed": 0, "epochs": 5}
    watched = early_stopping()
    end = kind(eliminates=False, reported_every=2, **form).minimize(full, x, watched)
    assert [p.work_units for p in watched.iterations] == [2 * N_ROWS, 4 * N_ROWS, 5 * N_ROWS]
    # Nothing is eliminated from a full function, whatever the optimizer believes.
    single, _ = function(FullFunction)
    told = early_stopping()
    same = kind(eliminates=True, **form).minimize(single, x, told)
    np.testing.assert_allclose(end.x, same.x, rtol=1e-9, atol=1e-9)
    assert likelihoods(told)[-1] > likelihoods(told)[0]
    assert single.counters.work_units == full.counters.work_units
    assert single.counters.evaluations == full.counters.evaluations == 15


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_compiled_epochs_without_any_direction_are_a_failure(kind):
    full, x = function(FullFunction)
    descent = kind(eliminates=False, batch_rows=25, learning_rate=0.01, seed=0)
    end = descent.minimize(full, np.full_like(x, np.nan), early_stopping())
    assert end.status is FitStatus.NUMERICAL_FAILURE


def schedule_free(seed=0, heldout_loss=None, **criteria):
    """Return where mini-batches of the moons lead, what was seen, and the function."""
    reduced, x = function()
    minimised = MiniBatchFunction(
        reduced.problem, MiniBatchFunction.sample_of(reduced.problem, *rows()), reduced.cold, N_ROWS
    )
    watched = early_stopping(heldout_loss, **criteria)
    end = ScheduleFreeAdam(seed).minimize(minimised, minimised.start(x), watched)
    return end, watched, minimised


def test_mini_batches_lead_down_in_both_variables():
    end, watched, minimised = schedule_free(max_iter=200)
    assert end.status is FitStatus.CONVERGED_LOOSELY
    assert LEAST_ITERATIONS <= len(watched.iterations) < 200
    assert watched.recent_gain < LEAST_GAIN
    assert (end.x >= minimised.lower).all()
    # Far below what the last layer alone can reach, at the same J that is told.
    reduced, x = function()
    full, _ = function(FullFunction)
    reached, _, _, _ = full.problem.full_value_and_gradient(end.x, full.sample)
    assert float(reached) < reduced.evaluate(x).loss - 0.3
    told = -watched.iterations[-1].train_log_likelihood
    assert float(reached) == pytest.approx(told, abs=0.02)
    again, _, _ = schedule_free(max_iter=200)
    np.testing.assert_array_equal(again.x, end.x)
    other, _, _ = schedule_free(seed=1, max_iter=2)
    assert (other.x != schedule_free(max_iter=2)[0].x).any()


@pytest.mark.parametrize(
    ("criteria", "status", "n_iter"),
    [
        ({"max_iter": 3}, FitStatus.ITERATION_LIMIT, 3),
        ({"max_seconds": 0.0}, FitStatus.TIME_LIMIT, 0),
    ],
)
def test_limits_of_mini_batches(criteria, status, n_iter):
    end, watched, _ = schedule_free(**criteria)
    assert (end.status, len(watched.iterations)) == (status, n_iter)


def test_mini_batches_end_where_held_out_rows_gain_little_more():
    end, watched, _ = schedule_free(heldout_loss=lambda theta, w: 1.0)
    assert end.status is FitStatus.STOPPED_ON_VALIDATION
    assert len(watched.iterations) == LEAST_ITERATIONS


def test_mini_batches_without_any_direction_are_a_failure():
    reduced, x = function()
    X, weights = rows()
    sample = MiniBatchFunction.sample_of(reduced.problem, np.full_like(X, np.nan), weights)
    minimised = MiniBatchFunction(reduced.problem, sample, reduced.cold, N_ROWS)
    end = ScheduleFreeAdam(0).minimize(minimised, minimised.start(x), early_stopping())
    assert end.status is FitStatus.NUMERICAL_FAILURE
    np.testing.assert_array_equal(end.x, minimised.start(x))


def test_mini_batches_say_how_many_rows_an_iteration_goes_through():
    assert ScheduleFreeAdam(0).iteration_rows(10**6) == STEPS * BATCH_ROWS
    assert LBFGS().iteration_rows(10**6) == 10**6


def warmed_up(**criteria):
    """Return the end of L-BFGS after two epochs of Adam, and what was seen of both."""
    adam = Adam(eliminates=True, batch_rows=60, learning_rate=0.1, seed=0, epochs=2)
    watched = early_stopping(**criteria)
    minimised = quadratic(sample=sample())
    return WarmedUp(adam, LBFGS(tol=TOL)).minimize(minimised, START, watched), watched


def test_an_optimizer_goes_on_where_its_warm_up_ends():
    end, watched = warmed_up()
    assert end.status is FitStatus.CONVERGED
    np.testing.assert_allclose(end.x, OPTIMUM, atol=TOL)
    assert [p.iteration for p in watched.iterations[:3]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("criteria", "status", "n_iter"),
    [
        ({"max_iter": 2}, FitStatus.ITERATION_LIMIT, 2),
        ({"max_seconds": 0.0}, FitStatus.TIME_LIMIT, 0),
    ],
)
def test_nothing_goes_on_where_the_run_s_limit_ends_the_warm_up(criteria, status, n_iter):
    end, watched = warmed_up(**criteria)
    assert (end.status, len(watched.iterations)) == (status, n_iter)


@pytest.mark.parametrize("form", NONNEGATIVITY)
def test_lbfgs_on_the_reduced_function(form):
    minimised, x = function(form=form)
    watched = early_stopping(max_iter=5)
    end = LBFGS().minimize(minimised, x, watched)
    assert end.status is FitStatus.ITERATION_LIMIT
    assert (end.x >= minimised.lower).all()
    first, *_, last = likelihoods(watched)
    assert last > first > -minimised.uncounted().evaluate(x).loss
    counters = minimised.counters
    assert [progress.n_rows for progress in watched.iterations] == [N_ROWS] * 5
    assert watched.iterations[-1].work_units == counters.evaluations * N_ROWS
    assert sum(p.newton_steps for p in watched.iterations) == sum(counters.newton_steps)
    seconds = [progress.seconds for progress in watched.iterations]
    assert 0 < seconds[0]
    assert seconds == sorted(seconds)
    assert seconds[-1] <= watched.clock.elapsed
