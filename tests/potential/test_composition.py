"""Compositions: their log-determinant, and what of them the last weights and the others make."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_chain import LOWER, N, n, potentials, rows

from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import WarmStart
from brenier.linalg import log_det, unpack
from brenier.potential.composition import ComposedFeatures, Composition
from brenier.varpro.function import FullFunction, ReducedFunction
from brenier.varpro.parameters import lower_bounds, to_vector
from brenier.varpro.reduced import VariableProjection, loss
from brenier.varpro.sample import PaddedSample
from brenier.varpro.taylor import taylor_check

pytestmark = pytest.mark.usefixtures("x64")

ROUNDING = {"rtol": 1e-11, "atol": 1e-11}
# Observed order of Taylor remainders at small steps; below the second figure they are rounding and
# the inner solver's closing step.
ORDER, INNER = 0.1, 1e-11


def features():
    return ComposedFeatures.of(potentials(), [LOWER, LOWER])


@jax.jit
def jacobians_by_differentiation(composition, X):
    def image(x):
        return composition.image_and_jacobians(x[None])[0][:, 0]

    return jax.vmap(jax.jacrev(image))(X)


def test_log_determinants_add_up_to_that_of_the_whole():
    composition, X = Composition(potentials()), rows()
    _, jacobians = composition.image_and_jacobians(jnp.asarray(X))
    whole = np.asarray(jacobians_by_differentiation(composition, X))
    expected = np.linalg.slogdet(whole)
    assert np.all(expected.sign > 0)
    total = sum(np.asarray(log_det(A)) for A in jacobians)
    np.testing.assert_allclose(total, expected.logabsdet, **ROUNDING)
    # The first map's is where the rows are, and symmetric as a Hessian; the product is not.
    first = unpack(jacobians[0])
    np.testing.assert_allclose(first, jnp.swapaxes(first, 1, 2), rtol=0, atol=0)
    assert np.abs(whole - np.swapaxes(whole, 1, 2)).max() > 1e-3


def test_features_make_the_composition_that_they_are_of():
    X, w = jnp.asarray(rows()), potentials()[-1].w
    z, A = features().with_weights(w).image_and_jacobians(X)
    expected = Composition(potentials()).image_and_jacobians(X)
    np.testing.assert_allclose(z, expected[0], **ROUNDING)
    np.testing.assert_allclose(jnp.stack(A), jnp.stack(expected[1]), **ROUNDING)
    # The last potential is linear in its weights, and the earlier ones do not see them.
    other = np.random.default_rng(1).uniform(0.5, 1.0, size=len(w))
    z_other, A_other = features().with_weights(other).image_and_jacobians(X)
    z_sum, A_sum = features().with_weights(w + 2.0 * other).image_and_jacobians(X)
    np.testing.assert_allclose(z_sum, z + 2.0 * z_other, **ROUNDING)
    np.testing.assert_allclose(A_sum[-1], A[-1] + 2.0 * A_other[-1], **ROUNDING)
    np.testing.assert_array_equal(jnp.stack(A_sum[:-1]), jnp.stack(A[:-1]))


@pytest.mark.parametrize(("C", "T"), [(1, 1), (1, 2), (2, 1)])
def test_objective_is_the_loss_of_the_composition_but_for_a_constant(C, T):
    X, w = jnp.asarray(rows()), jnp.asarray(potentials()[-1].w)
    omega = np.random.default_rng(2).uniform(0.5, 1.5, size=N)
    omega, ridge = jnp.asarray(omega / omega.sum()), jnp.linspace(0.0, 1e-2, len(w))
    composed = jax.tree.map(jnp.asarray, features())
    tiles = X.reshape(C, T, -1, n), omega.reshape(C, T, -1)

    def evaluated(features, w):
        return features.objective(*tiles, ridge, exact=True).evaluate(w)

    found = eqx.filter_jit(evaluated)(composed, w)
    # Of the earlier maps' log-determinants the weights know nothing.
    _, (*earlier, _) = composed.with_weights(w).image_and_jacobians(X)
    constant = omega @ sum(log_det(A) for A in earlier)

    def J(w):
        return loss(composed.with_weights(w), X, omega) + constant + 0.5 * ridge @ w**2

    expected = jax.jit(lambda w: (J(w), jax.grad(J)(w), jax.jacfwd(jax.grad(J))(w)))(w)
    for one, other in zip((found.value, found.gradient, found.hessian), expected, strict=True):
        np.testing.assert_allclose(one, other, **ROUNDING)


def test_least_values_keep_earlier_weights_above_their_lower_bounds():
    least = lower_bounds(features().network)
    assert np.all(to_vector(features().network) >= least)
    network = jax.tree.map(jnp.asarray, features().network)
    lowest = eqx.tree_at(
        lambda weights: weights.slacks,
        network,
        tuple(jnp.where(jnp.isfinite(s), s, 0.0) for s in network.lower_bounds().slacks),
    )
    on_bounds = features().with_network(lowest).with_weights(potentials()[-1].w)
    assert len(on_bounds.potentials) == 3
    for potential in on_bounds.potentials[:-1]:
        np.testing.assert_array_equal(potential.w, np.where(np.isfinite(LOWER), LOWER, 0.0))
        assert float(potential.strong_convexity) == LOWER[3]


def test_a_weight_below_its_bound_starts_on_it():
    raised = np.where(np.isfinite(LOWER), 10.0, LOWER)
    start = ComposedFeatures.of(potentials(), [raised, LOWER]).with_weights(potentials()[-1].w)
    expected = np.where(np.isfinite(LOWER), 10.0, potentials()[0].w)
    np.testing.assert_array_equal(start.potentials[0].w, expected)
    np.testing.assert_allclose(start.potentials[1].w, potentials()[1].w, rtol=1e-15)


@pytest.mark.parametrize("kind", [ReducedFunction, FullFunction])
def test_taylor_remainders_of_the_joint_objective(kind):
    solver, ridge = PrimalDual(tau=1e-4), np.where(np.arange(len(LOWER)) < 3, 1e-3, 0.0)
    problem = VariableProjection(features(), LOWER, ridge, solver, np.asarray(1e-3))
    sample = PaddedSample.of(rows(), np.ones(N), 128)
    cold = WarmStart.cold(jnp.asarray(potentials()[-1].w))
    function = kind(problem, sample, cold, N)
    x = function.start(to_vector(problem.template.network))
    direction = np.random.default_rng(5).normal(size=x.shape)
    table = taylor_check(function, x, direction, h=1e-2 * 0.5 ** np.arange(6))
    orders = table["order"][1:][table["error"][1:] > INNER]
    assert len(orders) >= 2
    assert orders[-1] == pytest.approx(2.0, abs=ORDER)
