"""Conditional features: derivatives, convexity at every context, and the regression inside."""

from functools import cache, partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brenier.flow.inverse import invert
from brenier.linalg import outer_products, unpack
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.conditional import ConditionalFeatures
from brenier.potential.features import ConvexPotential
from brenier.potential.gaussian import ConditionalGaussian
from brenier.potential.initialise import ContextStart, initial_conditional_network
from brenier.potential.merge import combine
from brenier.potential.sums import SumPotential
from brenier.varpro.parameters import from_vector, lower_bounds, to_vector

pytestmark = pytest.mark.usefixtures("x64")

# Float64 sums of a few dozen terms, each a product over the layers.
ROUNDING = {"rtol": 1e-11, "atol": 1e-11}
# Rounding of a Hessian's eigenvalues, relative to its largest.
EIGENVALUE = 1e-13
N = 5
CONTEXT = ContextStart(spread=(0.5, 2.0), noise=0.1, shift_ridge=1e-2, least_sd=1e-3)


class Family(NamedTuple):
    n: int
    q: int
    widths: tuple[int, ...]
    context_widths: tuple[int, ...]
    n_gates: int
    activation: str


FAMILIES = {
    "one target": Family(1, 3, (3, 4), (4, 2), 2, "gaussian-softplus"),
    "two targets": Family(2, 1, (3, 2), (3,), 1, "softplus"),
    "five targets, one layer, no gates": Family(5, 2, (3,), (2,), 0, "squareplus"),
}
on_all = pytest.mark.parametrize("name", FAMILIES)
NAIVE_S = {type(ACTIVATIONS[name]): s for name, s in naive.ACTIVATIONS.items()}
program = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def draw(family, seed, scale=1.0):
    """Return features with random weights of a scale, head weights w, and rows X."""
    rng = np.random.default_rng(seed)
    n = family.n
    placed = initial_conditional_network(
        rng.normal(size=(20, n + family.q)), n, *family[2:5], ACTIVATIONS[family.activation], rng,
        spread=(0.5, 3.0), context=CONTEXT,
    )  # fmt: skip
    network = jax.tree.map(lambda array: scale * rng.normal(size=array.shape), placed)
    hidden = tuple(np.abs(L) for L in network.units.L)
    if hidden:
        network = eqx.tree_at(lambda tree: tree.units.L, network, hidden)
    features = ConditionalFeatures(network, np.linalg.qr(rng.normal(size=(n, n)))[0])
    w = np.abs(rng.normal(size=features.n_features)) + 0.1
    w[features.n_constrained :] -= 0.5
    return features, w, rng.normal(size=(N, n + family.q))


@program
def ours(features, w, X):
    potential = ConvexPotential(features, w)
    d = features.derivatives(X)
    z, A = potential.gradient_and_hessian(X)
    of_axes = d.shares[:, None] * outer_products(d.axes[:, :, None])
    hessians = jnp.concatenate([d.hessians, of_axes])
    return {
        "values": features.value(X),
        "gradients": jnp.moveaxis(d.gradients, -1, 0),
        "hessians": jnp.stack([unpack(hessian) for hessian in hessians], axis=1),
        "potential": potential.value(X),
        "z": z.T,
        "A": unpack(A),
        "strong convexity": potential.strong_convexity,
    }


def plain(features):
    """Return f_mu of one row (y, c), in the naive form."""
    s = NAIVE_S[type(features.network.units.activation)]
    return lambda y, c: naive.conditional_features(y, c, features.network, s, features.axes)


@program
def by_autodiff(features, w, X):
    f, n = plain(features), features.n
    Y, C = X[:, :n], X[:, n:]
    return {
        "values": jax.vmap(f)(Y, C),
        "gradients": jax.vmap(jax.jacfwd(f))(Y, C),
        "hessians": jax.vmap(jax.hessian(f))(Y, C),
        "potential": jax.vmap(f)(Y, C) @ w,
    }


def scalar(z, A):
    """Return a fixed random linear function of z (N, n) and A (N, n, n)."""
    rng = np.random.default_rng(3)
    C = rng.normal(size=A.shape)
    return jnp.sum(rng.normal(size=z.shape) * z) + jnp.sum((C + C.swapaxes(1, 2)) * A)


