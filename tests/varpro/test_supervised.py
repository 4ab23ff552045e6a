"""Regression and classification through the elimination: gradients, Schur operators, work units."""

import jax
import numpy as np
import pytest
from small_supervised import DECAY, N_ROWS, PROBLEMS, function, rows

from brenier.optimizers.early_stopping import EarlyStopping, StoppingCriteria
from brenier.optimizers.gauss_newton import GaussNewton
from brenier.optimizers.lbfgs import LBFGS
from brenier.varpro.function import FullFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.taylor import taylor_check

pytestmark = pytest.mark.usefixtures("x64")

on_problems = pytest.mark.parametrize("name", PROBLEMS)
# Products of Jacobians by automatic differentiation, the inner solution to its tolerance.
ROUNDING = {"rtol": 1e-7, "atol": 1e-8}


@on_problems
def test_taylor_remainders_through_the_elimination_are_of_order_two(name):
    reduced, theta = function(name)
    direction = np.random.default_rng(1).normal(size=len(theta))
    steps = 0.5 ** np.arange(4, 12)
    table = taylor_check(reduced, theta, direction / np.linalg.norm(direction), h=steps)
    np.testing.assert_allclose(table["order"][-3:], 2.0, atol=0.15)


@on_problems
def test_taylor_remainders_without_elimination_are_of_order_two(name):
    full, x = function(name, FullFunction)
    direction = np.random.default_rng(1).normal(size=len(x))
    steps = 0.5 ** np.arange(4, 12)
    table = taylor_check(full, x, direction / np.linalg.norm(direction), h=steps)
    np.testing.assert_allclose(table["order"][-3:], 2.0, atol=0.15)


def dense_matrix(problem, theta, w):
    """Return M = sum_j omega_j Y_j^T l'' Y_j + decay + ridge in (mu, w)."""
    X, weights = rows(problem)
    omega, n, q = weights / weights.sum(), problem.template.n, len(theta)

    def outputs(both):
        return problem.predictions(both[:q], both[q:], X[:, :n])

    def loss(outputs):
        return omega @ problem.loss_of_rows.per_row(outputs, X[:, n:])

    both = np.concatenate([theta, w])
    Y = np.asarray(jax.jit(jax.jacrev(outputs))(both)).reshape(-1, len(both))
    curved = np.asarray(jax.hessian(loss)(outputs(both))).reshape(len(Y), len(Y))
    # Biases, which come after K, do not decay.
    network = getattr(problem.network, "convex", problem.network)
    n_K, n_b = (sum(part.size for part in parts) for parts in (network.K, network.b))
    decay = np.full(q, DECAY)
    decay[n_K : n_K + n_b] = 0.0
    return Y.T @ curved @ Y + np.diag(np.concatenate([decay, problem.ridge]))


def products(made, here):
    """Return the rows of the Gauss-Newton matrix, by as many products of one unit a row each."""
    product, before = made.curvature(here), made.counters.work_units
    found = np.stack([product(v) for v in np.eye(len(here.x))])
    assert made.counters.work_units - before == len(here.x) * N_ROWS
    return found


@on_problems
def test_reduced_products_are_those_of_the_schur_complement(name):
    reduced, theta = function(name)
    problem, here = reduced.problem, reduced.evaluate(theta)
    q, w = len(theta), here.w
    M = dense_matrix(problem, theta, w)
    slack = np.where(np.isfinite(problem.lower), w, np.inf)
    M_ww = M[q:, q:] + np.diag(problem.solver.tau / slack**2)
    schur = M[:q, :q] - M[:q, q:] @ np.linalg.solve(M_ww, M[q:, :q])
    np.testing.assert_allclose(products(reduced, here), schur, **ROUNDING)


@on_problems
def test_full_products_are_those_of_the_dense_matrix(name):
    full, x = function(name, FullFunction)
    here = full.evaluate(x)
    np.testing.assert_allclose(
        products(full, here), dense_matrix(full.problem, here.theta, here.w), **ROUNDING
    )


@pytest.mark.parametrize("optimizer", [LBFGS(), GaussNewton()], ids=["lbfgs", "gauss-newton"])
@on_problems
def test_optimizers_bring_the_loss_down_and_count_their_work(name, optimizer):
    reduced, theta = function(name)
    first = reduced.evaluate(theta).loss
    stopping = EarlyStopping(StoppingCriteria(max_iter=8, patience=8, patience_share=1.0))
    optimizer.minimize(reduced, theta, stopping)
    losses = [-iteration.train_log_likelihood for iteration in stopping.iterations]
    assert losses[-1] < 0.9 * first
    assert stopping.iterations[-1].work_units >= N_ROWS * len(losses)
    assert reduced.counters.failures == 0


def test_predictions_are_weighted_sums_of_basis_functions():
    problem = PROBLEMS["squared error, dense"]()
    X = rows(problem)[0][:, : problem.template.n]
    w = np.random.default_rng(0).normal(size=len(problem.lower))
    expected = problem.template.values(X) @ w.reshape(-1, problem.n_outputs)
    found = problem.predictions(to_vector(problem.network), w, X)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
