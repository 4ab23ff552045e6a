"""Shares of potentials: the optimality conditions of their convex problem, with known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brenier.potential.activations import ACTIVATIONS
from brenier.potential.features import ConvexPotential
from brenier.potential.gaussian import Gaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.training.stacking import MAX_ROWS, stack
from brenier.varpro.reduced import loss_of_map

pytestmark = pytest.mark.usefixtures("x64")

M, WIDTH = 300, 3


def normal_rows(scale=1.0, n_rows=M):
    return scale * np.random.default_rng(0).normal(size=(n_rows, 2))


def potential(w_quadratic, seed=0, weight=0.0):
    """Return a potential of the Gaussian with standard deviations 1 / w and some of a network."""
    rng = np.random.default_rng(seed)
    network = initial_network(
        normal_rows(), (WIDTH,), ACTIVATIONS["softplus"], NONNEGATIVITY["bounds"], rng
    )
    w = np.concatenate([np.full(WIDTH, weight), np.full(2, float(w_quadratic)), np.zeros(2)])
    return ConvexPotential(SeparableFeatures(network, np.eye(2)), w)


def test_shares_satisfy_the_optimality_conditions():
    X, weights = normal_rows(), np.random.default_rng(1).uniform(0.5, 1.5, size=M)
    members = [potential(0.5, seed, weight) for seed, weight in enumerate((0.4, 1.0, 0.0))]
    a, omega = stack(members, X, weights), weights / weights.sum()
    maps, jacobians = zip(*(member.gradient_and_hessian(X) for member in members), strict=True)

    def J(a):
        z = sum(share * z for share, z in zip(a, maps, strict=True))
        A = sum(share * A for share, A in zip(a, jacobians, strict=True))
        return loss_of_map(z, [A], omega)

    tau = np.sum(omega**2)
    assert (a > 0).all()
    np.testing.assert_allclose(jax.grad(J)(jnp.asarray(a)), tau / a, rtol=1e-5)


def test_scale_is_free():
    # Of 1/2 |2 x|^2 half is wanted, but for the rows' own standard deviation and the prior.
    X = normal_rows()
    a = stack([potential(2.0)], X, np.ones(M))
    # J = 2 a^2 |x|^2 - 2 log a - 1/M log a.
    expected = np.sqrt((2 + 1 / M) / (4 * np.mean(np.sum(X**2, axis=1))))
    np.testing.assert_allclose(a, expected, rtol=1e-8)


def test_a_useless_potential_gets_little_and_equals_share_alike():
    useless = potential(0.01, weight=5.0)
    a = stack([potential(1.0), potential(1.0), useless], normal_rows(), np.ones(M))
    assert a[0] == pytest.approx(a[1], rel=1e-6)
    assert a[2] < 0.05 < 0.45 < a[0]


def test_rows_beyond_the_limit_are_left_out():
    X = normal_rows(n_rows=MAX_ROWS + 100)
    X[MAX_ROWS:] *= 10
    whole = stack([potential(2.0)], X, np.ones(len(X)))
    np.testing.assert_array_equal(whole, stack([potential(2.0)], X[:MAX_ROWS], np.ones(MAX_ROWS)))


def test_the_gaussian_alone_is_itself_on_its_own_rows():
    X = normal_rows(3.0)
    gaussian = Gaussian.fit(X, np.ones(M))
    member = potential(1.0)
    w = gaussian.weights(WIDTH)
    features = SeparableFeatures(member.features.network, gaussian.axes)
    # d J / d a = 2 a - 2 / a on these rows, against 1 / (M a).
    a = stack([ConvexPotential(features, w)], X, np.ones(M))
    np.testing.assert_allclose(a, np.sqrt(1 + 1 / (2 * M)), rtol=1e-8)
