"""Feature families: derivatives by any route are the same, and convexity is by construction."""

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

from brenier.linalg import outer_products, unpack
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.features import ConvexPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.radial import RadialUnits
from brenier.potential.units import ConcatenatedUnits
from brenier.varpro.parameters import decayed_weights, lower_bounds, to_vector

pytestmark = pytest.mark.usefixtures("x64")

# Float64 sums of a few dozen terms of order one to ten, each a product over three layers.
ROUNDING = {"rtol": 1e-11, "atol": 1e-11}
# Rounding of a Hessian's eigenvalues, relative to its largest: a negative one below this is real.
EIGENVALUE = 1e-13
# Numbers below it have no digits to be right to.
SUBNORMAL = np.finfo(float).tiny
N = 5
DEEP, SHALLOW = (3, 4, 2), (3,)


class Family(NamedTuple):
    n: int
    widths: tuple[int, ...]
    activation: str
    nonnegativity: str
    quadratic: bool
    n_radial: int = 0


# Every pair of an activation, a form of nonnegativity, and a head; networks, radial units, both.
FAMILIES = {
    "softplus, bounds": Family(2, DEEP, "softplus", "bounds", quadratic=True),
    "thesis": Family(2, DEEP, "softplus", "softplus", quadratic=False),
    "gaussian softplus, bounds": Family(2, DEEP, "gaussian-softplus", "bounds", quadratic=False),
    "gaussian softplus": Family(2, DEEP, "gaussian-softplus", "softplus", quadratic=True),
    "squareplus, bounds": Family(2, DEEP, "squareplus", "bounds", quadratic=True),
    "squareplus": Family(2, DEEP, "squareplus", "softplus", quadratic=False),
    "one layer": Family(2, SHALLOW, "softplus", "softplus", quadratic=True),
    "one column": Family(1, DEEP, "gaussian-softplus", "bounds", quadratic=True),
    "one column, one layer": Family(1, SHALLOW, "squareplus", "bounds", quadratic=False),
    "eleven columns": Family(11, DEEP, "gaussian-softplus", "bounds", quadratic=True),
    "eleven columns, one layer": Family(11, SHALLOW, "squareplus", "softplus", quadratic=False),
    "radial beside": Family(2, DEEP, "gaussian-softplus", "bounds", quadratic=True, n_radial=3),
    "one column, radial beside": Family(
        1, SHALLOW, "softplus", "bounds", quadratic=True, n_radial=2
    ),
    "eleven columns, radial beside": Family(
        11, SHALLOW, "gaussian-softplus", "softplus", quadratic=False, n_radial=2
    ),
    "radial alone": Family(2, (), "softplus", "bounds", quadratic=True, n_radial=3),
}
on_all = pytest.mark.parametrize("name", FAMILIES)


def draw_units(family, rng, scale):
    """Return a network, radial units, or one beside the other, with random weights of a scale."""
    n, widths = family.n, family.widths
    radial = RadialUnits(
        B=scale * rng.normal(size=(family.n_radial, n, n)),
        e=scale * rng.normal(size=(family.n_radial, n)),
    )
    if not widths:
        return radial
    nonnegativity = NONNEGATIVITY[family.nonnegativity]
    network = InputConvexNetwork(
        K=tuple(scale * rng.normal(size=(width, n)) for width in widths),
        b=tuple(scale * rng.normal(size=width) for width in widths),
        L=tuple(
            nonnegativity.raw(scale * rng.exponential(size=shape))
            for shape in zip(widths[1:], widths, strict=False)
        ),
        activation=ACTIVATIONS[family.activation],
        nonnegativity=nonnegativity,
    )
    return ConcatenatedUnits((network, radial)) if family.n_radial else network


def draw(family, seed, scale=1.0):
    """Return features with random weights of a scale, head weights w, and rows X."""
    rng = np.random.default_rng(seed)
    n, units = family.n, draw_units(family, rng, scale)
    axes = np.linalg.qr(rng.normal(size=(n, n)))[0] if family.quadratic else np.zeros((0, n))
    features = SeparableFeatures(units, axes, normalised=family.quadratic)
    w = np.abs(rng.normal(size=features.n_features)) + 0.1
    w[features.n_constrained :] -= 0.5
    return features, w, rng.normal(size=(N, n))


# Programs run once or a few times each: compiling them is what costs.
program = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@program
def ours(features, w, X):
    potential = ConvexPotential(features, w)
    d = features.derivatives(X)
    z, A = potential.gradient_and_hessian(X)
    of_axes = d.shares[:, None] * outer_products(d.axes[:, :, None])
    hessians = jnp.concatenate([d.hessians, of_axes])
    return {
        "values": features.value(X),
        # (N, m, n), (N, k, n, n)
        "gradients": jnp.moveaxis(d.gradients, -1, 0),
        "hessians": jnp.stack([unpack(hessian) for hessian in hessians], axis=1),
        "potential": potential.value(X),
        "z": z.T,
        "A": unpack(A),
        "slope bound": features.network.slope_bound(),
        "strong convexity": potential.strong_convexity,
    }


