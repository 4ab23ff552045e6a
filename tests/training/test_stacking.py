"""Weights of potentials: the optimality conditions of their convex problem, with known answers."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brenier.data.rows import Split, WeightedRows
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.features import ConvexPotential
from brenier.potential.gaussian import Gaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.hessians import PackedHessians
from brenier.potential.initialise import initial_network
from brenier.potential.merge import combine
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.training.settings import Settings
from brenier.training.stacking import losses_of_sum, stacking_weights
from brenier.varpro.reduced import loss_of_map, loss_on
from brenier.varpro.sample import PaddedSample

pytestmark = pytest.mark.usefixtures("x64")

M, WIDTH, SETTINGS = 300, 3, Settings()


def normal_rows(scale=1.0, n_rows=M):
    return scale * np.random.default_rng(0).normal(size=(n_rows, 2))


def stack(potentials, X, weights=None, settings=SETTINGS):
    weights = np.ones(len(X)) if weights is None else weights
    rows = WeightedRows(X, weights, np.arange(len(X)) / len(X))
    return stacking_weights(potentials, rows, settings)


def potential(w_quadratic, seed=0, weight=0.0):
    """Return a potential of the Gaussian with standard deviations 1 / w and some of a network."""
    forms = ACTIVATIONS["softplus"], NONNEGATIVITY["bounds"]
    rng = np.random.default_rng(seed)
    network = initial_network(normal_rows(), (WIDTH,), *forms, rng, spread=(0.5, 3.0))
    w = np.concatenate([np.full(WIDTH, weight), np.full(2, float(w_quadratic)), np.zeros(2)])
    return ConvexPotential(SeparableFeatures(network, np.eye(2)), w)


def test_weights_satisfy_the_optimality_conditions():
    X, weights = normal_rows(), np.random.default_rng(1).uniform(0.5, 1.5, size=M)
    members = [potential(0.5, seed, weight) for seed, weight in enumerate((0.4, 1.0, 0.0))]
    a, omega = stack(members, X, weights), weights / weights.sum()
    maps, jacobians = zip(*(member.gradient_and_hessian(X) for member in members), strict=True)

    def J(a):
        z = sum(share * z for share, z in zip(a, maps, strict=True))
        A = sum(share * A for share, A in zip(a, jacobians, strict=True))
        return loss_of_map(z, [PackedHessians(A)], omega)

    tau = np.sum(omega**2)
    assert (a > 0).all()
    np.testing.assert_allclose(jax.grad(J)(jnp.asarray(a)), tau / a, rtol=1e-5)


def test_scale_is_free():
    # Of 1/2 |2 x|^2 half is wanted, but for the rows' own standard deviation and the prior.
    X = normal_rows()
    a = stack([potential(2.0)], X)
    # J = 2 a^2 |x|^2 - 2 log a - 1/M log a.
    expected = np.sqrt((2 + 1 / M) / (4 * np.mean(np.sum(X**2, axis=1))))
    np.testing.assert_allclose(a, expected, rtol=1e-8)


def test_a_useless_potential_gets_little_and_equals_share_alike():
    useless = potential(0.01, weight=5.0)
    a = stack([potential(1.0), potential(1.0), useless], normal_rows())
    assert a[0] == pytest.approx(a[1], rel=1e-6)
    assert a[2] < 0.05 < 0.45 < a[0]


def test_rows_beyond_the_limit_are_left_out():
    most = 200
    X = normal_rows()
    X[most:] *= 10
    few = replace(SETTINGS, whole_rows=most)
    whole = stack([potential(2.0)], X, settings=few)
    np.testing.assert_array_equal(whole, stack([potential(2.0)], X[:most]))
    assert (stack([potential(2.0)], X) < 0.5 * whole).all()


def test_no_solution_is_none():
    # Whose Jacobian is nowhere positive definite.
    member = potential(1.0)
    flat = ConvexPotential(member.features, 0.0 * member.w)
    assert stack([flat], normal_rows()) is None


def test_the_gaussian_alone_is_itself_on_its_own_rows():
    X = normal_rows(3.0)
    gaussian = Gaussian.fit(X, np.ones(M))
    features = SeparableFeatures(potential(1.0).features.network, gaussian.axes)
    # d J / d a = 2 a - 2 / a on these rows, against 1 / (M a).
    a = stack([ConvexPotential(features, gaussian.weights(WIDTH))], X)
    np.testing.assert_allclose(a, np.sqrt(1 + 1 / (2 * M)), rtol=1e-8)


def test_losses_of_a_sum_are_those_of_the_one_potential_that_it_is():
    members = [potential(0.5, seed, weight) for seed, weight in enumerate((0.4, 1.0, 0.0))]
    shares = np.array([0.7, 0.0, 0.5])
    weights = np.random.default_rng(1).uniform(0.5, 1.5, size=M)
    train = WeightedRows(normal_rows(), weights, np.arange(M) / M)
    heldout = WeightedRows(normal_rows(2.0, 100), np.ones(100), np.arange(100) / 100)
    # In several blocks, the last of them padded.
    settings = replace(SETTINGS, whole_rows=64)
    found = losses_of_sum(members, shares, Split(train, heldout), settings)
    for loss, rows in zip(found, (train, heldout), strict=True):
        sample = PaddedSample.of(rows.X, rows.weights, chunk_rows=M)
        expected = float(loss_on(combine(members, shares), sample))
        assert loss == pytest.approx(expected, rel=1e-12)
    alone = losses_of_sum(members, shares, Split(train), settings)
    assert alone[0] == pytest.approx(found[0], rel=1e-12)
    assert np.isnan(alone[1])
