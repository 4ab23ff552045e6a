"""What Krylov spaces leave behind, against the whole matrix; and what it saves."""

import jax
import numpy as np
import pytest

from brenier.inner.losses import SquaredError
from brenier.networks.basis import NetworkBasis
from brenier.networks.tanh import initial_tanh_network
from brenier.optimizers.early_stopping import EarlyStopping, StoppingCriteria
from brenier.optimizers.gauss_newton import GaussNewton
from brenier.optimizers.inverse_curvature import InverseCurvature
from brenier.optimizers.krylov import KrylovSpace
from brenier.varpro.function import FullFunction, ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.supervised import SupervisedProblem

RNG = np.random.default_rng(0)
P = 12
FACTOR = RNG.normal(size=(P, P))
M = FACTOR @ FACTOR.T + 0.1 * np.eye(P)
G = RNG.normal(size=P)
WIDE = 1e6


def space(inverse, *, max_products, matrix=M, gradient=G, radius=WIDE):
    return KrylovSpace.of(lambda v: matrix @ v, gradient, radius, 1e-9, max_products, inverse)


def as_matrix(inverse):
    return np.stack([inverse(e) for e in np.eye(P)], axis=1)


@pytest.mark.parametrize("memory", [5, 200])
def test_it_inverts_the_last_space_and_is_positive_definite(memory):
    inverse = InverseCurvature(memory)
    for gradient in RNG.normal(size=(3, P)):
        found = space(inverse, max_products=4, gradient=gradient)
        inverse = inverse.after(found)
    for v in found.V.T:
        np.testing.assert_allclose(inverse(M @ v), v, rtol=1e-8, atol=1e-8)
    H = as_matrix(inverse)
    np.testing.assert_allclose(H, H.T, atol=1e-10 * np.abs(H).max())
    assert np.linalg.eigvalsh(H)[0] > 0
    assert len(inverse.pairs) == min(memory, 12)


def test_of_the_whole_space_it_is_the_inverse():
    inverse = InverseCurvature(P).after(space(InverseCurvature(0), max_products=P))
    np.testing.assert_allclose(as_matrix(inverse), np.linalg.inv(M), rtol=1e-6, atol=1e-8)
    one = space(inverse, max_products=P, gradient=RNG.normal(size=P))
    # Newton's direction is the first, and nothing is left over.
    assert one.V.shape[1] == 1


def test_without_memory_it_is_the_identity():
    inverse = InverseCurvature(0).after(space(InverseCurvature(0), max_products=3))
    np.testing.assert_array_equal(inverse(G), G)


def test_nothing_is_learnt_where_nothing_is_curved():
    flat = space(InverseCurvature(9), max_products=3, matrix=np.zeros((P, P)), radius=1.0)
    assert InverseCurvature(9).after(flat).pairs == ()


def test_directions_are_conjugate():
    directions, images, curvature = zip(
        *space(InverseCurvature(0), max_products=5).conjugate, strict=True
    )
    D = np.stack(directions)
    np.testing.assert_allclose(D @ M @ D.T, np.diag(curvature), atol=1e-9 * max(curvature))
    np.testing.assert_allclose(np.stack(images), D @ M, atol=1e-9 * max(curvature))


@pytest.mark.parametrize("kind", [ReducedFunction, FullFunction])
def test_memory_lowers_the_loss_at_equal_work(kind):
    X = RNG.uniform(-2, 2, size=(128, 2))
    Y = np.sin(2 * X[:, :1]) * np.cos(X[:, 1:])
    basis, loss = NetworkBasis(initial_tanh_network(2, (8, 8), RNG)), SquaredError()
    problem = SupervisedProblem(
        template=basis,
        lower=np.full(basis.n_functions, -np.inf),
        ridge=np.full(basis.n_functions, 1e-6),
        solver=loss.solver,
        decay=np.asarray(1e-6),
        loss_of_rows=loss,
    )
    ends = []
    for optimizer in (
        GaussNewton(eliminates=kind is ReducedFunction, tol=1e-9),
        GaussNewton(eliminates=kind is ReducedFunction, tol=1e-9, max_products=20, memory=0),
    ):
        criteria = StoppingCriteria(
            1000, patience=1000, patience_share=0.0, max_work_units=200 * len(X)
        )
        with jax.enable_x64(True):
            sample = problem.sample(np.concatenate([X, Y], axis=1), np.full(len(X), 1 / len(X)))
            # The training rows are those held out.
            stopping = EarlyStopping(
                criteria, lambda theta, w, sample=sample: float(problem.loss(theta, w, sample))
            )
            function = kind(problem, sample, problem.cold, len(X))
            optimizer.minimize(function, function.start(to_vector(basis.network)), stopping)
        ends.append(stopping.best.heldout_loss)
    # Three products and what is known from before do more than twenty from nothing.
    assert ends[0] < 0.5 * ends[1]