def parts(units):
    """Return the network and the radial units, None for what there is not."""
    members = units.parts if isinstance(units, ConcatenatedUnits) else (units,)
    of = {type(member): member for member in members}
    return of.get(InputConvexNetwork), of.get(RadialUnits)


def pairs(radial):
    """Return the pairs (B_i, e_i)."""
    return [] if radial is None else list(zip(radial.B, radial.e, strict=True))


def plain(features):
    """Return f_mu of one point, in the naive form."""
    network, radial = parts(features.network)
    K, b, L, s = (), (), (), None
    if network is not None:
        K, b, s = network.K, network.b, NAIVE_S[type(network.activation)]
        L = [NAIVE_L[type(network.nonnegativity)](raw) for raw in network.L]
    return lambda x: naive.features(
        x, K, b, L, s, features.axes, normalised=features.normalised, radial=pairs(radial)
    )


NAIVE_S = {type(ACTIVATIONS[name]): s for name, s in naive.ACTIVATIONS.items()}
NAIVE_L = {type(NONNEGATIVITY[name]): L for name, L in naive.NONNEGATIVITY.items()}


@program
def by_autodiff(features, w, X):
    f = plain(features)
    values, (gradients, hessians) = jax.vmap(f)(X), naive.derivatives(f, X)
    return {
        "values": values,
        "gradients": gradients,
        "hessians": hessians,
        "potential": values @ w,
    }


def to_numpy(tree):
    return jax.tree.map(np.asarray, tree)


def scalar(z, A):
    """Return a fixed random linear function of z (N, n) and A (N, n, n)."""
    rng = np.random.default_rng(3)
    C = rng.normal(size=A.shape)
    return jnp.sum(rng.normal(size=z.shape) * z) + jnp.sum((C + C.swapaxes(1, 2)) * A)


@program
@partial(jax.grad, has_aux=True)
def our_gradient(weights, X):
    z, A = ConvexPotential(*weights).gradient_and_hessian(X)
    return scalar(z.T, unpack(A)), {}


@program
@partial(jax.grad, has_aux=True)
def nested_gradient(weights, X):
    features, w = weights
    z, A = naive.map_and_jacobian(plain(features), w, X)
    return scalar(z, A), {"z": z, "A": A}


@cache
def case(name):
    """Return what the library and the naive form make of one draw of weights."""
    features, w, X = jax.tree.map(jnp.asarray, draw(FAMILIES[name], seed=0))
    our_weights, _ = our_gradient((features, w), X)
    naive_weights, of_potential = nested_gradient((features, w), X)
    found = ours(features, w, X) | {"by weights": jax.tree.leaves(our_weights)}
    expected = by_autodiff(features, w, X) | of_potential
    return to_numpy(found), to_numpy(expected | {"by weights": jax.tree.leaves(naive_weights)})


@on_all
def test_all_routes_to_the_derivatives_agree(name):
    found, expected = case(name)
    features, w, _ = draw(FAMILIES[name], seed=0)
    k, m = features.n_constrained, features.n_features
    assert (features.n, len(w)) == (FAMILIES[name].n, m)
    for quantity in ("values", "gradients", "potential", "z", "A"):
        np.testing.assert_allclose(found[quantity], expected[quantity], **ROUNDING)
    # Hessians of the free features are zero and not stored.
    np.testing.assert_allclose(found["hessians"], expected["hessians"][:, :k], **ROUNDING)
    assert (expected["hessians"][:, k:] == 0).all()


@on_all
def test_jet_and_weighted_form_agree(name):
    found, _ = case(name)
    features, w, _ = draw(FAMILIES[name], seed=0)
    by_jet = np.einsum("jia,i->ja", found["gradients"], w)
    np.testing.assert_allclose(found["z"], by_jet, **ROUNDING)
    by_jet = np.einsum("jiab,i->jab", found["hessians"], w[: features.n_constrained])
    np.testing.assert_allclose(found["A"], by_jet, **ROUNDING)


@on_all
def test_gradients_in_the_weights_are_those_of_nested_differentiation(name):
    found, expected = case(name)
    network, radial = parts(draw(FAMILIES[name], seed=0)[0].network)
    # K, b, L; B, e; axes, w.
    n_arrays = 3 * len(FAMILIES[name].widths) - (network is not None) + 2 * (radial is not None) + 2
    assert len(found["by weights"]) == n_arrays
    for ours_, theirs in zip(found["by weights"], expected["by weights"], strict=True):
        np.testing.assert_allclose(ours_, theirs, **ROUNDING)


def eigenvalues(matrices):
    """Return the least eigenvalue of each matrix, and its largest in absolute value."""
    values = np.linalg.eigvalsh(matrices)
    return values.min(axis=-1), np.abs(values).max(axis=-1)


