"""Separable problems of regression and classification small enough to be looked at whole."""

import numpy as np
from small_problem import network

from brenier.inner.losses import LogLoss, SquaredError
from brenier.inner.primal_dual import PrimalDual
from brenier.networks.basis import NetworkBasis
from brenier.networks.convex import ConvexBasis, MonotoneNetwork
from brenier.networks.tanh import initial_tanh_network
from brenier.varpro.function import ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.supervised import SupervisedProblem

N_ROWS, N_INPUTS, N_OUTPUTS = 40, 2, 3
DECAY, RIDGE = 1e-3, 1e-4


def tanh_basis(*, residual=False):
    rng = np.random.default_rng(3)
    return NetworkBasis(initial_tanh_network(N_INPUTS, (4, 4), rng, residual=residual))


def problem_of(basis, loss, n_outputs=N_OUTPUTS, solver=None):
    lower = np.repeat(basis.lower, n_outputs)
    ridge = np.full(len(lower), RIDGE)
    solver = loss.solver if solver is None else solver
    return SupervisedProblem(basis, lower, ridge, solver, np.asarray(DECAY), loss)


PROBLEMS = {
    "squared error, dense": lambda: problem_of(tanh_basis(), SquaredError()),
    "squared error, residual": lambda: problem_of(tanh_basis(residual=True), SquaredError()),
    "log loss": lambda: problem_of(tanh_basis(), LogLoss()),
    "squared error, convex": lambda: problem_of(
        ConvexBasis(MonotoneNetwork(network("bounds"), (False,) * N_INPUTS), np.eye(N_INPUTS)),
        SquaredError(),
        1,
        PrimalDual(tau=1e-4, tolerance=1e-12),
    ),
}


def rows(problem):
    """Return rows (x, y) and unequal weights; of the log loss y are classes, as ones and zeros."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_INPUTS))
    Y = np.stack([np.sin(2 * X[:, 0]), X[:, 0] * X[:, 1], X[:, 1] ** 2], axis=1)
    Y = Y[:, -problem.n_outputs :] + 0.1 * rng.normal(size=(N_ROWS, problem.n_outputs))
    if isinstance(problem.loss_of_rows, LogLoss):
        Y = np.eye(problem.n_outputs)[np.argmax(Y, axis=1)]
    return np.concatenate([X, Y], axis=1), rng.uniform(0.5, 2.0, size=N_ROWS)


def function(name, kind=ReducedFunction):
    """Return a function to minimise, and where from."""
    problem = PROBLEMS[name]()
    made = kind(problem, problem.sample(*rows(problem)), problem.cold, N_ROWS)
    return made, made.start(to_vector(problem.network))
