"""The inner problems of regression and classification: naive formulas, oracles, certificates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brenier.inner.least_squares import ClosedForm
from brenier.inner.losses import LogLoss, SquaredError
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import WarmStart
from brenier.status import InnerStatus

pytestmark = pytest.mark.usefixtures("x64")

ROUNDING = {"rtol": 1e-10, "atol": 1e-11}
# Central differences of step 1e-5 of functions of order one.
DIFFERENCES = {"rtol": 1e-5, "atol": 1e-8}
N, M, N_OUTPUTS = 12, 4, 3
LOSSES = {"squared error": SquaredError(), "log loss": LogLoss()}
on_losses = pytest.mark.parametrize("name", LOSSES)


def parts(name, ridge=1e-2):
    """Return basis functions, targets, weights (one of zero) and the ridge."""
    rng = np.random.default_rng(5)
    Y = rng.normal(size=(N, N_OUTPUTS))
    if name == "log loss":
        Y = np.exp(Y) / np.exp(Y).sum(axis=1, keepdims=True)
    omega = np.append(rng.uniform(0.5, 2.0, size=N - 1), 0.0)
    return rng.normal(size=(N, M)), Y, omega / omega.sum(), np.full(M * N_OUTPUTS, ridge)


@jax.jit
def evaluated(objective, w):
    return objective.evaluate(w), objective.evaluate(w, with_hessian=jnp.asarray(False))


def naive(name, w):
    """Return J row by row, with plain sums."""
    F, Y, omega, ridge = parts(name)
    W, total = w.reshape(M, N_OUTPUTS), 0.5 * np.sum(ridge * w**2)
    for f, y, weight in zip(F, Y, omega, strict=True):
        o = f @ W
        if name == "squared error":
            total += weight * 0.5 * np.sum((o - y) ** 2)
        else:
            total += weight * (np.log(np.sum(np.exp(o))) - y @ o)
    return total


@on_losses
def test_objective_is_the_naive_one_with_its_derivatives(name):
    w = np.random.default_rng(6).normal(size=M * N_OUTPUTS)
    at, without = evaluated(LOSSES[name].objective(*parts(name)), w)
    np.testing.assert_allclose(at.value, naive(name, w), **ROUNDING)
    np.testing.assert_allclose(without.gradient, at.gradient, **ROUNDING)
    assert not np.any(without.hessian)
    h = 1e-5
    for k, e in enumerate(h * np.eye(M * N_OUTPUTS)):
        slope = (naive(name, w + e) - naive(name, w - e)) / (2 * h)
        np.testing.assert_allclose(at.gradient[k], slope, **DIFFERENCES)
        objective = LOSSES[name].objective(*parts(name))
        above, below = (evaluated(objective, w + s * e)[0].gradient for s in (1, -1))
        np.testing.assert_allclose(at.hessian[k], (above - below) / (2 * h), **DIFFERENCES)


@on_losses
def test_rows_of_weight_zero_do_not_count(name):
    F, Y, omega, ridge = parts(name)
    other = F.copy()
    other[-1] = 1e3
    w = np.ones(M * N_OUTPUTS)
    one, two = (evaluated(LOSSES[name].objective(G, Y, omega, ridge), w)[0] for G in (F, other))
    np.testing.assert_allclose(one.value, two.value, **ROUNDING)
    np.testing.assert_allclose(one.hessian, two.hessian, **ROUNDING)


@on_losses
def test_solution_is_stationary(name):
    loss, free = LOSSES[name], np.full(M * N_OUTPUTS, -np.inf)
    objective = loss.objective(*parts(name))
    solution = loss.solver.solve(objective, free, WarmStart.cold(np.zeros(M * N_OUTPUTS)))
    assert int(solution.status) == InnerStatus.CONVERGED
    assert np.max(np.abs(objective.evaluate(solution.w).gradient)) < 1e-6
    assert not np.any(solution.multipliers)


def test_closed_form_is_ridge_regression():
    F, Y, omega, _ = parts("squared error")
    ridge = np.repeat([1e-2, 1e-1, 1.0, 0.0], N_OUTPUTS)
    found = SquaredError().objective(F, Y, omega, ridge).minimiser()
    rows = np.concatenate([np.sqrt(omega)[:, None] * F, np.diag(np.sqrt(ridge[::N_OUTPUTS]))])
    targets = np.concatenate([np.sqrt(omega)[:, None] * Y, np.zeros((M, N_OUTPUTS))])
    np.testing.assert_allclose(
        np.reshape(found, (M, N_OUTPUTS)), np.linalg.lstsq(rows, targets)[0], **ROUNDING
    )


def test_closed_form_is_of_least_squares_only():
    objective = LogLoss().objective(*parts("log loss"))
    with pytest.raises(TypeError, match="Expected least squares; got CrossEntropy"):
        ClosedForm().solve(
            objective, np.full(M * N_OUTPUTS, -np.inf), WarmStart.cold(np.zeros(M * N_OUTPUTS))
        )


def test_a_singular_system_ends_in_a_named_status():
    F, Y, omega, _ = parts("squared error")
    objective = SquaredError().objective(0 * F, Y, omega, np.zeros(M * N_OUTPUTS))
    solution = ClosedForm().solve(
        objective, np.full(M * N_OUTPUTS, -np.inf), WarmStart.cold(np.zeros(M * N_OUTPUTS))
    )
    assert int(solution.status) == InnerStatus.NUMERICAL_FAILURE


def test_bounded_least_squares_and_cross_entropy_are_the_conic_solvers():
    import cvxpy

    for name, loss in LOSSES.items():
        F, Y, omega, ridge = parts(name)
        W = cvxpy.Variable((M, N_OUTPUTS))
        if name == "squared error":
            fit = 0.5 * cvxpy.sum(cvxpy.multiply(omega[:, None], cvxpy.square(F @ W - Y)))
        else:
            of_row = cvxpy.log_sum_exp(F @ W, axis=1) - cvxpy.sum(cvxpy.multiply(Y, F @ W), axis=1)
            fit = omega @ of_row
        tau = 1e-4
        penalty = 0.5 * ridge[0] * cvxpy.sum_squares(W) - tau * cvxpy.sum(cvxpy.log(W))
        problem = cvxpy.Problem(cvxpy.Minimize(fit + penalty))
        expected = problem.solve(solver="CLARABEL")
        objective = loss.objective(F, Y, omega, ridge)
        solution = PrimalDual(tau=tau).solve(
            objective, np.zeros(M * N_OUTPUTS), WarmStart.cold(np.ones(M * N_OUTPUTS))
        )
        assert int(solution.status) == InnerStatus.CONVERGED
        found = objective.evaluate(solution.w).value - tau * np.sum(np.log(solution.w))
        assert found == pytest.approx(expected, abs=1e-6)