@on_all
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    log_scale=st.floats(-3, 3),
    log_distance=st.floats(-3, 3),
    log_w=st.floats(-6, 6),
)
def test_convex_by_construction(name, seed, log_scale, log_distance, log_w):
    features, w, X = draw(FAMILIES[name], seed, 10.0**log_scale)
    w = np.where(np.arange(len(w)) < features.n_constrained, 10.0**log_w * w, w)
    found = to_numpy(ours(features, w, 10.0**log_distance * X))
    assert all(np.isfinite(array).all() for array in found.values())
    least, largest = eigenvalues(found["hessians"])
    assert (least >= -EIGENVALUE * largest - SUBNORMAL).all()
    quadratic = w[features.network.width : features.n_constrained]
    convexity = quadratic.min() if FAMILIES[name].quadratic else 0.0
    assert found["strong convexity"] == convexity
    least, largest = eigenvalues(found["A"])
    assert (least >= convexity - EIGENVALUE * largest - SUBNORMAL).all()
    # |grad u_i| <= c_i, in a head that may have been divided by c.
    slopes = np.linalg.norm(found["gradients"], axis=-1)[:, : features.network.width]
    bound = 1.0 if features.normalised else found["slope bound"]
    assert (slopes <= bound * (1 + EIGENVALUE)).all()


@on_all
def test_slope_bound_is_its_formula_and_is_reached_where_all_units_point_one_way(name):
    features, w, X = draw(FAMILIES[name], seed=4)
    one = np.zeros(features.n)
    one[0] = 1.0
    network, radial = parts(features.network)
    K, L = (), ()
    if network is not None:
        K = tuple(np.abs(K[:, :1]) * one for K in network.K)
        L = [np.asarray(L) for L in network.hidden_weights()]
        features = eqx.tree_at(lambda f: parts(f.network)[0].K, features, K)
    if radial is not None:
        # Of rank one, where the Frobenius norm is the largest singular value.
        features = eqx.tree_at(lambda f: parts(f.network)[1].B, features, radial.B[..., :1] * one)
    found = to_numpy(ours(features, w, 1e7 * np.abs(X[:, :1]) * one + X))
    expected = naive.slope_bound(K, L, pairs(parts(features.network)[1]))
    np.testing.assert_allclose(found["slope bound"], expected, **ROUNDING)
    slopes = found["gradients"][:, : features.network.width, 0]
    # Squareplus, the slowest, is within 1 / a^2 of its slope.
    bound = np.ones_like(expected) if features.normalised else expected
    np.testing.assert_allclose(slopes, np.broadcast_to(bound, slopes.shape), rtol=1e-9)


@on_all
def test_a_row_does_not_see_the_others(name):
    features, w, X = draw(FAMILIES[name], seed=5)
    other = X.copy()
    other[1:] = 100 * X[1:] + 7
    here, there = (to_numpy(ours(features, w, rows)) for rows in (X, other))
    for quantity in ("values", "gradients", "hessians", "potential", "z", "A"):
        np.testing.assert_array_equal(here[quantity][0], there[quantity][0])
        assert (here[quantity][1:] != there[quantity][1:]).any()


@on_all
def test_bounds_and_weight_decay_have_each_part_in_its_place(name):
    units = draw(FAMILIES[name], seed=6)[0].network
    network, radial = parts(units)
    least, squares = [], 0.0
    if network is not None:
        bound = network.nonnegativity.lower_bound
        least += [np.full(np.size(a), -np.inf) for a in (*network.K, *network.b)]
        least += [np.full(np.size(a), bound) for a in network.L]
        L = [NAIVE_L[type(network.nonnegativity)](raw) for raw in network.L]
        squares += sum(np.sum(np.asarray(a) ** 2) for a in (*network.K, *L))
    if radial is not None:
        least += [np.full(np.size(a), -np.inf) for a in (radial.B, radial.e)]
        squares += np.sum(radial.B**2) / units.n
    np.testing.assert_array_equal(lower_bounds(units), np.concatenate(least))
    assert len(to_vector(units)) == len(lower_bounds(units))
    assert float(np.sum(decayed_weights(units) ** 2)) == pytest.approx(squares, rel=1e-13)


def test_a_radial_unit_of_no_slope_has_finite_derivatives():
    def slope(B):
        return RadialUnits(B, jnp.zeros((1, 2))).slope_bound()[0]

    assert np.isfinite(jax.grad(slope)(jnp.zeros((1, 2, 2)))).all()


@pytest.mark.parametrize("name", NONNEGATIVITY)
def test_nonnegativity_and_its_inverse(name):
    form, weights = NONNEGATIVITY[name], np.geomspace(1e-12, 1e6, 50)
    np.testing.assert_allclose(form.weights(form.raw(weights)), weights, rtol=1e-12)
    anywhere = np.maximum(np.linspace(-700, 700, 50), form.lower_bound)
    assert (np.asarray(form.weights(anywhere)) >= 0).all()