@program
@jax.grad
def our_gradient(weights, X):
    z, A = ConvexPotential(*weights).gradient_and_hessian(X)
    return scalar(z.T, unpack(A))


@program
@jax.grad
def nested_gradient(weights, X):
    features, w = weights
    f, n = plain(features), features.n

    def Phi(y, c):
        return w @ f(y, c)

    return scalar(
        jax.vmap(jax.grad(Phi))(X[:, :n], X[:, n:]), jax.vmap(jax.hessian(Phi))(X[:, :n], X[:, n:])
    )


@cache
def case(name):
    """Return what the library and the naive form make of one draw of weights."""
    features, w, X = jax.tree.map(jnp.asarray, draw(FAMILIES[name], seed=0))
    found = ours(features, w, X) | {"by weights": jax.tree.leaves(our_gradient((features, w), X))}
    expected = by_autodiff(features, w, X)
    expected |= {"by weights": jax.tree.leaves(nested_gradient((features, w), X))}
    return jax.tree.map(np.asarray, (found, expected))


@on_all
def test_derivatives_are_those_of_nested_differentiation(name):
    found, expected = case(name)
    features, w, _ = draw(FAMILIES[name], seed=0)
    k = features.n_constrained
    assert (features.n, len(w)) == (FAMILIES[name].n, features.n_features)
    for quantity in ("values", "gradients", "potential"):
        np.testing.assert_allclose(found[quantity], expected[quantity], **ROUNDING)
    np.testing.assert_allclose(found["hessians"], expected["hessians"][:, :k], **ROUNDING)
    assert (expected["hessians"][:, k:] == 0).all()


@on_all
def test_weighted_form_agrees_with_jets(name):
    found, _ = case(name)
    features, w, _ = draw(FAMILIES[name], seed=0)
    by_jet = np.einsum("jia,i->ja", found["gradients"], w)
    np.testing.assert_allclose(found["z"], by_jet, **ROUNDING)
    by_jet = np.einsum("jiab,i->jab", found["hessians"], w[: features.n_constrained])
    np.testing.assert_allclose(found["A"], by_jet, **ROUNDING)


@on_all
def test_gradients_in_the_weights_are_those_of_nested_differentiation(name):
    found, expected = case(name)
    assert len(found["by weights"]) == len(jax.tree.leaves(draw(FAMILIES[name], seed=0)[:2]))
    for of_ours, of_naive in zip(found["by weights"], expected["by weights"], strict=True):
        np.testing.assert_allclose(of_ours, of_naive, **ROUNDING)


@on_all
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    log_scale=st.floats(-3, 1),
    log_distance=st.floats(-3, 3),
    log_w=st.floats(-6, 6),
)
def test_convex_in_the_targets_at_every_context(name, seed, log_scale, log_distance, log_w):
    features, w, X = draw(FAMILIES[name], seed, 10.0**log_scale)
    w = np.where(np.arange(len(w)) < features.n_constrained, 10.0**log_w * w, w)
    found = jax.tree.map(np.asarray, ours(features, w, 10.0**log_distance * X))
    assert all(np.isfinite(array).all() for array in found.values())
    values = np.linalg.eigvalsh(found["hessians"])
    assert (values.min(axis=-1) >= -EIGENVALUE * np.abs(values).max(axis=-1)).all()
    convexity = w[features.width : features.width + features.n].min()
    assert found["strong convexity"] == convexity
    values = np.linalg.eigvalsh(found["A"])
    assert (values.min(axis=-1) >= convexity - EIGENVALUE * np.abs(values).max(axis=-1)).all()
    # A network feature's slope in y is its gate's value at most.
    slopes = np.linalg.norm(found["gradients"], axis=-1)[:, : features.width]
    assert (slopes <= 1 + EIGENVALUE).all()


@on_all
def test_only_weights_between_layers_are_bounded_and_the_shift_is_not_decayed(name):
    network = draw(FAMILIES[name], seed=1)[0].network
    low = lower_bounds(network)
    assert len(low) == len(to_vector(network))
    n_bounded = sum(L.size for L in network.units.L)
    assert sorted(set(low[np.isfinite(low)])) == [0.0] * (n_bounded > 0)
    assert np.isfinite(low).sum() == n_bounded
    filled = from_vector(network, np.where(np.isfinite(low), 1.0, 0.0))
    assert all((L == 1).all() for L in filled.units.L)
    decayed = sum(np.sum(np.asarray(array) ** 2) for array in network.decayed())
    matrices = [a for a in jax.tree.leaves(network) if a.ndim == 2]
    shift = np.sum(network.units.shift.W**2)
    assert decayed == pytest.approx(sum(np.sum(a**2) for a in matrices) - shift, rel=1e-12)


