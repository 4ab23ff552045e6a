"""Flows, from random weights far from any fit: density and map must agree."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_flows import FLOWS, INF, ONTO, flow_of, preimages, preprocessed

from brenier.flow.evaluation import in_batches, log_density, transform

LARGEST = np.finfo(float).max
# Float64 sums of a few hundred terms, and logarithms of determinants of well-conditioned matrices.
ROUNDING = 1e-9
# What the issue asks of an integral on a grid.
INTEGRAL = 1e-3

on_all = pytest.mark.parametrize("name", FLOWS)
on_onto = pytest.mark.parametrize("name", ONTO)
on_grid = pytest.mark.parametrize("name", [name for name in ONTO if name != "five columns"])


# The density.


@eqx.filter_jit
def by_definition(flow, X):
    """Return T(x) = grad Phi(y(x)) and log N(T(x)) + log |det dT/dx|, from values of Phi alone."""

    def T(x):
        y = flow.preprocessing.forward(x[None])[0][0]
        return jax.grad(lambda y: flow.map.value(y[None])[0])(y)

    def at(x):
        log_det = jnp.linalg.slogdet(jax.jacfwd(T)(x))[1]
        return T(x), jnp.sum(jax.scipy.stats.norm.logpdf(T(x))) + log_det

    return jax.vmap(at)(X)


@on_all
def test_map_and_log_density_are_their_definitions(name):
    flow, X = flow_of(name)
    with jax.enable_x64(True):
        Z, log_p = (np.asarray(a) for a in by_definition(flow, X))
    tolerance = {"rtol": ROUNDING, "atol": ROUNDING}
    np.testing.assert_allclose(in_batches(transform, flow, X), Z, **tolerance)
    np.testing.assert_allclose(in_batches(log_density, flow, X), log_p, **tolerance)


def unbounded(flow, U):
    """Return rows of the data space for any numbers, and log |dx/du|: another map than the flow's.

    Between bounds x = low + (high - low) (1 + tanh u) / 2, above one x = low + e^u.
    """
    X, log_slope = U.copy(), np.zeros(len(U))
    for i, (low, high) in enumerate(zip(*flow_bounds(flow), strict=True)):
        if np.isfinite(low) and np.isfinite(high):
            X[:, i] = low + (high - low) * (1 + np.tanh(U[:, i])) / 2
            log_slope += np.log((high - low) / 2) - 2 * np.log(np.cosh(U[:, i]))
        elif np.isfinite(low):
            X[:, i] = low + np.exp(U[:, i])
            log_slope += U[:, i]
    return X, log_slope


def flow_bounds(flow):
    return flow.preprocessing.column_bounds.low, flow.preprocessing.column_bounds.high


def flow_points(flow, X):
    """Return the inverse of `unbounded`."""
    U = X.copy()
    for i, (low, high) in enumerate(zip(*flow_bounds(flow), strict=True)):
        if np.isfinite(low) and np.isfinite(high):
            U[:, i] = np.arctanh(2 * (X[:, i] - low) / (high - low) - 1)
        elif np.isfinite(low):
            U[:, i] = np.log(X[:, i] - low)
    return U


def integral(flow, low, high, points):
    """Return the integral of the density over a box in unbounded coordinates."""
    sides = [np.linspace(a, b, points) for a, b in zip(low, high, strict=True)]
    U = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, flow.n)
    X, log_slope = unbounded(flow, U)
    cell = np.prod([side[1] - side[0] for side in sides])
    return np.exp(in_batches(log_density, flow, X) + log_slope).sum() * cell


@on_grid
def test_density_integrates_to_one(name):
    flow, _ = flow_of(name)
    # 10,000 normal points reach out to 4; a fifth more holds all but 1e-5 of the mass.
    U = flow_points(flow, preimages(name)[1])
    low, high = U.min(axis=0), U.max(axis=0)
    margin = 0.2 * (high - low)
    total = integral(flow, low - margin, high + margin, 20_000 if flow.n == 1 else 300)
    assert total == pytest.approx(1, abs=INTEGRAL)


def test_without_quadratics_the_density_integrates_to_the_share_of_points_with_a_preimage():
    flow, _ = flow_of("thesis")
    Z, _, inversion = preimages("thesis")
    share = inversion.converged.mean()
    assert 0.2 < share < 0.8
    total = integral(flow, [-60.0, -60.0], [60.0, 60.0], 1000)
    standard_error = np.sqrt(share * (1 - share) / len(Z))
    assert total == pytest.approx(share, abs=4 * standard_error + INTEGRAL)


@pytest.mark.parametrize("N", [1, 5])
def test_one_column_gives_one_number_a_row(N):
    flow, X = flow_of("one column")
    with jax.enable_x64(True):
        assert log_density(flow, X[:N]).shape == (N,)
        assert transform(flow, X[:N]).shape == (N, 1)


@on_all
def test_rows_absurdly_far_out_have_a_density_of_zero_and_never_nan(name):
    flow, X = flow_of(name)
    sd = X.std(axis=0)
    corners = np.vstack([np.eye(flow.n), -np.eye(flow.n), np.ones((1, flow.n))])
    far = np.vstack([X.mean(axis=0) + radius * sd * corners for radius in (1e6, 1e9, 1e200)])
    far = np.vstack([far, LARGEST * corners, np.zeros((1, flow.n))])
    log_p = in_batches(log_density, flow, far)
    assert not np.isnan(log_p).any()
    assert (log_p < INF).all()
    if name != "thesis":
        # A normal's density at 1e6 standard deviations, and the logarithm's at most slow tails.
        assert (log_p[:-1] < in_batches(log_density, flow, X).min()).all()


@on_onto
def test_a_million_standard_deviations_away_there_still_is_an_image(name):
    flow, X = flow_of(name)
    far = X.mean(axis=0) + 1e6 * X.std(axis=0)
    Z = in_batches(transform, flow, far[None])
    outside = not (far < flow.preprocessing.column_bounds.high).all()
    assert np.isnan(Z).all() if outside else np.isfinite(Z).all()


def test_beyond_a_bound_the_density_is_zero_and_there_is_no_image():
    flow, X = flow_of("two bounded columns")
    outside = X[:8].copy()
    outside[:4, 0] = [0, -1e-300, -1, -LARGEST]
    outside[4:, 1] = [0, -1, 1, 1 + 1e-15]
    assert (in_batches(log_density, flow, outside) == -INF).all()
    assert np.isnan(in_batches(transform, flow, outside)).all()


# The map.


@on_all
def test_map_is_monotone_with_the_strong_convexity_that_it_claims(name):
    flow, X = flow_of(name)
    Y = preprocessed(flow, X)
    Z = in_batches(transform, flow, X)
    with jax.enable_x64(True):
        c = float(flow.map.strong_convexity)
    assert (c > 0) == (name != "thesis")
    # All pairs of rows.
    dY, dZ = Y[:, None] - Y, Z[:, None] - Z
    rise, squares = (dZ * dY).sum(axis=2), (dY**2).sum(axis=2)
    others = ~np.eye(len(X), dtype=bool)
    assert (rise[others] > 0).all()
    assert (rise >= c * squares * (1 - ROUNDING)).all()
