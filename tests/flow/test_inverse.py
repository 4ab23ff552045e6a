"""The inverse: round trips, certificates, and points without a preimage."""

import equinox as eqx
import jax
import numpy as np
import pytest
from random_flows import INF, ONTO, flow_of, padded_inverse, preimages, preprocessed

from brenier.flow.evaluation import in_batches, transform
from brenier.flow.inverse import BLOCK, invert

# Float64 sums of a few hundred terms, and logarithms of determinants of well-conditioned matrices.
ROUNDING = 1e-9
# What the issue asks of a round trip; the solver's own target is 1e-11.
ROUND_TRIP = 1e-8
on_onto = pytest.mark.parametrize("name", ONTO)


@on_onto
def test_inverse_then_transform_comes_back_for_every_normal_point(name):
    Z, X, inversion = preimages(name)
    assert inversion.converged.all()
    assert np.isfinite(X).all()
    again = in_batches(transform, flow_of(name)[0], X)
    np.testing.assert_allclose(again, Z, rtol=0, atol=ROUND_TRIP)


@on_onto
def test_transform_then_inverse_comes_back_for_every_row(name):
    flow, X = flow_of(name)
    back, inversion = padded_inverse(flow, in_batches(transform, flow, X))
    assert inversion.converged[: len(X)].all()
    np.testing.assert_allclose(back[: len(X)], X, rtol=ROUND_TRIP, atol=ROUND_TRIP)


@on_onto
def test_normal_points_far_out_have_preimages_too(name):
    flow, _ = flow_of(name)
    Z = np.array([10.0, 1e3, -1e6])[:, None] * np.ones(flow.n)
    _, inversion = padded_inverse(flow, Z)
    with jax.enable_x64(True):
        image = np.asarray(flow.map.gradient_and_hessian(inversion.X[:3])[0].T)
    assert inversion.converged[:3].all()
    np.testing.assert_allclose(image, Z, rtol=ROUND_TRIP)


def test_a_sample_is_inverted_the_same_whatever_others_are_with_it():
    flow, _ = flow_of("two columns")
    # More than two blocks, the last one not full; those far out take the most steps.
    Z = np.random.default_rng(0).normal(size=(2 * BLOCK + 44, flow.n))
    Z[::10] *= 100.0
    with jax.enable_x64(True):
        together = eqx.filter_jit(invert)(flow.map, Z)
        few = eqx.filter_jit(invert)(flow.map, Z[-12:])
    assert np.asarray(together.converged).all()
    np.testing.assert_allclose(together.X[-12:], few.X, rtol=ROUNDING, atol=ROUNDING)
    assert int(few.steps) <= int(together.steps)


@pytest.mark.parametrize(
    ("name", "max_steps"), [("two columns", 0), ("two columns", 3), ("fitted", 1)]
)
def test_certificate_bounds_the_error_however_early_it_ends(name, max_steps):
    flow, X = flow_of(name)
    Y = preprocessed(flow, X)
    Z = in_batches(transform, flow, X)
    with jax.enable_x64(True):
        inversion = eqx.filter_jit(invert)(flow.map, Z, max_steps=max_steps)
        c = float(flow.map.strong_convexity)
    error = np.linalg.norm(np.asarray(inversion.X) - Y, axis=1)
    bound = np.asarray(inversion.error_bound)
    # z itself is rounded, and |x - x*| <= |z - z'| / c.
    assert (error <= bound * (1 + ROUNDING) + 1e-13 / c).all()
    assert int(inversion.steps) <= max_steps
    if max_steps <= 1:
        # So early there is an error to be bounded, and not every row may claim to have arrived.
        assert error.max() > 1e-3
        assert not np.asarray(inversion.converged).all()


def test_points_beyond_the_image_are_reported_and_the_others_found():
    flow, X = flow_of("thesis")
    network = flow.map.features.network
    w, _, free = flow.map.features.split(flow.map.w)
    with jax.enable_x64(True):
        radius = float(w @ network.slope_bound())
    directions = np.random.default_rng(0).normal(size=(len(X), 2))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reachable = in_batches(transform, flow, X)
    beyond = free + 1.01 * radius * directions
    rows, inversion = padded_inverse(flow, np.vstack([reachable, beyond]))
    expected = np.repeat([True, False], len(X))
    rows, converged = rows[: 2 * len(X)], inversion.converged[: 2 * len(X)]
    np.testing.assert_array_equal(converged, expected)
    assert (inversion.error_bound == INF).all()
    assert (inversion.residual[len(X) : 2 * len(X)] > 0.009 * radius).all()
    again = in_batches(transform, flow, rows[expected])
    np.testing.assert_allclose(again, reachable, atol=ROUND_TRIP)


def test_some_normal_points_are_beyond_the_image_and_their_residuals_say_so():
    Z, X, inversion = preimages("thesis")
    again = in_batches(transform, flow_of("thesis")[0], X)
    miss = np.linalg.norm(again - Z, axis=1)
    assert not np.isnan(X).any()
    assert (miss[inversion.converged] <= ROUND_TRIP).all()
    assert (miss[~inversion.converged] > ROUND_TRIP / 100).all()
    np.testing.assert_allclose(inversion.residual, miss, rtol=1e-6, atol=1e-10)