def test_sum_has_the_weighted_map_and_jacobian_of_its_members():
    family, shares = FAMILIES["two targets"], np.array([0.5, 0.0, 0.3, 0.4])
    members = [ConvexPotential(*draw(family, seed)[:2]) for seed in range(4)]
    merged, X = combine(members, shares), draw(family, seed=0)[2]
    assert isinstance(merged, SumPotential)
    maps, jacobians = zip(*(member.gradient_and_hessian(X) for member in members), strict=True)
    z, A = merged.gradient_and_hessian(X)
    np.testing.assert_allclose(z, np.tensordot(shares, maps, axes=1), **ROUNDING)
    np.testing.assert_allclose(A, np.tensordot(shares, jacobians, axes=1), **ROUNDING)
    values = [member.value(X) for member in members]
    np.testing.assert_allclose(merged.value(X), shares @ values, **ROUNDING)
    convexity = shares @ [float(member.strong_convexity) for member in members]
    assert float(merged.strong_convexity) == pytest.approx(convexity, rel=1e-14)
    # A potential without share is left out.
    assert (merged.n, merged.n_constrained) == (family.n, 3 * members[0].n_constrained)


@pytest.mark.parametrize("name", ["one target", "two targets"])
def test_inverse_at_each_row_s_own_context(name):
    features, w, X = draw(FAMILIES[name], seed=2, scale=0.5)
    potential, n = ConvexPotential(features, w), FAMILIES[name].n
    z, _ = potential.gradient_and_hessian(X)
    inversion = eqx.filter_jit(invert)(potential, z.T, X[:, n:])
    assert np.asarray(inversion.converged).all()
    assert (np.abs(inversion.X - X[:, :n]) <= inversion.error_bound[:, None] + 1e-12).all()
    np.testing.assert_allclose(inversion.X, X[:, :n], rtol=1e-8, atol=1e-8)


def test_inverse_where_terms_of_the_potential_cancel():
    # At c = 1 the features y and y c are the same: any weight on one can be taken from the other.
    features, w, X = draw(FAMILIES["two targets"], seed=2, scale=0.5)
    n, X = features.n, np.tile(X, (40, 1))
    X[:, :n], X[:, n:] = np.random.default_rng(4).normal(size=(len(X), n)), 1.0
    w[features.n_constrained :][:n] += 1e5
    w[features.n_constrained :][n : 2 * n] -= 1e5
    potential = ConvexPotential(features, w)
    z, _ = potential.gradient_and_hessian(X)
    inversion = eqx.filter_jit(invert)(potential, z.T, X[:, n:])
    assert np.asarray(inversion.converged).all()


@on_all
def test_regression_is_inside_the_model_at_all_weights_of_the_network(name):
    family = FAMILIES[name]
    features, _, X = draw(family, seed=7)
    rng = np.random.default_rng(8)
    data = rng.normal(size=(50, family.n + family.q))
    weights = rng.uniform(1, 2, size=50)
    gaussian = ConditionalGaussian.fit(data, family.n, weights, 0.0, ridge=1e-8, least_sd=1e-6)
    features = ConditionalFeatures(features.network, gaussian.axes)
    z, A = ConvexPotential(features, gaussian.weights(features)).gradient_and_hessian(X)
    losses = 0.5 * np.sum(np.asarray(z) ** 2, axis=0) - np.linalg.slogdet(unpack(A))[1]
    np.testing.assert_allclose(losses, gaussian.losses(X), **ROUNDING)
    # Weighted least squares, by another route.
    design = np.column_stack([np.ones(50), data[:, family.n :]]) * np.sqrt(weights)[:, None]
    solved = np.linalg.lstsq(design, data[:, : family.n] * np.sqrt(weights)[:, None])[0]
    np.testing.assert_allclose(gaussian.intercept, solved[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gaussian.coefficients, solved[1:].T, rtol=1e-6, atol=1e-6)
