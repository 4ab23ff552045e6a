"""The objective in w: the naive one in arrays and in chunks, whatever padding holds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest
from convex import ROWS, Rows

from brenier.inner.objective import ArrayObjective, ChunkedObjective, dense_objective

pytestmark = pytest.mark.usefixtures("x64")

# Float64 sums of some dozen terms of order one to a hundred.
ROUNDING = {"rtol": 1e-11, "atol": 1e-11}
on_rows = pytest.mark.parametrize("name", ROWS)

evaluate = eqx.filter_jit(lambda objective, w: objective.evaluate(w))
value = eqx.filter_jit(lambda objective, w: objective.value(w))
slope = eqx.filter_jit(lambda objective, w: objective.slope(w))


def assert_slope_is(objective, w, expected):
    at = slope(objective, w)
    for found, reference in zip((at.value, at.gradient), expected[:2], strict=True):
        np.testing.assert_allclose(found, reference, **ROUNDING)


@on_rows
def test_objective_is_the_naive_one_in_arrays_and_in_chunks(name):
    rows = ROWS[name]
    m = rows.G.shape[1]
    w = np.random.default_rng(1).uniform(0.2, 2.0, size=m)
    expected = naive.loss(w, rows.G, rows.H, rows.omega, rows.ridge)
    for objective in (rows.arrays, rows.chunked(3), rows.chunked(1)):
        at = evaluate(objective, w)
        for found, reference in zip((at.value, at.gradient, at.hessian), expected, strict=True):
            np.testing.assert_allclose(found, reference, **ROUNDING)
        assert_slope_is(objective, w, expected)
        assert float(value(objective, w)) == pytest.approx(float(at.value), rel=1e-14)


@pytest.mark.parametrize("name", ["n = 2", "rank one, n = 2"])
def test_dense_features_make_the_same_objective_however_they_are_cut_and_held(name):
    rows = ROWS[name]
    w = np.random.default_rng(4).uniform(0.2, 2.0, size=rows.G.shape[1])
    expected = naive.loss(w, rows.G, rows.H, rows.omega, rows.ridge)
    for n_tiles, held, kind in (
        (1, True, ArrayObjective),
        (1, False, ArrayObjective),
        (3, True, ChunkedObjective),
        (3, False, ChunkedObjective),
    ):
        tiles, omega = rows.cut(n_tiles)
        ridge = jnp.asarray(rows.ridge)
        objective = dense_objective(as_they_are, tiles, omega, ridge, held=held)
        assert type(objective) is kind
        # Derivatives that are held are those of the features; else what they are formed from.
        if n_tiles > 1:
            assert (objective.derivatives is as_they_are) == (not held)
        at = evaluate(objective, w)
        for found, reference in zip((at.value, at.gradient, at.hessian), expected, strict=True):
            np.testing.assert_allclose(found, reference, **ROUNDING)


def as_they_are(tile):
    """Return the derivatives of a tile that is nothing else."""
    return tile


@eqx.filter_jit
def plain_loss_and_derivatives(rows, w):
    """Return J by its formula, its gradient and its Hessian by automatic differentiation."""

    def J(w):
        G, H, _, omega, ridge = rows
        z = jnp.einsum("jia,i->ja", G, w)
        A = jnp.einsum("jiab,i->jab", H, w[: H.shape[1]])
        per_row = 0.5 * jnp.sum(z**2, axis=1) - jnp.linalg.slogdet(A)[1]
        return jnp.sum(omega * per_row) + 0.5 * jnp.sum(ridge * w**2)

    return J(w), jax.grad(J)(w), jax.hessian(J)(w)


@on_rows
def test_derivatives_are_those_of_automatic_differentiation(name):
    w = np.random.default_rng(2).uniform(0.2, 2.0, size=ROWS[name].G.shape[1])
    at = evaluate(ROWS[name].arrays, w)
    for found, reference in zip(
        (at.value, at.gradient, at.hessian), plain_loss_and_derivatives(ROWS[name], w), strict=True
    ):
        np.testing.assert_allclose(found, reference, **ROUNDING)


@on_rows
def test_infinite_outside_the_domain(name):
    rows = ROWS[name]
    w = -np.ones(rows.G.shape[1])
    for objective in (rows.arrays, rows.chunked(3)):
        assert value(objective, w) == np.inf
        assert evaluate(objective, w).value == np.inf


# What a padding row may hold: nothing of it counts.
PADDING = {"a good row": 1.0, "zeros": 0.0, "no positive Hessian": -1.0}


@on_rows
@pytest.mark.parametrize("padding", PADDING)
def test_rows_of_weight_zero_change_nothing(name, padding):
    rows = ROWS[name]
    w = np.random.default_rng(3).uniform(0.2, 2.0, size=rows.G.shape[1])
    padded, fill = Rows(*(np.array(array) for array in rows)), PADDING[padding]
    padded.omega[-3:] = 0.0
    padded.G[-3:] *= fill
    padded.H[-3:] *= fill
    padded.d[-3:] *= fill
    expected = naive.loss(w, rows.G[:-3], rows.H[:-3], rows.omega[:-3], rows.ridge)
    for objective in (padded.arrays, padded.chunked(3)):
        at = evaluate(objective, w)
        for found, reference in zip((at.value, at.gradient, at.hessian), expected, strict=True):
            np.testing.assert_allclose(found, reference, **ROUNDING)
        assert_slope_is(objective, w, expected)
