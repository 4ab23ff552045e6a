"""Flows in JAX: methods under jit, grad and vmap, of one row and of many, in both precisions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_flows import ONTO, flow_of
from scipy.stats import kstest

from brenier.flow.evaluation import in_batches, log_density

# Float64 sums of a few hundred terms; the same in float32.
ROUNDING, SINGLE = 1e-9, 2e-4
# Steps of differences, and what is left of their error at slopes of some tens.
STEP, DIFFERENCES = 1e-6, 1e-5
on_onto = pytest.mark.parametrize("name", ONTO)
# Without jit every operation is a program by itself: one flow does.
AS_IT_IS = "two bounded columns"


@on_onto
def test_methods_of_one_row_and_of_many_go_through_jit_and_vmap(name):
    flow, X = flow_of(name)
    expected = in_batches(log_density, flow, X)
    with jax.enable_x64(True):
        found = {
            "jit": jax.jit(flow.log_density)(X),
            "vmap": jax.jit(jax.vmap(flow.log_density))(X),
        }
        if name == AS_IT_IS:
            found["as they are"] = flow.log_density(X)
            two_axes = jax.jit(flow.log_density)(X.reshape(6, 10, flow.n))
            found["in two axes"] = two_axes.reshape(-1)
        one = jax.jit(flow.log_density)(X[3])
    for how, values in found.items():
        np.testing.assert_allclose(values, expected, rtol=ROUNDING, err_msg=how)
    assert one.shape == ()
    assert float(one) == pytest.approx(expected[3], rel=ROUNDING)


def test_a_jitted_method_is_compiled_once_however_often_it_is_taken():
    flow, X = flow_of("two columns")
    assert hash(flow.log_density) == hash(flow.log_density)
    assert flow.log_density == flow.log_density
    # Within another program too.
    with jax.enable_x64(True):
        total = jax.jit(lambda X: jnp.sum(jax.jit(flow.log_density)(X)))(X)
        assert float(total) == pytest.approx(in_batches(log_density, flow, X).sum(), rel=ROUNDING)


def by_differences(function, x):
    """Return central differences of a function of one row."""
    steps = STEP * np.eye(len(x))
    return np.stack([(function(x + step) - function(x - step)) / (2 * STEP) for step in steps])


@on_onto
def test_slopes_are_those_of_differences(name):
    flow, X = flow_of(name)
    with jax.enable_x64(True):
        value, slopes = jax.jit(flow.log_density), jax.jit(jax.grad(flow.log_density))
        slope = slopes(X[0])
        expected = by_differences(lambda x: np.asarray(value(x)), X[0])
        curvature = jax.jit(jax.jacrev(jax.grad(flow.log_density)))(X[0])
        of_slopes = by_differences(lambda x: np.asarray(slopes(x)), X[0])
        if name == AS_IT_IS:
            np.testing.assert_allclose(jax.grad(flow.log_density)(X[0]), slope, rtol=ROUNDING)
    np.testing.assert_allclose(slope, expected, rtol=DIFFERENCES, atol=DIFFERENCES)
    scale = np.abs(of_slopes).max()
    np.testing.assert_allclose(curvature, of_slopes, rtol=0, atol=DIFFERENCES * scale)


@on_onto
def test_the_inverse_and_its_derivatives_are_those_of_the_map(name):
    flow, X = flow_of(name)

    def transform(x):
        z = flow.transform(x)
        return z, z

    def inverse(z):
        x, inversion = flow.inverse(z)
        return x, (x, inversion)

    with jax.enable_x64(True):
        of_map, Z = jax.jit(jax.vmap(jax.jacrev(transform, has_aux=True)))(X)
        of_inverse, (back, inversion) = jax.jit(jax.vmap(jax.jacrev(inverse, has_aux=True)))(Z)
    np.testing.assert_allclose(back, X, rtol=1e-8, atol=1e-8)
    assert inversion.converged.shape == (60,)
    assert inversion.converged.all()
    product = np.asarray(of_inverse) @ np.asarray(of_map)
    identities = np.broadcast_to(np.eye(flow.n), product.shape)
    np.testing.assert_allclose(product, identities, rtol=0, atol=1e-8)


def test_derivatives_of_the_inverse_in_the_weights():
    flow, X = flow_of("two columns")
    with jax.enable_x64(True):
        z = np.asarray(jax.jit(flow.transform)(X[0]))

        @jax.jit
        def place(w):
            return jnp.sum(changed(flow, w).inverse(z)[0])

        w = np.asarray(flow.map.w)
        slope = jax.jit(jax.grad(place))(w)
        expected = by_differences(lambda w: np.asarray(place(w)), w)
    np.testing.assert_allclose(slope, expected, rtol=DIFFERENCES, atol=DIFFERENCES)


def changed(flow, w):
    """Return the flow of other last weights."""
    return type(flow)(flow.preprocessing, flow.map.features.with_weights(w), flow.tail)


@on_onto
def test_float32_has_six_digits_and_says_nothing(name):
    flow, X = flow_of(name)
    expected = in_batches(log_density, flow, X)
    values, slope = jax.jit(jax.vmap(jax.value_and_grad(flow.log_density)))(X)
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, expected, rtol=SINGLE, atol=SINGLE)
    assert jnp.isfinite(slope).all()
    transform = jax.jit(flow.transform)
    Z = transform(X)
    back, inversion = jax.jit(flow.inverse)(Z)
    assert inversion.converged.all()
    np.testing.assert_allclose(transform(back), Z, rtol=SINGLE, atol=1e-3)


def test_draws_are_of_the_density():
    flow, _ = flow_of("two bounded columns")
    draw = jax.jit(flow.sample, static_argnums=1)
    with jax.enable_x64(True):
        X = np.asarray(draw(jax.random.key(0), (4, 500)))
        one = draw(jax.random.key(1), ())
        Z = np.asarray(jax.jit(flow.transform)(X)).reshape(-1, flow.n)
    assert X.shape == (4, 500, 2)
    assert one.shape == (2,)
    low, high = flow.limits
    assert ((low < X) & (X < high)).all()
    assert min(kstest(z, "norm").pvalue for z in Z.T) > 1e-3


def test_points_without_a_preimage_are_nan():
    flow, _ = flow_of("thesis")
    with jax.enable_x64(True):
        X = jax.jit(flow.sample, static_argnums=1)(jax.random.key(0), (200,))
        within = np.isfinite(jax.jit(flow.log_density)(X))
    assert 0 < within.sum() < 200
    np.testing.assert_array_equal(np.isnan(X).any(axis=1), ~within)


def test_rows_outside_the_bounds_have_no_slope():
    flow, _ = flow_of("two bounded columns")
    with jax.enable_x64(True):
        value, slope = jax.jit(jax.value_and_grad(flow.log_density))(np.array([-1.0, 0.5]))
    assert np.isneginf(value)
    np.testing.assert_array_equal(slope, 0.0)


def test_its_own_log_density_pulled_back_is_standard_normal():
    flow, _ = flow_of("two columns")
    z = np.array([0.3, -1.2])
    with jax.enable_x64(True):
        pulled = flow.pulled_back(lambda x: flow.log_density(x) + 1.0)
        value, slope = jax.jit(jax.value_and_grad(pulled))(z)
    assert value == pytest.approx(1.0 - 0.5 * z @ z - np.log(2 * np.pi), abs=1e-8)
    np.testing.assert_allclose(slope, -z, atol=1e-8)


def test_too_few_columns_are_an_error():
    flow, _ = flow_of("five columns")
    with pytest.raises(
        ValueError, match=r"Expected rows of 5 columns as \(5,\) or \(N, 5\); got the shape \(3,\)"
    ):
        flow.log_density(np.zeros(3))
